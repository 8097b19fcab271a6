"""Labels to a score and what is saved: known answers, resamples in pairs, nothing guessed beyond a curve."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dal_nlp.compare.savings import reach, resamples, saving, saving_bounds
from dal_nlp.report.learning_curves import Curve, isotonic, labels_to

LABELS = np.array([10.0, 20.0, 40.0])


def arm(*rows: list[float], labels: list[float] | None = None) -> Curve:
    return Curve(LABELS if labels is None else np.array(labels), np.array(rows), tuple(range(len(rows))))


def weights(seeds: int, n: int = 2000) -> np.ndarray:
    return resamples(seeds, np.random.default_rng(0), n)


@pytest.mark.parametrize(
    ("target", "wanted"), [(0.4, 10), (0.5, 10), (0.6, 15), (0.7, 20), (0.75, 25), (0.9, 40), (0.91, math.inf)]
)
def test_labels_to_a_score_by_hand(target: float, wanted: float) -> None:
    assert labels_to(LABELS, np.array([0.5, 0.7, 0.9]), target) == pytest.approx(wanted)


def test_labels_to_a_score_in_many_curves_at_once_and_on_plateaus() -> None:
    rows = np.array([[[0.5, 0.7, 0.9], [0.7, 0.7, 0.7]], [[0.1, 0.1, 0.7], [0.1, 0.2, 0.3]]])
    assert labels_to(LABELS, rows, 0.7).tolist() == [[20, 10], [40, math.inf]]


def test_a_score_missed_by_rounding_is_reached() -> None:
    assert labels_to(LABELS, np.array([0.1, 0.3 - 1e-12, 0.3]), 0.3) == pytest.approx(20)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8), st.floats(0, 1), st.floats(0, 0.5))
def test_a_higher_score_never_needs_fewer_labels(row: list[float], target: float, more: float) -> None:
    labels, rising = 10.0 * np.arange(1, len(row) + 1), isotonic(np.array(row))
    low, high = labels_to(labels, rising, target), labels_to(labels, rising, target + more)
    assert labels[0] <= low <= high
    if np.isfinite(low):
        assert np.interp(low, labels, rising) >= target - 1e-8


def test_resamples_are_draws_with_replacement() -> None:
    drawn = weights(4, 20_000)
    assert drawn.sum(axis=1) == pytest.approx(1)
    assert set(np.unique(drawn)) == {0, 0.25, 0.5, 0.75, 1}
    assert drawn.mean(axis=0) == pytest.approx([0.25] * 4, abs=0.005)
    # The variance of the mean of a resample is the population variance over S.
    x = np.array([0.0, 1.0, 2.0, 5.0])
    assert (drawn @ x).var() == pytest.approx(x.var() / 4, rel=0.05)


def test_reach_reads_the_smoothed_mean_and_not_a_peak() -> None:
    # The mean 0.5, 0.8, 0.6 crosses 0.75 on its way to a peak; smoothed it is 0.5, 0.7, 0.7.
    peak = arm([0.5, 0.8, 0.6], [0.5, 0.8, 0.6])
    missed = reach(peak, 0.75, weights(2))
    assert (missed.labels, missed.share, missed.interval) == (None, 0.0, (None, None))
    assert reach(peak, 0.6, weights(2)).labels == pytest.approx(15)


def test_reach_agrees_with_a_bootstrap_written_out() -> None:
    rng = np.random.default_rng(3)
    curve = arm(*(np.array([0.5, 0.7, 0.9]) + rng.normal(0, 0.05, (5, 3))).tolist())
    drawn = weights(5, 400)
    found = reach(curve, 0.75, drawn)
    each = []
    for row in drawn:
        picked = np.repeat(np.arange(5), np.rint(row * 5).astype(int))
        rising = isotonic(curve.scores[picked].mean(axis=0))
        each.append(np.interp(0.75, rising, LABELS) if rising[-1] >= 0.75 else math.inf)
    assert found.share == 1.0
    assert found.interval == pytest.approx((sorted(each)[10], sorted(each)[-11]))
    assert found.interval[0] < found.labels < found.interval[1]


def test_the_end_that_some_resamples_do_not_reach_is_open() -> None:
    curve = arm([0.5, 0.6, 0.7], [0.5, 0.6, 0.9], [0.5, 0.6, 0.9])
    found = reach(curve, 0.8, weights(3))
    assert found.labels == pytest.approx(20 + 20 * (0.2 / (0.8333333 - 0.6)))
    # Only resamples with at least two draws of a good seed get there: p = 20 / 27.
    assert found.share == pytest.approx(20 / 27, abs=0.03)
    assert found.interval[0] == pytest.approx(20 + 20 * 0.2 / 0.3) and found.interval[1] is None
    assert found.last == 40


def test_one_seed_has_no_interval() -> None:
    curve = arm([0.5, 0.6, 0.7])
    assert (reach(curve, 0.6, weights(1)).interval, reach(curve, 0.6, weights(1)).share) == (None, None)
    lone = saving(curve, curve, 0.6, weights(1))
    assert lone.value == 0 and lone.interval is None and not lone.certain


def test_saving_by_hand() -> None:
    fast, slow = arm([0.5, 0.7, 0.9], [0.5, 0.7, 0.9]), arm([0.5, 0.6, 0.7], [0.5, 0.6, 0.7])
    found = saving(fast, slow, 0.7, weights(2))
    assert found.value == pytest.approx(1 - 20 / 40) and found.bounds == pytest.approx((0.5, 0.5))
    assert found.interval == pytest.approx((0.5, 0.5)) and found.certain
    back = saving(slow, fast, 0.7, weights(2))
    assert back.value == pytest.approx(1 - 40 / 20) and not back.certain


def test_pairs_take_away_what_a_seed_does_to_both_arms() -> None:
    shift = np.linspace(-0.1, 0.1, 8)[:, None]
    labels = np.arange(10.0, 210.0, 10.0)
    one, other = (Curve(labels, 0.4 + slope * labels + shift, tuple(range(8))) for slope in (0.002, 0.002))
    same = saving(one, other, 0.6, weights(8))
    assert same.value == 0 and same.interval == pytest.approx((0, 0)) and not same.certain
    shuffled = Curve(labels, other.scores[::-1], tuple(range(8)))
    apart = saving(one, shuffled, 0.6, weights(8))
    assert apart.interval[0] < -0.1 < 0.1 < apart.interval[1]


def test_what_only_one_arm_reaches_bounds_the_saving() -> None:
    fast, slow = arm([0.5, 0.7, 0.9], [0.5, 0.7, 0.9]), arm([0.5, 0.6, 0.65], [0.5, 0.6, 0.65])
    gains = saving(fast, slow, 0.7, weights(2))
    assert gains.value is None and gains.bounds == (pytest.approx(0.5), None)
    assert gains.interval == (pytest.approx(0.5), None) and gains.certain
    loses = saving(slow, fast, 0.7, weights(2))
    assert loses.value is None and loses.bounds == (None, pytest.approx(-1))
    assert loses.interval == (None, pytest.approx(-1)) and not loses.certain
    nothing = saving(slow, slow, 0.7, weights(2))
    assert nothing.value is None and nothing.bounds == nothing.interval == (None, None) and not nothing.certain


def test_curves_of_different_lengths_are_bounded_by_their_own_ends() -> None:
    long = arm([0.5, 0.6, 0.9], [0.5, 0.6, 0.9], labels=[10, 20, 100])
    short = arm([0.5, 0.6, 0.65], [0.5, 0.6, 0.65])
    # 0.9 at 100 labels against "not within 40": more than 40 may be as much as 100 and more.
    assert saving(long, short, 0.9, weights(2)).bounds == (pytest.approx(1 - 100 / 40), None)


@given(st.floats(1, 400), st.floats(1, 400), st.floats(1, 200), st.floats(1, 200))
def test_bounds_hold_whatever_lies_beyond_the_curves(n: float, m: float, end: float, other_end: float) -> None:
    seen = np.array(n if n <= end else math.inf), np.array(m if m <= other_end else math.inf)
    low, high = saving_bounds(*seen, end, other_end)
    assert low - 1e-9 <= 1 - n / m <= high + 1e-9
    if n <= end and m <= other_end:
        assert low == high


def test_only_the_same_seeds_are_compared() -> None:
    with pytest.raises(ValueError, match="not paired"):
        saving(arm([0.5, 0.6, 0.7]), arm([0.5, 0.6, 0.7], [0.5, 0.6, 0.7]), 0.6, weights(1))


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    labels, hits = np.arange(10.0, 210.0, 10.0), 0
    slope, noise, target = 0.002, 0.03, 0.6
    for trial in range(200):
        rng = np.random.default_rng(trial)
        shifts = rng.normal(0, noise, (20, 1))
        found = reach(Curve(labels, 0.4 + slope * labels + shifts, tuple(range(20))), target, resamples(20, rng, 300))
        hits += found.interval[0] <= 100 <= found.interval[1]
    assert 0.88 <= hits / 200 <= 0.99
