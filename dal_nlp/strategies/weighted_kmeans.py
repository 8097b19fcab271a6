"""Uncertainty-weighted k-means: representatives of the uncertain part of the pool."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import Array, Dense
from dal_nlp.strategies import probes
from dal_nlp.strategies.base import Selection, Strategy
from dal_nlp.strategies.selectors import Scores, nearest_to_centres, top_k, unit


@dataclass(frozen=True)
class WeightedKMeans(Strategy):
    """The ``beta`` k most uncertain examples in k clusters, weighted by uncertainty; the nearest one to each centre.

    The uncertainty is 1 - (p_1 - p_2). Embeddings are scaled to length one. A score is the number of candidates in the
    cluster that the pick stands for.

    Reads: embedding, log_probs.
    Cost: one pass, O(beta k^2 H) an iteration, N x H numbers in memory.
    Tasks: all.
    Reference: Zhdanov (2019), Diverse mini-batch active learning, section 3.
    Deviations: the paper clusters features as they are; ours have length one, so that clusters are of direction.

    Attributes:
        beta: Candidates for each pick.
    """

    reads_states: ClassVar[bool] = True

    beta: Annotated[float, Field(ge=1)] = 10

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Choose one representative a cluster, the largest cluster first."""
        x, margins = pool.collect(probes.embedding, probes.margin)
        return representatives(x, margins, min(round(self.beta * k), len(x)), k, rng)


def representatives(x: Array, uncertain: Scores, m: int, k: int, rng: np.random.Generator) -> Selection:
    """Choose k of the m most uncertain rows of x (N, H) by k-means, in which a row weighs its uncertainty (N,) >= 0."""
    candidates = top_k(uncertain, m, rng)
    largest = candidates.scores.max()
    weights = candidates.scores / largest if largest > 0 else None
    chosen = nearest_to_centres(Dense(unit(x[candidates.positions])), k, rng, weights)
    return Selection(candidates.positions[chosen.positions], chosen.scores)
