"""Posterior draws as tables of probabilities, for strategies that compare the draws of different examples.

Letters: N examples, K draws, C outcomes.
"""

import torch
from torch import Tensor

from dal_nlp.models.vectors import Array

#: Numbers in the largest temporary array (64 MB).
ROOM = 8_000_000
#: Decimals of a nat that count: duplicates tie, in whatever order their sums were taken.
DECIMALS = 12


def probabilities(log_probs: Array) -> Tensor:
    """Return fp64 probabilities (..., C) that sum to one, as those of saturated predictions in fp32 do not."""
    return torch.tensor(log_probs, dtype=torch.float64).softmax(-1)


def prob_entropy(probs: Tensor) -> Tensor:
    """Return the entropy over the last dimension in nats, 0 log 0 = 0."""
    return -torch.xlogy(probs, probs).sum(-1)
