"""Distances between many rows, and k-means on them, in blocks: no array of N x N or N x L numbers is ever formed.

Letters: N rows of H numbers, L other rows (labeled examples, centres), k clusters.
"""

import math
from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array

from dal_nlp.core.errors import BrokenModelError
from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import EVERYTHING, Array, Dense, Positions, cuts
from dal_nlp.strategies import probes

#: Numbers in a block of distances: 8 MB, which the processor's cache holds.
BLOCK = 2**21
#: k-means draws its starts among at most so many rows (10 k, if that is more): they need not be the best there are.
STARTS = 20_000
#: k-means finds its centres with at most so many rows (1,000 k, if that is more), a hundred passes over which are a
#: few over millions.
LEARNT = 100_000


def blocks(n: int, width: int) -> Iterator[slice]:
    """Cut 0..n-1 into slices of about ``BLOCK / width`` rows, for blocks of ``width`` columns."""
    step = max(BLOCK // max(width, 1), 1)
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def sq_norms(x: Array) -> Array:
    """Return the squared lengths of the rows of x (N, H), (N,).

    Raises:
        BrokenModelError: A row holds NaN or infinity.
    """
    norms: Array = np.einsum("nh,nh->n", x, x)
    check_finite(norms)
    return norms


def check_finite(norms: Array) -> None:
    """Raise ``BrokenModelError`` where a squared length (N,) is NaN or infinite."""
    if not np.isfinite(norms).all():
        raise BrokenModelError(
            "Some embeddings are not finite, so they cannot be compared: lower training.learning_rate or use "
            "training.precision no."
        )


def sq_dists(x: Array, norms: Array, y: Array) -> Array:
    """Return the squared distances of every row of x (N, H) to every row of y (M, H), (N, M), at least 0.

    Args:
        x: The rows.
        norms: Their ``sq_norms``, which callers keep.
        y: Few rows: the result is not cut into blocks.
    """
    d: Array = x @ y.T
    d *= -2
    d += norms[:, None]
    d += np.einsum("mh,mh->m", y, y)
    np.maximum(d, 0, out=d)
    return d


def nearest_sq_dists(x: Dense, y: Array, part: slice = EVERYTHING) -> Array:
    """Return the squared distance of each vector of a part to the nearest row of y (L, H), (M,); infinity without y.

    Raises:
        BrokenModelError: A vector holds NaN or infinity.
    """
    norms = x.sq_norms()
    check_finite(norms)
    nearest = np.full(len(norms[part]), np.inf, dtype=norms.dtype)
    if len(y):
        for rows in cuts(part, len(x), max(len(y), x.width)):
            nearest[rows.start - (part.start or 0) : rows.stop - (part.start or 0)] = sq_dists(
                x.rows(rows), norms[rows], y
            ).min(1)
    return nearest


def embeddings(pool: Pool) -> tuple[Array, Array]:
    """Return the embeddings of the pool (N, H) and of the labeled examples (L, H), of which there may be none."""
    (x,) = pool.collect(probes.embedding)
    if not pool.has_labeled:
        return x, x[:0]
    (labeled,) = pool.labeled.collect(probes.embedding)
    return x, labeled


def kmeans(
    x: Dense, k: int, rng: np.random.Generator, weights: Array | None = None, iterations: int = 100
) -> tuple[Positions, Array]:
    """Cluster N vectors by Lloyd's algorithm from a k-means++ start.

    It ends when an iteration moves no more than one row in a thousand to another cluster. Of more than ``LEARNT`` rows
    (or 1,000 k) so many, drawn at random, find the centres, to which all rows are assigned then. O(N k H) time once and
    for each of at most ``LEARNT`` rows O(k H) an iteration; O(N + k H) memory. (scikit-learn's start computes in double
    precision, at ten times the cost.)

    Args:
        x: The rows.
        k: At most N.
        rng: Of the start, and of the rows that find the centres.
        weights: (N,) at least 0 and not all 0; how much each row counts. All alike if left out.
        iterations: At most so many.

    Returns:
        The cluster of each row, (N,), 0..k-1, some of which may be empty where rows are equal; the centres, (k, H).

    Raises:
        BrokenModelError: A row holds NaN or infinity.
    """
    check_finite(x.sq_norms())
    weights = np.ones(len(x), dtype=np.float32) if weights is None else weights.astype(np.float32)
    order = rng.permutation(len(x))
    most = max(LEARNT, 1000 * k)
    some = np.sort(order[:most]) if len(x) > most else None
    rows = x if some is None else Dense(x.rows(some))
    starts = order[: max(STARTS, 10 * k)] if some is None else rng.permutation(len(some))[: max(STARTS, 10 * k)]
    vectors = rows.rows(starts)
    counts = weights if some is None else weights[some]
    centres = vectors[_plus_plus(vectors, k, counts[starts], rng)]
    labels, centres = _lloyd(rows, centres, counts, iterations)
    return (labels if some is None else _assign(x, centres)), centres


def _lloyd(x: Dense, centres: Array, weights: Array, iterations: int) -> tuple[Positions, Array]:
    """Move centres to the means of their rows, again and again; return the cluster of each row and the centres."""
    labels = _assign(x, centres)
    for _ in range(iterations):
        centres = _means(x, labels, weights, centres)
        before, labels = labels, _assign(x, centres)
        if np.count_nonzero(labels != before) <= len(x) // 1000:
            break
    return labels, centres


def _plus_plus(x: Array, k: int, weights: Array, rng: np.random.Generator) -> Positions:
    """Draw k starts by D^2 sampling, each the best of 2 + log k draws (Arthur and Vassilvitskii, 2007, section 5)."""
    norms, trials = sq_norms(x), 2 + int(math.log(k))
    picks = [_draw(weights, 1, rng)[0]]
    nearest = sq_dists(x, norms, x[picks])[:, 0]
    while len(picks) < k:
        drawn = _draw(nearest * weights, trials, rng)
        tried = np.minimum(sq_dists(x, norms, x[drawn]), nearest[:, None])
        best = int((weights @ tried).argmin())
        nearest = tried[:, best]
        nearest[drawn[best]] = 0
        picks.append(drawn[best])
    return np.array(picks)


def _draw(weights: Array, n: int, rng: np.random.Generator) -> Positions:
    """Draw n positions in proportion to the weights, evenly where all are 0."""
    cdf = np.cumsum(weights, dtype=np.float64)
    if cdf[-1] == 0:
        return rng.integers(len(weights), size=n)
    return np.asarray(np.searchsorted(cdf, rng.random(n) * cdf[-1], side="right"))


def _assign(x: Dense, centres: Array) -> Positions:
    """Return the nearest centre of each row, (N,)."""
    labels = np.empty(len(x), dtype=np.int64)
    halves = np.einsum("kh,kh->k", centres, centres) / 2
    for rows in cuts(EVERYTHING, len(x), max(x.width, len(centres))):
        labels[rows] = (x.rows(rows) @ centres.T - halves).argmax(1)
    return labels


def _means(x: Dense, labels: Positions, weights: Array, centres: Array) -> Array:
    """Return the weighted mean of each cluster, (k, H); a cluster without weight keeps its centre."""
    sums = np.zeros(centres.shape)
    for rows in cuts(EVERYTHING, len(x), x.width):
        columns = np.arange(rows.stop - rows.start)
        belonging = csr_array((weights[rows], (labels[rows], columns)), shape=(len(centres), len(columns)))
        sums += belonging @ x.rows(rows)  # a sum by group: numpy alone would need a sort or a dense one-hot matrix
    totals = np.bincount(labels, weights=weights, minlength=len(centres)).astype(np.float64)
    filled = totals > 0
    means = centres.copy()
    means[filled] = sums[filled] / totals[filled, None]
    return means
