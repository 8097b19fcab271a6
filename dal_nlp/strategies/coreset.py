"""Core-set selection: a batch that leaves no example far from everything that is labelled."""

import numpy as np

from dal_nlp.pool import Pool
from dal_nlp.strategies.base import Selection, Strategy
from dal_nlp.strategies.choose import argmax
from dal_nlp.strategies.geometry import embeddings, nearest_sq_dists, sq_norms
from dal_nlp.vectors import Array


class Coreset(Strategy):
    """k-center greedy: each pick is the example farthest from its nearest labelled or chosen one.

    argmax_i min_{j labelled or chosen} |h_i - h_j|. The largest distance that is left is at most twice the least that
    any k picks could leave. It seeks what is far off, and so outliers too. Without labelled examples the first pick is
    drawn by lot (the bound holds whichever it is). A score is the distance at the time of the pick; for a first pick by
    lot, that of the example farthest from it.

    Reads: embedding (of the labelled examples too).
    Cost: one pass and one over the labelled examples; O(N L H) once and O(N H) a pick, N x H numbers in memory.
    Tasks: all.
    Reference: Sener and Savarese (2018), Active learning for convolutional neural networks: a core-set approach,
        algorithm 1.
    Deviations: the robust version (algorithm 2, a mixed integer program after the greedy start) is left out.
    """

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Choose the k farthest, one after the other; fewer would have been the first of these."""
        x, labelled = embeddings(pool)
        return k_center(x, labelled, k, rng)


def k_center(x: Array, centres: Array, k: int, rng: np.random.Generator) -> Selection:
    """Choose k rows of x (N, H), each the farthest from the centres (L, H) and the rows before it.

    Scores are distances. One matrix-vector product a pick; a running minimum instead of distances to all centres.

    Raises:
        BrokenModelError: A row holds NaN or infinity.
    """
    norms, nearest = sq_norms(x), nearest_sq_dists(x, centres)
    picks, scores = [], []
    for _ in range(k):
        i = argmax(nearest, rng)
        picks.append(i)
        scores.append(nearest[i])
        d = x @ x[i]
        d *= -2
        d += norms
        d += norms[i]
        np.minimum(nearest, np.maximum(d, 0, out=d), out=nearest)
        nearest[picks] = -1  # below every distance: no row comes twice
        if scores[-1] == np.inf:  # there was no centre yet
            scores[-1] = max(nearest.max(), 0)
    return Selection(np.array(picks), np.sqrt(scores))
