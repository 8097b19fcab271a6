import numpy as np
import pytest

from dal_nlp.core.errors import BrokenModelError
from dal_nlp.strategies import clustering as geometry
from dal_nlp.strategies.typiclust import TypiClust, typical, typicality, visits
from tests import tiny
from tests.reference import geometry as reference
from tests.strategies.test_clustering import blobs, rows


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("block", [3, 10**6])
@pytest.mark.parametrize("n", [1, 2, 3, 10, 50])
def test_typicality_is_that_of_all_pairs(monkeypatch, n, block):
    monkeypatch.setattr(geometry, "BLOCK", block)
    np.testing.assert_allclose(typicality(rows(n), 20), reference.typicality(rows(n), 20), rtol=1e-3)


def test_clusters_are_visited_by_labels_then_size():
    labels = np.array([0] * 4 + [1] * 9 + [2] * 7 + [3] * 8 + [1] + [3])  # the last two are labeled
    assert visits(labels, 28, 5, rng()) == [[2, 1, 3], [0]]


@pytest.mark.parametrize("k", [1, 3, 10])
def test_picks_follow_the_rule(k):
    x, labels = blobs([9, 4, 12, 15, 7])
    known = [3, 3, 0]
    order = visits(np.array([*labels, *known]), len(x), 5, rng())
    selection = typical(x, labels, order, 20, k, rng())
    assert selection.positions.tolist() == reference.typiclust(x, labels, known, 5, 20, k)
    np.testing.assert_allclose(selection.scores[0], typicality(x[labels == 2], 20).max())


def test_small_clusters_serve_when_the_large_ones_are_used_up():
    x, labels = blobs([8, 3, 2])
    order = visits(labels, 13, 5, rng())
    picks = labels[typical(x, labels, order, 20, 13, rng()).positions]
    assert picks.tolist() == [0] * 8 + [1, 2, 1, 2, 1]
    tiny_clusters = visits(labels, 13, 50, rng())
    assert labels[typical(x, labels, tiny_clusters, 20, 3, rng()).positions].tolist() == [0, 1, 2]


def test_unlabeled_groups_come_first_in_a_pool():
    selection = TypiClust(smallest=0).select(tiny.pool(30, labeled=6), 4, rng())
    assert len(set(selection.positions.tolist())) == 4


@pytest.mark.parametrize(("n", "labeled", "k"), [(12, 0, 1), (12, 0, 12), (12, 1, 5), (6, 3, 6)])
def test_small_pools(n, labeled, k):
    selection = TypiClust().select(tiny.pool(n, labeled=labeled), k, rng())
    assert len(set(selection.positions.tolist())) == k
    assert np.isfinite(selection.scores).all()


def test_duplicates_are_typical_and_chosen_by_lot():
    x = np.ones((12, 4), dtype=np.float32)
    labels = np.zeros(12, dtype=np.int64)
    np.testing.assert_allclose(typicality(x, 20), 1e5, rtol=1e-4)
    assert len({int(typical(x, labels, [[0], []], 20, 1, rng(s)).positions[0]) for s in range(30)}) > 5
    assert len(set(typical(x, labels, [[0], []], 20, 12, rng()).positions.tolist())) == 12


def test_nan_is_an_error():
    x = rows(6)
    x[2, 2] = np.nan
    with pytest.raises(BrokenModelError):
        typicality(x, 20)
