"""Probability coverage: the fewest balls that cover the pool; made for small budgets."""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import Array, Dense, Positions
from dal_nlp.strategies.base import Selection, Strategy
from dal_nlp.strategies.clustering import BLOCK, blocks, embeddings, kmeans, nearest_sq_dists, sq_dists, sq_norms
from dal_nlp.strategies.selectors import argmax, unit

#: Rows of the pool at which the purity of balls is measured.
ANCHORS = 2000


@dataclass(frozen=True)
class ProbCover(Strategy):
    """Greedy covering: each pick is the example with the most uncovered examples closer than delta.

    Embeddings have length one. An example is covered when a labeled or chosen one is closer than delta. Greedy covers
    at least 1 - 1/e of what the best k balls could. Once all is covered, the rest is drawn at random. A score is the
    number of examples newly covered. Needs no labels, so it can start a run.

    delta is the largest radius at which a share ``purity`` of balls is pure: all of one k-means cluster, which stands
    for the class. A ball is pure up to the nearest example of another cluster, so delta is a quantile of these
    distances, taken at 2,000 examples drawn at random.

    Reads: embedding (of the labeled examples too).
    Cost: one pass and one over the labeled examples; O(N^2 H) time: every pair once to begin with, and once more what
        gets covered. The graph is never stored: N x H numbers in memory.
    Tasks: all.
    Reference: Yehuda et al. (2022), Active learning through a covering lens, algorithm 1 and section 3.2.
    Deviations: the paper's embeddings are self-supervised and fixed, ours are the present model's, so delta is chosen
        anew each round. Nothing is left out; the authors' code drops up to 499 rows, and where all is covered it takes
        the first ones of the file.

    Attributes:
        delta: The radius; chosen by purity if left out.
        purity: The share of pure balls.
        clusters: k-means clusters that stand for classes; the number of classes, if it is known.
    """

    reads_states: ClassVar[bool] = True

    delta: Annotated[float, Field(gt=0)] | None = None
    purity: Annotated[float, Field(gt=0, le=1)] = 0.95
    clusters: Annotated[int, Field(ge=2)] = 10

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Choose the k largest balls, one after the other."""
        x, labeled = embeddings(pool)
        x = unit(x)
        delta = self.delta
        if delta is None:
            labels, _ = kmeans(Dense(x), min(self.clusters, len(x)), rng)
            delta = pure_radius(x, labels, self.purity, rng)
        return cover(x, unit(labeled), delta, k, rng)


def pure_radius(x: Array, labels: Positions, purity: float, rng: np.random.Generator) -> float:
    """Return the largest radius at which at least a share ``purity`` of open balls holds rows of one cluster only.

    Args:
        x: (N, H) rows.
        labels: (N,) their clusters; with only one, every ball is pure and the radius infinite.
        purity: Above 0, at most 1.
        rng: Of the rows at which balls are looked at, where there are more than ``ANCHORS``.
    """
    drawn = rng.permutation(len(x))[:ANCHORS]
    anchors, theirs = x[drawn], labels[drawn]
    norms = sq_norms(anchors)
    to_other = np.full(len(anchors), np.inf, dtype=x.dtype)
    for rows in blocks(len(x), len(anchors)):
        d = sq_dists(anchors, norms, x[rows])
        d[theirs[:, None] == labels[rows]] = np.inf
        np.minimum(to_other, d.min(1), out=to_other)
    impure = int(np.floor((1 - purity) * len(anchors) + 1e-9))  # so many balls may be impure
    return float(np.sqrt(np.partition(to_other, impure)[impure]))


def cover(x: Array, labeled: Array, delta: float, k: int, rng: np.random.Generator) -> Selection:
    """Choose k rows of x (N, H), each with the most rows within delta that no labeled row and no earlier pick covers.

    Scores are these numbers of rows. Raises ``BrokenModelError`` on NaN or infinity in a row.
    """
    norms, limit = sq_norms(x), delta**2
    covered = nearest_sq_dists(Dense(x), labeled) < limit
    degrees = _count(x, norms, limit)
    _discount(degrees, x, norms, np.flatnonzero(covered), limit)
    picks: list[int] = []
    scores = []
    for _ in range(k):
        if covered.all():
            degrees[:] = 0  # exactly, as two products may round the same distance to either side of the limit
        degrees[picks] = -1
        i = argmax(degrees, rng)
        near = sq_dists(x[i : i + 1], norms[i : i + 1], x)[0] < limit
        near[i] = True
        new = np.flatnonzero(near & ~covered)
        _discount(degrees, x, norms, new, limit)
        covered |= near
        picks.append(i)
        scores.append(len(new))
    return Selection(np.array(picks), np.array(scores, dtype=np.float64))


def _tiles(n: int) -> list[slice]:
    """Cut 0..n-1 so that the distances between two slices make a block."""
    return list(blocks(n, math.isqrt(BLOCK)))


def _count(x: Array, norms: Array, limit: float) -> NDArray[np.float64]:
    """Return how many rows lie within the limit (a squared distance) of each row, (N,); each pair is compared once."""
    degrees = np.zeros(len(x))
    tiles = _tiles(len(x))
    for j, rows in enumerate(tiles):
        for others in tiles[j:]:
            near = sq_dists(x[rows], norms[rows], x[others]) < limit
            degrees[rows] += np.count_nonzero(near, axis=1)
            if others != rows:
                degrees[others] += np.count_nonzero(near, axis=0)
    return degrees


def _discount(degrees: NDArray[np.float64], x: Array, norms: Array, covered: Positions, limit: float) -> None:
    """Take newly covered rows (M,) out of the degrees of all rows within the limit, in place."""
    for part in _tiles(len(covered)):
        y = x[covered[part]]
        for rows in _tiles(len(x)):
            degrees[rows] -= np.count_nonzero(sq_dists(x[rows], norms[rows], y) < limit, axis=1)
