"""Diversity of gradients: a batch of examples that would each teach the output layer much, and not the same."""

import numpy as np

from dal_nlp.core.errors import BrokenModelError
from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import Vectors
from dal_nlp.strategies import probes
from dal_nlp.strategies.base import Selection, Strategy
from dal_nlp.strategies.greedy import Nearest
from dal_nlp.strategies.selectors import top_k


class Badge(Strategy):
    """k-means++ seeding over the gradients that the output layer would get from the most likely outcome.

    g(x) = d(-log p(best | x)) / dW: long where the model is unsure, and its direction tells what would be learnt. The
    first pick has the longest g; each further one is drawn with a probability proportional to D^2, its squared distance
    to the nearest pick so far. Once all of the pool lies on picks (saturated predictions, duplicates), the rest is
    drawn evenly. A score is D^2 at the time of the pick, for the first its squared norm.

    Reads: gradient.
    Cost: one pass, O(k N (C + H)) time, N x (C + H) numbers in memory: the C x H gradient is never formed.
    Tasks: all; the paper has classification.
    Reference: Ash et al. (2020), Deep batch active learning by diverse, uncertain gradient lower bounds, algorithm 1.
    Deviations: k-means++ draws its first centre evenly; like the authors' code this takes the longest gradient.
        The layer's bias is left out of the gradient.
    """

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Draw k positions; fewer would have been the first of these."""
        (gradients,) = pool.collect(probes.gradient)
        return kmeans_pp(gradients, k, rng)


def kmeans_pp(vectors: Vectors, k: int, rng: np.random.Generator) -> Selection:
    """Draw k of N vectors by D^2 sampling from the longest on; scores are D^2 (Arthur and Vassilvitskii, 2007).

    Raises:
        BrokenModelError: A vector holds NaN or infinity.
    """
    norms = vectors.sq_norms()
    if not np.isfinite(norms).all():
        raise BrokenModelError(
            "Some gradients are not finite, so they cannot be compared: lower training.learning_rate."
        )
    first = top_k(norms, 1, rng)
    picks, scores = [int(first.positions[0])], [float(first.scores[0])]
    nearest = Nearest(vectors)
    for _ in range(k - 1):
        nearest.add(picks[-1], own=0)  # exactly, or a pick could come twice
        pick, distance = nearest.draw(rng)
        picks.append(pick)
        scores.append(distance)
    return Selection(np.array(picks), np.array(scores))
