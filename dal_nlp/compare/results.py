"""All statistics of several arms against random, from their curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dal_nlp.compare.savings import Reach, Saving, reach, resamples, saving
from dal_nlp.compare.statistics import PairedTest, against_random
from dal_nlp.report.learning_curves import Curve, area, common, paired

SHARES = (0.9, 0.95, 0.99)


@dataclass(frozen=True)
class Milestone:
    """A share of the full-data score: when the arm and random reach it, and what the arm saves."""

    share: float
    arm: Reach
    random: Reach
    saving: Saving


@dataclass(frozen=True)
class ArmResult:
    """One arm against random, on the seeds that both have.

    Attributes:
        name: Of the arm.
        seeds: The shared ones.
        missing: Seeds that random has and the arm has not.
        part: First and last number of labels that both curves cover; ``area``, ``log_area`` and ``final`` are of it.
        area: Test of the normalised areas under the curve, on the linear axis.
        log_area: The same on the log axis.
        final: Test of the scores at the end of the common part.
        milestones: One for each share; none where the full-data score is not known.
    """

    name: str
    seeds: tuple[int, ...]
    missing: tuple[int, ...]
    part: tuple[float, float]
    area: PairedTest
    log_area: PairedTest
    final: PairedTest
    milestones: tuple[Milestone, ...]


@dataclass(frozen=True)
class Results:
    """What a comparison found.

    Attributes:
        arms: In the order in which they were given.
        full: The full-data score; None where it is not known.
        best: The highest mean score at any point of any curve.
    """

    arms: tuple[ArmResult, ...]
    full: float | None
    best: float


def compare(
    arms: Mapping[str, Curve],
    random: Curve,
    full: float | None,
    rng: np.random.Generator,
    shares: Sequence[float] = SHARES,
) -> Results:
    """Compare every arm with random; an arm's intervals do not depend on which others take part.

    Args:
        arms: Curves by name, random not among them.
        random: The curve of random choice.
        full: Score of the model trained on all data, or None.
        rng: For the bootstrap.
        shares: Of the full-data score.

    Raises:
        ValueError: An arm shares no seed, or fewer than two points, with random.
    """
    chance = int(rng.integers(2**63))  # every arm is resampled with it, so arms with as many seeds alike
    pairs = {name: paired(arm, random) for name, arm in arms.items()}
    parts = {name: common(pair) for name, pair in pairs.items()}
    areas = against_random({name: (area(ours), area(theirs)) for name, (ours, theirs) in parts.items()})
    logs = against_random({name: (area(ours, "log"), area(theirs, "log")) for name, (ours, theirs) in parts.items()})
    finals = against_random({name: (ours.final, theirs.final) for name, (ours, theirs) in parts.items()})
    results = [
        ArmResult(
            name=name,
            seeds=ours.seeds,
            missing=tuple(sorted(set(random.seeds) - set(ours.seeds))),
            part=(float(parts[name][0].labels[0]), float(parts[name][0].labels[-1])),
            area=areas[name],
            log_area=logs[name],
            final=finals[name],
            milestones=() if full is None else _milestones(ours, theirs, full, shares, np.random.default_rng(chance)),
        )
        for name, (ours, theirs) in pairs.items()
    ]
    return Results(tuple(results), full, max(float(curve.mean.max()) for curve in [random, *arms.values()]))


def _milestones(
    arm: Curve, random: Curve, full: float, shares: Sequence[float], rng: np.random.Generator
) -> tuple[Milestone, ...]:
    """Return one milestone for each share; all of them read the same resamples."""
    weights = resamples(len(arm.seeds), rng)
    return tuple(
        Milestone(
            share=share,
            arm=reach(arm, share * full, weights),
            random=reach(random, share * full, weights),
            saving=saving(arm, random, share * full, weights),
        )
        for share in shares
    )
