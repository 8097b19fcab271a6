"""In-domain diversity sampling: examples that resemble the unlabeled ones and not the labeled ones."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import Array, Positions
from dal_nlp.strategies.base import Selection, Strategy
from dal_nlp.strategies.clustering import blocks, embeddings, sq_norms
from dal_nlp.strategies.selectors import argmax


@dataclass(frozen=True)
class IDDS(Strategy):
    """One after the other, the example that is most like the rest of the pool and least like what is labeled.

    lam mean_{u in U, u != x} x.u - (1 - lam) mean_{l in L} x.l, with inner products of embeddings. A pick leaves the
    unlabeled U and joins the labeled L before the next one. A mean over nothing is 0. A score is the value at the
    time of the pick. Nothing is predicted, so it can start a run, and noisy documents, which lie apart, are avoided.

    Reads: embedding (of the labeled examples too).
    Cost: one pass and one over the labeled examples; O((N + L) H) once and O(N H) a pick, N x H numbers in memory.
    Tasks: all.
    Reference: Tsvigun et al. (2022), Active learning for abstractive text summarization.
    Deviations: the paper's embeddings are those of a language model trained further on the unlabeled texts, and stay
        the same; ours are the present model's, or with query.embedding_model a sentence encoder's. An example is taken
        out of its own mean by its own squared length; the released code takes out 1 whatever the length.

    Attributes:
        lam: How much the likeness to the unlabeled counts, from 0 to 1.
    """

    reads_states: ClassVar[bool] = True

    lam: Annotated[float, Field(ge=0, le=1)] = 0.67

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Choose k, one after the other; fewer would have been the first of these."""
        x, labeled = embeddings(pool)
        return idds(x, labeled, k, rng, self.lam)


def idds(x: Array, labeled: Array, k: int, rng: np.random.Generator, lam: float = IDDS.lam) -> Selection:
    """Choose k rows of x (N, H) by their ``Diversity`` from the labeled rows (L, H) and the picks before."""
    diversity = Diversity(x, labeled, lam)
    picks, scores = [], []
    for _ in range(k):
        values = diversity.scores()
        picks.append(argmax(values, rng))
        scores.append(values[picks[-1]])
        diversity.label(np.array(picks[-1:]))
    return Selection(np.array(picks), np.array(scores))


class Diversity:
    """What is most like the unlabeled rows and least like the labeled ones, while more and more are labeled.

    A sum of inner products is one with the sum: x . u_1 + x . u_2 = x . (u_1 + u_2). So the sums over U and L are kept
    for each row in fp64, and a row that goes from one to the other takes one matrix-vector product.

    Args:
        x: (N, H) unlabeled rows.
        labeled: (L, H) labeled ones; there may be none.
        lam: How much the likeness to the unlabeled counts, from 0 to 1.

    Attributes:
        left: How many rows are unlabeled.

    Raises:
        BrokenModelError: A row holds NaN or infinity.
    """

    def __init__(self, x: Array, labeled: Array, lam: float = IDDS.lam) -> None:
        self.left = len(x)
        self._x, self._lam, self._labeled = x, lam, len(labeled)
        self._norms = sq_norms(x)
        sq_norms(labeled)  # raises where they are not finite
        sums = np.stack([rows.sum(0, dtype=np.float64) for rows in (x, labeled)], 1)
        products = np.empty((2, len(x)))
        for rows in blocks(len(x), x.shape[1]):
            products[:, rows] = (x[rows] @ sums).T
        self._to_unlabeled, self._to_labeled = products
        self._gone = np.zeros(len(x), dtype=bool)

    def scores(self) -> NDArray[np.float64]:
        """Return the value of each row as it stands, (N,); -inf where it has been labeled."""
        unlabeled = (self._to_unlabeled - self._norms) / max(self.left - 1, 1)
        labeled = self._to_labeled / max(self._labeled, 1)
        values = self._lam * unlabeled - (1 - self._lam) * labeled
        if self.left == 1:
            values = (self._lam - 1) * labeled  # the last row is like nothing, which rounding would hide
        values[self._gone] = -np.inf
        return values

    def label(self, positions: Positions) -> None:
        """Count some rows, none of which has been, as labeled."""
        products = self._x @ self._x[positions].sum(0)
        self._to_unlabeled -= products
        self._to_labeled += products
        self._gone[positions] = True
        self.left -= len(positions)
        self._labeled += len(positions)
