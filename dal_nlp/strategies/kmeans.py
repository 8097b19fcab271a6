"""Clustering: one representative of each of k clusters."""

from typing import ClassVar

import numpy as np

from dal_nlp.models.pool import Pool
from dal_nlp.strategies import probes
from dal_nlp.strategies.base import Selection, Strategy
from dal_nlp.strategies.selectors import nearest_to_centres


class KMeans(Strategy):
    """The example nearest to each of k k-means centres of the embeddings; needs no labels, so it can start a run.

    Embeddings are scaled to length one, so that clusters are of direction, not of length (the paper clusters them as
    they are). A score is the number of pool examples in the cluster that the pick stands for.

    Reads: embedding.
    Cost: one pass, O(N k H) an iteration (of at most 100,000 examples), N x H numbers in memory, or in a file in half
        precision where they are many.
    Tasks: all.
    Reference: Yuan et al. (2020), Cold-start active learning through self-supervised language modeling (BERT-KM).
    """

    reads_states: ClassVar[bool] = True

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Choose one representative a cluster, the largest cluster first."""
        (x,) = pool.collect(probes.directions)
        return nearest_to_centres(x, k, rng)
