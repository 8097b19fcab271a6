"""Learning curves of several seeds, as numbers.

S is the number of seeds, T that of the points of a curve; n is a number of labels. More score is better.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_SAME = 1e-9  # a score that misses the target by less misses it by rounding
Axis = Literal["linear", "log"]

AXES: Mapping[str, Callable[[Floats], Floats]] = {"linear": lambda labels: labels, "log": np.log}


@dataclass(frozen=True, eq=False)
class Curve:
    """The learning curves of one arm, one for each seed.

    Attributes:
        labels: (T,) numbers of labels, above 0 and rising.
        scores: (S, T) the score of each seed at each number of labels.
        seeds: (S,) which seeds these are; no seed twice.

    Raises:
        ValueError: The shapes do not fit, the labels do not rise from above 0, a seed is there twice, or a score is
            not finite.
    """

    labels: Floats
    scores: Floats
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.seeds or not len(self.labels) or self.scores.shape != (len(self.seeds), len(self.labels)):
            raise ValueError(
                f"{len(self.seeds)} seeds and {len(self.labels)} points have no scores of shape {self.scores.shape}"
            )
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"a seed is there twice: {list(self.seeds)}")
        if not np.isfinite(self.labels).all() or (np.diff(self.labels, prepend=0) <= 0).any():
            raise ValueError(f"the numbers of labels do not rise from above 0: {self.labels.tolist()}")
        broken = np.argwhere(~np.isfinite(self.scores))
        if len(broken):
            row, point = broken[0]
            raise ValueError(f"the score of seed {self.seeds[row]} at {self.labels[point]:g} labels is not finite")

    @property
    def mean(self) -> Floats:
        """The mean over the seeds, (T,)."""
        return np.asarray(self.scores.mean(axis=0))

    @property
    def final(self) -> Floats:
        """Each seed's score at the last point, (S,)."""
        return self.scores[:, -1]


def common(curves: Sequence[Curve]) -> list[Curve]:
    """Return the curves on the common part: from the last first point to the first last point.

    The points of all of them within that part become points of each, by linear interpolation, so that no shape is
    lost. Nothing is extrapolated.

    Raises:
        ValueError: The curves have fewer than two points in common.
    """
    start, end = max(curve.labels[0] for curve in curves), min(curve.labels[-1] for curve in curves)
    if start >= end:
        raise ValueError(
            f"curves do not overlap: the last of them starts at {start:g}, the first ends at {end:g} labels"
        )
    labels = np.unique(np.concatenate([curve.labels for curve in curves]))
    labels = labels[(labels >= start) & (labels <= end)]
    return [
        Curve(labels, np.array([np.interp(labels, curve.labels, row) for row in curve.scores]), curve.seeds)
        for curve in curves
    ]


def paired(one: Curve, other: Curve) -> tuple[Curve, Curve]:
    """Return both curves with the seeds that both have, in the same order.

    Raises:
        ValueError: They share no seed.
    """
    seeds = tuple(sorted(set(one.seeds) & set(other.seeds)))
    if not seeds:
        raise ValueError(f"the seeds {list(one.seeds)} and {list(other.seeds)} have none in common")
    first, second = (
        Curve(curve.labels, curve.scores[[curve.seeds.index(seed) for seed in seeds]], seeds) for curve in (one, other)
    )
    return first, second


def stack(curves: Sequence[Curve]) -> Curve:
    """Return the curves of single seeds as those of one arm, on their common part where their points differ."""
    first, *others = curves
    if any(not np.array_equal(first.labels, curve.labels) for curve in others):
        curves = common(curves)
    seeds = tuple(seed for curve in curves for seed in curve.seeds)
    return Curve(curves[0].labels, np.concatenate([curve.scores for curve in curves]), seeds)


def mean_interval(curve: Curve, level: float = 0.95) -> tuple[Floats, Floats | None]:
    """Return the mean curve (T,) and the low and high ends of its t interval at every point (2, T).

    The interval is about the mean over seeds, at each point by itself; with one seed there is none. Of scores between 0
    and 1 it stays between them, see ``inside``.
    """
    mean, half = t_interval(curve.scores, level)
    if half is None:
        return mean, None
    bounded = curve.scores.min() >= 0 and curve.scores.max() <= 1
    return mean, inside(mean, half) if bounded else np.stack([mean - half, mean + half])


def inside(mean: Floats, half: Floats) -> Floats:
    """Return the ends (2, T) of intervals of half-width h about means m between 0 and 1, taken on the logit scale.

    They are the logistic of logit m +- h / (m (1 - m)), the delta method (Agresti, 2013, 16.1).
    Where m is 0 or 1 all scores are, and h is 0.
    """
    from scipy.special import expit, logit

    slope = mean * (1 - mean)
    wide = np.divide(half, slope, out=np.zeros_like(mean), where=(slope > 0) & (half > 0))
    return np.stack([np.where(wide > 0, expit(logit(mean) + sign * wide), mean) for sign in (-1, 1)])


def isotonic(values: Floats) -> Floats:
    """Return the rising curve nearest to each curve by least squares: (..., T) to (..., T).

    At point t it is max over i <= t of the min over j >= t of the mean of values i..j, with equal weights (Robertson,
    Wright & Dykstra, 1988, theorem 1.4.4). O(T^2) a curve, and O(T) memory.
    """
    points = values.shape[-1]
    fitted = np.full(values.shape, -np.inf)
    for i in range(points):
        means = np.cumsum(values[..., i:], axis=-1) / np.arange(1, points - i + 1)
        least = np.minimum.accumulate(means[..., ::-1], axis=-1)[..., ::-1]
        fitted[..., i:] = np.maximum(fitted[..., i:], least)
    return fitted


def area(curve: Curve, axis: Axis = "linear") -> Floats:
    """Return each seed's normalised area under the curve, (S,): 1 / (x_T - x_0) times the integral of the score over x.

    x is n on the linear axis and log n on the log axis, where small numbers of labels count more; the integral is by
    the trapezoidal rule on that axis. It is the mean height of the curve, so it has the unit of the score, and curves
    are comparable on the same part only (see ``common``).

    Raises:
        ValueError: The curve has a single point.
    """
    if len(curve.labels) < 2:
        raise ValueError("a curve of one point has no area")
    x = AXES[axis](curve.labels)
    middles = (curve.scores[:, 1:] + curve.scores[:, :-1]) / 2
    return np.asarray(middles @ np.diff(x) / (x[-1] - x[0]))


def t_interval(values: ArrayLike, level: float = 0.95) -> tuple[Floats, Floats | None]:
    """Return the mean over the first axis and the half-width of its Student t interval (None for one value).

    The interval is mean +- t(S - 1) sd / sqrt(S), with the sd that divides by S - 1 (Student, 1908).
    """
    from scipy.special import stdtrit  # which a configuration with a rule in it need not wait for

    rows = np.asarray(values, np.float64)
    mean, n = rows.mean(axis=0), len(rows)
    if n < 2:
        return mean, None
    half = stdtrit(n - 1, (1 + level) / 2) * rows.std(axis=0, ddof=1) / np.sqrt(n)
    return mean, np.asarray(half)


def labels_to(labels: Floats, rising: Floats, target: float) -> Floats:
    """Return the n at which each rising curve first reaches the target, by linear interpolation: (..., T) to (...).

    It is the first point's n where that has reached it already (no arm buys fewer labels than its initial ones), and
    infinite where no point has.
    """
    reached = rising >= target - _SAME
    first = np.argmax(reached, axis=-1)
    before = np.maximum(first - 1, 0)
    above, below = (np.take_along_axis(rising, at[..., None], axis=-1)[..., 0] for at in (first, before))
    rise = np.where(above > below, above - below, 1.0)
    share = np.clip((target - below) / rise, 0.0, 1.0)
    n = labels[before] + np.where(first > 0, share, 0.0) * (labels[first] - labels[before])
    return np.where(reached.any(axis=-1), n, np.inf)
