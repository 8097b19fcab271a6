"""The verdict in words: every case, by hand-made results."""

from dataclasses import replace

import numpy as np
import pytest

from dal_nlp.compare.results import ArmResult, Milestone, Results, compare
from dal_nlp.compare.savings import Bounds, Reach, Saving
from dal_nlp.compare.statistics import PairedTest
from dal_nlp.compare.verdict import milestone_sentence, verdict, with_user_savings
from dal_nlp.report.learning_curves import Curve

SURE = Saving((0.41, 0.41), (0.2, 0.55))
UNSURE = Saving((0.1, 0.1), (-0.05, 0.3))


def difference(mean: float, holm: float, half: float | None = 0.005, pairs: int = 10) -> PairedTest:
    interval = None if half is None else (mean - half, mean + half)
    return PairedTest(pairs, mean, interval, holm, holm, holm, holm)


def reached(
    labels: float | None, interval: Bounds | None = None, share: float | None = 1.0, last: float = 410
) -> Reach:
    return Reach(0.855, labels, interval, share, last)


def milestone(arm: Reach, random: Reach, saving: Saving) -> Milestone:
    return Milestone(0.95, arm, random, saving)


BOTH = milestone(reached(240, (200, 290)), reached(408, (350, None)), SURE)


def arm(
    name: str = "margin",
    area: PairedTest | None = None,
    milestones: tuple[Milestone, ...] = (BOTH,),
    seeds: int = 10,
    missing: tuple[int, ...] = (),
) -> ArmResult:
    test = area or difference(0.021, 0.004)
    return ArmResult(name, tuple(range(seeds)), missing, (20, 410), test, test, test, milestones)


def results(*arms: ArmResult, full: float | None = 0.9, best: float = 0.88) -> Results:
    return Results(arms, full, best)


def test_an_arm_that_is_better_is_to_be_used() -> None:
    found = verdict(results(arm()))
    assert (found.use, found.enough) == ("margin", True)
    assert found.sentences == (
        "Use margin: on average over the curve from 20 to 410 labels its score is 0.021 above random's (95 % interval "
        "+0.016 to +0.026; Wilcoxon test on 10 seeds, corrected: p = 0.004).",
        "margin needs 240 labels instead of 408 to reach 95 % of the full score (95 % interval 200 to 290): a "
        "saving of 41 % (95 % interval 20 % to 55 %).",
    )
    assert str(found) == " ".join(found.sentences)


def test_of_several_better_arms_the_best_is_used_and_the_harmful_are_named() -> None:
    found = verdict(
        results(
            arm("badge", difference(0.01, 0.01)),
            arm("margin"),
            arm("lucky", difference(0.05, 0.2)),
            arm("alps", difference(-0.03, 0.01)),
            arm("bald", difference(-0.03, 0.06)),
        )
    )
    assert found.use == "margin"
    assert found.sentences[-1].startswith("alps is worse than random: -0.030 (95 % interval -0.035 to -0.025;")
    assert not any(name in str(found) for name in ("badge", "lucky", "bald"))


def test_a_better_curve_without_a_certain_saving_is_not_enough() -> None:
    found = verdict(results(arm(milestones=(replace(BOTH, saving=UNSURE),))))
    assert (found.use, found.enough) == ("margin", False)
    assert found.sentences[1].endswith("a saving of 10 % (95 % interval -5 % to 30 %), which is not certain.")
    assert found.sentences[2] == "The evidence does not suffice to say that it saves labels."
    one_of_two = verdict(results(arm(milestones=(BOTH, replace(BOTH, saving=UNSURE)))))
    assert one_of_two.enough and len(one_of_two.sentences) == 3


def test_without_a_full_score_the_curve_alone_decides() -> None:
    found = verdict(results(arm(milestones=()), full=None))
    assert (found.use, found.enough) == ("margin", True)
    assert found.sentences[-1] == "Without a full-data score, nothing is said about labels saved."


def test_too_few_seeds_cannot_decide_for_an_arm_that_looks_better() -> None:
    found = verdict(results(arm(area=difference(0.05, 0.0625, pairs=5), seeds=5)))
    assert (found.use, found.enough) == (None, False)
    assert found.sentences[0].startswith("The evidence does not suffice: margin, the best of them, differs from random")
    assert "+0.050" in found.sentences[0] and found.sentences[1].startswith("5 seeds cannot reach p < 0.05")


def test_too_few_seeds_and_no_arm_that_looks_better() -> None:
    found = verdict(results(arm(area=difference(-0.01, 1.0, None, 1), seeds=1)))
    assert (found.use, found.enough) == (None, False)
    assert found.sentences[0] == "One seed cannot tell whether active learning helps here."
    assert found.sentences[1] == (
        "margin, the best of them, differs from random by -0.010 (Wilcoxon test on 1 seed, corrected: p = 1)."
    )
    assert found.sentences[2:] == (
        "1 seed cannot reach p < 0.05 in a Wilcoxon test, whatever the scores: the smallest p is 1; 6 seeds can.",
    )


def test_two_seeds_and_no_arm_that_looks_better() -> None:
    found = verdict(results(arm(area=difference(-0.01, 1.0, None, 2), seeds=2)))
    assert (found.use, found.enough) == ("random", False)
    assert found.sentences[0].startswith("Active learning is not helping here")
    assert found.sentences[2] == "The evidence does not suffice to be sure."


def test_several_arms_need_more_seeds() -> None:
    six = [arm(name, difference(0.02, 0.0625, pairs=6), seeds=6) for name in ("margin", "badge")]
    assert "correction over 2 arms" in str(verdict(results(*six)))
    assert "cannot reach" not in str(verdict(results(six[0])))


@pytest.mark.parametrize("mean", [0.003, -0.002])
def test_active_learning_that_does_not_help_is_said_plainly(mean: float) -> None:
    found = verdict(results(arm("badge", difference(-0.005, 0.9)), arm(area=difference(mean, 0.4))))
    assert (found.use, found.enough) == ("random", True)
    assert found.sentences[0] == "Active learning is not helping here: no arm is better than random beyond noise."
    assert found.sentences[1].startswith("margin, the best of them,")
    assert found.sentences[2:] == ("No interval of an arm leaves room for an advantage of 0.01 or more.",)


def test_an_arm_whose_interval_is_wide_leaves_it_open_though_another_looks_better() -> None:
    narrow, wide = difference(0.0007, 0.4, half=0.001), difference(0.0005, 0.9, half=0.03)
    found = verdict(results(arm(area=narrow), arm("badge", wide)))
    assert (found.use, found.enough) == ("random", False)
    assert "up to 0.03" in found.sentences[2]


def test_an_advantage_that_is_not_ruled_out_is_said() -> None:
    found = verdict(results(arm(area=difference(0.01, 0.2, half=0.03))))
    assert (found.use, found.enough) == ("random", False)
    assert found.sentences[0].startswith("Active learning is not helping here")
    assert found.sentences[2] == "An advantage of up to 0.040 is not ruled out; more seeds would tell."


def test_missing_seeds_and_a_low_full_score_are_said() -> None:
    found = verdict(results(arm(missing=(3, 7), seeds=8), arm("badge", missing=(7,), seeds=9), best=0.93))
    assert found.sentences[-3:] == (
        "margin is compared on 8 seeds: it lacks 3, 7.",
        "badge is compared on 9 seeds: it lacks 7.",
        "The full-data score 0.900 lies below the best mean score of a curve, 0.930: shares of it are reached early.",
    )


def test_what_only_the_arm_reaches() -> None:
    censored = milestone(reached(240, (200, None)), reached(None, (390, None), 0.3), Saving((0.41, None), (0.3, None)))
    assert milestone_sentence("margin", censored) == (
        "margin needs 240 labels to reach 95 % of the full score (95 % interval 200 to more than 410), and random "
        "does not reach it within 410 (though in 30 % of the resamples): a saving of at least 41 % (95 % interval 30 % "
        "upwards)."
    )
    nothing_known = replace(censored, saving=Saving((0.41, None), (None, None)))
    assert milestone_sentence("margin", nothing_known).endswith(
        "a saving of at least 41 % (its interval has no lower end), which is not certain."
    )


def test_what_only_random_reaches() -> None:
    censored = milestone(reached(None, (None, None), 0.0), reached(300, (250, 380)), Saving((None, -0.3), (None, -0.1)))
    assert milestone_sentence("margin", censored) == (
        "margin does not reach 95 % of the full score within 410 labels; random needs 300 (95 % interval 250 to 380)."
    )


def test_what_neither_reaches() -> None:
    neither = milestone(reached(None, (None, None), 0.0), reached(None, (None, None), 0.0), Saving((None, None), None))
    sentence = "Neither margin nor random reaches 95 % of the full score within 410 labels."
    assert milestone_sentence("margin", neither) == sentence
    shorter = replace(neither, random=reached(None, last=300))
    assert milestone_sentence("margin", shorter).endswith("within 410 and 300 labels.")


def test_a_single_seed_shows_no_intervals() -> None:
    alone = milestone(reached(240, None, None), reached(400, None, None), Saving((0.4, 0.4), None))
    assert milestone_sentence("margin", alone) == (
        "margin needs 240 labels instead of 400 to reach 95 % of the full score: a saving of 40 %, which is not "
        "certain."
    )


def test_intervals_of_one_number_are_written_once() -> None:
    start = milestone(reached(20, (20, 20)), reached(20, (20, 20)), Saving((0.0, 0.0), (0.0, 0.0)))
    assert "(95 % interval 20):" in milestone_sentence("margin", start)


def test_no_arm_beside_random_is_an_error() -> None:
    with pytest.raises(ValueError, match="no arm"):
        verdict(results())


def test_from_curves_to_words_and_the_same_words_again() -> None:
    labels = np.arange(20.0, 201.0, 20.0)
    noise = np.random.default_rng(0).normal(0, 0.005, (2, 8, 10))
    random, margin = (
        Curve(labels, 0.85 - 0.35 * (labels / 20) ** -power + spread, tuple(range(8)))
        for power, spread in zip((0.5, 0.9), noise, strict=True)
    )
    first, again = (
        verdict(compare({"margin": margin}, random, 0.8, np.random.default_rng(0), shares=(0.9, 0.95)))
        for _ in range(2)
    )
    assert first == again and (first.use, first.enough) == ("margin", True)
    # 0.85 - 0.35 (n / 20)^-c = 0.72: n = 20 (0.35 / 0.13)^(1 / c), 60 for margin and 145 for random.
    needs, instead = (int(first.sentences[1].split()[place]) for place in (2, 6))
    assert needs == pytest.approx(60, abs=4) and instead == pytest.approx(145, abs=6)
    null = verdict(compare({"same": random}, random, 0.8, np.random.default_rng(0)))
    assert (null.use, null.enough) == ("random", True) and "not helping" in str(null)


def test_what_a_user_saves_against_other_learners_follows_the_merit_of_the_strategy() -> None:
    labels, rng = np.arange(20.0, 201.0, 20.0), np.random.default_rng(0)
    curves = [
        Curve(labels, 0.85 - 0.35 * (labels / 20) ** -power + rng.normal(0, 0.005, (8, 10)), tuple(range(8)))
        for power in (0.5, 0.9, 0.3)
    ]
    random, margin, words = curves
    found = compare({"margin": margin}, random, 0.8, np.random.default_rng(0), shares=(0.9,))
    judged = verdict(found)
    both = with_user_savings(judged, found, {"margin": margin}, {"random@tfidf": words}, np.random.default_rng(0))
    assert both.sentences[: len(judged.sentences)] == judged.sentences and both.use == "margin"
    assert both.sentences[len(judged.sentences)].startswith("So far the merit of the strategy")
    said = " ".join(both.sentences[len(judged.sentences) + 1 :])
    assert "random@tfidf" in said and said != " ".join(judged.sentences)
    # 0.72, 90 % of the full score: 60 labels for margin, and 541 for the other learner, beyond its 200.
    assert "margin needs 60" in said or "margin needs 59" in said or "margin needs 61" in said
    assert with_user_savings(judged, found, {"margin": margin}, {}, np.random.default_rng(0)) == judged
