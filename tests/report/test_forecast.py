"""Forecasts: known power laws are found again, and what cannot be said is not shown."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from dal_nlp.report.forecast import (
    LEAST_POINTS,
    POWERS,
    WIDEST,
    Forecast,
    PowerLaw,
    fit_power_laws,
    forecast,
    labels_at,
    outcome,
)

LABELS = np.arange(20.0, 201.0, 20.0)
LAW = PowerLaw(0.9, 1.5, 0.6)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def noisy(law: PowerLaw = LAW, noise: float = 0.004, seed: int = 0) -> np.ndarray:
    return law(LABELS) + rng(seed).normal(0, noise, len(LABELS))


def loss(law: tuple, scores: np.ndarray) -> float:
    a, b, c = map(float, law)
    return float(((PowerLaw(a, b, c)(LABELS) - scores) ** 2).sum())


@given(st.floats(0.5, 1), st.floats(0.1, 0.5), st.floats(0.1, 2.5))
@settings(deadline=None)
def test_a_power_law_is_found_again(a: float, drop: float, c: float) -> None:
    law = PowerLaw(a, drop * LABELS[0] ** c, c)
    assert fit_power_laws(LABELS, law(LABELS)) == pytest.approx((law.a, law.b, law.c), rel=1e-2)


@pytest.mark.parametrize("seed", range(8))
def test_the_fit_is_the_least_squares_that_scipy_finds_from_many_starts(seed: int) -> None:
    scores = noisy(PowerLaw(0.98, 0.8, 0.3), 0.02, seed)
    bounds = ([-np.inf, 0, POWERS[0]], [1, np.inf, POWERS[1]])
    best = min(
        2 * least_squares(lambda p: p[0] - p[1] * LABELS ** -p[2] - scores, [0.9, b, c], bounds=bounds).cost
        for b in (0.1, 1, 10)
        for c in (0.1, 0.5, 1.5)
    )
    a, b, c = fit_power_laws(LABELS, scores)
    assert loss((a, b, c), scores) <= best * (1 + 1e-4)
    assert a <= 1 and b >= 0 and POWERS[0] <= c * (1 + 1e-9) and c <= POWERS[1] * (1 + 1e-9)


def test_many_curves_are_fitted_as_each_alone() -> None:
    rows = np.stack([noisy(seed=seed) for seed in range(3)])
    alone = np.array([fit_power_laws(LABELS, row) for row in rows])
    assert np.transpose(fit_power_laws(LABELS, rows)) == pytest.approx(alone)


def test_labels_at_a_score_by_hand() -> None:
    # 0.9 - 2 / sqrt(n) = 0.7 at n = 100
    assert labels_at(*np.array([0.9, 2.0, 0.5]), 0.7) == pytest.approx(100)
    assert labels_at(*np.array([0.9, 2.0, 0.5]), 0.9) == np.inf
    assert labels_at(*np.array([0.9, 0.0, 0.5]), 0.95) == np.inf
    assert labels_at(*np.array([0.9, 0.0, 0.5]), 0.8) == 0


def test_without_noise_the_forecast_is_the_known_answer() -> None:
    found = forecast(LABELS, LAW(LABELS), 0.86, rng())
    needed = (1.5 / 0.04) ** (1 / 0.6) - 200
    assert found.more == pytest.approx(needed, rel=1e-3)
    assert found.interval == pytest.approx((needed, needed), rel=1e-3)
    assert (found.target, found.labels) == (0.86, 200)
    assert str(found) == f"about {needed:.0f} more labels ({needed:.0f} to {needed:.0f}) to 0.86"


def test_with_noise_most_intervals_hold_the_known_answer() -> None:
    needed = (1.5 / 0.05) ** (1 / 0.6) - 200
    made = [forecast(LABELS, noisy(seed=seed), 0.85, rng(seed), n=200) for seed in range(40)]
    shown = [each for each in made if each is not None]
    assert len(shown) >= 25
    assert np.mean([each.interval[0] <= needed <= each.interval[1] for each in shown]) >= 0.8
    for each in shown:
        assert each.interval[0] < each.interval[1]
        assert each.interval[0] <= each.more <= each.interval[1]
        assert each.interval[1] + 200 <= WIDEST * (each.interval[0] + 200)


def test_the_generator_decides_the_interval_and_nothing_else() -> None:
    first, again, other = (forecast(LABELS, noisy(), 0.85, rng(seed)) for seed in (0, 0, 1))
    assert first == again and first.interval != other.interval
    assert (first.more, first.law) == (other.more, other.law)


@pytest.mark.parametrize("points", range(1, LEAST_POINTS))
def test_few_points_show_nothing(points: int) -> None:
    assert forecast(LABELS[:points], LAW(LABELS[:points]), 0.86, rng()) is None
    assert forecast(LABELS[:LEAST_POINTS], LAW(LABELS[:LEAST_POINTS]), 0.83, rng()) is not None


@pytest.mark.long
@pytest.mark.parametrize("target", [0.79, 0.8, 0.81, 0.9])
@pytest.mark.parametrize("seed", range(4))
def test_flat_and_falling_curves_show_nothing(target: float, seed: int) -> None:
    flat, falling = np.full(10, 0.8), 0.9 - LABELS / 1000
    for scores in (flat, flat + rng(seed).normal(0, 0.01, 10), falling, falling + rng(seed).normal(0, 0.005, 10)):
        assert forecast(LABELS, scores, target, rng(seed)) is None


@pytest.mark.parametrize(("target", "why"), [(0.89999, "too far"), (0.95, "never"), (1.2, "impossible")])
def test_what_the_curve_does_not_reach_shows_nothing(target: float, why: str) -> None:
    assert forecast(LABELS, noisy(), target, rng()) is None


def test_what_is_reached_already_shows_nothing() -> None:
    assert forecast(LABELS, LAW(LABELS), 0.7, rng()) is None


def test_noise_that_drowns_the_curve_shows_nothing() -> None:
    assert [forecast(LABELS, noisy(noise=0.05, seed=seed), 0.88, rng(seed), n=200) for seed in range(10)] == [None] * 10


def made(interval: tuple[float, float], more: float = 100) -> Forecast:
    return Forecast(0.8, 100, more, interval, LAW)


@pytest.mark.parametrize(
    ("labels", "scores", "needed", "inside"),
    [
        ([50, 100, 200, 300], [0.5, 0.6, 0.7, 0.9], 150, True),
        ([50, 100, 200, 300], [0.5, 0.6, 0.8, 0.9], 100, True),
        ([50, 100, 120, 300], [0.5, 0.6, 0.8, 0.9], 20, False),
        ([50, 100, 200, 400], [0.5, 0.6, 0.6, 0.8], 300, False),
        ([50, 100, 200], [0.5, 0.6, 0.7], None, None),  # still open
        ([50, 100, 300], [0.5, 0.6, 0.7], None, False),  # the interval has gone by
        ([50, 100, 150, 200], [0.5, 0.6, 0.85, 0.65], None, None),  # one lucky round is not reaching it
        ([50, 100, 150], [0.5, 0.9, 0.9], 0, False),  # it was there when the forecast was made
    ],
)
def test_what_became_of_a_forecast(labels: list, scores: list, needed: float | None, inside: bool | None) -> None:
    found = outcome(made((50, 180)), labels, scores)
    assert (found.needed, found.inside) == (None if needed is None else pytest.approx(needed), inside)
    assert found.forecast == made((50, 180))


def test_a_forecast_from_the_start_of_a_curve_comes_true_on_the_rest() -> None:
    scores = noisy(noise=0.001)
    early = forecast(LABELS[:6], scores[:6], 0.83, rng())
    assert early is not None and outcome(early, LABELS, scores).inside
