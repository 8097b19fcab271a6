"""Sequence probabilities against their definitions."""

import math
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from dal_nlp.core.categoricals import Categoricals, Ragged, least_confidence
from dal_nlp.core.errors import BrokenModelError
from dal_nlp.models.forward import Forward
from dal_nlp.strategies import make_strategy, sequences
from dal_nlp.strategies.sequences import improbability, moments
from tests import tiny, tiny_summaries
from tests.reference import sequences as reference

NAMES = ["nsp", "ensp", "ensv"]


class Given:
    """A forward whose predictions are given; it counts those that are alive."""

    def __init__(self, categoricals: Categoricals, draws: list[Categoricals]) -> None:
        self.categoricals, self.draws = categoricals, iter(draws)


def measure(name: str, categoricals: Categoricals, draws: list[Categoricals]) -> list[float]:
    values: Tensor = getattr(sequences, name)(Given(categoricals, draws))
    return values.tolist()


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_against_the_definitions(reduction: str) -> None:
    """Texts of one to four tokens, which are not the most likely ones, under seven draws."""
    torch.manual_seed(0)
    log_probs = (2 * torch.randn(8, 5, 4, 6)).log_softmax(-1)  # (1 + K, B, T, C)
    tokens = torch.randint(6, (5, 4))
    mask = torch.arange(4) < torch.tensor([1, 2, 3, 4, 4])[:, None]
    log_probs[:, ~mask] = torch.nan  # must not be looked at
    every = [Categoricals(values, mask, reduction, tokens) for values in log_probs]  # type: ignore[arg-type]
    probs = [[[float(c.at(tokens)[b, t].exp()) for t in range(4) if mask[b, t]] for b in range(5)] for c in every]
    mean = reduction == "mean"
    for b in range(5):
        drawn = [draw[b] for draw in probs[1:]]
        assert measure("nsp", every[0], [])[b] == pytest.approx(reference.nsp(probs[0][b], mean), abs=1e-6)
        assert measure("ensp", every[0], every[1:])[b] == pytest.approx(reference.ensp(drawn, mean), abs=1e-6)
        assert measure("ensv", every[0], every[1:])[b] == pytest.approx(reference.ensv(drawn, mean), abs=1e-7)


def test_a_longer_answer_is_not_less_probable_by_its_length() -> None:
    log_probs = torch.tensor([[[0.5, 0.5]] * 6]).log().expand(2, -1, -1)
    mask = torch.arange(6) < torch.tensor([[2], [6]])
    c = Categoricals(log_probs, mask, "mean")
    assert improbability(c, c.answered()).tolist() == pytest.approx([0.5, 0.5])


def test_of_labels_and_spans_it_is_least_confidence_and_as_exact() -> None:
    """1 - p_max of 1e-11, which in fp32 is p_max = 1."""
    torch.manual_seed(0)
    scores = torch.cat([3 * torch.randn(20, 4), torch.tensor([[25.0, 0, 0, 0], [0, 0, 0, 18]])])
    flat = Categoricals(scores.log_softmax(-1)[:, None], torch.ones((22, 1), dtype=torch.bool))
    ragged = Ragged.of(scores, torch.arange(22) // 2, 11)
    for c in (flat, ragged):
        expected = least_confidence(c).tolist()
        assert improbability(c, c.answered()).tolist() == pytest.approx(expected, rel=1e-4)
    assert 0 < improbability(flat, flat.answered())[-2] < 1e-10


def test_an_impossible_answer_and_a_certain_one() -> None:
    c = Categoricals(torch.tensor([[[-torch.inf, 0.0]], [[0.0, -torch.inf]]]), torch.ones((2, 1), dtype=torch.bool))
    assert improbability(c, torch.tensor([[0], [0]])).tolist() == [1, 0]


def test_draws_that_are_sure_of_opposite_labels_disagree() -> None:
    mask = torch.ones((1, 1), dtype=torch.bool)
    sure = [Categoricals(torch.tensor([[[math.log(p), math.log(1 - p)]]]), mask) for p in (0.9, 0.9, 0.1)]
    assert measure("ensp", sure[0], sure[1:]) == pytest.approx([0.5])
    assert measure("ensv", sure[0], sure[1:]) == pytest.approx([0.16])
    assert measure("ensv", sure[0], sure[:1] * 3) == pytest.approx([0], abs=1e-15)


def test_saturated_draws_keep_their_variance() -> None:
    mask = torch.ones((1, 1), dtype=torch.bool)
    rest = [1e-11, 3e-11, 2e-10]
    draws = [Categoricals(torch.tensor([[[0.0, math.log(e)]]]), mask) for e in rest]
    assert measure("ensv", draws[0], draws) == pytest.approx([np.var(rest)], rel=1e-4)


def test_moments_are_those_of_all_values_together() -> None:
    torch.manual_seed(0)
    values = torch.rand(9, 5, dtype=torch.float64) * 1e-3 + 1
    mean, variance = moments(iter(values))
    np.testing.assert_allclose(mean, values.mean(0), rtol=1e-6)
    np.testing.assert_allclose(variance, values.var(0, correction=0), rtol=1e-6)


@pytest.mark.parametrize("name", ["ensp", "ensv"])
def test_memory_does_not_grow_with_the_number_of_draws(name: str) -> None:
    alive: list[weakref.ref[Tensor]] = []
    mask = torch.ones((2, 1), dtype=torch.bool)

    def draws() -> Iterator[Categoricals]:
        for _ in range(12):
            assert sum(ref() is not None for ref in alive) <= 1
            c = Categoricals(torch.randn(2, 1, 3).log_softmax(-1), mask)
            alive.append(weakref.ref(c.log_probs))
            yield c
            del c

    given = Given(Categoricals(torch.zeros(2, 1, 3).log_softmax(-1), mask), [])
    given.draws = draws()
    getattr(sequences, name)(given)
    assert len(alive) == 12


@pytest.mark.long
@pytest.mark.parametrize("make", [tiny.pool, tiny.qa_pool, tiny_summaries.summary_pool])
@pytest.mark.parametrize("name", NAMES)
def test_picks_do_not_depend_on_the_batching(name: str, make) -> None:  # type: ignore[no-untyped-def]
    one, many = (make_strategy(name, {}).select(make(14, batch_size=b), 14, np.random.default_rng(0)) for b in (1, 14))
    assert sorted(one.positions.tolist()) == list(range(14))
    np.testing.assert_array_equal(one.positions[:5], many.positions[:5])
    np.testing.assert_allclose(one.scores, many.scores, atol=1e-5)


@pytest.mark.parametrize("make", [tiny.pool, tiny.qa_pool])
def test_nsp_ranks_labels_and_spans_as_least_confidence(make) -> None:  # type: ignore[no-untyped-def]
    pool, rng = make(20), np.random.default_rng(0)
    scores = [make_strategy(name, {}).scores(pool, rng) for name in ("nsp", "least_confidence")]  # type: ignore[attr-defined]
    np.testing.assert_allclose(*scores, rtol=1e-5)


def test_texts_of_a_model_are_measured_by_their_tokens() -> None:
    """The summaries of a model that was not trained, of different lengths, under draws that all read the same ones."""
    seen: list[tuple[float, float]] = []

    def twin(forward: Forward) -> Tensor:
        every = [forward.categoricals, *forward.draws]
        probs = [c.at(c.answered()).exp() for c in every]
        for b, mask in enumerate(every[0].mask):
            assert all((c.answered()[b] == every[0].answered()[b])[mask].all() for c in every)
            drawn = [p[b][mask].tolist() for p in probs]
            seen.append((reference.nsp(drawn[0]), reference.ensp(drawn[1:])))
        return torch.tensor(seen[-len(every[0].mask) :])

    twins, nsp, ensp = tiny_summaries.summary_pool(10).collect(twin, sequences.nsp, sequences.ensp)
    np.testing.assert_allclose(np.stack([nsp, ensp], 1), twins, rtol=1e-4)
    assert len({round(score, 4) for score, _ in seen}) > 5


def test_nan_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Categoricals(torch.full((8, 1, 2), torch.nan), torch.ones((8, 1), dtype=torch.bool))
    monkeypatch.setattr(Forward, "categoricals", broken)
    with pytest.raises(BrokenModelError):
        make_strategy("nsp", {}).select(tiny.pool(8), 2, np.random.default_rng(0))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_required(name: str) -> None:
    assert make_strategy(name, {}).requires == (set() if name == "nsp" else {"draws"})
