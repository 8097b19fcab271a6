"""Expected gradient length: how much one more answer would change the output layer, whatever the answer."""

from typing import ClassVar

import numpy as np
from torch import Tensor

from dal_nlp.core import categoricals
from dal_nlp.models.forward import Forward
from dal_nlp.models.pool import Pool
from dal_nlp.strategies.base import Capability, Selection, Strategy
from dal_nlp.strategies.selectors import top_k


class EGL(Strategy):
    """The longest gradient of the output layer, averaged over the answers that the model expects.

    sum_y p_y |d(-log p_y) / dW|, with |d(-log p_y) / dW| = |p - e_y| |h| for a linear layer on h, so that no answer
    needs a backward pass of its own.

    Reads: log_probs, gradient.
    Cost: one pass, O(N (C + H)).
    Tasks: classification.
    Reference: Settles et al. (2008), Multiple-instance active learning (expected gradient length).
    Deviations: the gradient by all weights is replaced by that of the output layer, its bias left out; lengths are
        Euclidean, where some packages sum the absolute values.
    """

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.SHARED_OUTCOMES})

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Choose the k largest expected lengths."""
        (scores,) = pool.collect(expected_length)
        return top_k(scores, k, rng)


def expected_length(forward: Forward) -> Tensor:
    """Expected gradient length, (B,)."""
    return forward.layer_inputs.square().sum(-1).sqrt().cpu() * expected_error(forward.categoricals)


def expected_error(c: categoricals.Categoricals) -> Tensor:
    """Return sum_y p_y |p - e_y|, (B,): |p - e_y|^2 = (1 - p_y)^2 + the squares of the others.

    The others of the most likely outcome are summed without it, or saturated predictions would lose them to rounding.
    """
    c = categoricals.Categoricals(c.log_probs.cpu().double(), c.mask.cpu(), c.reduction)  # squares underflow in fp32
    best = c.best()
    probs, others = c.log_probs.exp(), c.without(best).log_probs.exp()
    misses = (1 - probs).scatter(-1, best[..., None], categoricals.log_rest(c).exp()[..., None])
    squares = (probs.square().sum(-1, keepdim=True) - probs.square()).clamp(min=0)
    squares = squares.scatter(-1, best[..., None], others.square().sum(-1, keepdim=True))
    return c.over_factors((probs * (misses.square() + squares).sqrt()).sum(-1)).float()
