"""EPIG: what the answer would tell about the predictions, not about the parameters."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import Array, Positions
from dal_nlp.strategies import probes
from dal_nlp.strategies.base import Capability
from dal_nlp.strategies.information import DECIMALS, ROOM, prob_entropy, probabilities
from dal_nlp.strategies.scored import Scored
from dal_nlp.strategies.selectors import Scores


@dataclass(frozen=True)
class Epig(Scored):
    """Expected predictive information gain: the mean over targets x* of I(y; y* | x, x*), in nats.

    I(y; y*) = H[p(y)] + H[p(y*)] - H[p(y, y*)] with p(y, y*) = mean_k p_k(y) p_k(y*). Parameters that matter to no
    target count for nothing, so outliers, which BALD likes, score low. The targets are a random sample of the pool.

    Reads: draws.
    Cost: K passes; N K C numbers in memory; O(N T K C^2) for T targets, in pieces of 64 MB.
    Tasks: classification; draws.kind fixed or head, because x and x* must share draw k.
    Reference: Bickford Smith et al. (2023), Prediction-oriented Bayesian active learning.
    Deviations: the k largest of one evaluation are taken, where the paper takes one and fits again.

    Attributes:
        targets: T, how many examples of the pool stand for what will be predicted.
    """

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.DRAWS, Capability.SHARED_OUTCOMES})

    targets: Annotated[int, Field(ge=1)] = 200

    def scores(self, pool: Pool, rng: np.random.Generator) -> Scores:
        """Return the expected information gain, (N,)."""
        (log_probs,) = pool.collect(probes.draw_log_probs)
        return expected_gain(log_probs, rng.permutation(len(pool))[: self.targets])


def expected_gain(log_probs_N_K_C: Array, targets: Positions) -> NDArray[np.float64]:
    """Return the mean over the targets of I(y; y*) in nats, (N,), at least 0, NaN where a log-probability is.

    Args:
        log_probs_N_K_C: Draw k must be the same parameters for every example.
        targets: (T,) positions among the N.
    """
    n, draws, outcomes = log_probs_N_K_C.shape
    target_probs = probabilities(log_probs_N_K_C[targets])
    target_entropy = prob_entropy(target_probs.mean(1)).mean()
    flat = target_probs.transpose(0, 1).reshape(draws, -1)  # (K, T C)
    step = max(1, ROOM // (outcomes * max(flat.shape[1], draws)))
    gains = []
    for start in range(0, n, step):
        p = probabilities(log_probs_N_K_C[start : start + step])
        joint = p.transpose(1, 2).reshape(-1, draws) @ flat / draws  # (n C, T C)
        joint_entropy = prob_entropy(joint.reshape(len(p), -1)) / len(targets)
        gains.append(prob_entropy(p.mean(1)) + target_entropy - joint_entropy)
    return np.round(torch.cat(gains).clamp(min=0).numpy(), DECIMALS)
