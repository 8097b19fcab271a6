"""Bounds: exact ones against sums of binomial tails, all of them against draws; what a threshold guarantees."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from dal_nlp.measuring.bounds import (
    Route,
    betting_upper,
    binomial_upper,
    cheapest_route,
    largest_cut,
    least_answers,
)


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


def slow_route(
    pairs: list[tuple[float, bool, float, bool]], error: float, starts: list[float], prices: tuple[float, float]
) -> tuple[float, float, float]:
    """Every pair of thresholds that all smaller ones of its family allow, one after the other: (cheap, dear, cost)."""
    m, risk = len(pairs), 0.05 / (len(starts) + 1)

    def fine(errors: int) -> bool:
        return binomial_upper(errors, m, risk) <= error

    found = [(-math.inf, -math.inf, prices[1])]
    for t in [*sorted({u for u, *_ in pairs}), math.inf]:  # people and the cheap machine
        if not all(fine(sum(w for u, w, *_ in pairs if u <= s)) for s in {u for u, *_ in pairs if u < t}) or not fine(
            0
        ):
            break
        found.append((t, -math.inf, prices[1] * sum(u >= t for u, *_ in pairs) / m))
    for start in starts:
        base = sum(w for u, w, *_ in pairs if u < start)
        left = [(v, x) for u, _, v, x in pairs if u >= start]
        if not fine(base):
            continue
        for t in [*sorted({v for v, _ in left}), math.inf]:
            if not all(fine(base + sum(x for v, x in left if v <= s)) for s in {v for v, _ in left if v < t}):
                break
            people = sum(v >= t for v, _ in left)
            found.append((start, t, (prices[0] * len(left) + prices[1] * people) / m))
    return min(found, key=lambda row: row[2])


@pytest.mark.parametrize("seed", range(12))
def test_the_cheapest_route_is_the_best_of_all_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m, prices = 80, ((0.001, 1.0), (0.3, 1.0), (2.0, 1.0))[seed % 3]
    u, v = rng.random(m).round(1), rng.random(m).round(1)
    w, x = rng.random(m) < u**2 / 2, rng.random(m) < v**3 / 2
    starts = [-math.inf, 0.3, 0.6]
    found = cheapest_route(
        (u, v), (w, x), 0.12, starts, prices, np.full(m, 1 / m), lambda e, risk: binomial_upper(int(e.sum()), m, risk)
    )
    cheap, dear, cost = slow_route(list(zip(u, w, v, x, strict=True)), 0.12, starts, prices)
    assert found.cost == pytest.approx(cost) and found.bound <= 0.12
    assert (u < found.cheap).tolist() == (u < cheap).tolist()
    left = u >= cheap
    assert (v[left] < found.dear).tolist() == (v[left] < dear).tolist()


def test_a_dear_machine_is_asked_where_it_pays() -> None:
    u, right = np.linspace(0, 1, 300), np.zeros(300, bool)
    w, mass = u > 0.5, np.full(300, 1 / 300)

    def route(price: float, second_wrong: np.ndarray) -> tuple[float, float]:
        found = cheapest_route(
            (u, u), (w, second_wrong), 0.05, [-math.inf, 0.4], (price, 1.0), mass,
            lambda e, risk: binomial_upper(int(e.sum()), 300, risk),
        )  # fmt: skip
        return found.cheap, found.dear

    assert route(0.001, right) == (0.4, math.inf)  # it is always right: nobody else is needed
    assert route(5.0, right)[1] == -math.inf  # people are cheaper
    assert route(0.001, ~right)[1] == -math.inf  # it is always wrong
    assert cheapest_route(
        (u, u), (~right, ~right), 0.05, [-math.inf, 0.4], (0.1, 1.0), mass, lambda e, risk: binomial_upper(300, 300)
    ) == Route(-math.inf, -math.inf, 1.0, pytest.approx(1.0))


def test_two_machines_make_no_more_errors_than_promised() -> None:
    rng = np.random.default_rng(3)
    size, m, error, broken, cost, alone = 3000, 150, 0.1, 0, [], []
    u = rng.random(size)
    v = np.clip(u * rng.random(size) * 1.2, 0, 1)
    w, x = rng.random(size) < u**2, rng.random(size) < v**2
    starts = [-math.inf, *np.quantile(u, (0.25, 0.5, 0.75))]
    for _ in range(150):
        rows = rng.permutation(size)[:m]

        def upper(errors: np.ndarray, risk: float = 0.05) -> float:
            return binomial_upper(int(errors.sum()), m, risk)

        of = (u[rows], v[rows]), (w[rows], x[rows])
        found = cheapest_route(*of, error, starts, (0.05, 1.0), np.full(m, 1 / m), upper)
        first = u < found.cheap
        wrong = (first & w) | (~first & (v < found.dear) & x)
        broken += wrong.mean() > error
        cost.append(found.cost)
        alone.append((u >= largest_cut(u[rows], w[rows], error, upper).threshold).mean())
    assert broken <= 12  # 7.5 of 150 are allowed
    assert np.mean(cost) < 0.8 * np.mean(alone)
