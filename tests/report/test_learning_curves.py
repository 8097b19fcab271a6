"""Curves: what is common, smoothed and averaged, against scikit-learn, scipy and sums by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.isotonic import isotonic_regression

from dal_nlp.report.learning_curves import Curve, area, common, isotonic, mean_interval, paired, stack

values = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def curve(labels: list[float], *rows: list[float], seeds: tuple[int, ...] | None = None) -> Curve:
    return Curve(np.array(labels, float), np.array(rows), tuple(range(len(rows))) if seeds is None else seeds)


@given(values)
def test_isotonic_agrees_with_sklearn(row: list[float]) -> None:
    assert isotonic(np.array(row)) == pytest.approx(isotonic_regression(row), abs=1e-9)


@given(values)
def test_isotonic_rises_keeps_the_mean_and_leaves_rising_curves_alone(row: list[float]) -> None:
    fitted = isotonic(np.array(row))
    assert (np.diff(fitted) >= -1e-12).all()
    assert fitted.mean() == pytest.approx(np.mean(row))
    assert isotonic(fitted) == pytest.approx(fitted)
    assert isotonic(np.sort(row)) == pytest.approx(np.sort(row))


def test_isotonic_treats_each_row_by_itself() -> None:
    rows = np.random.default_rng(0).random((2, 3, 7))
    fitted = isotonic(rows)
    for at in np.ndindex(2, 3):
        assert fitted[at] == pytest.approx(isotonic(rows[at]))


def test_area_by_hand() -> None:
    steps = curve([10, 20, 40], [0.5, 0.7, 0.9])
    assert area(steps) == pytest.approx([(10 * 0.6 + 20 * 0.8) / 30])
    # On the log axis both steps are as wide.
    assert area(steps, "log") == pytest.approx([(0.6 + 0.8) / 2])


@given(st.floats(0, 1), st.lists(st.integers(1, 500), min_size=2, max_size=6, unique=True))
def test_area_of_a_flat_curve_is_its_height(height: float, labels: list[int]) -> None:
    flat = curve(sorted(map(float, labels)), [height] * len(labels))
    assert area(flat) == pytest.approx([height])
    assert area(flat, "log") == pytest.approx([height])


def test_the_log_axis_weighs_early_labels_more() -> None:
    early, late = curve([10, 30, 180, 200], [0.9, 0.5, 0.5, 0.5]), curve([10, 30, 180, 200], [0.5, 0.5, 0.5, 0.9])
    assert area(early) == pytest.approx(area(late))
    assert area(early, "log") > area(late, "log") + 0.01


def test_one_point_has_no_area() -> None:
    with pytest.raises(ValueError, match="one point"):
        area(curve([10], [0.5]))


def test_mean_and_interval_agree_with_scipy() -> None:
    rows = 3 * np.random.default_rng(1).random((6, 3))  # no scores between 0 and 1
    mean, interval = mean_interval(curve([1, 2, 3], *rows.tolist()))
    wanted = stats.t.interval(0.95, 5, loc=rows.mean(0), scale=stats.sem(rows))
    assert mean == pytest.approx(rows.mean(0))
    assert interval == pytest.approx(np.array(wanted))
    assert mean_interval(curve([1, 2], [0.1, 0.2]))[1] is None


def one_end(scores: list[float], sign: int) -> float:
    """An end of the interval of a mean, by its formula, one number at a time."""
    n, m = len(scores), sum(scores) / len(scores)
    spread = math.sqrt(sum((score - m) ** 2 for score in scores) / (n - 1))
    h = float(stats.t.ppf(0.975, n - 1)) * spread / math.sqrt(n)
    if h == 0:
        return m
    return 1 / (1 + math.exp(-(math.log(m / (1 - m)) + sign * h / (m * (1 - m)))))


def test_intervals_of_scores_between_0_and_1_stay_there() -> None:
    rows = [[0.68, 1.0, 0.5, 0.0], [0.82, 1.0, 0.5, 0.0], [0.89, 1.0, 0.9, 1.0]]
    _, interval = mean_interval(curve([1, 2, 3, 4], *rows))
    assert interval is not None and interval.min() >= 0 and interval.max() <= 1
    for place, scores in enumerate(zip(*rows, strict=True)):
        assert interval[:, place] == pytest.approx([one_end(list(scores), sign) for sign in (-1, 1)])
    _, one = mean_interval(curve([1], [0.79], [0.80], [0.81]))
    assert one is not None and one[:, 0] == pytest.approx([0.774, 0.824], abs=2e-3)  # as Student's, where there is room


def test_common_is_inside_both_and_keeps_every_corner() -> None:
    one, other = common([curve([10, 20, 40], [0.0, 1.0, 0.0]), curve([15, 30, 35], [0.5, 0.6, 0.7])])
    assert one.labels.tolist() == other.labels.tolist() == [15, 20, 30, 35]
    assert one.scores == pytest.approx(np.array([[0.5, 1.0, 0.5, 0.25]]))
    assert other.scores == pytest.approx(np.array([[0.5, 0.5 + 0.1 / 3, 0.6, 0.7]]))


def test_a_shorter_curve_cuts_the_others_and_changes_nothing_else() -> None:
    long, short = curve([10, 20, 30], [0.1, 0.3, 0.9], [0.2, 0.4, 0.8]), curve([10, 20], [0.2, 0.3])
    cut, same = common([long, short])
    assert cut.scores.tolist() == [[0.1, 0.3], [0.2, 0.4]] and cut.seeds == (0, 1)
    assert same.scores.tolist() == short.scores.tolist()


@given(st.lists(st.integers(1, 99), min_size=1, max_size=8, unique=True), st.integers(0, 5))
def test_more_points_on_the_lines_do_not_change_the_area(extra: list[int], seed: int) -> None:
    first = curve([1, 40, 99], np.random.default_rng(seed).random(3).tolist())
    labels = [0.5, *sorted(map(float, extra)), 99.5]
    (refined, _) = common([first, curve(labels, [0.0] * len(labels))])
    assert area(refined) == pytest.approx(area(first))


@pytest.mark.parametrize("labels", [[30, 40], [20, 30]])
def test_curves_that_do_not_overlap_cannot_be_compared(labels: list[float]) -> None:
    with pytest.raises(ValueError, match="do not overlap"):
        common([curve([10, 20], [0.1, 0.2]), curve(labels, [0.1, 0.2])])


def test_pairs_are_the_same_seeds_in_the_same_order() -> None:
    one, other = paired(
        curve([1], [0.7], [0.1], [0.3], seeds=(7, 1, 3)), curve([2], [0.31], [0.71], [0.9], seeds=(3, 7, 9))
    )
    assert one.seeds == other.seeds == (3, 7)
    assert one.scores.tolist() == [[0.3], [0.7]] and other.scores.tolist() == [[0.31], [0.71]]
    with pytest.raises(ValueError, match="none in common"):
        paired(curve([1], [0.1], seeds=(1,)), curve([1], [0.1], seeds=(2,)))


def test_stack_joins_seeds_on_what_they_share() -> None:
    whole, crashed = curve([10, 20, 30], [0.1, 0.2, 0.3], seeds=(4,)), curve([10, 20], [0.5, 0.6], seeds=(2,))
    arm = stack([whole, crashed])
    assert arm.labels.tolist() == [10, 20] and arm.seeds == (4, 2)
    assert arm.scores.tolist() == [[0.1, 0.2], [0.5, 0.6]]
    single = curve([10], [0.1], seeds=(1,))
    assert stack([single, curve([10], [0.2], seeds=(2,))]).mean == pytest.approx([0.15])


@pytest.mark.parametrize(
    ("labels", "rows", "seeds", "why"),
    [
        ([10, 10], [[0.1, 0.2]], (0,), "do not rise"),
        ([20, 10], [[0.1, 0.2]], (0,), "do not rise"),
        ([0, 10], [[0.1, 0.2]], (0,), "do not rise from above 0"),
        ([10, float("nan")], [[0.1, 0.2]], (0,), "do not rise"),
        ([10], [[0.1, 0.2]], (0,), "no scores of shape"),
        ([10, 20], [[0.1, 0.2]], (), "no scores of shape"),
        ([10, 20], [[0.1, 0.2]] * 2, (3, 3), "there twice"),
        ([10, 20], [[0.1, 0.2], [0.1, float("nan")]], (3, 5), "seed 5 at 20 labels is not finite"),
        ([10, 20], [[float("inf"), 0.2]], (3,), "seed 3 at 10 labels is not finite"),
    ],
)
def test_what_is_no_curve_is_an_error(labels: list, rows: list, seeds: tuple, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        curve(labels, *rows, seeds=seeds)
