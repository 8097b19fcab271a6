"""BALD, mean standard deviation and variation ratio against their definitions."""

import math
import weakref
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from dal_nlp.core.categoricals import Categoricals
from dal_nlp.strategies import make_strategy, strategy_class
from dal_nlp.strategies.bayesian import dissent, mean_deviation, mutual_information
from tests import tiny
from tests.reference import bayesian as reference

Measure = Callable[[Iterable[Categoricals]], Tensor]
PAIRS = [
    (mutual_information, reference.bald),
    (mean_deviation, reference.mean_std),
    (dissent, reference.variation_ratio),
]
NAMES = ["bald", "mean_std", "variation_ratio", "power_bald"]


def one_factor(draws: list[list[float]]) -> list[Categoricals]:
    """K draws of one example with one factor."""
    mask = torch.ones((1, 1), dtype=torch.bool)
    return [Categoricals(torch.tensor(p, dtype=torch.double).log().float()[None, None], mask) for p in draws]


@pytest.mark.parametrize(("measure", "definition"), PAIRS)
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_against_the_definition(measure: Measure, definition: Callable[..., float], reduction: str) -> None:
    """Several factors, of which one does not exist, and an outcome that cannot be."""
    torch.manual_seed(0)
    logits = 2 * torch.randn(7, 5, 3, 4)  # (K, B, F, C)
    logits[:, 2, 1, 3] = -torch.inf
    log_probs = logits.log_softmax(-1)
    mask = torch.ones((5, 3), dtype=torch.bool)
    mask[4, 2] = False
    log_probs[:, 4, 2] = torch.nan  # must not be looked at
    got = measure(Categoricals(log_probs[k], mask, reduction) for k in range(7))  # type: ignore[arg-type]
    for b in range(5):
        factors = [definition(log_probs[:, b, f].exp().tolist()) for f in range(3) if mask[b, f]]
        expected = sum(factors) / (1 if reduction == "sum" else len(factors))
        assert got[b].item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("measure", [pair[0] for pair in PAIRS])
def test_agreement_is_zero(measure: Measure) -> None:
    assert measure(one_factor([[0.2, 0.8]] * 5)).item() == pytest.approx(0, abs=1e-9)
    assert measure(one_factor([[0.0, 1.0]] * 5)).item() == 0


def test_full_disagreement() -> None:
    draws = one_factor([[1.0, 0.0], [0.0, 1.0]])
    assert mutual_information(draws).item() == pytest.approx(math.log(2))
    assert mean_deviation(draws).item() == pytest.approx(0.5)
    assert dissent(draws).item() == 0.5


def test_saturated_predictions_keep_their_order() -> None:
    """1 - p_max of 1e-11 and 1e-9, which in fp32 is p_max = 1: what counts is read from the other outcome."""
    for scale in (1e-11, 1e-9, 1e-7):
        rest = [scale, 3 * scale, 20 * scale]
        mask = torch.ones((1, 1), dtype=torch.bool)
        draws = [Categoricals(torch.tensor([[[0.0, math.log(e)]]]), mask) for e in rest]
        m = sum(rest) / 3
        information = (sum(e * math.log(e / m) + (1 - e) * (math.log1p(-e) - math.log1p(-m)) for e in rest)) / 3
        assert mutual_information(draws).item() == pytest.approx(information, rel=1e-4)
        assert mean_deviation(draws).item() == pytest.approx(float(np.std(rest)), rel=1e-4)


def test_a_small_disagreement_is_not_lost_between_two_large_entropies() -> None:
    """Information of 1e-8 nats beside entropies of 0.6, of which fp32 keeps seven digits."""
    draws = [[p, 1 - p] for p in (0.2999, 0.3, 0.3002)]
    assert mutual_information(one_factor(draws)).item() == pytest.approx(reference.bald(draws), rel=0.02)


@pytest.mark.parametrize("measure", [mutual_information, mean_deviation, dissent])
def test_memory_does_not_grow_with_the_number_of_draws(measure: Measure) -> None:
    alive: list[weakref.ref[Tensor]] = []
    mask = torch.ones((2, 1), dtype=torch.bool)

    def draws() -> Iterator[Categoricals]:
        for _ in range(12):
            assert sum(ref() is not None for ref in alive) <= 1
            c = Categoricals(torch.randn(2, 1, 3).log_softmax(-1), mask)
            alive.append(weakref.ref(c.log_probs))
            yield c
            del c

    measure(draws())
    assert len(alive) == 12


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_reads_draws_only_and_does_not_depend_on_the_batching(name: str) -> None:
    strategy = make_strategy(name, {})
    assert strategy.requires == {"draws"}
    one, many = (
        strategy.select(tiny.pool(n=14, labels=3, batch_size=size), 5, np.random.default_rng(0)) for size in (1, 14)
    )
    np.testing.assert_array_equal(one.positions, many.positions)
    np.testing.assert_allclose(one.scores, many.scores, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("k", [1, 6])
def test_one_and_all(name: str, k: int) -> None:
    chosen = make_strategy(name, {}).select(tiny.pool(n=6), k, np.random.default_rng(0))
    assert len(set(chosen.positions.tolist())) == k
    assert np.isfinite(chosen.scores).all()


def test_the_docstrings_say_what_they_must() -> None:
    for name in (*NAMES, "batchbald", "epig"):
        doc = strategy_class(name).__doc__ or ""
        for section in ("Reads:", "Cost:", "Tasks:", "Reference:", "Deviations:"):
            assert section in doc, (name, section)
