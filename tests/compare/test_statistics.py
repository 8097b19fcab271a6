"""The paired tests against scipy and sums by hand, and what few seeds cannot show."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dal_nlp.compare.statistics import LEVEL, against_random, holm, least_p, paired_t, too_few, wilcoxon
from dal_nlp.report.learning_curves import t_interval

small = st.integers(-4, 4).map(lambda tenths: tenths / 10)


def by_all_signs(differences: list[float]) -> float:
    """Count the signs that are at least as far out, by the definition."""
    d = np.array([value for value in differences if value])
    ranks = stats.rankdata(np.abs(d))
    sums = np.array([ranks[np.array(signs, bool)].sum() for signs in product((0, 1), repeat=len(d))])
    observed = ranks[d > 0].sum()
    return float(min(1.0, 2 * min((sums <= observed).mean(), (sums >= observed).mean())))


@pytest.mark.parametrize("n", [1, 2, 5, 10, 25])
def test_wilcoxon_agrees_with_scipy_where_there_are_no_ties(n: int) -> None:
    for seed in range(5):
        d = np.random.default_rng(seed).normal(0.4, 1, n)
        assert wilcoxon(d) == pytest.approx(stats.wilcoxon(d, method="exact").pvalue, abs=1e-12)


@given(st.lists(small, min_size=1, max_size=8).filter(any))
@settings(deadline=None)
def test_wilcoxon_is_exact_with_ties_and_zeros(differences: list[float]) -> None:
    assert wilcoxon(differences) == pytest.approx(by_all_signs(differences))


def test_wilcoxon_agrees_with_scipys_enumeration_of_ties() -> None:
    d = [0.1, 0.1, -0.1, 0.2, 0.3, 0.3, -0.2]
    wanted = stats.wilcoxon(d, method=stats.PermutationMethod(n_resamples=10**6)).pvalue
    assert wilcoxon(d) == pytest.approx(wanted)


def test_rounding_makes_no_difference_between_equal_ones() -> None:
    # 0.3 - 0.2 and 0.2 - 0.1 differ in the last bit, and so would their ranks.
    assert 0.3 - 0.2 != 0.2 - 0.1
    assert wilcoxon([0.3 - 0.2, -(0.2 - 0.1)]) == wilcoxon([1, -1]) == 1.0
    assert wilcoxon([0.1 + 0.2 - 0.3] * 6) == 1.0 and paired_t([0.1 + 0.2 - 0.3] * 6) == 1.0


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=12))
@settings(deadline=None)
def test_p_values_do_not_depend_on_which_arm_comes_first(differences: list[float]) -> None:
    flipped = [-d for d in differences]
    assert wilcoxon(differences) == pytest.approx(wilcoxon(flipped))
    assert paired_t(differences) == (None if len(differences) == 1 else pytest.approx(paired_t(flipped)))
    assert least_p(len(differences)) <= wilcoxon(differences) <= 1


@pytest.mark.parametrize("n", [2, 3, 10, 30])
def test_paired_t_agrees_with_scipy(n: int) -> None:
    d = np.random.default_rng(n).normal(0.02, 0.05, n)
    wanted = stats.ttest_1samp(d, 0.0)
    assert paired_t(d) == pytest.approx(wanted.pvalue)
    mean, half = t_interval(d)
    interval = wanted.confidence_interval(0.95)
    assert (mean - half, mean + half) == pytest.approx((interval.low, interval.high))


def test_differences_without_spread() -> None:
    assert paired_t([0.0] * 5) == 1.0
    assert paired_t([0.1] * 5) == 0.0
    assert paired_t([0.1]) is None
    assert wilcoxon([0.0] * 5) == 1.0


def test_t_interval_by_hand() -> None:
    # 1, 2, 3: mean 2, sd 1, t(2) = 4.3027: half-width 4.3027 / sqrt 3.
    mean, half = t_interval([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]])
    assert mean.tolist() == [2, 5]
    assert half == pytest.approx([2.48414, 0], abs=1e-5)
    assert t_interval([[0.5]])[1] is None


def test_holm_by_hand() -> None:
    # .01 x 4, .02 x 3, .03 x 2 = .06 (not below the one before), .04 x 1 = .04 raised to .06
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.01]) == [0.01]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_lies_between_p_and_bonferroni(ps: list[float]) -> None:
    corrected = holm(ps)
    for p, raised in zip(ps, corrected, strict=True):
        assert p <= raised <= min(1.0, p * len(ps)) + 1e-12
    order = np.argsort(ps, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= 0).all()


@pytest.mark.parametrize("seeds", range(1, 12))
@pytest.mark.parametrize("arms", [1, 3])
def test_least_p_is_what_the_test_gives_where_one_arm_always_wins(seeds: int, arms: int) -> None:
    ps = holm([wilcoxon(np.arange(1, seeds + 1))] * arms)
    assert ps == pytest.approx([least_p(seeds, arms)] * arms)


def test_five_seeds_cannot_reach_the_level_and_six_can() -> None:
    assert least_p(5) == 0.0625 and least_p(6) == 0.03125
    assert too_few(5) == (
        "5 seeds cannot reach p < 0.05 in a Wilcoxon test, whatever the scores: the smallest p is 0.062; 6 seeds can."
    )
    assert too_few(6) == ""
    assert too_few(1).startswith("1 seed cannot") and "the smallest p is 1;" in too_few(1)


@pytest.mark.parametrize("arms", [1, 2, 3, 7])
def test_the_seeds_that_are_said_to_suffice_do(arms: int) -> None:
    sentence = too_few(2, arms)
    needed = int(sentence.split("; ")[1].split()[0])
    assert least_p(needed, arms) < LEVEL <= least_p(needed - 1, arms)
    assert ("correction over" in sentence) == (arms > 1)


def test_against_random_puts_it_together() -> None:
    rng = np.random.default_rng(0)
    random = rng.normal(0.7, 0.01, 8)
    good, same, short = random + rng.normal(0.03, 0.005, 8), random.copy(), random[:1] + 0.1
    tests = against_random({"good": (good, random), "same": (same, random), "short": (short, random[:1])})
    wanted = stats.ttest_rel(good, random)
    assert tests["good"].t == pytest.approx(wanted.pvalue)
    assert tests["good"].interval == pytest.approx(tuple(wanted.confidence_interval(0.95)))
    assert tests["good"].difference == pytest.approx(np.mean(good - random))
    assert tests["good"].wilcoxon == least_p(8) and tests["good"].holm == least_p(8, 3)
    assert tests["good"].holm_t == pytest.approx(2 * wanted.pvalue)  # the arm with one pair has no t test
    assert tests["good"].better and not tests["good"].worse
    assert tests["same"].wilcoxon == tests["same"].holm == 1.0 and not tests["same"].better
    assert (tests["short"].pairs, tests["short"].interval, tests["short"].t, tests["short"].holm_t) == (
        1,
        None,
        None,
        None,
    )
    assert against_random({"bad": (random - 0.1, random)})["bad"].worse


@pytest.mark.parametrize(("arm", "random"), [([1.0], [1.0, 2.0]), ([], []), ([[1.0]], [[1.0]])])
def test_what_is_no_pairs_is_an_error(arm: list[float], random: list[float]) -> None:
    with pytest.raises(ValueError, match="are no pairs"):
        against_random({"x": (arm, random)})


def test_numbers_that_are_not_finite_are_an_error() -> None:
    with pytest.raises(ValueError, match="not finite"):
        against_random({"x": ([0.1, float("nan")], [0.1, 0.2])})
