"""A comparison in words: which arm to use, what it saves, and whether the evidence suffices.

The normalised area under the curve decides whether an arm is better than random: it is one number for each seed, of
every label that was bought, and its test is corrected for the number of arms. The milestones then say what that is
worth in labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dal_nlp.compare.results import ArmResult, Milestone, Results, compare
from dal_nlp.compare.savings import Reach
from dal_nlp.compare.statistics import PairedTest, too_few
from dal_nlp.core.text import counted
from dal_nlp.report.learning_curves import Curve

#: A mean difference in score so small that nobody would change the strategy for it.
NEGLIGIBLE = 0.01


@dataclass(frozen=True)
class Verdict:
    """What to do.

    Attributes:
        use: The arm to use, "random" where active learning does not help; None where the seeds cannot decide it.
        enough: Whether the evidence suffices for that.
        sentences: Why, the most important first.
    """

    use: str | None
    enough: bool
    sentences: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.sentences)


def verdict(results: Results) -> Verdict:
    """Judge the arms of a comparison; the same results give the same words.

    Raises:
        ValueError: There is no arm beside random.
    """
    if not results.arms:
        raise ValueError("there is no arm beside random to judge")
    best = max(results.arms, key=lambda arm: arm.area.difference)
    better = [arm for arm in results.arms if arm.area.better]
    if better:
        judged = _use(max(better, key=lambda arm: arm.area.difference))
    else:
        judged = _no_better(best, results.arms, too_few(len(best.seeds), len(results.arms)))
    return Verdict(judged.use, judged.enough, (*judged.sentences, *_also(results)))


def with_user_savings(
    judged: Verdict,
    results: Results,
    arms: Mapping[str, Curve],
    learners: Mapping[str, Curve],
    rng: np.random.Generator,
) -> Verdict:
    """Return a verdict that says, after the merit of the strategy, what a user saves against other learners.

    Args:
        judged: On the arms of one learner, against random labels with it.
        results: What it judges.
        arms: Their curves.
        learners: Curves of random labels with other learners; none where one learner is compared.
        rng: For the bootstrap.
    """
    if not learners or results.full is None:
        return judged
    leading = max(results.arms, key=lambda arm: arm.area.difference).name
    best = judged.use if judged.use is not None and judged.use in arms else leading
    sentences = ["So far the merit of the strategy; against random labels with other learners:"]
    for name, curve in learners.items():
        try:
            (compared,) = compare({best: arms[best]}, curve, results.full, rng).arms
        except ValueError as error:
            sentences.append(f"{best} cannot be compared with {name}: {error}.")
            continue
        sentences += [milestone_sentence(best, milestone, name) for milestone in compared.milestones]
    return Verdict(judged.use, judged.enough, (*judged.sentences, *sentences))


def _use(arm: ArmResult) -> Verdict:
    """Judge where an arm is better than random beyond noise."""
    certain = any(milestone.saving.certain for milestone in arm.milestones)
    sentences = [
        f"Use {arm.name}: on average over the curve from {arm.part[0]:g} to {arm.part[1]:g} labels its score is "
        f"{arm.area.difference:.3f} above random's{_evidence(arm.area)}.",
        *(milestone_sentence(arm.name, milestone) for milestone in arm.milestones),
    ]
    if arm.milestones and not certain:
        sentences.append("The evidence does not suffice to say that it saves labels.")
    return Verdict(arm.name, certain or not arm.milestones, tuple(sentences))


def _no_better(best: ArmResult, arms: Sequence[ArmResult], few: str) -> Verdict:
    """Judge where none of the arms is better than random beyond noise; ``best`` is the one that looks best."""
    finding = f"{best.name}, the best of them, differs from random by {best.area.difference:+.3f}{_evidence(best.area)}"
    if few and best.area.difference > 0:
        return Verdict(None, False, (f"The evidence does not suffice: {finding}.", few))
    first = "Active learning is not helping here: no arm is better than random beyond noise."
    if few and len(best.seeds) == 1:
        return Verdict(None, False, ("One seed cannot tell whether active learning helps here.", f"{finding}.", few))
    if few:
        return Verdict("random", False, (first, f"{finding}.", "The evidence does not suffice to be sure.", few))
    most = max(arm.area.interval[1] if arm.area.interval else float("inf") for arm in arms)
    if most < NEGLIGIBLE:
        ruled = f"No interval of an arm leaves room for an advantage of {NEGLIGIBLE:g} or more."
        return Verdict("random", True, (first, f"{finding}.", ruled))
    open_question = f"An advantage of up to {most:.3f} is not ruled out; more seeds would tell."
    return Verdict("random", False, (first, f"{finding}.", open_question))


def _also(results: Results) -> list[str]:
    """Say what else a reader must know: arms that harm, seeds that are missing, a full score that is too low."""
    worse = [arm for arm in results.arms if arm.area.worse]
    sentences = [f"{arm.name} is worse than random: {arm.area.difference:+.3f}{_evidence(arm.area)}." for arm in worse]
    for arm in results.arms:
        if arm.missing:
            missing = ", ".join(map(str, arm.missing))
            sentences.append(f"{arm.name} is compared on {counted(len(arm.seeds), 'seed')}: it lacks {missing}.")
    if results.full is None:
        sentences.append("Without a full-data score, nothing is said about labels saved.")
    elif results.full < results.best:
        sentences.append(
            f"The full-data score {results.full:.3f} lies below the best mean score of a curve, {results.best:.3f}: "
            "shares of it are reached early."
        )
    return sentences


def milestone_sentence(name: str, milestone: Milestone, other: str = "random") -> str:
    """Say what the arm needs to reach a share of the full-data score, what random needs, and what is saved."""
    arm, random = milestone.arm, milestone.random
    goal = f"{_percent(milestone.share)} of the full score"
    if arm.labels is None and random.labels is None:
        within = f"{arm.last:g}" if arm.last == random.last else f"{arm.last:g} and {random.last:g}"
        return f"Neither {name} nor {other} reaches {goal} within {within} labels{_sometimes(arm)}."
    if arm.labels is None:
        needs = f"{random.labels:.0f}{_interval(random)}"
        return f"{name} does not reach {goal} within {arm.last:g} labels{_sometimes(arm)}; {other} needs {needs}."
    if random.labels is None:
        theirs = f"{other} does not reach it within {random.last:g}{_sometimes(random)}"
        return f"{name} needs {arm.labels:.0f} labels to reach {goal}{_interval(arm)}, and {theirs}{_saved(milestone)}."
    of = "" if other == "random" else f" ({other})"
    instead = f"{arm.labels:.0f} labels instead of {random.labels:.0f}{of}"
    return f"{name} needs {instead} to reach {goal}{_interval(arm)}{_saved(milestone)}."


def _saved(milestone: Milestone) -> str:
    """Write what the arm saves, where it reaches the score; random need not."""
    saving = milestone.saving
    least = "" if saving.value is not None else "at least "
    text = f": a saving of {least}{_percent(saving.bounds[0])}"
    if saving.interval:
        low, high = saving.interval
        upper = f"to {_percent(high)}" if high is not None else "upwards"
        text += f" (95 % interval {_percent(low)} {upper})" if low is not None else " (its interval has no lower end)"
    return text if saving.certain else f"{text}, which is not certain"


def _interval(reached: Reach) -> str:
    """Write the interval of the labels; an end that is not reached is more than the last point."""
    if reached.interval is None:
        return ""
    low, high = (f"{end:.0f}" if end is not None else f"more than {reached.last:g}" for end in reached.interval)
    return f" (95 % interval {low} to {high})" if low != high else f" (95 % interval {low})"


def _sometimes(reached: Reach) -> str:
    """Write how often the resamples reach what the mean curve does not."""
    return f" (though in {_percent(reached.share)} of the resamples)" if round(reached.share or 0, 2) else ""


def _evidence(test: PairedTest) -> str:
    """Write the interval and the p value of a difference."""
    interval = f"95 % interval {test.interval[0]:+.3f} to {test.interval[1]:+.3f}; " if test.interval else ""
    return f" ({interval}Wilcoxon test on {counted(test.pairs, 'seed')}, corrected: p = {test.holm:.2g})"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"
