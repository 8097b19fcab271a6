import numpy as np
import pytest

from dal_nlp.core.errors import BrokenModelError
from dal_nlp.strategies import probes
from dal_nlp.strategies.weighted_kmeans import WeightedKMeans, representatives
from tests import tiny
from tests.strategies.test_clustering import rows


def rng(seed=0):
    return np.random.default_rng(seed)


def test_only_the_most_uncertain_are_candidates():
    x, uncertain = rows(50), rng().random(50).astype(np.float32)
    chosen = representatives(x, uncertain, 12, 4, rng()).positions
    assert set(chosen.tolist()) <= set(np.argsort(-uncertain)[:12].tolist())


def test_the_uncertain_draw_the_centre():
    angles = np.linspace(0, 1, 11)
    x = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    for favourite in (1, 9):
        uncertain = np.full(11, 0.01, dtype=np.float32)
        uncertain[favourite] = 1
        mean = np.average(x, axis=0, weights=uncertain)
        nearest = int(((x - mean) ** 2).sum(1).argmin())
        assert representatives(x, uncertain, 11, 1, rng()).positions.tolist() == [nearest]
        assert abs(nearest - favourite) <= 1


@pytest.mark.parametrize("k", [1, 5, 12])
@pytest.mark.parametrize("uncertain", [np.zeros(12, dtype=np.float32), np.ones(12, dtype=np.float32)])
@pytest.mark.parametrize("kinds", [1, 3, 12])
def test_equal_scores_and_duplicates_still_give_k_distinct_rows(kinds, uncertain, k):
    x = np.repeat(rows(kinds), 12 // kinds, axis=0)
    selection = representatives(x, uncertain, 12, k, rng())
    assert len(set(selection.positions.tolist())) == k
    assert np.isfinite(selection.scores).all()


def test_a_pool():
    pool = tiny.pool(30, labeled=0)
    (margins,) = pool.collect(probes.margin)
    chosen = WeightedKMeans(beta=2).select(pool, 5, rng())
    assert set(chosen.positions.tolist()) <= set(np.argsort(-margins)[:10].tolist())
    assert chosen.scores.sum() == 10
    assert len(set(WeightedKMeans().select(pool, 30, rng()).positions.tolist())) == 30


def test_nan_is_an_error():
    x, uncertain = rows(6), np.ones(6, dtype=np.float32)
    x[4] = np.nan
    with pytest.raises(BrokenModelError):
        representatives(x, uncertain, 6, 2, rng())
    with pytest.raises(BrokenModelError):
        representatives(rows(6), uncertain * np.nan, 6, 2, rng())
