"""BLEU variance: how much the texts differ that the model writes under several draws."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from dal_nlp.models.forward import Forward
from dal_nlp.models.pool import Pool
from dal_nlp.strategies.base import Capability
from dal_nlp.strategies.bleu import bleu_variance
from dal_nlp.strategies.scored import Scored
from dal_nlp.strategies.selectors import Scores

#: From here on texts share next to nothing: most are broken.
DEGENERATE = 0.96


@dataclass(frozen=True)
class BleuVariance(Scored):
    """The texts that differ most: 1 / (K (K - 1)) sum over i != j of (1 - BLEU(y_i, y_j))^2, from 0 to 1.

    y_1..y_K are what the model writes under K draws. Where they share next to nothing, the model is rarely in doubt
    between good summaries: the document is broken, or what it writes is. Such scores count 0, as where all draws agree.

    Reads: samples.
    Cost: K texts written an example, which is most of it; O(K^2) comparisons an example.
    Tasks: those whose answers are texts that the model writes: summarization.
    Reference: Gidiotis and Tsoumakas (2022), Should we trust this summary? Bayesian abstractive summarization to the
        rescue; to choose documents: Gidiotis and Tsoumakas (2023), Bayesian active summarization; the measure: Xiao et
        al. (2020), Wat zei je?
    Deviations: the authors write about a random part of the pool; query.candidates does that for any strategy. Equal
        texts agree wholly, also where they are too short for BLEU to say so.

    Attributes:
        degenerate: Scores of so much and more count 0; above 1, all count.
    """

    degenerate: Annotated[float, Field(gt=0)] = DEGENERATE
    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.DRAWS, Capability.GENERATED_TEXTS})

    def scores(self, pool: Pool, rng: np.random.Generator) -> Scores:
        """Return the variances, (N,), 0 where they are degenerate."""
        (variances,) = pool.collect(bleu_variances)
        return np.where(variances < self.degenerate, variances, 0)


def bleu_variances(forward: Forward) -> Tensor:
    """BLEU variance of each example's texts under the draws, (B,)."""
    return torch.tensor([bleu_variance(texts) for texts in zip(*forward.samples, strict=True)])
