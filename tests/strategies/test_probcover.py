import numpy as np
import pytest

from dal_nlp.core.errors import BrokenModelError
from dal_nlp.strategies import clustering as geometry
from dal_nlp.strategies import probcover
from dal_nlp.strategies.probcover import ProbCover, cover, pure_radius
from dal_nlp.strategies.selectors import unit
from tests import tiny
from tests.reference import geometry as reference
from tests.strategies.test_clustering import blobs, rows


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("block", [9, 10**6])
@pytest.mark.parametrize("labeled", [0, 1, 8])
@pytest.mark.parametrize("delta", [0.3, 1.0, 2.0])
def test_each_pick_covers_the_most(monkeypatch, block, labeled, delta):
    monkeypatch.setattr(geometry, "BLOCK", block)
    monkeypatch.setattr(probcover, "BLOCK", block)
    x, known = rows(60, 3), rows(labeled, 3, seed=1)
    selection = cover(x, known, delta, 12, rng())
    gains = reference.newly_covered(x, known, delta, selection.positions)
    assert selection.scores.tolist() == gains.max(1).tolist()  # none was better, though several may be as good
    assert gains[np.arange(12), selection.positions].tolist() == gains.max(1).tolist()


def test_where_all_is_covered_the_rest_is_by_lot():
    x = rows(10) * 0.01
    assert cover(x, x[:1], 5.0, 10, rng()).scores.tolist() == [0] * 10
    firsts = {int(cover(x, x[:1], 5.0, 1, rng(seed)).positions[0]) for seed in range(80)}
    assert firsts == set(range(10))
    selection = cover(x, x[:0], np.inf, 10, rng())
    assert selection.scores.tolist() == [10] + [0] * 9
    assert len(set(selection.positions.tolist())) == 10


@pytest.mark.parametrize("purity", [0.5, 0.8, 0.95, 1.0])
def test_delta_is_the_largest_pure_radius(purity):
    x = unit(rows(40, 3))
    labels = (x[:, 0] > 0).astype(np.int64)
    delta = pure_radius(x, labels, purity, rng())
    assert reference.pure_share(x, labels, delta * (1 - 1e-4)) >= purity
    assert reference.pure_share(x, labels, delta * (1 + 1e-4)) < purity


def test_delta_separates_groups_and_has_no_bound_for_one():
    x, truth = blobs([20, 20])
    assert 5 < pure_radius(x, truth, 0.95, rng()) < 100
    assert pure_radius(x, np.zeros(40, dtype=np.int64), 0.95, rng()) == np.inf


@pytest.mark.parametrize(("labeled", "k"), [(0, 1), (0, 20), (1, 5), (5, 20)])
def test_a_pool_with_and_without_labels(labeled, k):
    for strategy in (ProbCover(), ProbCover(delta=0.2)):
        selection = strategy.select(tiny.pool(20, labeled=labeled), k, rng())
        assert len(set(selection.positions.tolist())) == k
        assert (np.diff(selection.scores) <= 0).all()


def test_duplicates():
    x = np.repeat(unit(rows(3)), 4, axis=0)
    assert cover(x, x[:0], 1e-2, 12, rng()).scores.tolist() == [4] * 3 + [0] * 9


def test_nan_is_an_error():
    x = rows(6)
    x[2, 2] = np.nan
    with pytest.raises(BrokenModelError):
        cover(x, x[:0], 0.5, 2, rng())
