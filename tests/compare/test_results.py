"""From curves to results: every arm in pairs with random, none of them in the way of another."""

import numpy as np
import pytest
from scipy import stats

from dal_nlp.compare.plots import Picture
from dal_nlp.compare.results import Results, compare
from dal_nlp.compare.savings import reach, resamples, saving
from dal_nlp.report.learning_curves import Curve, area

LABELS = np.arange(20.0, 201.0, 20.0)


def curve(gain: float, seeds: tuple[int, ...] = tuple(range(10)), points: int = 10, noise: float = 0.01) -> Curve:
    rows = [
        0.5
        + gain * np.log(LABELS[:points]) / 10
        + np.random.default_rng([seed, 7]).normal(0, 0.02)  # shared by arms
        + np.random.default_rng([seed, int(gain * 1000)]).normal(0, noise, points)
        for seed in seeds
    ]
    return Curve(LABELS[:points], np.array(rows), seeds)


def results(full: float | None = 1.0, seed: int = 0, **arms: Curve) -> Results:
    return compare(arms, curve(0.6), full, np.random.default_rng(seed))


def test_each_arm_is_tested_against_random_on_the_same_seeds() -> None:
    better, random = curve(0.7), curve(0.6)
    (found,) = results(margin=better).arms
    assert (found.name, found.seeds, found.missing, found.part) == ("margin", tuple(range(10)), (), (20, 200))
    for test, ours, theirs in (
        (found.area, area(better), area(random)),
        (found.log_area, area(better, "log"), area(random, "log")),
        (found.final, better.scores[:, -1], random.scores[:, -1]),
    ):
        assert test.difference == pytest.approx(np.mean(ours - theirs))
        assert test.t == pytest.approx(stats.ttest_rel(ours, theirs).pvalue)
        assert test.wilcoxon == pytest.approx(stats.wilcoxon(ours, theirs, method="exact").pvalue)


def test_milestones_are_shares_of_the_full_score() -> None:
    better, random = curve(0.7), curve(0.6)
    (found,) = results(0.9, margin=better).arms
    chance = int(np.random.default_rng(0).integers(2**63))
    weights = resamples(10, np.random.default_rng(chance))
    for milestone, share in zip(found.milestones, (0.9, 0.95, 0.99), strict=True):
        assert milestone.share == share
        assert milestone.arm == reach(better, share * 0.9, weights)
        assert milestone.random == reach(random, share * 0.9, weights)
        assert milestone.saving == saving(better, random, share * 0.9, weights)
    assert results(None, margin=better).arms[0].milestones == ()


def test_another_arm_changes_nothing_but_the_correction() -> None:
    (alone,) = results(margin=curve(0.7)).arms
    beside, _ = results(margin=curve(0.7), badge=curve(0.65, seeds=(1, 2, 3), points=4)).arms
    assert alone.milestones == beside.milestones
    assert alone.area.wilcoxon == beside.area.wilcoxon
    assert beside.area.holm == pytest.approx(2 * alone.area.holm)


def test_missing_seeds_and_rounds_are_said_and_the_rest_is_compared() -> None:
    (found,) = results(badge=curve(0.7, seeds=(8, 1, 3, 77), points=4)).arms
    assert (found.seeds, found.missing, found.part) == ((1, 3, 8), (0, 2, 4, 5, 6, 7, 9), (20, 80))
    assert found.area.pairs == 3


def test_the_same_generator_gives_the_same_results() -> None:
    first, again, other = (results(0.9, seed, margin=curve(0.7)) for seed in (0, 0, 1))
    assert first == again != other


def test_best_is_the_highest_mean_of_any_curve() -> None:
    assert results(margin=curve(0.3)).best == pytest.approx(curve(0.6).mean.max())
    assert results(margin=curve(0.7)).best == pytest.approx(curve(0.7).mean.max())


def test_a_baseline_that_no_part_of_the_axis_shows_is_said_to_be_beyond_it() -> None:
    def two(*scores: float) -> Curve:
        return Curve(LABELS[:2], np.array([scores]), (0,))

    curves = [("random", two(0.7, 0.72)), ("margin", two(0.71, 0.75))]
    for score, name in (
        (0.5, "labels (below, up to 0.52)"),
        (0.7, "labels -->"),
        (0.9, "labels (above, from 0.90 on)"),
    ):
        drawn = Picture(curves, two(score, score + 0.02), None, "accuracy").render("svg").decode()
        assert name in drawn and drawn.count("(below") == (score == 0.5)
