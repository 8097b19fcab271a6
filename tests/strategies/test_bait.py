import numpy as np
import pytest
import torch

from dal_nlp.core.errors import BrokenModelError, Unsupported, UserError
from dal_nlp.strategies import check_fit, fisher
from dal_nlp.strategies.bait import Bait, class_log_probs, forward_backward, layer_inputs, reduced
from dal_nlp.strategies.fisher import fisher_weights, information
from tests import tiny
from tests.reference import bait as reference


def predictions(n, c=3, h=4, seed=0):
    rng = np.random.default_rng(seed)
    logits = torch.as_tensor(2 * rng.standard_normal((n, c), dtype=np.float32))
    return logits.log_softmax(-1).numpy(), rng.standard_normal((n, h), dtype=np.float32)


def choose(pool, known, k, regularisation=1.0, seed=0):
    whole = information(fisher_weights(known[0]), known[1])
    return forward_backward(*pool, whole, k, regularisation, np.random.default_rng(seed))


@pytest.mark.parametrize("c", [2, 3, 5])
@pytest.mark.parametrize("regularisation", [1.0, 0.01])
@pytest.mark.parametrize("seed", range(3))
def test_picks_and_scores_are_those_of_matrix_inverses(c, regularisation, seed):
    pool, known = predictions(20, c, seed=seed), predictions(3, c, seed=100 + seed)
    selection = choose(pool, known, 4, regularisation)
    picks, gains = reference.choose(*pool, *known, 4, regularisation)
    assert selection.positions.tolist() == picks
    np.testing.assert_allclose(selection.scores, gains, rtol=1e-6)


def test_rows_in_slices_are_rows_at_once(monkeypatch):
    pool, known = predictions(20), predictions(6, seed=1)
    expected = choose(pool, known, 4)
    monkeypatch.setattr(fisher, "CHUNK", 3)
    selection = choose(pool, known, 4)
    assert selection.positions.tolist() == expected.positions.tolist()
    np.testing.assert_allclose(selection.scores, expected.scores)


def test_giving_back_makes_a_difference_that_the_test_above_would_see():
    differ = 0
    for seed in range(5):
        pool, known = predictions(20, seed=seed), predictions(3, seed=100 + seed)
        first = choose(pool, known, 10).positions  # the first four of these are what greed alone would take
        differ += set(choose(pool, known, 4).positions.tolist()) != set(first[:4].tolist())
    assert differ


def test_weights_of_saturated_predictions_are_positive_and_exact():
    log_probs = np.array([[-1e-12, -28.0, -40.0]], dtype=np.float32)  # the largest rounds to one
    weights = fisher_weights(log_probs)[0]
    p, q = np.exp(-28.0), np.exp(-40.0)
    assert np.linalg.eigvalsh(weights).min() > 0
    assert np.trace(weights) == pytest.approx(2 * (p + q + p * q), rel=1e-6)


def test_labeled_examples_count():
    pool, known = predictions(30), predictions(3, seed=1)
    around = (np.tile(pool[0][:1], (200, 1)), np.tile(pool[1][:1], (200, 1)))  # 200 labeled copies of example 0
    alone, beside = choose(pool, known, 15), choose(pool, around, 15)
    assert set(alone.positions.tolist()) != set(beside.positions.tolist())


@pytest.mark.parametrize("k", [1, 5, 11, 12])
@pytest.mark.parametrize("kind", ["duplicates", "saturated", "zeros"])
def test_degenerate_pools_give_k_distinct_positions(kind, k):
    log_probs, h = predictions(12)
    if kind == "duplicates":
        log_probs, h = np.repeat(log_probs[:2], 6, axis=0), np.repeat(h[:2], 6, axis=0)
    elif kind == "saturated":
        log_probs = np.tile(np.array([0, -np.inf, -np.inf], dtype=np.float32), (12, 1))
    else:
        h = np.zeros_like(h)
    selection = choose((log_probs, h), predictions(1, seed=1), k)
    assert len(set(selection.positions.tolist())) == k == len(selection.scores)
    assert np.isfinite(selection.scores).all()


def test_chance_decides_between_equals():
    log_probs, h = predictions(1)
    pool = np.repeat(log_probs, 30, axis=0), np.repeat(h, 30, axis=0)
    known = predictions(2, seed=1)
    assert len({choose(pool, known, 1, seed=seed).positions[0] for seed in range(10)}) > 3


def test_nan_is_an_error():
    log_probs, h = predictions(6)
    for bad in (np.nan, np.inf):
        broken = h.copy()
        broken[2, 1] = bad
        with pytest.raises(BrokenModelError):
            choose((log_probs, broken), predictions(2), 2)
    broken = log_probs.copy()
    broken[1, 1] = np.nan
    with pytest.raises(BrokenModelError):
        choose((broken, h), predictions(2), 2)


@pytest.mark.parametrize("labels", [2, 4])
def test_on_a_model_it_reads_the_pool_and_the_labeled(labels):
    pool = tiny.pool(16, labels=labels, labeled=3)
    (log_probs, h), known = (of.collect(class_log_probs, layer_inputs) for of in (pool, pool.labeled))
    selection = Bait().select(pool, 3, np.random.default_rng(0))
    picks, gains = reference.choose(log_probs, h, *known, 3)
    assert selection.positions.tolist() == picks
    np.testing.assert_allclose(selection.scores, gains, rtol=1e-5)


def test_large_layers_are_projected_onto_what_varies_most():
    h = np.zeros((10, 6), dtype=np.float32)
    h[:, [1, 4]] = np.random.default_rng(0).standard_normal((10, 2))
    small, other = reduced(h, h[:3], 2)
    np.testing.assert_allclose(small @ small.T, h @ h.T, atol=1e-5)
    np.testing.assert_allclose(other, small[:3], atol=1e-6)
    assert reduced(h, h[:3], 6)[0] is h
    assert reduced(h, h[:3], 0)[0].shape == (10, 1)
    pool = tiny.pool(12, labels=4)
    assert len(Bait(max_dim=9).select(pool, 3, np.random.default_rng(0)).positions) == 3


def test_without_regularisation_there_is_no_inverse():
    with pytest.raises(UserError, match="regularisation"):
        Bait(regularisation=0.0)


def test_tasks_without_shared_outcomes_are_refused():
    with pytest.raises(Unsupported, match="shared outcomes"):
        check_fit("bait", Bait(), frozenset())
