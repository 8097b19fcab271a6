"""How many labels an arm needs to reach a score, what that saves against random, and how sure one can be.

A score that is not reached within the curve is censored: the labels it needs are more than those of the last point,
and no more is known. Where a number depends on that, its bounds are given, and an end that nothing is known about is
None. S is the number of seeds, T that of the points of a curve, B that of the resamples.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dal_nlp.report.learning_curves import Curve, isotonic, labels_to

Floats = NDArray[np.float64]
Bounds = tuple[float | None, float | None]

RESAMPLES = 2000


@dataclass(frozen=True)
class Reach:
    """When an arm reaches a score.

    Attributes:
        target: The score.
        labels: Labels at which the smoothed mean curve reaches it; None where it does not.
        interval: 95 % bootstrap interval of ``labels``, an end that was not reached None; None for a single seed.
        share: In which share of the resamples it was reached; None for a single seed.
        last: Labels of the curve's last point.
    """

    target: float
    labels: float | None
    interval: Bounds | None
    share: float | None
    last: float


@dataclass(frozen=True)
class Saving:
    """The share of random's labels that an arm does without: 1 - n_arm / n_random.

    Attributes:
        bounds: What the smoothed mean curves say: equal where both reach the score, one end None where one does.
        interval: 95 % bootstrap interval, with the same meaning of None; None for a single seed.
    """

    bounds: Bounds
    interval: Bounds | None

    @property
    def value(self) -> float | None:
        """The saving where both curves reach the score."""
        low, high = self.bounds
        return low if low == high else None

    @property
    def certain(self) -> bool:
        """Whether the whole interval is above no saving."""
        return self.interval is not None and self.interval[0] is not None and self.interval[0] > 0


def resamples(seeds: int, rng: np.random.Generator, n: int = RESAMPLES) -> Floats:
    """Return the weights of the S seeds in each resample, (B, S): S draws with replacement, over S.

    Two arms given the same weights are resampled in pairs: each seed is drawn for both or for neither.
    """
    return np.asarray(rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=n) / seeds)


def reach(curve: Curve, target: float, weights: Floats) -> Reach:
    """Return when the isotonically smoothed mean curve reaches the target, with its percentile bootstrap interval.

    A mean that is noisy crosses the target too early; the rising curve nearest to it does not follow single peaks
    (see ``isotonic``). Seeds are resampled (Efron & Tibshirani, 1993, 13.3), the curve of each resample smoothed again.

    Args:
        curve: Of one arm.
        target: A score.
        weights: (B, S) from ``resamples``.
    """
    point, drawn = _crossings(curve, target, weights)
    low, high = _percentiles(drawn, drawn)
    several = len(curve.seeds) > 1
    return Reach(
        target=target,
        labels=_known(float(point)),
        interval=(_known(low), _known(high)) if several else None,
        share=float(np.isfinite(drawn).mean()) if several else None,
        last=float(curve.labels[-1]),
    )


def saving(arm: Curve, random: Curve, target: float, weights: Floats) -> Saving:
    """Return 1 - n_arm / n_random for the labels that reach the target, with its paired bootstrap interval.

    A resample in which a curve does not reach the target has bounds in the place of a value (``saving_bounds``). The
    interval goes from the 2.5 % point of the lower to the 97.5 % point of the upper bounds, so it holds whatever would
    have happened beyond the curves (after Horowitz & Manski, 2000).

    Raises:
        ValueError: The two curves are not of the same seeds in the same order.
    """
    if arm.seeds != random.seeds:
        raise ValueError(f"the seeds {list(arm.seeds)} and {list(random.seeds)} are not paired")
    ends = float(arm.labels[-1]), float(random.labels[-1])
    (ours, our_draws), (theirs, their_draws) = (_crossings(curve, target, weights) for curve in (arm, random))
    low, high = saving_bounds(ours, theirs, *ends)
    drawn = saving_bounds(our_draws, their_draws, *ends)
    return Saving(
        bounds=_ends(float(low), float(high)),
        interval=_ends(*_percentiles(*drawn)) if len(arm.seeds) > 1 else None,
    )


def saving_bounds(arm: Floats, random: Floats, arm_end: float, random_end: float) -> tuple[Floats, Floats]:
    """Return the least and the greatest saving that the labels (...) allow; infinite ones are more than the end.

    Where both are finite the two are equal. Where random's are not, the saving is at least 1 - n_arm / random_end;
    where the arm's are not, it is at most 1 - arm_end / n_random. -inf and 1 stand for nothing known.
    """
    return 1 - arm / np.minimum(random, random_end), 1 - np.minimum(arm, arm_end) / random


def _crossings(curve: Curve, target: float, weights: Floats) -> tuple[Floats, Floats]:
    """Return the labels of the mean curve, (), and those of its resamples, (B,)."""
    return (
        labels_to(curve.labels, isotonic(curve.mean), target),
        labels_to(curve.labels, isotonic(weights @ curve.scores), target),
    )


def _ends(low: float, high: float) -> Bounds:
    """Write bounds of a saving with None for the end that nothing is known about."""
    return _known(low), None if high == 1 else high


def _percentiles(low: Floats, high: Floats, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile interval over resamples (B,), by order statistics: infinite ones cannot be averaged."""
    tail = int((1 - level) / 2 * len(low))
    return float(np.sort(low)[tail]), float(np.sort(high)[-1 - tail])


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
