"""Cluster-margin: examples of small margin, taken in turn from clusters of the pool."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import Array, Dense, Positions
from dal_nlp.strategies import probes
from dal_nlp.strategies.base import Selection, Strategy
from dal_nlp.strategies.clustering import kmeans, sq_dists, sq_norms
from dal_nlp.strategies.selectors import top_k, unit

#: Up to so many rows are clustered one by one; of more, k-means makes so many groups first (or 2 k, if that is more).
LEAVES = 1000


@dataclass(frozen=True)
class ClusterMargin(Strategy):
    """The ``beta`` k smallest margins, then k of these by turns from clusters, the smallest cluster first.

    The pool is clustered by average linkage. Of each cluster only the candidates count; each turn takes one at random
    from every cluster that has any left, in rising order of how many candidates it has, so that rare kinds come first.
    A score is the uncertainty 1 - (p_1 - p_2).

    Reads: embedding, log_probs.
    Cost: one pass; ten iterations of k-means with M = max(1000, 2 k) clusters, O(N M H) each, and O(M^3) simple steps
        for the linkage. N x H and M x M numbers in memory.
    Tasks: all.
    Reference: Citovsky et al. (2021), Batch active learning at scale, algorithms 1 and 2.
    Deviations: average linkage of N examples takes N^2 memory, so in pools of more than M examples it joins M k-means
        clusters, each at its centre and with its size as weight (up to M examples it is exact). The tree is cut at a
        number of clusters, the larger of k and M / 10, not at a distance that would have to be tuned. The pool is
        clustered each round with the present model, in the paper once.

    Attributes:
        beta: Candidates for each pick.
    """

    reads_states: ClassVar[bool] = True

    beta: Annotated[float, Field(ge=1)] = 10

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Choose k of the candidates by turns."""
        x, margins = pool.collect(probes.embedding, probes.margin)
        candidates = top_k(margins, min(round(self.beta * k), len(x)), rng).positions
        positions = by_turns(clusters(unit(x), k, rng)[candidates], k, rng)
        return Selection(candidates[positions], margins[candidates[positions]])


def clusters(x: Array, k: int, rng: np.random.Generator) -> Positions:
    """Return the average-linkage cluster of each row of x (N, H), (N,); see the deviations of ``ClusterMargin``."""
    leaves = min(len(x), max(LEAVES, 2 * k))
    groups, centres = (np.arange(len(x)), x) if leaves == len(x) else kmeans(Dense(x), leaves, rng, iterations=10)
    sizes = np.bincount(groups, minlength=leaves)
    distances = np.sqrt(sq_dists(centres, sq_norms(centres), centres))
    return average_linkage(distances, sizes, max(k, leaves // 10))[groups]


def average_linkage(distances: Array, sizes: NDArray[np.int64], n: int) -> Positions:
    """Join the nearest two of M groups until n are left; return the cluster 0..n-1 of each group, (M,).

    The distance of a union to a third group is the mean of its parts' distances, weighted by their sizes.

    Args:
        distances: (M, M), symmetric; changed in place.
        sizes: (M,) rows in each group; a group of none joins without weight.
        n: At most M.
    """
    np.fill_diagonal(distances, np.inf)
    weights = np.maximum(sizes, 1e-9)
    labels = np.arange(len(sizes))
    for _ in range(len(sizes) - n):
        a, b = divmod(int(distances.argmin()), len(sizes))
        share = weights[a] / (weights[a] + weights[b])
        joined = share * distances[a] + (1 - share) * distances[b]
        joined[[a, b]] = np.inf
        distances[a], distances[:, a] = joined, joined
        distances[b], distances[:, b] = np.inf, np.inf
        weights[a] += weights[b]
        labels[labels == b] = a
    return np.unique(labels, return_inverse=True)[1]


def by_turns(labels: Positions, k: int, rng: np.random.Generator) -> Positions:
    """Choose k of the positions 0..M-1, one at random from each cluster in turn, the smallest cluster first, (k,)."""
    shuffled = rng.permutation(len(labels))
    _, of, sizes = np.unique(labels[shuffled], return_inverse=True, return_counts=True)
    # The turn in which a candidate comes is its place among those of its cluster, which are in random order.
    turns = np.empty(len(labels), dtype=np.int64)
    grouped = np.argsort(of, kind="stable")
    turns[grouped] = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    rank = np.lexsort((rng.permutation(len(sizes)), sizes)).argsort()  # of each cluster by size, ties at random
    return shuffled[np.lexsort((rank[of], turns))[:k]]
