from itertools import combinations

import numpy as np
import pytest

from dal_nlp.core.errors import BrokenModelError
from dal_nlp.strategies import clustering as geometry
from dal_nlp.strategies import make_strategy, probes
from dal_nlp.strategies.selectors import unit
from dal_nlp.strategies.suggestive import UNCERTAINTIES, Suggestive, max_cover
from tests import tiny
from tests.reference import geometry as reference
from tests.strategies.test_clustering import rows


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("block", [20, 10**6])
@pytest.mark.parametrize("shift", [0, 2])  # cosines of both signs, and above 0 only
@pytest.mark.parametrize("seed", range(3))
def test_picks_are_those_of_plain_greedy(monkeypatch, seed, shift, block):
    monkeypatch.setattr(geometry, "BLOCK", block)
    x = unit(rows(40, seed=seed) + shift)
    candidates = rng(seed).permutation(40)[:15]
    picks, gains = reference.max_cover(x, candidates, 10)
    selection = max_cover(x, candidates, 10, rng())
    assert selection.positions.tolist() == picks
    np.testing.assert_allclose(selection.scores, gains, rtol=1e-3, atol=1e-5)
    assert selection.scores.sum() == pytest.approx(reference.coverage(x, picks), rel=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_greedy_keeps_its_guarantee(seed):
    x = unit(rows(14, 3, seed))
    best = max(reference.coverage(x, chosen) for chosen in combinations(range(14), 3))
    assert max_cover(x, np.arange(14), 3, rng()).scores.sum() >= (1 - np.exp(-1)) * best


@pytest.mark.parametrize("k", [1, 4, 12])
@pytest.mark.parametrize("kinds", [1, 3])
def test_duplicates_still_give_k_distinct_rows(kinds, k):
    x = np.repeat(unit(rows(kinds)), 12 // kinds, axis=0)
    selection = max_cover(x, np.arange(12), k, rng())
    assert len(set(selection.positions.tolist())) == k
    assert (selection.scores >= 0).all()


def test_equal_candidates_are_chosen_by_lot():
    x = np.ones((8, 3), dtype=np.float32) / np.sqrt(3, dtype=np.float32)
    assert len({int(max_cover(x, np.arange(8), 1, rng(seed)).positions[0]) for seed in range(30)}) > 4


@pytest.mark.parametrize("name", UNCERTAINTIES)
def test_only_the_most_uncertain_are_candidates(name):
    pool = tiny.pool(30, labels=3)
    chosen = make_strategy("suggestive", {"uncertainty": name, "beta": 2}).select(pool, 4, rng()).positions
    (uncertain,) = pool.collect(UNCERTAINTIES[name])
    assert set(chosen.tolist()) <= set(np.argsort(-uncertain)[:8].tolist())


def test_with_as_many_candidates_as_picks_it_is_the_uncertainty_alone():
    pool = tiny.pool(30)
    (uncertain,) = pool.collect(probes.entropy)
    chosen = Suggestive(beta=1).select(pool, 5, rng()).positions
    assert set(chosen.tolist()) == set(np.argsort(-uncertain)[:5].tolist())
    assert len(set(Suggestive().select(pool, 30, rng()).positions.tolist())) == 30


def test_nan_is_an_error():
    x = unit(rows(6))
    x[4] = np.nan
    with pytest.raises(BrokenModelError):
        max_cover(x, np.arange(3), 1, rng())


def test_draws_are_required_only_where_they_are_read() -> None:
    assert Suggestive(uncertainty="bald").requires == {"draws"}
    assert Suggestive().requires == frozenset()
