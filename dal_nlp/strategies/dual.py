"""DUAL: representative documents, of which the most uncertain, and as many at random."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import Array, Positions
from dal_nlp.strategies.base import Capability, Selection, Strategy
from dal_nlp.strategies.bleuvar import DEGENERATE, bleu_variances
from dal_nlp.strategies.clustering import embeddings
from dal_nlp.strategies.idds import Diversity
from dal_nlp.strategies.selectors import Scores, argmax, top_k


@dataclass(frozen=True)
class Dual(Strategy):
    """Half of the batch from what IDDS finds best, by BLEU variance; the other half at random.

    For each pick of the first half (``share`` of k, rounded up): the ``neighbours`` documents of highest ``idds`` value
    are compared by the BLEU variance of what the model writes about them under the draws. The pick is the one that
    varies most below ``degenerate``, or the one that IDDS puts first where none is below. All of them count as labeled
    for IDDS from then on, and none is looked at again. The second half is drawn from all that have not been picked; it
    also fills up where the first half has run through the pool. A score is the BLEU variance, 0 for those at random.

    Which documents are compared does not depend on which of them are picked, so that all of them are written about in
    one go.

    Reads: embedding (of the labeled examples too), samples.
    Cost: one pass over the encoder and one over the labeled examples; K texts for each of share k ``neighbours``
        documents, which is most of it; O(N (H + log N)) a pick.
    Tasks: those whose answers are texts that the model writes: summarization.
    Reference: Giouroukis et al. (2025), DUAL: diversity and uncertainty active learning for text summarization
        (arXiv 2503.00867).
    Deviations: a round does not remember which documents the rounds before compared and did not pick; in the released
        code they count as labeled for good. Embeddings and IDDS as for ``idds``; the weights are that code's, 0.66 and
        0.33, as shares of their sum.

    Attributes:
        share: How much of the batch is chosen, above 0; the rest is drawn.
        neighbours: How many documents are compared for a pick.
        degenerate: Documents of so much BLEU variance and more are not picked by it.
        lam: As for ``idds``.
    """

    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    neighbours: Annotated[int, Field(ge=1)] = 10
    degenerate: Annotated[float, Field(gt=0)] = DEGENERATE
    lam: Annotated[float, Field(ge=0, le=1)] = 2 / 3
    reads_states: ClassVar[bool] = True
    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.DRAWS, Capability.GENERATED_TEXTS})

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Choose share x k documents and draw the others."""
        diversity = Diversity(*embeddings(pool), self.lam)
        chosen = math.ceil(round(self.share * k, 6))  # 0.55 x 100 is a little above 55 in binary
        groups = neighbourhoods(diversity, chosen, self.neighbours, rng)
        (variances,) = pool.take(np.concatenate(groups)).collect(bleu_variances)
        varied = most_varied(groups, variances, self.degenerate, rng)
        rest = np.delete(np.arange(len(pool)), varied.positions)
        lot = rng.choice(rest, k - len(varied.positions), replace=False)
        return Selection(np.concatenate([varied.positions, lot]), np.concatenate([varied.scores, np.zeros(len(lot))]))


def neighbourhoods(diversity: Diversity, count: int, size: int, rng: np.random.Generator) -> list[Positions]:
    """Return ``count`` groups of ``size`` rows, best first, each the best of those that are in no group before it.

    The last group may be smaller, and there are fewer where no row is left. ``diversity`` counts them as labeled
    afterwards.
    """
    groups: list[Positions] = []
    while len(groups) < count and diversity.left:
        groups.append(top_k(diversity.scores(), min(size, diversity.left), rng).positions)
        diversity.label(groups[-1])
    return groups


def most_varied(
    groups: Sequence[Positions], variances: Array, degenerate: float, rng: np.random.Generator
) -> Selection:
    """Choose of each group the row of largest variance below ``degenerate``, or the first where none is below.

    Args:
        groups: Positions, best first.
        variances: One for each position, group after group.
        degenerate: Least variance that is too much.
        rng: Of ties.
    """
    picks, scores = [], []
    start = 0
    for group in groups:
        mine: Scores = variances[start : start + len(group)]
        start += len(group)
        sound = mine < degenerate
        best = argmax(np.where(sound, mine, -1), rng) if sound.any() else 0
        picks.append(group[best])
        scores.append(mine[best])
    return Selection(np.array(picks), np.array(scores, dtype=np.float64))
