"""Core-set selection: a batch that leaves no example far from everything that is labeled."""

from typing import ClassVar

import numpy as np

from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import Array, Dense, full
from dal_nlp.strategies import probes
from dal_nlp.strategies.base import Selection, Strategy
from dal_nlp.strategies.clustering import check_finite, nearest_sq_dists
from dal_nlp.strategies.greedy import Nearest


class Coreset(Strategy):
    """k-center greedy: each pick is the example farthest from its nearest labeled or chosen one.

    argmax_i min_{j labeled or chosen} |h_i - h_j|. The largest distance that is left is at most twice the least that
    any k picks could leave. It seeks what is far off, and so outliers too. Without labeled examples the first pick is
    drawn at random (the bound holds for any). A score is the distance at the time of the pick; for a first pick by
    lot, that of the example farthest from it.

    Reads: embedding (of the labeled examples too).
    Cost: one pass and one over the labeled examples; O(N L H) once and O(N H) a pick, N x H numbers in memory, or in a
        file in half precision where they are many.
    Tasks: all.
    Reference: Sener and Savarese (2018), Active learning for convolutional neural networks: a core-set approach,
        algorithm 1.
    Deviations: the robust version (algorithm 2, a mixed integer program after the greedy start) is left out.
    """

    reads_states: ClassVar[bool] = True

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Choose the k farthest, one after the other; fewer would have been the first of these."""
        (x,) = pool.collect(probes.vectors)
        labeled = pool.labeled.collect(probes.vectors)[0].x if pool.has_labeled else x.x[:0]
        return k_center(x, full(labeled), k, rng)


def k_center(x: Dense, centres: Array, k: int, rng: np.random.Generator) -> Selection:
    """Choose k of N vectors, each the farthest from the centres (L, H) and the picks before it.

    Scores are distances. One matrix-vector product a pick; a running minimum instead of distances to all centres.

    Raises:
        BrokenModelError: A vector holds NaN or infinity.
    """
    check_finite(x.sq_norms())
    nearest = Nearest(x, lambda part: nearest_sq_dists(x, centres, part))
    picks, scores = [], []
    for _ in range(k):
        pick, distance = nearest.farthest(rng)
        nearest.add(pick, own=-1)  # below every distance: none comes twice
        picks.append(pick)
        # A first pick without a centre is infinitely far: the farthest from it tells how wide the pool is.
        scores.append(distance if distance < np.inf else max(nearest.farthest(rng)[1], 0))
    return Selection(np.array(picks), np.sqrt(scores))
