"""EPIG against the double sum of its definition."""

import math

import numpy as np
import pytest
import torch

from dal_nlp.core.errors import BrokenModelError, Unsupported
from dal_nlp.strategies import epig as module
from dal_nlp.strategies import make_strategy
from dal_nlp.strategies.epig import Epig, expected_gain
from dal_nlp.strategies.selectors import top_k
from tests import tiny
from tests.reference import epig as reference

RNG = np.random.default_rng


def log_probs(n: int, draws: int, outcomes: int, seed: int = 0) -> np.ndarray:
    logits = 2 * torch.randn(n, draws, outcomes, generator=torch.Generator().manual_seed(seed))
    return logits.log_softmax(-1).numpy()


@pytest.mark.parametrize("room", [1, 200, 8_000_000])
@pytest.mark.parametrize(("n", "draws", "outcomes"), [(9, 5, 2), (7, 6, 4)])
def test_against_the_definition(n: int, draws: int, outcomes: int, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROOM", room)
    table = log_probs(n, draws, outcomes)
    table[0, :, 1] = -np.inf
    p = np.exp(table.astype(np.float64))
    p /= p.sum(-1, keepdims=True)
    targets = [0, 2, 5]
    np.testing.assert_allclose(expected_gain(table, np.array(targets)), reference.epig(p, targets), atol=1e-9)


def test_parameters_that_matter_to_no_target_count_for_nothing() -> None:
    """Draws disagree about example 0 along lines that the targets do not know; BALD would take it."""
    sure = np.log(np.array([0.98, 0.02], dtype=np.float32))
    table = np.full((4, 4, 2), math.log(0.5), dtype=np.float32)
    table[0, [0, 2]], table[0, [1, 3]] = sure, sure[::-1]  # draws {0, 2} against {1, 3}
    table[1:, :2], table[1:, 2:] = sure, sure[::-1]  # draws {0, 1} against {2, 3}
    gains = expected_gain(table, np.array([2, 3]))
    assert gains[0] == pytest.approx(0, abs=1e-6)
    assert (gains[1:] > 0.4).all()


def test_the_targets_are_a_sample_of_the_pool() -> None:
    pool = tiny.pool(n=12, labels=3)
    few = [Epig(targets=2).scores(pool, RNG(seed)) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(few[0], few[1])
    assert not np.allclose(few[0], few[2], rtol=1e-3)
    everything = [Epig(targets=50).scores(pool, RNG(seed)) for seed in (0, 1)]
    np.testing.assert_allclose(everything[0], everything[1], atol=1e-10)


def test_degenerate_tables() -> None:
    same = np.full((5, 3, 2), math.log(0.5), dtype=np.float32)
    assert (expected_gain(same, np.array([0])) == 0).all()
    certain = np.full((5, 3, 2), -np.inf, dtype=np.float32)
    certain[..., 0] = 0
    assert (expected_gain(certain, np.array([1, 2])) == 0).all()
    twins = np.repeat(log_probs(1, 4, 3), 5, axis=0)
    assert len(set(expected_gain(twins, np.array([0, 3])).tolist())) == 1
    broken = log_probs(5, 4, 3)
    broken[2] = np.nan
    with pytest.raises(BrokenModelError):
        top_k(expected_gain(broken, np.array([0])), 2, RNG(0))


@pytest.mark.parametrize("k", [1, 7])
def test_on_a_model(k: int) -> None:
    strategy = make_strategy("epig", {"targets": "4"})
    assert strategy.requires == {"draws", "shared outcomes"}
    one, many = (strategy.select(tiny.pool(n=7, labels=3, batch_size=size), k, RNG(0)) for size in (1, 7))
    np.testing.assert_array_equal(one.positions, many.positions)
    assert len(set(one.positions.tolist())) == k
    with pytest.raises(Unsupported, match="fixed"):
        strategy.select(tiny.pool(n=4, draws="full"), 1, RNG(0))
