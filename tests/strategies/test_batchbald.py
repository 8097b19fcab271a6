"""BatchBALD against the enumerated joint distribution."""

import math

import numpy as np
import pytest
import torch

from dal_nlp.core.errors import BrokenModelError, Unsupported
from dal_nlp.strategies import batchbald as module
from dal_nlp.strategies import make_strategy
from dal_nlp.strategies.batchbald import Combinations, batch_bald
from tests import tiny
from tests.reference import batchbald as reference

RNG = np.random.default_rng


def log_probs(n: int, draws: int, outcomes: int, seed: int = 0, scale: float = 2.0) -> np.ndarray:
    logits = scale * torch.randn(n, draws, outcomes, generator=torch.Generator().manual_seed(seed))
    return logits.log_softmax(-1).numpy()


@pytest.mark.parametrize(("n", "draws", "outcomes", "k"), [(7, 6, 2, 5), (6, 5, 3, 4), (5, 8, 4, 3), (4, 9, 2, 4)])
@pytest.mark.parametrize("seed", range(3))
def test_enumerated_answers(n: int, draws: int, outcomes: int, k: int, seed: int) -> None:
    table = log_probs(n, draws, outcomes, seed, scale=0.7)
    chosen = batch_bald(table, k, 10_000, RNG(0))
    picks, gains = reference.greedy(np.exp(table.astype(np.float64)), k)
    assert chosen.positions.tolist() == picks
    np.testing.assert_allclose(chosen.scores, gains, atol=1e-6)


def test_looking_at_few_candidates_finds_the_same_as_looking_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    table = log_probs(300, 20, 3, scale=0.8)
    lazy = batch_bald(table, 6, 10_000, RNG(0))
    monkeypatch.setattr(module, "STEP", 3)
    lazier = batch_bald(table, 6, 10_000, RNG(0))
    p = torch.from_numpy(table).double().softmax(-1)
    answers, picks = Combinations.none(20), []
    for _ in range(6):
        gains = answers.entropies(p) + torch.xlogy(p, p).sum(-1).mean(1)
        gains[picks] = -torch.inf
        picks.append(int(gains.argmax()))
        answers = answers.extended(p[picks[-1]], 10_000, RNG(0))
    assert lazy.positions.tolist() == lazier.positions.tolist() == picks


def test_sampled_answers_estimate_the_same_gains() -> None:
    """Beyond ``samples`` combinations the gains are estimates, near to what enumeration gives."""
    p = torch.from_numpy(log_probs(12, 30, 3, scale=0.7)).double().softmax(-1)
    exact = sampled = Combinations.none(30)
    for i in range(6):
        exact = exact.extended(p[i], 100_000, RNG(i))
        sampled = sampled.extended(p[i], 4000, RNG(i))
    assert (exact.sampled, sampled.sampled) == (False, False)
    for i in range(6, 8):
        exact = exact.extended(p[i], 100_000, RNG(i))
        sampled = sampled.extended(p[i], 4000, RNG(i))
    assert (exact.sampled, sampled.sampled) == (False, True)
    assert len(exact.weights) == 3**8
    assert len(sampled.weights) == 4000
    torch.testing.assert_close(sampled.entropies(p), exact.entropies(p), atol=0.01, rtol=0)
    assert sampled.unknown() == pytest.approx(exact.unknown(), abs=0.03)
    assert float(exact.weights.sum()) == pytest.approx(1)


def test_samples_fewer_than_outcomes() -> None:
    chosen = batch_bald(log_probs(9, 6, 4, scale=0.5), 5, 1, RNG(0))
    assert len(set(chosen.positions.tolist())) == 5


def test_duplicates_are_not_chosen_twice_where_bald_would() -> None:
    """Two copies of the best example tell little more than one; BALD takes both, BatchBALD the second best."""
    sure = math.log(0.99), math.log(0.01)
    halves = np.array([sure] * 4 + [sure[::-1]] * 4, dtype=np.float32)  # draws 0-3 against 4-7
    other = np.array([sure, sure[::-1]] * 4, dtype=np.float32)
    other[[0, 1]] = math.log(0.5)
    table = np.stack([halves, halves, other])
    for seed in range(5):
        assert set(batch_bald(table, 2, 100, RNG(seed)).positions.tolist()) in ({0, 2}, {1, 2})
    assert {int(batch_bald(table, 1, 100, RNG(seed)).positions[0]) for seed in range(20)} == {0, 1}


def test_after_saturation_the_largest_bald_follow_and_a_note_says_so() -> None:
    table = log_probs(30, 2, 2, scale=8.0)
    chosen = batch_bald(table, 10, 1000, RNG(0))
    after = chosen.notes["saturated_after"]
    assert 0 < after < 10
    assert chosen.notes["draws_suffice_for"] < 10
    assert chosen.scores.sum() <= math.log(2) + 1e-9
    assert (chosen.scores[after:] == 0).all()
    p = np.exp(table.astype(np.float64))
    bald = {i: reference.information(p, [i]) for i in range(30) if i not in chosen.positions[:after]}
    assert chosen.positions[after:].tolist() == sorted(bald, key=bald.__getitem__, reverse=True)[: 10 - after]


def test_enough_draws_need_no_note() -> None:
    assert batch_bald(log_probs(20, 50, 2, scale=0.3), 3, 1000, RNG(0)).notes == {}


def test_all_alike_is_chosen_by_lot() -> None:
    table = np.full((6, 4, 3), math.log(1 / 3), dtype=np.float32)
    orders = {tuple(batch_bald(table, 6, 100, RNG(seed)).positions.tolist()) for seed in range(10)}
    assert len(orders) > 5
    assert all(sorted(order) == list(range(6)) for order in orders)


def test_saturated_probabilities() -> None:
    table = np.full((5, 4, 3), -np.inf, dtype=np.float32)
    table[..., 0] = 0
    table[3, :2] = [-np.inf, 0, -np.inf]
    chosen = batch_bald(table, 5, 100, RNG(0))
    assert chosen.positions[0] == 3
    np.testing.assert_allclose(chosen.scores, [math.log(2), 0, 0, 0, 0])
    assert len(set(chosen.positions.tolist())) == 5


def test_nan_is_an_error() -> None:
    table = log_probs(5, 4, 3)
    table[2, 1] = np.nan
    with pytest.raises(BrokenModelError):
        batch_bald(table, 2, 100, RNG(0))


def test_on_a_model() -> None:
    strategy = make_strategy("batchbald", {"samples": "50"})
    assert strategy.requires == {"draws", "shared outcomes"}
    one, many = (strategy.select(tiny.pool(n=9, labels=3, batch_size=size), 9, RNG(0)) for size in (1, 9))
    np.testing.assert_array_equal(one.positions[:2], many.positions[:2])
    assert sorted(one.positions.tolist()) == list(range(9))
    with pytest.raises(Unsupported, match="fixed"):
        strategy.select(tiny.pool(n=4, draws="full"), 1, RNG(0))
