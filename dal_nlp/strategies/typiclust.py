"""Typical clustering: the most ordinary example of each cluster that has no label yet; made for small budgets."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import Array, Dense, Positions
from dal_nlp.strategies.base import Selection, Strategy
from dal_nlp.strategies.clustering import blocks, embeddings, kmeans, sq_dists, sq_norms
from dal_nlp.strategies.selectors import argmax, unit


@dataclass(frozen=True)
class TypiClust(Strategy):
    """One typical example a cluster, the clusters with the fewest labels and the most examples first.

    Pool and labeled examples go into min(L + k, clusters) k-means clusters of embeddings of length one; clusters of up
    to ``smallest`` are dropped. In cluster after cluster, and round again until there are k, the pick is the example of
    the largest typicality, 1 / (mean distance to its min(neighbours, n / 2) nearest in the cluster + 1e-5), n being
    the examples of the cluster that are neither labeled nor chosen. That is the score. Needs no labels, so it can
    start a run.

    Reads: embedding (of the labeled examples too).
    Cost: one pass and one over the labeled examples; O((N + L) K H) an iteration of k-means and O(n^2 H) a visited
        cluster of n, (N + L) x H numbers in memory.
    Tasks: all.
    Reference: Hacohen et al. (2022), Active learning on a budget: opposite strategies suit high and low budgets,
        section 3.
    Deviations: the paper's embeddings are self-supervised and fixed, ours are the present model's. Distances are
        Euclidean as in the paper; the authors' code averages squared ones. k-means is full at every size, theirs in
        mini-batches above 50 clusters. Where every cluster is small, or the larger ones run out, the small ones serve.

    Attributes:
        clusters: At most so many.
        smallest: Clusters of up to so many examples are dropped.
        neighbours: At most so many nearest examples make the typicality.
    """

    reads_states: ClassVar[bool] = True

    clusters: Annotated[int, Field(ge=1)] = 500
    smallest: Annotated[int, Field(ge=0)] = 5
    neighbours: Annotated[int, Field(ge=1)] = 20

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Choose k typical examples."""
        x, labeled = embeddings(pool)
        known = len(labeled)
        rows = unit(np.concatenate([x, labeled]))
        labels, _ = kmeans(Dense(rows), min(known + k, self.clusters), rng)
        order = visits(labels, len(x), self.smallest, rng)
        return typical(rows[: len(x)], labels[: len(x)], order, self.neighbours, k, rng)


def visits(labels: Positions, n: int, smallest: int, rng: np.random.Generator) -> list[list[int]]:
    """Order the clusters by rising count of labeled rows, then by falling size; equal ones at random.

    Args:
        labels: (N + L,) the cluster of each row, the labeled last.
        n: N, how many rows are not labeled.
        smallest: Clusters of up to so many rows come apart.
        rng: Of ties.

    Returns:
        The clusters of more than ``smallest`` rows, and the smaller ones, which serve when the former are used up.
    """
    sizes = np.bincount(labels)
    counts = np.bincount(labels[n:], minlength=len(sizes))
    order = np.lexsort((rng.permutation(len(sizes)), -sizes, counts))
    return [order[sizes[order] > smallest].tolist(), order[sizes[order] <= smallest].tolist()]


def typical(
    x: Array, labels: Positions, order: list[list[int]], neighbours: int, k: int, rng: np.random.Generator
) -> Selection:
    """Choose the most typical row of cluster after cluster, round after round, until there are k.

    Args:
        x: (N, H) rows.
        labels: (N,) their clusters.
        order: Groups of clusters in the order of visiting; a group is used up before the next one begins.
        neighbours: See ``typicality``.
        k: At most N.
        rng: Of ties.
    """
    members = {cluster: np.flatnonzero(labels == cluster) for group in order for cluster in group}
    picks: list[int] = []
    scores: list[float] = []
    for group in order:
        while len(picks) < k and any(len(members[cluster]) for cluster in group):
            for cluster in [cluster for cluster in group if len(members[cluster])][: k - len(picks)]:
                values = typicality(x[members[cluster]], neighbours)
                best = argmax(values, rng)
                picks.append(members[cluster][best])
                scores.append(values[best])
                members[cluster] = np.delete(members[cluster], best)
    return Selection(np.array(picks), np.array(scores))


def typicality(x: Array, neighbours: int) -> Array:
    """Return 1 / (mean distance to the min(neighbours, n / 2) nearest other rows + 1e-5) of each row of x (n, H), (n,).

    Of a pair, each is the other's neighbour; a row that is alone is at distance 0 from all there is.
    """
    count = min(neighbours, max(len(x) // 2, 1), len(x) - 1)
    if count == 0:
        return np.full(1, 1e5, dtype=x.dtype)
    centred = x - x.mean(0)  # the same distances from smaller numbers, so with smaller rounding
    norms = sq_norms(centred)
    means = np.empty(len(x), dtype=x.dtype)
    for rows in blocks(len(x), len(x)):
        d = sq_dists(centred[rows], norms[rows], centred)
        d[np.arange(len(d)), np.arange(rows.start, rows.stop)] = np.inf  # a row is no neighbour of itself
        means[rows] = np.sqrt(np.partition(d, count - 1, axis=1)[:, :count]).mean(1)
    return np.asarray(1 / (means + 1e-5), dtype=x.dtype)
