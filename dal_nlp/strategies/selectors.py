"""How strategies choose k of N from what they measured; each is a free function of arrays and a generator."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dal_nlp.core.errors import BrokenModelError
from dal_nlp.models.vectors import EVERYTHING, Array, Dense, Positions, cuts
from dal_nlp.strategies.base import Selection
from dal_nlp.strategies.clustering import kmeans, sq_norms

Scores = NDArray[np.floating[Any]]

#: Differences in closeness below this share of the largest half squared length are rounding of float32.
ALIKE = np.float32(1e-5)

NAN = "Some scores are NaN, so nothing can be chosen by them: lower training.learning_rate."


def descending(scores: Scores, rng: np.random.Generator) -> Positions:
    """Order all positions by falling score (N,); equal scores come in the generator's order, not the file's.

    Raises:
        BrokenModelError: A score is NaN.
    """
    if np.isnan(scores).any():
        raise BrokenModelError(NAN)
    return np.lexsort((rng.permutation(len(scores)), -scores))


def top_k(scores: Scores, k: int, rng: np.random.Generator) -> Selection:
    """Choose the k largest of the scores (N,); ties and NaN as in ``descending``."""
    order = descending(scores, rng)[:k]
    return Selection(order, scores[order])


def argmax(scores: Scores, rng: np.random.Generator) -> int:
    """Return the position of the largest of the scores (N,), one of them at random where several are equal.

    Raises:
        BrokenModelError: A score is NaN.
    """
    best = np.flatnonzero(scores == scores.max())
    if not len(best):  # NaN equals nothing
        raise BrokenModelError(NAN)
    return int(best[rng.integers(len(best))])


def unit(x: Array) -> Array:
    """Scale the rows of x (N, H) to length one; rows of zeros stay. Raises as ``geometry.sq_norms``."""
    lengths: Array = np.sqrt(sq_norms(x))
    lengths[lengths == 0] = 1
    scaled: Array = x / lengths[:, None]
    return scaled


def nearest_to_centres(x: Dense, k: int, rng: np.random.Generator, weights: Array | None = None) -> Selection:
    """Cluster N vectors into k clusters by k-means and choose the one nearest to each centre.

    A row that is nearest to two centres goes to the larger cluster, the next nearest to the other. The costs are those
    of ``geometry.kmeans``, and two passes over the rows.

    Args:
        x: The rows.
        k: At most N.
        rng: Of the k-means++ start and of ties.
        weights: (N,) how much each row draws its centre; all alike if left out.

    Returns:
        Scores are the sizes of the clusters that the rows stand for, largest first.
    """
    labels, centres = kmeans(x, k, rng, weights)
    sizes = np.bincount(labels, minlength=k).astype(np.float64)
    order = descending(sizes, rng)
    nearest = _nearest_rows(x, centres)
    positions: list[int] = []
    for cluster in order:
        left = np.setdiff1d(nearest[cluster], positions)
        if not len(left):  # larger clusters have them all
            closeness = _closeness(x, EVERYTHING, centres[[cluster]])[:, 0]
            closeness[positions] = -np.inf
            left = np.flatnonzero(closeness >= closeness.max() - _rounding(x))
        positions.append(int(left[rng.integers(len(left))]))
    return Selection(np.array(positions), sizes[order])


def _nearest_rows(x: Dense, centres: Array) -> list[Positions]:
    """Return for each centre (K, H) the positions of all rows that are as near as the nearest, up to rounding.

    Two rows that make a cluster are as far from its centre, up to rounding, which a lot decides better.
    """
    blocks = list(cuts(EVERYTHING, len(x), max(len(centres), x.width)))
    # The best of each block is kept, so that few blocks are gone through again.
    best = np.stack([_closeness(x, rows, centres).max(0) for rows in blocks])
    least = best.max(0) - _rounding(x)
    members: list[list[Positions]] = [[] for _ in centres]
    for rows, tops in zip(blocks, best, strict=True):
        reached = np.flatnonzero(tops >= least)
        if len(reached):
            near = _closeness(x, rows, centres)[:, reached] >= least[reached]
            for column, cluster in enumerate(reached):
                members[cluster].append(np.flatnonzero(near[:, column]) + rows.start)
    return [np.concatenate(parts) for parts in members]


def _closeness(x: Dense, part: slice, centres: Array) -> Array:
    """Return minus half the squared distance of a part's rows to each centre (K, H), up to a constant, (M, K)."""
    closeness = [x.rows(rows) @ centres.T for rows in cuts(part, len(x), max(len(centres), x.width))]
    return np.asarray(np.concatenate(closeness) - x.sq_norms()[part, None] / 2)


def _rounding(x: Dense) -> float:
    """Return the difference in closeness that rounding can make."""
    return float(ALIKE * x.sq_norms().max() / 2)
