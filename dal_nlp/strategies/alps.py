"""Active learning by processing surprisal: a cold start from what the pretrained language model finds surprising."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from dal_nlp.core.rng import rng_for, seed_for
from dal_nlp.models.forward import Forward
from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import Array, Dense
from dal_nlp.strategies.base import Capability, Selection, Strategy
from dal_nlp.strategies.selectors import nearest_to_centres, unit

#: Tokens that a surprisal vector covers (the length at which the paper cuts its texts).
LENGTH = 128
#: Decimals of its numbers, which are at most 1: as many as are the same whatever batch a text was in.
DECIMALS = 3


@dataclass(frozen=True)
class Alps(Strategy):
    """The example nearest to each of k k-means centres of the texts' surprisal; needs no labels, so it can start a run.

    The surprisal of a text is a vector with a place for each of its first 128 tokens: at randomly chosen 15 % of them
    the cross-entropy of the pretrained masked language model, which is shown the text without any mask, and 0
    elsewhere; scaled to length one (kept to three decimals). A score is the number of pool examples in the cluster that
    the pick stands for.

    Reads: token_losses.
    Cost: one pass of the language model, which is loaded beside the classifier; O(N L (H^2 + H V)) for texts of L
        tokens and a vocabulary of V, then O(128 N k) an iteration. Two arrays of N x 128 float32 in memory.
    Tasks: all, on a checkpoint with a masked-LM head; of examples with several windows, the first one counts.
    Reference: Yuan et al. (2020), Cold-start active learning through self-supervised language modeling, section 4.
    Deviations: in every round the pretrained model is read, not the fine-tuned one. A text's tokens are drawn without
        replacement, 15 % of them rounded and at least one, where the authors' code tosses a coin for each and may leave
        none. A longer text is read as far as the run reads it and cut after that. An example nearest to two centres
        stands for the larger cluster, and the other one gets its next nearest; the authors fill up at random.

    Attributes:
        share: Share of the tokens whose surprisal counts.
    """

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.MASKED_LM})

    share: Annotated[float, Field(gt=0, le=1)] = 0.15

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Choose one representative a cluster, the largest cluster first."""
        losses, keys = pool.collect(token_losses, text_keys)
        vectors = surprisal(losses, keys, self.share, int(rng.integers(2**63)))
        # Vectors with no place in common are equally far apart: the model's rounding must not choose between them.
        return nearest_to_centres(Dense(unit(vectors).round(DECIMALS)), k, rng)


def token_losses(forward: Forward) -> Tensor:
    """The language model's losses on a text's tokens, (B, 128); -1 where there is none of the text's own."""
    tokens = forward.token_losses
    losses = tokens.losses.clamp(min=0).masked_fill(~tokens.own, -1)[:, :LENGTH]
    return nn.functional.pad(losses, (0, LENGTH - losses.shape[1]), value=-1)


def text_keys(forward: Forward) -> Tensor:
    """A number for each text that follows from its tokens alone, (B,)."""
    tokens = forward.token_losses
    texts = [ids[own].tolist() for ids, own in zip(tokens.ids.cpu(), tokens.own.cpu(), strict=True)]
    return torch.tensor([seed_for(0, 0, str(text)) for text in texts])


def surprisal(losses: Array, keys: NDArray[np.int64], share: float, seed: int) -> Array:
    """Keep the losses of a random ``share`` of each text's tokens, at least one where there is one, and 0 elsewhere.

    Args:
        losses: (N, 128) as ``token_losses``.
        keys: (N,) as ``text_keys``: which tokens are kept follows from key and seed, whatever else is in the pool.
        share: Above 0, at most 1.
        seed: Another one keeps other tokens.
    """
    vectors = np.zeros_like(losses)
    for row, kept, key in zip(losses, vectors, keys, strict=True):
        places = np.flatnonzero(row >= 0)
        drawn = rng_for(seed, 0, str(key)).permutation(places)[: max(1, round(share * len(places)))]
        kept[drawn] = row[drawn]
    return vectors
