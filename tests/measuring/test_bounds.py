"""Bounds: exact ones against sums of binomial tails, all of them against draws; the threshold and what it promises."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from dal_nlp.measuring.bounds import betting_upper, binomial_upper, largest_cut, least_answers


@pytest.mark.parametrize(("errors", "n"), [(0, 59), (3, 100), (10, 10), (0, 1)])
def test_the_exact_bound_is_where_the_tail_is_the_risk(errors: int, n: int) -> None:
    bound = binomial_upper(errors, n)
    assert bound == 1 if errors == n else binom.cdf(errors, n, bound) == pytest.approx(0.05)


def test_how_many_answers_a_promise_takes() -> None:
    assert least_answers(0.05) == 59
    for error in (0.01, 0.02, 0.05, 0.1):
        n = least_answers(error)
        assert binomial_upper(0, n) <= error < binomial_upper(0, n - 1)


def slow_betting(values: list[float], risk: float) -> float:
    """The definition, one mean after the other, of values in [0, 1]."""
    alive = 0.0
    for step in range(1, 1001):
        m, wealth, richest = step / 1000, 1.0, 1.0
        for i, value in enumerate(values):
            squares = 0.25
            for j in range(i):
                squares += (values[j] - (0.5 + sum(values[: j + 1])) / (j + 2)) ** 2
            bet = math.sqrt(2 * math.log(1 / risk) / (len(values) * squares / (i + 1)))
            wealth *= 1 - min(bet, 0.75 / (1 - m + 1e-12)) * (value - m)
            richest = max(richest, wealth)
        if richest < 1 / risk:
            alive = m
    return alive


def test_betting_is_the_definition() -> None:
    values = np.random.default_rng(0).choice([0, 0, 0, 0.5, 1], 12).tolist()
    assert betting_upper(np.array(values), 1.0, 0.2) == pytest.approx(slow_betting(values, 0.2), abs=1e-9)
    assert betting_upper(2 * np.array(values), 2.0, 0.2) == pytest.approx(2 * slow_betting(values, 0.2), abs=1e-9)


def test_bounds_by_betting_hold_and_come_down() -> None:
    rng = np.random.default_rng(1)
    weights = rng.choice([0.5, 2.0], size=(200, 150))
    values = weights * (rng.random((200, 150)) < 0.06)
    bounds = [betting_upper(row, 2.0) for row in values]
    assert np.mean([bound < 0.06 * 1.25 for bound in bounds]) <= 0.07
    assert np.median(bounds) < 0.2
    assert betting_upper(np.zeros(0), 2.0) == 2.0


def test_a_cut_lies_before_the_first_threshold_that_fails() -> None:
    u = np.linspace(0, 1, 200)
    wrong = u > 0.7
    cut = largest_cut(u, wrong, 0.1, lambda errors: binomial_upper(int(errors.sum()), 200))
    under = u < cut.threshold
    assert binomial_upper(int((wrong & under).sum()), 200) == cut.bound <= 0.1
    assert binomial_upper(int((wrong & (u <= cut.threshold)).sum()), 200) > 0.1
    assert cut.share == under.mean()
    assert largest_cut(u, wrong, 0.01, lambda errors: binomial_upper(int(errors.sum()), 200)).threshold == -math.inf
    assert largest_cut(u, np.zeros(200, bool), 0.1, lambda errors: binomial_upper(0, 200)).threshold == math.inf


def test_files_hold_no_more_errors_than_promised() -> None:
    rng = np.random.default_rng(2)
    size, m, error, broken, machine = 3000, 150, 0.1, 0, []
    u = rng.random(size)
    wrong = rng.random(size) < u**2
    for _ in range(100):
        rows = rng.permutation(size)[:m]
        cut = largest_cut(u[rows], wrong[rows], error, lambda errors: binomial_upper(int(errors.sum()), m))
        labeled = u < cut.threshold
        labeled[rows] = False
        broken += (wrong & labeled).mean() > error
        machine.append(labeled.mean())
    assert broken / 100 <= 0.09
    assert np.mean(machine) > 0.3
