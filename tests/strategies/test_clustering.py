import numpy as np
import pytest
from sklearn.cluster import KMeans as SklearnKMeans

from dal_nlp.core.errors import BrokenModelError
from dal_nlp.models.vectors import Dense
from dal_nlp.strategies import clustering as geometry
from dal_nlp.strategies.clustering import kmeans, nearest_sq_dists, sq_dists, sq_norms
from dal_nlp.strategies.kmeans import KMeans
from dal_nlp.strategies.selectors import argmax, nearest_to_centres, unit
from tests import tiny
from tests.reference import geometry as reference


def rows(n, h=5, seed=0):
    return np.random.default_rng(seed).standard_normal((n, h), dtype=np.float32)


def blobs(sizes, h=5, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((len(sizes), h)) * 20
    parts = [c + rng.standard_normal((n, h)) for c, n in zip(centres, sizes, strict=True)]
    return np.concatenate(parts).astype(np.float32), np.repeat(np.arange(len(sizes)), sizes)


@pytest.mark.parametrize("block", [1, 7, 10**6])
def test_distances_do_not_depend_on_the_blocks(monkeypatch, block):
    monkeypatch.setattr(geometry, "BLOCK", block)
    x, y = rows(9), rows(4, seed=1)
    d = reference.pairwise(x, y)
    np.testing.assert_allclose(np.sqrt(sq_dists(x, sq_norms(x), y)), d, rtol=1e-4)
    np.testing.assert_allclose(np.sqrt(nearest_sq_dists(Dense(x), y)), d.min(1), rtol=1e-4)
    assert (nearest_sq_dists(Dense(x), y[:0]) == np.inf).all()


def test_the_distance_of_equal_rows_is_never_negative():
    x = np.repeat(rows(1, 64) * 100, 50, axis=0)
    assert (sq_dists(x, sq_norms(x), x) >= 0).all()


def test_unit_rows_have_length_one_and_zeros_stay():
    x = rows(4)
    x[2] = 0
    np.testing.assert_allclose(np.linalg.norm(unit(x), axis=1), [1, 1, 0, 1], rtol=1e-6)
    assert unit(x).dtype == np.float32


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_an_error(bad):
    x = rows(6)
    x[3, 1] = bad
    for call in (sq_norms, unit, lambda x: nearest_to_centres(Dense(x), 2, np.random.default_rng(0))):
        with pytest.raises(BrokenModelError, match="not finite"):
            call(x)


def test_argmax_breaks_ties_by_lot_and_refuses_nan():
    scores = np.array([0.0, 2.0, 1.0, 2.0])
    assert {argmax(scores, np.random.default_rng(seed)) for seed in range(20)} == {1, 3}
    with pytest.raises(BrokenModelError, match="NaN"):
        argmax(np.array([1.0, np.nan]), np.random.default_rng(0))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_kmeans_ends_where_centres_are_means_and_rows_are_with_the_nearest(seed, weighted):
    x = rows(200, seed=seed)
    weights = np.random.default_rng(seed).random(200).astype(np.float32) if weighted else None
    labels, centres = kmeans(Dense(x), 7, np.random.default_rng(seed), weights)
    assert (reference.pairwise(x, centres).argmin(1) == labels).all()
    for cluster in range(7):
        inside = labels == cluster
        w = None if weights is None else weights[inside]
        np.testing.assert_allclose(np.average(x[inside], axis=0, weights=w), centres[cluster], atol=1e-5)


def test_kmeans_is_about_as_good_as_scikit_learn():
    x = rows(600, 8)
    mine = [
        ((x - c[labels]) ** 2).sum()
        for labels, c in (kmeans(Dense(x), 20, np.random.default_rng(seed)) for seed in range(5))
    ]
    theirs = [SklearnKMeans(20, n_init=1, random_state=seed).fit(x).inertia_ for seed in range(5)]
    assert np.mean(mine) < 1.02 * np.mean(theirs)


def test_kmeans_finds_separate_groups_and_ignores_rows_without_weight():
    x, truth = blobs([40, 30, 20, 10])
    labels, _ = kmeans(Dense(x), 4, np.random.default_rng(0))
    assert len(set(zip(labels.tolist(), truth.tolist(), strict=True))) == 4
    weights = (truth != 3).astype(np.float32)
    _, centres = kmeans(Dense(x), 3, np.random.default_rng(0), weights)
    means = np.stack([x[truth == c].mean(0) for c in range(3)])
    np.testing.assert_allclose(np.sort(centres[:, 0]), np.sort(means[:, 0]), rtol=1e-4)


def test_one_row_a_group_is_chosen_the_largest_group_first():
    x, truth = blobs([40, 30, 20, 10])
    selection = nearest_to_centres(Dense(x), 4, np.random.default_rng(0))
    assert truth[selection.positions].tolist() == [0, 1, 2, 3]
    assert selection.scores.tolist() == [40, 30, 20, 10]
    for cluster, position in enumerate(selection.positions):
        inside = np.flatnonzero(truth == cluster)
        d = reference.pairwise(x[inside], x[inside].mean(0, keepdims=True))[:, 0]
        assert position == inside[d.argmin()]


@pytest.mark.parametrize("k", [1, 3, 12])
@pytest.mark.parametrize("kinds", [1, 2, 12])
def test_duplicates_still_give_k_distinct_rows(k, kinds):
    x = np.repeat(rows(kinds), 12 // kinds, axis=0)
    selection = nearest_to_centres(Dense(x), k, np.random.default_rng(0))
    assert len(set(selection.positions.tolist())) == k
    assert np.isfinite(selection.scores).all()


def test_equal_rows_are_chosen_by_lot():
    x = np.ones((10, 3), dtype=np.float32)
    assert len({nearest_to_centres(Dense(x), 1, np.random.default_rng(s)).positions[0] for s in range(20)}) > 5


def test_kmeans_on_a_pool_needs_no_labels():
    selection = KMeans().select(tiny.pool(20, labeled=0), 4, np.random.default_rng(0))
    assert len(set(selection.positions.tolist())) == 4
    assert (np.diff(selection.scores) <= 0).all()


def test_two_rows_that_make_a_cluster_are_chosen_from_by_lot_whatever_rounding_says() -> None:
    rng = np.random.default_rng(5)
    for _ in range(5):
        pair = rng.standard_normal((2, 16), dtype=np.float32)
        x = Dense(np.concatenate([pair, pair + 100 * rng.standard_normal(16, dtype=np.float32)]))
        picks = [nearest_to_centres(x, 2, np.random.default_rng(seed)).positions for seed in range(40)]
        assert {tuple(sorted(each.tolist())) for each in picks} == {(0, 2), (0, 3), (1, 2), (1, 3)}


def test_vectors_of_zeros_are_chosen_from_by_lot():
    selection = nearest_to_centres(Dense(np.zeros((7, 3), dtype=np.float32)), 7, np.random.default_rng(0))
    assert sorted(selection.positions.tolist()) == list(range(7))
