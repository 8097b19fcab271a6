"""Temperatures and thresholds, against search by hand and by simulation."""

import numpy as np
import pytest
from scipy.special import log_softmax
from scipy.stats import binom

from dal_nlp.tasks.calibration import fit_temperature, least_answers, precision_guarantee


def test_the_temperature_of_overconfident_predictions_is_found() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 4)) * 2
    answers = np.array([rng.choice(4, p=np.exp(row)) for row in log_softmax(logits, axis=1)])
    assert fit_temperature(log_softmax(3 * logits, axis=1), answers) == pytest.approx(3, rel=0.05)
    assert fit_temperature(log_softmax(logits, axis=1), answers) == pytest.approx(1, rel=0.05)


def test_the_lowest_threshold_that_passes_every_test_on_the_way() -> None:
    rng = np.random.default_rng(1)
    confidences = rng.random(500)
    right = rng.random(500) < confidences**0.1
    found = precision_guarantee(confidences.tolist(), right.tolist(), 0.9)
    assert found is not None
    order = np.argsort(-confidences)
    expected = None
    for n in range(1, 501):
        errors = int((~right[order[:n]]).sum())
        if n < np.log(0.05) / np.log(0.9):
            continue
        if binom.cdf(errors, n, 0.1) > 0.05:
            break
        expected = n
    assert expected is not None
    assert found.threshold == confidences[order[expected - 1]]
    assert found.precision == right[order[:expected]].mean()
    assert found.coverage == expected / 500
    assert found.precision_interval[0] < found.precision < found.precision_interval[1]


def test_the_promise_holds_as_often_as_it_says() -> None:
    """Of thresholds that are given, few have a true precision below the one asked for."""
    rng = np.random.default_rng(2)
    broken = given = 0
    for _ in range(400):
        confidences = rng.random(150)
        right = rng.random(150) < 0.8 + 0.15 * confidences
        found = precision_guarantee(confidences.tolist(), right.tolist(), 0.88)
        if found is not None:
            given += 1
            truth = 0.8 + 0.15 * (found.threshold + 1) / 2  # mean of 0.8 + 0.15 c above the threshold
            broken += truth < 0.88
    assert given > 20
    assert broken / 400 <= 0.05


def test_equal_confidences_stay_together() -> None:
    confidences = [0.9] * 80 + [0.5] * 80
    found = precision_guarantee(confidences, [True] * 80 + [False] * 80, 0.9)
    assert found is not None
    assert found.threshold == 0.9
    assert found.coverage == 0.5
    assert precision_guarantee([0.9] * 160, [True] * 80 + [False] * 80, 0.9) is None


@pytest.mark.parametrize("precision", [0.8, 0.9, 0.95])
def test_as_many_right_answers_as_it_takes_and_no_fewer(precision: float) -> None:
    n = least_answers(precision)
    assert precision_guarantee([0.9] * n, [True] * n, precision) is not None
    assert precision_guarantee([0.9] * (n - 1), [True] * (n - 1), precision) is None


def test_few_examples_promise_nothing() -> None:
    assert precision_guarantee([0.9] * 58, [True] * 58, 0.95) is None
    assert precision_guarantee([0.9] * 59, [True] * 59, 0.95) is not None
    assert precision_guarantee([], [], 0.95) is None


@pytest.mark.parametrize("precision", [0, 1, 1.2])
def test_what_cannot_be_promised(precision: float) -> None:
    with pytest.raises(ValueError, match="cannot be guaranteed"):
        precision_guarantee([0.5], [True], precision)
    with pytest.raises(ValueError, match="do not belong together"):
        precision_guarantee([0.5], [True, False], 0.9)
