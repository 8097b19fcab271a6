"""Bounds that hold with a chance, and the threshold under which a machine may answer."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

Floats = NDArray[np.float64]

#: The chance that a bound does not hold.
RISK = 0.05
#: Means that are tried as bounds in betting.
GRID = 1000


@lru_cache(4096)
def binomial_upper(errors: int, n: int, risk: float = RISK) -> float:
    """Return the exact upper bound of a share of which n draws have shown so many (Clopper & Pearson, 1934)."""
    return 1.0 if errors >= n else float(beta.ppf(1 - risk, errors + 1, n - errors))


def betting_upper(values: Floats, most: float, risk: float = RISK) -> float:
    """Return an upper bound of the mean of values in [0, most], by betting (Waudby-Smith & Ramdas, 2024, theorem 3).

    For each mean m the wealth of a player who bets on the mean being lower is a martingale if m is the mean, so that it
    grows to 1 / risk with a chance of ``risk`` at most; the bound is the largest m at which it has not. The bets are
    the predictable plug-in ones, and depend on the values' order, which has to be one of chance.

    Args:
        values: (n,) drawn apart from each other.
        most: The largest that a value can be.
        risk: The chance that the bound does not hold.
    """
    x = np.asarray(values, np.float64) / most
    n = len(x)
    if not n:
        return most
    counts = np.arange(1, n + 1)
    means = (0.5 + np.cumsum(x)) / (counts + 1)
    squares = np.concatenate([[0.0], np.cumsum((x - means) ** 2)[:-1]])  # of the values before each
    bets = np.sqrt(2 * math.log(1 / risk) * counts / (n * (0.25 + squares)))
    grid = np.linspace(0, 1, GRID + 1)[1:]
    logs, best = np.zeros(GRID), np.zeros(GRID)
    for value, bet in zip(x, bets, strict=True):
        stake = np.minimum(bet, 0.75 / (1 - grid + 1e-12))
        logs += np.log1p(-stake * (value - grid))
        np.maximum(best, logs, out=best)
    alive = np.flatnonzero(best < math.log(1 / risk))
    return float(grid[alive[-1]] * most) if len(alive) else float(grid[0] * most)


def least_answers(error: float, risk: float = RISK) -> int:
    """Return how many known answers without a mistake it takes to guarantee an error: 59 for .05, with 95 %."""
    return math.ceil(math.log(risk) / math.log1p(-error))


@dataclass(frozen=True)
class Cut:
    """What a threshold is worth.

    Attributes:
        threshold: Texts of less than this uncertainty get the machine's answer: -inf where none may, inf where all.
        bound: The upper bound of the whole file's error that goes with it.
        share: Of the draws that lie under it.
    """

    threshold: float
    bound: float
    share: float


def largest_cut(
    uncertainty: Floats, wrong: NDArray[np.bool_], error: float, upper: Callable[[NDArray[np.bool_]], float]
) -> Cut:
    """Return the largest threshold such that every t below it has an upper bound of at most ``error``.

    The bound is one of mean(1[wrong] 1[u <= t]) over the file; as that only grows with t, all thresholds can be tested
    from the smallest up at the full risk (PAC labels: Candes, Ilyas & Zrnic, 2025).

    Args:
        uncertainty: (m,) of the draws.
        wrong: (m,) whether the machine is wrong there.
        error: Most share of wrong answers in the whole file.
        upper: Gives the bound, of which draws (m,) are wrong and get the machine's answer.
    """
    nothing = np.zeros(len(wrong), dtype=bool)
    best = Cut(-math.inf, upper(nothing), 0.0)
    if best.bound > error:
        return best
    for t in np.unique(uncertainty):
        bound = upper(wrong & (uncertainty <= t))
        if bound > error:
            return Cut(float(t), best.bound, float((uncertainty < t).mean()))
        best = Cut(math.inf, bound, 1.0)
    return best


@dataclass(frozen=True)
class Route:
    """Who answers where there are a cheap machine and a dear one.

    Attributes:
        cheap: Texts of which the cheap machine is less uncertain than this get its answer.
        dear: Of the others, those of which the dear machine is less uncertain than this get its answer, and people
            answer the rest; -inf where the dear machine is not asked.
        bound: The upper bound of the whole file's error that goes with it.
        cost: Of a text of the file, as the draws have it.
    """

    cheap: float
    dear: float
    bound: float
    cost: float


def cheapest_route(
    uncertainty: tuple[Floats, Floats],
    wrong: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    error: float,
    starts: Sequence[float],
    prices: tuple[float, float],
    mass: Floats,
    upper: Callable[[NDArray[np.bool_], float], float],
) -> Route:
    """Return the cheapest pair of thresholds whose error has an upper bound of at most ``error``.

    This is HyPAC (Zeng et al., 2026) but for the uncertainty, of which it has one for both machines. With the cheap
    machine's threshold fixed, the error only grows with the dear one's, so that all of these are tested from the
    smallest up, as in ``largest_cut``. The cheap one's may be one of a few that no answer of people has
    chosen, or any where the dear machine is not asked: each of these families takes its part of the risk, so that the
    cheapest of all may be chosen.

    Args:
        uncertainty: Of the cheap and the dear machine, each (m,) of the draws.
        wrong: Whether they are wrong there.
        error: Most share of wrong answers in the whole file.
        starts: Thresholds of the cheap machine that are tried; -inf is one where all texts are put to the dear one.
        prices: Of an answer of the dear machine and of people.
        mass: (m,) the share of the file that each draw stands for.
        upper: Gives the bound by which draws (m,) are wrong and get a machine's answer, and the risk.
    """
    (first, second), (first_wrong, second_wrong), (dear, people) = uncertainty, wrong, prices
    risk = RISK / (len(starts) + 1)
    alone = largest_cut(first, first_wrong, error, lambda errors: upper(errors, risk))
    best = Route(alone.threshold, -math.inf, alone.bound, people * float(mass[first >= alone.threshold].sum()))
    for start in starts:
        left = first >= start
        u, w = np.where(left, second, -math.inf), np.where(left, second_wrong, first_wrong)
        cut = largest_cut(u, w, error, lambda errors: upper(errors, risk))
        if cut.threshold == -math.inf:
            continue  # not even the cheap machine's part is bounded
        cost = dear * float(mass[left].sum()) + people * float(mass[u >= cut.threshold].sum())
        if cost < best.cost:
            best = Route(start, cut.threshold, cut.bound, cost)
    return best
