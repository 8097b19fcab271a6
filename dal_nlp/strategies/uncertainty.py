"""Uncertainty sampling: the k examples about which one prediction is least sure."""

import numpy as np

from dal_nlp.models.pool import Pool
from dal_nlp.strategies import probes
from dal_nlp.strategies.scored import Scored
from dal_nlp.strategies.selectors import Scores


class LeastConfidence(Scored):
    """The smallest probability of the most likely outcome: 1 - p_max.

    Reads: log_probs.
    Cost: one pass, O(N C).
    Tasks: all.
    Reference: Lewis and Gale (1994), A sequential algorithm for training text classifiers.
    """

    def scores(self, pool: Pool, rng: np.random.Generator) -> Scores:
        """Return 1 - p_max, (N,)."""
        (scores,) = pool.collect(probes.least_confidence)
        return np.asarray(scores)


class Margin(Scored):
    """The smallest gap between the two most likely outcomes: 1 - (p_1 - p_2).

    Reads: log_probs.
    Cost: one pass, O(N C).
    Tasks: all.
    Reference: Luo et al. (2005), Active learning to recognize multiple types of plankton, "breaking ties".
    """

    def scores(self, pool: Pool, rng: np.random.Generator) -> Scores:
        """Return 1 - (p_1 - p_2), (N,)."""
        (scores,) = pool.collect(probes.margin)
        return np.asarray(scores)


class Entropy(Scored):
    """The largest entropy of the prediction: - sum_c p_c log p_c, in nats.

    Reads: log_probs.
    Cost: one pass, O(N C).
    Tasks: all.
    Reference: Settles (2009), Active Learning Literature Survey, section 3.1.
    """

    def scores(self, pool: Pool, rng: np.random.Generator) -> Scores:
        """Return the entropies, (N,)."""
        (scores,) = pool.collect(probes.entropy)
        return np.asarray(scores)
