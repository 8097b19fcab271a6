"""Contrastive active learning: examples that the model treats otherwise than their labeled neighbours."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import Array, Positions
from dal_nlp.strategies import probes
from dal_nlp.strategies.base import Capability, Selection, Strategy
from dal_nlp.strategies.clustering import blocks
from dal_nlp.strategies.selectors import Scores, top_k, unit


@dataclass(frozen=True)
class Cal(Strategy):
    """The largest divergence of an example's prediction from those of its nearest labeled examples.

    mean over l in the K nearest labeled of KL(p(.|x_l) || p(.|x)), in nats; K = min(neighbours, L). Nearest by
    Euclidean distance between embeddings of length one. Neither predictions nor neighbours read a label.

    Reads: embedding, log_probs (both of the labeled examples too).
    Cost: one pass and one over the labeled examples; O(N L H + N K C), N x (H + C) numbers in memory.
    Tasks: classification: an outcome must mean the same in every example.
    Reference: Margatina et al. (2021), Active learning by acquiring contrastive examples, algorithm 1.
    Deviations: the embedding is the mean of the last hidden states, the paper's is the [CLS] token's. Neighbours are
        labeled ones only, as in the paper; some other implementations search the whole data.

    Attributes:
        neighbours: K, the labeled neighbours of an example.
    """

    neighbours: Annotated[int, Field(ge=1)] = 10
    reads_states: ClassVar[bool] = True
    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.SHARED_OUTCOMES})

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Choose the k largest divergences; raises ``Unsupported`` where nothing is labeled yet."""
        known, known_log_probs = pool.labeled.collect(probes.embedding, probes.class_log_probs)
        x, log_probs = pool.collect(probes.embedding, probes.class_log_probs)
        nearest = nearest_rows(unit(x), unit(known), self.neighbours, rng)
        return top_k(divergence(log_probs, known_log_probs, nearest), k, rng)


def nearest_rows(x: Array, y: Array, k: int, rng: np.random.Generator) -> Positions:
    """Return the min(k, L) rows of y (L, H) nearest to each row of x (N, H), all of length one, in no order: (N, K).

    Which of several equally near ones are taken follows the generator.
    """
    k = min(k, len(y))
    order = rng.permutation(len(y))
    shuffled = y[order]
    nearest = np.empty((len(x), k), dtype=np.int64)
    for rows in blocks(len(x), len(y)):
        nearest[rows] = order[np.argpartition(x[rows] @ -shuffled.T, k - 1, axis=1)[:, :k]]
    return nearest


def divergence(log_probs: Array, known: Array, nearest: Positions) -> Scores:
    """Return the mean of KL(p(.|x_l) || p(.|x)) over each example's neighbours l, (N,), in nats, at least 0.

    Args:
        log_probs: (N, C) of the examples.
        known: (L, C) of the labeled examples.
        nearest: (N, K) neighbours, as positions in ``known``.
    """
    means = np.empty(len(log_probs), dtype=log_probs.dtype)
    probs = np.exp(known)
    for rows in blocks(len(log_probs), nearest.shape[1] * log_probs.shape[1]):
        theirs = nearest[rows]
        differences = known[theirs] - log_probs[rows, None]  # (n, K, C)
        means[rows] = (probs[theirs] * differences).sum(2).mean(1)
    return np.maximum(means, 0)  # rounding of equal predictions
