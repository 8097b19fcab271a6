import numpy as np
import pytest
import torch

from dal_nlp.core.categoricals import Categoricals
from dal_nlp.core.errors import BrokenModelError, Unsupported
from dal_nlp.strategies import check_fit
from dal_nlp.strategies.egl import EGL, expected_error, expected_length
from tests import tiny
from tests.reference.egl import expected_lengths


def categoricals(logits):
    log_probs = torch.as_tensor(logits).log_softmax(-1)[:, None]
    return Categoricals(log_probs, torch.ones(log_probs.shape[:2], dtype=torch.bool))


@pytest.mark.parametrize("labels", [2, 3, 7])
def test_closed_form_is_autograd_for_every_class(labels):
    pool, of, model = tiny.pool(20, labels=labels), tiny.task(labels), tiny.classifier(labels)
    expected = expected_lengths(model, model.classifier, [of.collate([example]) for example in pool._examples])
    (scores,) = pool.collect(expected_length)
    np.testing.assert_allclose(scores, expected, rtol=1e-4)


def test_the_largest_are_chosen_best_first():
    pool = tiny.pool(20, labels=3)
    (scores,) = pool.collect(expected_length)
    selection = EGL().select(pool, 5, np.random.default_rng(0))
    assert selection.positions.tolist() == np.argsort(-scores)[:5].tolist()
    np.testing.assert_allclose(selection.scores, scores[selection.positions], rtol=1e-6)


@pytest.mark.parametrize("gap", [5.0, 20.0, 40.0, 80.0])
def test_saturated_predictions_keep_their_order(gap):
    logits = torch.tensor([[gap, 0.0, -1.0], [gap + 0.5, 0.0, -1.0]])
    p = logits.double().softmax(-1)
    errors = (p[:, None, :] - torch.eye(3, dtype=torch.float64)).norm(dim=-1)
    errors[:, 0] = torch.stack([p[:, 1:].sum(-1), p[:, 1], p[:, 2]]).norm(dim=0)  # 1 - p_0 without cancellation
    scores = expected_error(categoricals(logits))
    np.testing.assert_allclose(scores, (p * errors).sum(-1), rtol=1e-4)
    assert scores[0] > scores[1] > 0


def test_an_impossible_class_adds_nothing():
    two = expected_error(categoricals([[1.0, 0.0]]))
    three = expected_error(categoricals([[1.0, 0.0, -torch.inf]]))
    assert three.item() == pytest.approx(two.item())


@pytest.mark.parametrize("k", [1, 12])
def test_equal_scores_give_k_distinct_positions_in_no_fixed_order(k):
    pool = tiny.pool(12)
    chosen = [EGL().select(pool, k, np.random.default_rng(seed)).positions.tolist() for seed in range(3)]
    assert all(len(set(positions)) == k for positions in chosen)


def test_a_broken_model_is_an_error():
    pool = tiny.pool(8)
    with torch.no_grad():
        pool._model.classifier.weight[0, 0] = torch.nan
    with pytest.raises(BrokenModelError):
        EGL().select(pool, 2, np.random.default_rng(0))


def test_tasks_without_shared_outcomes_are_refused():
    with pytest.raises(Unsupported, match="shared outcomes"):
        check_fit("egl", EGL(), frozenset())
