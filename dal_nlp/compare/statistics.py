"""Is an arm better than random on the same seeds? Paired tests, and what so few seeds cannot show.

An arm is a strategy; a pair is one seed, of which both arms share the initial labels, the training order and the test
set. Tests are two-sided. Differences are arm - random, so a positive one speaks for the arm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr

from dal_nlp.report.learning_curves import t_interval

Floats = NDArray[np.float64]

LEVEL = 0.05  # a smaller p, after correction, counts as beyond noise
_DIGITS = 12  # differences that agree to so many decimals are equal, but for rounding


@dataclass(frozen=True)
class PairedTest:
    """One arm against random; p values as the tests give them, and after Holm's correction over the arms.

    Attributes:
        pairs: Number of seeds S.
        difference: Mean of arm - random.
        interval: 95 % t interval of the difference; None for one pair.
        t: p of the paired t test; None for one pair.
        wilcoxon: p of the exact Wilcoxon signed-rank test.
        holm_t: t, corrected; None for one pair.
        holm: wilcoxon, corrected.
    """

    pairs: int
    difference: float
    interval: tuple[float, float] | None
    t: float | None
    wilcoxon: float
    holm_t: float | None
    holm: float

    @property
    def better(self) -> bool:
        """Whether the arm is better than random beyond noise."""
        return self.difference > 0 and self.holm < LEVEL

    @property
    def worse(self) -> bool:
        """Whether the arm is worse than random beyond noise."""
        return self.difference < 0 and self.holm < LEVEL


def against_random(pairs: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> dict[str, PairedTest]:
    """Test every arm against random, with Holm's correction over the arms.

    Args:
        pairs: For each arm its values (S,) and those of random on the same seeds (S,), such as areas under the curve
            or final scores. S may differ between arms.

    Raises:
        ValueError: Two that belong together differ in length, are empty or hold a number that is not finite.
    """
    differences = {name: _differences(arm, random) for name, (arm, random) in pairs.items()}
    wilcoxons = [wilcoxon(d) for d in differences.values()]
    ts = [paired_t(d) for d in differences.values()]
    tested = iter(holm([p for p in ts if p is not None]))
    tests = {}
    for (name, d), t, exact, corrected in zip(differences.items(), ts, wilcoxons, holm(wilcoxons), strict=True):
        mean, half = t_interval(d)
        tests[name] = PairedTest(
            pairs=len(d),
            difference=float(mean),
            interval=None if half is None else (float(mean - half), float(mean + half)),
            t=t,
            wilcoxon=exact,
            holm_t=None if t is None else next(tested),
            holm=corrected,
        )
    return tests


def paired_t(differences: ArrayLike) -> float | None:
    """Return the two-sided p of the mean difference being 0 (Student, 1908); None for fewer than two.

    Differences that are all the same have no spread: p is 1 where they are 0, and else 0.
    """
    d = np.round(np.asarray(differences, np.float64), _DIGITS)
    if len(d) < 2:
        return None
    error = d.std(ddof=1) / np.sqrt(len(d))
    if np.ptp(d) == 0:
        return float(d[0] == 0)
    return float(2 * stdtr(len(d) - 1, -abs(d.mean() / error)))


def wilcoxon(differences: ArrayLike) -> float:
    """Return the exact two-sided p of the signed-rank test (Wilcoxon, 1945); 1 where every difference is 0.

    Differences of 0 are left out. Equal ones share their mean rank, and p is counted over all 2^n signs of the ranks
    as they are (Pratt & Gibbons, 1981, chapter 3), so ties need no approximation. O(n^3).
    """
    d = np.round(np.asarray(differences, np.float64), _DIGITS)
    d = d[d != 0]
    _, inverse, ties = np.unique(np.abs(d), return_inverse=True, return_counts=True)
    doubled = (2 * np.cumsum(ties) - ties + 1)[inverse]  # twice the mean ranks, which are whole or half numbers
    chances = np.ones(1)  # of each sum of the doubled ranks with a positive sign
    for rank in doubled:
        still = np.pad(chances, (0, rank))
        chances = (still + np.roll(still, rank)) / 2
    observed = doubled[d > 0].sum()
    return float(min(1.0, 2 * min(chances[: observed + 1].sum(), chances[observed:].sum())))


def holm(ps: Sequence[float]) -> list[float]:
    """Return the p values corrected for being several, in their order (Holm, 1979): the i-th smallest times m - i + 1.

    A corrected p is never below that of a smaller p, and never above 1. The chance of any false finding among the m
    tests, whatever their dependence, is then below the level at which the corrected p is read.
    """
    order = np.argsort(ps, kind="stable")
    scaled = np.asarray(ps, np.float64)[order] * np.arange(len(ps), 0, -1)
    corrected = np.empty(len(ps))
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return corrected.tolist()


def least_p(seeds: int, arms: int = 1) -> float:
    """Return the smallest p that the Wilcoxon test can give: all differences on one side, arms x 2 / 2^seeds.

    With several arms it is the smallest one after Holm's correction.
    """
    return min(1.0, arms * 2.0 ** (1 - seeds))


def too_few(seeds: int, arms: int = 1) -> str:
    """Say that so few seeds cannot reach the level whatever the scores, and how many can; "" where they can."""
    least = least_p(seeds, arms)
    if least < LEVEL:
        return ""
    needed = next(n for n in count(seeds + 1) if least_p(n, arms) < LEVEL)
    corrected = f" with Holm's correction over {arms} arms" if arms > 1 else ""
    return (
        f"{seeds} {'seeds' if seeds > 1 else 'seed'} cannot reach p < {LEVEL:g} in a Wilcoxon test{corrected}, "
        f"whatever the scores: the smallest p is {least:.2g}; {needed} seeds can."
    )


def _differences(arm: ArrayLike, random: ArrayLike) -> Floats:
    left, right = np.asarray(arm, np.float64), np.asarray(random, np.float64)
    if left.shape != right.shape or left.ndim != 1 or not len(left):
        raise ValueError(f"values of shape {left.shape} and {right.shape} are no pairs")
    differences = left - right
    if not np.isfinite(differences).all():
        raise ValueError("a value to be tested is not finite")
    return differences
