"""The weight of a machine beside a reader: the closed form against enumeration, what it fits, and the guard."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from dal_nlp.core.task import Batch
from dal_nlp.span_witnesses.weights import fit, fit_weights, log_likelihood
from dal_nlp.tasks.questions import heard
from dal_nlp.tasks.questions.heard import Question


def drawn(rng: np.random.Generator, machines: int) -> tuple[Question, np.ndarray, np.ndarray, np.ndarray]:
    """A question, its log-probabilities, what machines add to each outcome, (M, S), and which outcomes are right."""
    outcomes = int(rng.integers(3, 60))
    log_p = rng.normal(0, 3, outcomes)
    log_p -= logsumexp(log_p)
    right = np.zeros(outcomes, dtype=bool)
    right[rng.choice(outcomes, int(rng.integers(1, 3)), replace=False)] = True
    said = (rng.random((outcomes, machines)) < 2 / outcomes) * rng.normal(3, 2, machines)
    spans = np.flatnonzero(said.any(1))
    return Question(float(logsumexp(log_p[right])), log_p[spans], right[spans], said[spans]), log_p, said, right


@pytest.mark.parametrize("machines", [1, 3])
def test_the_likelihood_is_that_of_all_outcomes(machines: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        question, log_p, said, right = drawn(rng, machines)
        weights = rng.normal(1, 1, machines)
        moved = log_p + said @ weights
        assert log_likelihood(weights, question) == pytest.approx(logsumexp(moved[right]) - logsumexp(moved), abs=1e-6)


def test_a_reader_that_is_sure_of_something_else_gives_no_infinity() -> None:
    far = Question(-800.0, np.array([-900.0]), np.array([True]), np.array([[1.0]]))
    assert log_likelihood(np.ones(1), far) == pytest.approx(-800.0)


def test_machines_give_answers_of_a_reader_that_knows_nothing_the_confidence_that_they_state() -> None:
    # Two windows of three outcomes each, one of them not possible; a machine means two of these five, another one none.
    scores = torch.zeros(2, 3)
    scores[1, 2] = -torch.inf
    where = torch.tensor([[[0, 4], [-1, -1]]])
    extra = {heard.PLACES: where, heard.ODDS: torch.tensor([[0.7, 0.2]]).logit(), heard.WEIGHTS: torch.ones(2)}
    batch = Batch({}, torch.tensor([0, 0]), 1, extra=extra)
    shares = heard.add(scores, batch).flatten().softmax(0)
    assert shares[[0, 4]].sum().item() == pytest.approx(0.7, abs=1e-6) and shares[5] == 0
    assert shares[[1, 2, 3]].tolist() == pytest.approx([0.1] * 3, abs=1e-6)


def answered(n: int, share: float, outcomes: int = 100, confidence: float = 0.8) -> list[Question]:
    """Questions of a reader that knows nothing, of which a machine answers a share rightly."""
    b = np.log(confidence / (1 - confidence)) + np.log(outcomes - 1)
    log_p, hits = -np.log(outcomes), np.linspace(0, 1, n) < share
    return [Question(log_p, np.array([log_p]), np.array([hit]), np.array([[b]])) for hit in hits]


def test_beside_a_reader_that_knows_nothing_weight_one_is_the_confidence() -> None:
    (question,) = answered(1, 1.0)
    assert np.exp(log_likelihood(np.ones(1), question)) == pytest.approx(0.8)
    (weight,) = fit(answered(400, 0.8), np.ones(1))
    assert weight == pytest.approx(1, abs=0.01)


def test_a_machine_that_is_seldom_right_counts_less_and_one_that_harms_is_left_out() -> None:
    rng = np.random.default_rng(0)
    mixed = [answered(60, 0.1)[place] for place in rng.permutation(60)]
    assert 0 < fit_weights(mixed, [1.0]).values[0] < 0.6
    assert fit_weights([], [1.0]).values == [1.0]
    # A sure reader, and a machine that alternates between right where that tells nothing and wrong where it hurts.
    good = Question(np.log(0.9), np.log(np.array([0.9])), np.array([True]), np.array([[0.1]]))
    bad = Question(np.log(0.9), np.log(np.array([0.05])), np.array([False]), np.array([[9.0]]))
    found = fit_weights([good, bad] * 20, [1.0])
    assert found.off == [0] and found.values == [0.0]


def test_a_guard_leaves_out_what_harms_in_every_fold() -> None:
    b = np.array([[9.0]])
    right = Question(np.log(0.01), np.log(np.array([0.01])), np.array([True]), b)
    wrong = Question(np.log(0.99), np.log(np.array([0.005])), np.array([False]), b)
    found = fit_weights([right, wrong] * 30, [1.0])  # even questions say the contrary of odd ones
    assert found.off == [0] and found.values == [0.0]
