"""The powered estimate: a mean over few labels, corrected by what a judge says of many texts without one.

Letters: n labeled texts with scores z in [0, 1], N texts without a label; g is a judge's expectation of z. The judge
has seen none of the n labels.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: The quantile of a 95 % interval.
Z = 1.959963984540054
#: Fewest labels that are powered: under that, lambda would be fitted to noise.
LEAST = 10
#: Resamples of a score that is no mean, and how often a row of weight 1 / n stands in each.
RESAMPLES, TIMES = 200, 4


@dataclass(frozen=True)
class Estimate:
    """An estimate of a mean.

    Attributes:
        value: Of the estimate.
        low: Of its 95 % interval.
        high: See ``low``.
        worth: How many labels of a uniform sample would say as much alone.
        trust: The lambda by which the judge counts, from 0 to 1.
    """

    value: float
    low: float
    high: float
    worth: float
    trust: float


def even_weights(n: int) -> Floats:
    """Return the weights (n,) of a uniform sample."""
    return np.full(n, 1 / max(1, n))


def trust(z: Floats, g: Floats, pool_g: Floats, weights: Floats) -> float:
    """Return lambda, the least squares coefficient of z on g, shrunk for the chance in the N, clipped to [0, 1].

    For a uniform sample it is cov(z, g) / ((1 + n / N) var g) (PPI++: Angelopoulos, Duchi & Zrnic, 2023, section 6).
    """
    centred, spread = _centred(g, pool_g, weights)
    return float(np.clip((weights**2 * centred * z).sum() / spread, 0, 1)) if spread > 0 else 0.0


def _centred(g: Floats, pool_g: Floats, weights: Floats) -> tuple[Floats, float]:
    """Return g less its mean, and the denominator of lambda; by squared weights, as variances of weighted sums are."""
    squares = weights**2
    centred = g - (squares * g).sum() / squares.sum()
    n = len(g)
    own = (squares * centred**2).sum() * n / max(1, n - 1)
    return centred, float(own + _variance(pool_g) / len(pool_g)) if own > 1e-12 else 0.0


def powered_scores(z: Floats, g: Floats, pool_g: Floats, weights: Floats | None = None) -> Floats:
    """Return a number for each label, (n,), of which the powered estimate is the mean; see ``powered_mean``."""
    lam = powered_mean(z, g, pool_g, weights).trust
    counts = np.ones(len(z)) if weights is None else weights * len(z)
    return np.asarray(counts * (z - lam * g) + lam * pool_g.mean())


def powered_mean(z: Floats, g: Floats, pool_g: Floats, weights: Floats | None = None) -> Estimate:
    """Return lambda mean_N(g) + sum w (z - lambda g) with its interval, from the variances of both parts.

    Where all z are 0 or 1 the interval is Wilson's for as many labels as the estimate is worth, so that it holds near
    0 and 1 and is the plain one where the judge tells nothing. A judge that makes the estimate worse is not heard.

    Args:
        z: (n,).
        g: (n,).
        pool_g: (N,).
        weights: (n,) adding up to 1; even ones if left out.
    """
    n = len(z)
    w = even_weights(n) if weights is None else weights
    plain = float((w * z).sum())
    spread = float((w * (z - plain) ** 2).sum()) * n / max(1, n - 1)  # of one label of a uniform sample
    alone = _sum_variance(z, w, 1)
    estimate = Estimate(plain, 0.0, 1.0, spread / alone if alone > 0 else float(1 / (w**2).sum()), 0.0)
    if n >= LEAST and len(pool_g) > 1 and spread > 0:
        lam = trust(z, g, pool_g, w)
        variance = _sum_variance(z - lam * g, w, 3) + lam**2 * _variance(pool_g) / len(pool_g)
        worth = min(spread / variance, float(n + len(pool_g))) if variance > 0 else float(n + len(pool_g))
        if lam > 0 and worth > estimate.worth:
            value = float(np.clip(lam * pool_g.mean() + (w * (z - lam * g)).sum(), 0, 1))
            estimate = Estimate(value, 0.0, 1.0, worth, lam)
    if n == 0:
        return estimate
    if np.isin(z, (0, 1)).all():
        low, high = wilson_share(estimate.value, estimate.worth)
    else:
        half = Z * math.sqrt(spread / estimate.worth) if spread > 0 else 0.0
        low, high = max(0.0, estimate.value - half), min(1.0, estimate.value + half)
    return Estimate(estimate.value, low, high, estimate.worth, estimate.trust)


def wilson_share(share: float, n: float) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share that n labels have shown, where n need not be whole."""
    centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    return (centre - half if share > 0 else 0.0), (centre + half if share < 1 else 1.0)


def _variance(values: Floats) -> float:
    return float(values.var(ddof=1)) if len(values) > 1 else 0.0


def _sum_variance(values: Floats, weights: Floats, fitted: int) -> float:
    """Return the variance of a weighted mean, allowing for so many numbers that were fitted to the same values."""
    n = len(values)
    residuals = values - (weights * values).sum()
    return float((weights**2 * residuals**2).sum()) * n / max(1, n - fitted)


def calibrated(z: Floats, g: Floats, pool_g: Floats, weights: Floats | None = None) -> Floats:
    """Return weights (n,) by which sum w z is the powered mean of z, its lambda clipped to [0, 1] as there.

    They add up to 1 and are never negative. Unclipped they would depend on no answer, as the regression estimator's;
    but a judge that few labels contradict would then count against itself.

    Args:
        z: (n,) how right each answer is.
        g: (n,).
        pool_g: (N,).
        weights: (n,) adding up to 1; even ones if left out.
    """
    w = even_weights(len(g)) if weights is None else weights
    centred, spread = _centred(g, pool_g, w)
    if spread <= 0 or len(g) < LEAST:
        return w
    lam = float((w**2 * centred * z).sum() / spread)
    heard = min(1.0, 1 / lam) if lam > 0 else 0.0
    corrected = np.maximum(w + heard * (pool_g.mean() - (w * g).sum()) * w**2 * centred / spread, 0.0)
    return np.asarray(corrected / corrected.sum())


def repeated(weights: Floats, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return ``size`` rows, each as often as its weight has it (systematic sampling)."""
    ends = np.cumsum(weights) / weights.sum()
    return np.searchsorted(ends, (rng.random() + np.arange(size)) / size).clip(0, len(weights) - 1)


def powered_score(
    score: Callable[[NDArray[np.int64]], float],
    z: Floats,
    g: Floats,
    pool_g: Floats,
    rng: np.random.Generator,
    weights: Floats | None = None,
) -> Estimate:
    """Return the estimate of a score that is no mean, such as macro F1: on rows weighed as ``calibrated`` has it.

    The interval is the bootstrap's: labels and texts are drawn again, and weighed again. ``worth`` compares its width
    with that of the same draws without a judge, which is not heard where it makes the interval wider.

    Args:
        score: Of rows 0..n-1, of which some may be there several times.
        z: (n,) how right each answer is by itself: what the judge expects.
        g: (n,).
        pool_g: (N,).
        rng: Draws.
        weights: (n,) adding up to 1; even ones if left out.
    """
    n = len(z)
    w = even_weights(n) if weights is None else weights
    value = score(repeated(calibrated(z, g, pool_g, w), TIMES * n, rng))
    drawn, alone = [], []
    error = math.sqrt(_variance(pool_g) / max(1, len(pool_g)))
    for _ in range(RESAMPLES):
        rows = rng.integers(n, size=n)
        shifted = pool_g + rng.normal(0, error)
        own = w[rows] / w[rows].sum()
        drawn.append(score(rows[repeated(calibrated(z[rows], g[rows], shifted, own), TIMES * n, rng)]))
        alone.append(score(rows[repeated(own, TIMES * n, rng)]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    left, right = np.quantile(alone, [0.025, 0.975])
    worth = n * float((right - left) / (high - low)) ** 2 if high > low else float(n)
    if worth <= n:
        return Estimate(score(repeated(w, TIMES * n, rng)), float(left), float(right), float(n), 0.0)
    return Estimate(value, float(low), float(high), worth, trust(z, g, pool_g, w))
