"""Learning loss: the examples on which a network trained for it expects the model to be most wrong."""

from typing import ClassVar

import numpy as np

from dal_nlp.models.pool import Pool
from dal_nlp.strategies import probes
from dal_nlp.strategies.base import Capability
from dal_nlp.strategies.scored import Scored
from dal_nlp.strategies.selectors import Scores


class LearningLoss(Scored):
    """The largest predicted loss.

    Beside the model a small head learns on the states of four of its layers (each averaged over the tokens, through 128
    units and ReLU, and all together to one number) which of two examples has the larger loss: for pairs (i, j) of a
    training batch it minimises max(0, 1 - s (l'_i - l'_j)), s = 1 if l_i > l_j, else -1, l' being predictions and l the
    task's losses. After 60 % of the steps the model no longer learns from the pairs. A score is l': only the order
    means something. The initial choice has no trained head, so another strategy makes it. What the model
    learns from the pairs it can lose for the task: with few labels and few steps its accuracy falls, so watch the curve
    beside another strategy's.

    Reads: predicted_loss (of hidden).
    Cost: one pass, O(N H); training takes a few per cent longer, and more of its memory (all layers' states are kept).
    Tasks: all.
    Reference: Yoo and Kweon (2019), Learning loss for active learning, sections 3.2 and 3.3.
    Deviations: made for convolutions, it reads pooled feature maps there and mean token states here; AdamW at the
        task's rate in place of SGD. The paper takes the top of a random subset of 10,000, which is an option of the run
        here (query.candidates). Where processes share a batch, pairs are made within each share.
    """

    reads_states: ClassVar[bool] = True
    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.PREDICTED_LOSS})

    def scores(self, pool: Pool, rng: np.random.Generator) -> Scores:
        """Return the predicted losses, (N,)."""
        (scores,) = pool.collect(probes.predicted_loss)
        return np.asarray(scores)
