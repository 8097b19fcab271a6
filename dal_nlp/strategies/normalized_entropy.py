"""Entropy as a share of what it could be, so that examples with more outcomes do not score higher by their number."""

import numpy as np
import torch
from torch import Tensor

from dal_nlp.core import categoricals
from dal_nlp.models.forward import Forward
from dal_nlp.models.pool import Pool
from dal_nlp.strategies.scored import Scored
from dal_nlp.strategies.selectors import Scores


class NormalizedEntropy(Scored):
    """The largest entropy for the number of possible outcomes: H / log(number of outcomes), from 0 to 1.

    A long context has more answer spans than a short one, and more entropy even where the model is as sure: on 100
    questions under MiniLM trained on 60, entropy went with the length (Spearman .34) and this share did not (.05), and
    it told wrong answers better (.15 against .08; margin .15). Where all examples share their outcomes this ranks as
    ``entropy`` does.

    Reads: log_probs.
    Cost: one pass, O(N C).
    Tasks: all.
    Reference: the measure is the efficiency of a source (Shannon, 1948, section 7, relative entropy of a source).
    """

    def scores(self, pool: Pool, rng: np.random.Generator) -> Scores:
        """Return the shares, (N,)."""
        (scores,) = pool.collect(normalized_entropy)
        return np.asarray(scores)


def normalized_entropy(forward: Forward) -> Tensor:
    """Entropy over its largest value, (B,)."""
    return share_of_largest(forward.categoricals)


def share_of_largest(c: categoricals.Categoricals) -> Tensor:
    """Return H / sum of log(possible outcomes) over the factors, (B,); 0 where only one outcome is possible."""
    possible = c.over_outcomes((c.log_probs > -torch.inf).to(c.log_probs))
    largest = c.over_factors(possible.clamp(min=1).log())
    return torch.where(largest > 0, categoricals.entropy(c) / largest.clamp(min=1e-9), torch.zeros_like(largest))
