"""Fisher information: the batch whose answers would most lower the error that is expected over the pool.

Letters: N pool examples, L labeled ones, C labels, H numbers that enter the output layer, D = (C - 1) H.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from dal_nlp.core.errors import BrokenModelError, UserError
from dal_nlp.models.forward import Forward
from dal_nlp.models.pool import Pool
from dal_nlp.strategies.base import Capability, Selection, Strategy
from dal_nlp.strategies.fisher import Doubles, Floats, Objective, fisher_weights, information

#: Scores that differ by less than this share are equal, and chance decides.
TIE = 1e-9


@dataclass(frozen=True)
class Bait(Strategy):
    """The batch S that minimises tr[(lambda + sum of I(x) over the labeled and S)^-1 F], F the mean I(x) of the pool.

    I(x) = E_{y ~ p(x)} g_y g_y^T is the Fisher information of the output layer's weight at x. Greedy to and fro: 2k
    picks, each the one that lowers the trace most; then those are given back, one by one, that raise it least, until k
    are left. A score is by how much the pick lowered the trace when it was made.

    Reads: log_probs, gradient (its factor h).
    Cost: one pass, O(N C^2 H^2) once and O(k N C^2 (C + H)) for the picks; some D x D and N x (H + 6 C^2) float64
        numbers in memory.
    Tasks: classification.
    Reference: Ash et al. (2021), Gone fishing: neural active learning with Fisher embeddings, algorithm 1.
    Deviations: the information of labeled examples and of picks is summed, as in the objective; the authors' code
        weighs the mean over l labeled ones by l / (l + k) and every pick by k / (l + k), and its F has the labeled
        ones too. Where D would be above ``max_dim``, h is projected onto its leading principal axes. The layer's bias
        is left out.

    Attributes:
        regularisation: lambda.
        max_dim: Largest D.
    """

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.SHARED_OUTCOMES})

    regularisation: float = 1.0
    max_dim: int = 4096

    def __post_init__(self) -> None:
        if self.regularisation <= 0:
            raise UserError("strategy_options.regularisation of bait must be above 0: 1.0 is the paper's.")

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Choose k positions, in the order of the picks."""
        log_probs, h = pool.collect(class_log_probs, layer_inputs)
        known_log_probs, known_h = pool.labeled.collect(class_log_probs, layer_inputs)
        h, known_h = reduced(h, known_h, self.max_dim // max(log_probs.shape[1] - 1, 1))
        known = information(fisher_weights(known_log_probs), known_h)
        return forward_backward(log_probs, h, known, k, self.regularisation, rng)


def class_log_probs(forward: Forward) -> Tensor:
    """Log-probabilities of the labels, (B, C)."""
    return forward.log_probs.squeeze(1)


def layer_inputs(forward: Forward) -> Tensor:
    """What enters the output layer, (B, H)."""
    return forward.layer_inputs


def reduced(h: Floats, other: Floats, dims: int) -> tuple[Floats, Floats]:
    """Project h (N, H), and other by the same axes, onto the ``dims`` leading principal axes of h about the origin."""
    if h.shape[1] <= dims:
        return h, other
    _, axes = np.linalg.eigh(h.T @ h)
    leading = axes[:, -max(dims, 1) :]
    return h @ leading, other @ leading


def forward_backward(
    log_probs: Floats, h: Floats, known: Doubles, k: int, regularisation: float, rng: np.random.Generator
) -> Selection:
    """Choose k of N by 2k greedy additions and k removals.

    Args:
        log_probs: (N, C).
        h: (N, H).
        known: (D, D) information of the labeled examples.
        k: 1 <= k <= N.
        regularisation: lambda > 0.
        rng: Decides between equal scores.

    Raises:
        BrokenModelError: NaN among the log-probabilities, or h that is not finite.
    """
    if np.isnan(log_probs).any() or not np.isfinite(h).all():
        raise BrokenModelError("The model gives numbers that are not finite: lower training.learning_rate.")
    n, weights = len(h), fisher_weights(log_probs)
    matrix = known + regularisation * np.eye(len(known))
    objective = Objective.of(matrix, information(weights, h) / n, h.astype(np.float64), weights)
    picks, gains = np.zeros(0, dtype=np.int64), np.zeros(0)
    for _ in range(min(2 * k, n)):
        changes = objective.changes(1)
        changes[picks] = -np.inf
        best = largest(changes, rng)
        picks, gains = np.append(picks, best), np.append(gains, changes[best])
        objective.move(best, 1)
    objective = objective.only(picks)
    kept = np.ones(len(picks), dtype=bool)
    while kept.sum() > k:
        least = largest(np.where(kept, -objective.changes(-1), -np.inf), rng)
        objective.move(least, -1)
        kept[least] = False
    return Selection(picks[kept], gains[kept])


def largest(scores: Doubles, rng: np.random.Generator) -> int:
    """Return the position of the largest score, one of them by chance where rounding alone sets several apart."""
    best = scores.max()
    return int(rng.choice(np.flatnonzero(scores >= best - TIE * abs(best))))
