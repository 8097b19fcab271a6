"""LOBSTER: representative examples that are like the labeled ones that the model finds hardest."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import Array
from dal_nlp.strategies import probes
from dal_nlp.strategies.base import Selection, Strategy
from dal_nlp.strategies.clustering import blocks
from dal_nlp.strategies.idds import IDDS, Diversity
from dal_nlp.strategies.selectors import Scores, top_k, unit


@dataclass(frozen=True)
class Lobster(Strategy):
    """Of the most representative examples, those nearest to a labeled one of high loss.

    max over h in H of cos(x, h): H are the ``hard`` labeled examples on which the model's training loss is largest, x
    goes over the ``beta`` k examples of highest ``idds`` value, ranked once. What the model has not learnt yet is
    looked for where it can be seen, among known answers; nothing is written or drawn for the pool.

    Reads: embedding (of the labeled examples too), loss (of the labeled examples).
    Cost: one pass, for embeddings only, and one over the labeled examples; O((N + beta k hard) H).
    Tasks: all, once there are labeled examples.
    Reference: LOBSTER (arXiv 2608.25881, 2026).
    Deviations: the paper's embeddings are a sentence encoder's, which query.embedding_model gives; without it they are
        the model's own.

    Attributes:
        hard: How many labeled examples are looked at.
        beta: Candidates for each pick.
        lam: As for ``idds``.
    """

    reads_states: ClassVar[bool] = True

    hard: Annotated[int, Field(ge=1)] = 10
    beta: Annotated[float, Field(ge=1)] = 10
    lam: Annotated[float, Field(ge=0, le=1)] = IDDS.lam

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Choose k of the candidates; raises ``Unsupported`` where nothing is labeled yet."""
        known, losses = pool.labeled.collect(probes.embedding, probes.loss)
        (x,) = pool.collect(probes.embedding)
        values = Diversity(x, known, self.lam).scores()
        candidates = top_k(values, min(round(self.beta * k), len(x)), rng).positions
        hardest = top_k(losses, min(self.hard, len(losses)), rng).positions
        nearest = top_k(closest(unit(x[candidates]), unit(known[hardest])), k, rng)
        return Selection(candidates[nearest.positions], nearest.scores)


def closest(x: Array, y: Array) -> Scores:
    """Return the largest inner product of each row of x (N, H) with a row of y (M, H), (N,)."""
    products = np.empty(len(x), dtype=x.dtype)
    for rows in blocks(len(x), len(y)):
        products[rows] = (x[rows] @ y.T).max(1)
    return products
