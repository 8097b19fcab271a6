"""Strategies that are a score an example: which ones are chosen follows from the scores alone."""

from abc import abstractmethod

import numpy as np

from dal_nlp.models.pool import Pool
from dal_nlp.strategies.base import Selection, Strategy
from dal_nlp.strategies.selectors import Scores, top_k


class Scored(Strategy):
    """Chooses the k largest scores. ``stochastic:NAME`` samples by the same scores instead."""

    @abstractmethod
    def scores(self, pool: Pool, rng: np.random.Generator) -> Scores:
        """Return a score for each example, (N,), the larger the better; ``rng`` is for estimates by sampling."""

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Choose the k largest scores."""
        return top_k(self.scores(pool, rng), k, rng)
