from itertools import combinations

import numpy as np
import pytest

from dal_nlp.core.errors import BrokenModelError
from dal_nlp.models.vectors import Dense
from dal_nlp.strategies import clustering as geometry
from dal_nlp.strategies.coreset import Coreset, k_center
from tests import tiny
from tests.reference import geometry as reference
from tests.strategies.test_clustering import rows


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("block", [3, 10**6])
@pytest.mark.parametrize("labeled", [1, 6])
@pytest.mark.parametrize("seed", range(3))
def test_picks_are_those_of_all_pairs(monkeypatch, seed, labeled, block):
    monkeypatch.setattr(geometry, "BLOCK", block)
    x, centres = rows(30, seed=seed), rows(labeled, seed=seed + 10)
    picks, scores = reference.k_center(x, centres, 8)
    selection = k_center(Dense(x), centres, 8, rng())
    assert selection.positions.tolist() == picks
    np.testing.assert_allclose(selection.scores, scores, rtol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_without_labels_the_first_is_drawn_and_no_row_is_left_farther_than_twice_the_least(seed):
    x = rows(12, 2, seed)
    selection = k_center(Dense(x), x[:0], 3, rng(seed))
    picks, _ = reference.k_center(x, x[selection.positions[:1]], 2)
    assert selection.positions[1:].tolist() == picks
    d = reference.pairwise(x, x)
    assert selection.scores[0] == pytest.approx(d[selection.positions[0]].max(), rel=1e-4)
    best = min(d[:, list(chosen)].min(1).max() for chosen in combinations(range(12), 3))
    assert d[:, selection.positions].min(1).max() <= 2 * best


def test_the_first_without_labels_is_any_row():
    x = rows(5)
    assert {int(k_center(Dense(x), x[:0], 1, rng(seed)).positions[0]) for seed in range(60)} == set(range(5))


@pytest.mark.parametrize("k", [1, 5, 12])
@pytest.mark.parametrize("labeled", [0, 1])
@pytest.mark.parametrize("kinds", [1, 3])
def test_duplicates_still_give_k_distinct_rows(kinds, labeled, k):
    x = np.repeat(rows(kinds), 12 // kinds, axis=0)
    selection = k_center(Dense(x), x[:labeled], k, rng())
    assert len(set(selection.positions.tolist())) == k
    assert np.isfinite(selection.scores).all()


def test_each_kind_is_chosen_before_a_duplicate():
    x = np.repeat(rows(4, 40), 6, axis=0)
    assert {int(i) // 6 for i in k_center(Dense(x), x[:1], 3, rng()).positions} == {1, 2, 3}


def test_nan_is_an_error():
    x = rows(6)
    x[2, 2] = np.nan
    for bad, centres in ((x, rows(2)), (rows(3), x)):
        with pytest.raises(BrokenModelError):
            k_center(Dense(bad), centres, 2, rng())


def test_a_pool_with_and_without_labels():
    for labeled in (0, 1, 5):
        selection = Coreset().select(tiny.pool(20, labeled=labeled), 6, rng())
        assert len(set(selection.positions.tolist())) == 6
        assert (np.diff(selection.scores) <= 1e-5).all()
