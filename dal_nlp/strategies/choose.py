"""How strategies choose k of N from what they measured; each is a free function of arrays and a generator."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dal_nlp.errors import BrokenModelError
from dal_nlp.strategies.base import Selection
from dal_nlp.strategies.geometry import kmeans, sq_norms
from dal_nlp.vectors import Array, Positions

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
    """Return the position of the largest of the scores (N,), one of them by lot where several are equal.

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


def nearest_to_centres(x: Array, k: int, rng: np.random.Generator, weights: Array | None = None) -> Selection:
    """Cluster x (N, H) into k clusters by k-means and choose the row nearest to each centre; O(N k H) an iteration.

    A row that is nearest to two centres goes to the larger cluster, the next nearest to the other.

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
    halves = sq_norms(x) / 2
    order = descending(sizes, rng)
    positions: list[int] = []
    for cluster in order:
        closeness = x @ centres[cluster] - halves  # minus half the squared distance, up to a constant
        closeness[positions] = -np.inf
        # Two rows that make a cluster are as far from its centre, up to rounding, which a lot decides better.
        closeness[closeness > closeness.max() - ALIKE * halves.max()] = closeness.max()
        positions.append(argmax(closeness, rng))
    return Selection(np.array(positions), sizes[order])
