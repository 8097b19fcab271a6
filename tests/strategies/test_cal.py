import numpy as np
import pytest

from dal_nlp.core.errors import BrokenModelError, Unsupported
from dal_nlp.strategies import clustering as geometry
from dal_nlp.strategies import make_strategy, probes
from dal_nlp.strategies.cal import Cal, divergence, nearest_rows
from dal_nlp.strategies.selectors import unit
from tests import tiny
from tests.reference import cal as reference
from tests.strategies.test_clustering import rows


def log_softmax(z):
    z = z.astype(np.float64)
    return (z - np.log(np.exp(z - z.max(1, keepdims=True)).sum(1, keepdims=True)) - z.max(1, keepdims=True)).astype(
        "f4"
    )


@pytest.mark.parametrize("block", [3, 10**6])
@pytest.mark.parametrize(("known", "k"), [(1, 10), (4, 10), (25, 10), (25, 3)])
def test_scores_are_those_of_all_pairs(monkeypatch, known, k, block):
    monkeypatch.setattr(geometry, "BLOCK", block)
    x, y = rows(20), rows(known, seed=1) * 3
    p, q = log_softmax(rows(20, 4, 2) * 3), log_softmax(rows(known, 4, 3) * 3)
    nearest = nearest_rows(unit(x), unit(y), k, np.random.default_rng(0))
    assert nearest.shape == (20, min(k, known))
    np.testing.assert_allclose(divergence(p, q, nearest), reference.scores(x, p, y, q, k), rtol=1e-4, atol=1e-6)


def test_saturated_predictions_are_told_apart():
    known = log_softmax(np.array([[200.0, 0.0]]))
    scores = divergence(log_softmax(np.array([[200.0, 0.0], [0.0, 150.0], [0.0, 200.0]])), known, np.zeros((3, 1), int))
    np.testing.assert_allclose(scores, [0, 150, 200], rtol=1e-5)


def test_equal_predictions_score_nothing():
    p = log_softmax(rows(30, 5))
    assert (divergence(p, p, np.arange(30)[:, None]) == 0).all()


def test_of_equally_near_neighbours_any_are_taken():
    y = np.ones((6, 3), dtype=np.float32)
    seen = {int(nearest_rows(y[:1], y, 1, np.random.default_rng(seed))[0, 0]) for seed in range(60)}
    assert seen == set(range(6))


def test_the_pool_is_scored_by_its_labeled_examples():
    pool = tiny.pool(15, labels=3, labeled=12)
    selection = Cal(neighbours=4).select(pool, 15, np.random.default_rng(0))
    x, p = pool.collect(probes.embedding, lambda f: f.log_probs[:, 0])
    y, q = pool.labeled.collect(probes.embedding, lambda f: f.log_probs[:, 0])
    expected = reference.scores(x, p, y, q, 4)
    np.testing.assert_allclose(selection.scores, np.sort(expected)[::-1], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(expected[selection.positions], selection.scores, rtol=1e-3, atol=1e-6)


def test_nan_is_an_error():
    p = log_softmax(rows(4, 3))
    broken = p.copy()
    broken[1] = np.nan
    selection = make_strategy("cal", {})
    assert selection.requires == {"shared outcomes"}
    with pytest.raises(BrokenModelError):
        from dal_nlp.strategies.selectors import top_k

        top_k(divergence(broken, p, np.zeros((4, 1), int)), 1, np.random.default_rng(0))


def test_without_labels_it_is_refused():
    with pytest.raises(Unsupported, match="labeled"):
        Cal().select(tiny.pool(5, labeled=0), 1, np.random.default_rng(0))
