import numpy as np
import pytest

from dal_nlp.core.errors import BrokenModelError
from dal_nlp.strategies import cluster_margin, probes
from dal_nlp.strategies.cluster_margin import ClusterMargin, average_linkage, by_turns, clusters
from tests import tiny
from tests.reference import geometry as reference
from tests.strategies.test_clustering import blobs, rows


def rng(seed=0):
    return np.random.default_rng(seed)


def partition(labels):
    return {frozenset(np.flatnonzero(labels == c).tolist()) for c in set(labels.tolist())}


@pytest.mark.parametrize("n", [1, 3, 7, 14])
@pytest.mark.parametrize("seed", range(3))
def test_linkage_is_that_of_all_pairs(seed, n):
    x = rows(14, seed=seed)
    labels = average_linkage(reference.pairwise(x, x).astype(np.float32), np.ones(14, dtype=np.int64), n)
    assert sorted(set(labels.tolist())) == list(range(n))
    assert partition(labels) == reference.average_linkage([[row] for row in x], n)


def test_groups_weigh_their_sizes():
    x, sizes = rows(8), np.array([1, 5, 2, 1, 7, 1, 3, 2])
    labels = average_linkage(reference.pairwise(x, x).astype(np.float32), sizes, 3)
    assert partition(labels) == reference.average_linkage([[row] * n for row, n in zip(x, sizes, strict=True)], 3)


def test_empty_groups_do_no_harm():
    x = rows(4)[[0, 1, 1, 2, 3]]
    labels = average_linkage(reference.pairwise(x, x).astype(np.float32), np.array([3, 2, 0, 1, 4]), 4)
    assert labels[1] == labels[2]


def test_large_pools_are_joined_from_groups(monkeypatch):
    x, truth = blobs([60, 50, 40, 30])
    exact = partition(clusters(x, 4, rng()))
    monkeypatch.setattr(cluster_margin, "LEAVES", 20)
    assert partition(clusters(x, 4, rng())) == partition(truth)
    assert len(exact) == 18  # a tenth of the rows


def test_turns_begin_with_the_smallest_cluster():
    labels = np.array([5] * 2 + [3] * 6 + [8] * 1 + [1] * 3)
    positions = by_turns(labels, 12, rng())
    assert sorted(positions.tolist()) == list(range(12))
    assert labels[positions].tolist() == [8, 5, 1, 3, 5, 1, 3, 1, 3, 3, 3, 3]
    assert by_turns(labels, 5, rng()).tolist() == positions[:5].tolist()


def test_members_and_equal_clusters_come_by_lot():
    firsts = {int(by_turns(np.array([0, 0, 1, 1]), 1, rng(seed))[0]) for seed in range(60)}
    assert firsts == {0, 1, 2, 3}


@pytest.mark.parametrize("k", [1, 5, 30])
def test_a_pool(k):
    pool = tiny.pool(30, labeled=0)
    selection = ClusterMargin(beta=2).select(pool, k, rng())
    (margins,) = pool.collect(probes.margin)
    assert len(set(selection.positions.tolist())) == k
    assert set(selection.positions.tolist()) <= set(np.argsort(-margins)[: 2 * k].tolist())
    np.testing.assert_allclose(selection.scores, margins[selection.positions])


def test_duplicates():
    x = np.ones((12, 3), dtype=np.float32)
    for k in (1, 12):
        assert len(set(by_turns(clusters(x, k, rng()), k, rng()).tolist())) == k


def test_nan_is_an_error():
    x = rows(6)
    x[4] = np.nan
    with pytest.raises(BrokenModelError):
        clusters(x, 2, rng())
