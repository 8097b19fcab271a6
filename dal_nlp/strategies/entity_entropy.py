"""The most uncertain part of an answer, such as an entity of a text."""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from dal_nlp.core.categoricals import Categoricals, factor_entropies
from dal_nlp.models.forward import Forward
from dal_nlp.models.pool import Pool
from dal_nlp.strategies.base import Capability
from dal_nlp.strategies.scored import Scored
from dal_nlp.strategies.selectors import Scores


class EntityEntropy(Scored):
    """The largest mean entropy of a part of the answer: max over parts e of (1/|e|) sum of H of the factors in e.

    A part is an entity that the model finds. Words outside of all of them, most of a text, do not count, and a text in
    which the model finds none scores 0.

    Reads: log_probs.
    Cost: one pass, O(N F C).
    Tasks: entities in texts.
    Reference: none; that entities rather than words are what is uncertain: Shen et al. (2004), Multi-criteria-based
        active learning for named entity recognition, section 3.1.
    """

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.PARTS})

    def scores(self, pool: Pool, rng: np.random.Generator) -> Scores:
        """Return the largest mean entropies, (N,)."""
        (scores,) = pool.collect(entity_entropy)
        return np.asarray(scores)


def entity_entropy(forward: Forward) -> Tensor:
    """The largest mean entropy of a part of the answer, (B,)."""
    return largest_part(forward.categoricals)


def largest_part(c: Categoricals) -> Tensor:
    """Return the largest mean entropy of a part, (B,); 0 where there is no part."""
    assert c.parts is not None
    entropies, size = factor_entropies(c), c.parts.shape[1] + 1
    index = c.parts.clamp(min=-1) + 1  # what is in no part comes first
    sums = entropies.new_zeros((len(entropies), size)).scatter_add(1, index, torch.where(c.mask, entropies, 0))
    counts = entropies.new_zeros((len(entropies), size)).scatter_add(1, index, c.mask.to(entropies))
    return (sums / counts.clamp(min=1))[:, 1:].amax(1)
