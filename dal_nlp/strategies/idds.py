"""In-domain diversity sampling: examples that resemble the unlabelled ones and not the labelled ones."""

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
    """One after the other, the example that is most like the rest of the pool and least like what is labelled.

    lam mean_{u in U, u != x} x.u - (1 - lam) mean_{l in L} x.l, with inner products of embeddings. A pick leaves the
    unlabelled U and joins the labelled L before the next one. A mean over nothing is 0. A score is the value at the
    time of the pick. Nothing is predicted, so it can start a run, and noisy documents, which lie apart, are avoided.

    Reads: embedding (of the labelled examples too).
    Cost: one pass and one over the labelled examples; O((N + L) H) once and O(N H) a pick, N x H numbers in memory.
    Tasks: all.
    Reference: Tsvigun et al. (2022), Active learning for abstractive text summarization.
    Deviations: the paper's embeddings are those of a language model trained further on the unlabelled texts, and stay
        the same; ours are the present model's, or with query.embedding_model a sentence encoder's. An example is taken
        out of its own mean by its own squared length; the released code takes out 1 whatever the length.

    Attributes:
        lam: How much the likeness to the unlabelled counts, from 0 to 1.
    """

    reads_states: ClassVar[bool] = True

    lam: Annotated[float, Field(ge=0, le=1)] = 0.67

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Choose k, one after the other; fewer would have been the first of these."""
        x, labelled = embeddings(pool)
        return idds(x, labelled, k, rng, self.lam)


def idds(x: Array, labelled: Array, k: int, rng: np.random.Generator, lam: float = IDDS.lam) -> Selection:
    """Choose k rows of x (N, H) by their ``Diversity`` from the labelled rows (L, H) and the picks before."""
    diversity = Diversity(x, labelled, lam)
    picks, scores = [], []
    for _ in range(k):
        values = diversity.scores()
        picks.append(argmax(values, rng))
        scores.append(values[picks[-1]])
        diversity.label(np.array(picks[-1:]))
    return Selection(np.array(picks), np.array(scores))


class Diversity:
    """What is most like the unlabelled rows and least like the labelled ones, while more and more are labelled.

    A sum of inner products is one with the sum: x . u_1 + x . u_2 = x . (u_1 + u_2). So the sums over U and L are kept
    for each row in fp64, and a row that goes from one to the other takes one matrix-vector product.

    Args:
        x: (N, H) unlabelled rows.
        labelled: (L, H) labelled ones; there may be none.
        lam: How much the likeness to the unlabelled counts, from 0 to 1.

    Attributes:
        left: How many rows are unlabelled.

    Raises:
        BrokenModelError: A row holds NaN or infinity.
    """

    def __init__(self, x: Array, labelled: Array, lam: float = IDDS.lam) -> None:
        self.left = len(x)
        self._x, self._lam, self._labelled = x, lam, len(labelled)
        self._norms = sq_norms(x)
        sq_norms(labelled)  # raises where they are not finite
        sums = np.stack([rows.sum(0, dtype=np.float64) for rows in (x, labelled)], 1)
        products = np.empty((2, len(x)))
        for rows in blocks(len(x), x.shape[1]):
            products[:, rows] = (x[rows] @ sums).T
        self._to_unlabelled, self._to_labelled = products
        self._gone = np.zeros(len(x), dtype=bool)

    def scores(self) -> NDArray[np.float64]:
        """Return the value of each row as it stands, (N,); -inf where it has been labelled."""
        unlabelled = (self._to_unlabelled - self._norms) / max(self.left - 1, 1)
        labelled = self._to_labelled / max(self._labelled, 1)
        values = self._lam * unlabelled - (1 - self._lam) * labelled
        if self.left == 1:
            values = (self._lam - 1) * labelled  # the last row is like nothing, which rounding would hide
        values[self._gone] = -np.inf
        return values

    def label(self, positions: Positions) -> None:
        """Count some rows, none of which has been, as labelled."""
        products = self._x @ self._x[positions].sum(0)
        self._to_unlabelled -= products
        self._to_labelled += products
        self._gone[positions] = True
        self.left -= len(positions)
        self._labelled += len(positions)
