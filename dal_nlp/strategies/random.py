"""Chance: the baseline that every other strategy must beat."""

import numpy as np

from dal_nlp.models.pool import Pool
from dal_nlp.strategies.base import Selection, Strategy


class Random(Strategy):
    """Every example is as likely as any other.

    Reads: nothing.
    Cost: no pass over the pool.
    Tasks: all.
    Reference: the baseline of Settles (2009), Active Learning Literature Survey.
    """

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Draw k positions without replacement; the scores are 0."""
        return Selection(rng.permutation(len(pool))[:k], np.zeros(k))
