"""Variance reduction: the uncertain examples whose labels would make the model surer of all that it is unsure of.

Letters: N pool examples, M candidates, S examples that stand for the pool, L labeled ones, C labels, H numbers that
enter the output layer.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from dal_nlp.core.errors import BrokenModelError
from dal_nlp.models.pool import Pool
from dal_nlp.strategies import probes
from dal_nlp.strategies.bait import class_log_probs, layer_inputs
from dal_nlp.strategies.base import Capability, Selection, Strategy
from dal_nlp.strategies.fisher import Doubles, Floats
from dal_nlp.strategies.selectors import Scores, argmax, top_k


@dataclass(frozen=True)
class VarianceReduction(Strategy):
    """The lowest variance of the logits where the model is unsure.

    With h the layer's input less its mean, w(x) = (1 - sum_c p_c^2) / 2 and A = lambda + the sum of
    w h h^T over the labeled examples and the batch, the variance of a logit at z is h(z)^T A^-1 h(z): a Gaussian
    posterior that the outputs of the layer share. Greedy: one pick after the other, out of the ``beta`` k examples with
    the smallest gap between the two most likely outcomes. A pick x lowers the sum of u(z) v(z, z) over z
    by u(z) v(z, x)^2 w(x) / (1 + w(x) v(x, x)), where v = h^T A^-1 h and u = 1 - (p_1 - p_2). A score is that decrease.

    Reads: log_probs, gradient (its factor h).
    Cost: one pass, O((S + M) (L + k) (H + M)) time, S = min(N, ``sample``), M = ``beta`` k.
    Tasks: classification.
    Reference: Cohn, Ghahramani and Jordan (1996), Active learning with statistical models: choose what lowers the
        learner's expected variance; for a linear layer that is I-optimal design.
    Deviations: the candidates are the uncertain ones only, the sum weighs examples by their uncertainty, and all
        outputs share one curvature, so that it costs the same for any number of labels (``bait`` has the exact one).

    Attributes:
        beta: Candidates for each pick.
        regularisation: lambda, as a share of the mean squared length of h, for one label; it grows with the root of
            their number, as the penalty of ``--train head`` does.
        sample: Examples, drawn by chance, that stand for the pool.
    """

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.SHARED_OUTCOMES})

    beta: Annotated[float, Field(ge=1)] = 10
    regularisation: Annotated[float, Field(gt=0)] = 0.02
    sample: Annotated[int, Field(ge=1)] = 1000

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Choose k positions, in the order of the picks."""
        log_probs, h, unsure = pool.collect(class_log_probs, layer_inputs, probes.margin)
        sampled = rng.permutation(len(h))[: self.sample]
        candidates = top_k(unsure, min(round(self.beta * k), len(h)), rng).positions
        seen, chosen = h[sampled], h[candidates]  # a large pool's rows stay where they are
        if not (
            np.isfinite(seen).all() and np.isfinite(chosen).all() and np.isfinite(log_probs[candidates]).any(1).all()
        ):
            raise BrokenModelError("The model gives numbers that are not finite: lower training.learning_rate.")
        centre = seen.mean(0, dtype=np.float64)
        known, count = np.zeros((0, len(centre))), 1
        if pool.has_labeled:
            known_log_probs, known_h = pool.labeled.collect(class_log_probs, layer_inputs)
            known, count = np.sqrt(curvature(known_log_probs))[:, None] * (known_h - centre), len(known_h)
        size = float(((seen - centre) ** 2).sum(1).mean())
        penalty = self.regularisation * np.sqrt(count) * size or 1.0  # 1: of inputs that are all the same
        picks, decreases = greedy(
            seen - centre,
            unsure[sampled],
            chosen - centre,
            curvature(log_probs[candidates]),
            known,
            penalty,
            k,
            rng,
        )
        return Selection(candidates[picks], decreases)


def curvature(log_probs: Floats) -> Doubles:
    """Return w = (1 - sum_c p_c^2) / 2 of log_probs (N, C), as the sum of p_c (1 - p_c) / 2, (N,)."""
    p = np.exp(log_probs, dtype=np.float64)
    others = p.sum(1, keepdims=True) - p
    largest = p.argmax(1)
    rows = np.arange(len(p))
    rest = p.copy()
    rest[rows, largest] = 0
    others[rows, largest] = rest.sum(1)  # exact where the largest rounds to one
    return np.asarray((p * others).sum(1) / 2)


def greedy(
    pool: Floats,
    unsure: Scores,
    candidates: Floats,
    weights: Doubles,
    known: Floats,
    penalty: float,
    k: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], Doubles]:
    """Choose k of M candidates, each the one that lowers the weighted sum of variances most.

    Args:
        pool: (S, H) layer inputs that stand for the pool.
        unsure: (S,) weights of these.
        candidates: (M, H), M >= k.
        weights: (M,) w of these.
        known: (L, H) inputs of labeled examples times the root of their w.
        penalty: lambda > 0.
        k: 1 <= k <= M.
        rng: Decides between equal decreases.

    Returns:
        Positions among the candidates in the order of the picks, and the decreases.
    """
    to_pool, among = covariances(pool, candidates, known, penalty), covariances(candidates, candidates, known, penalty)
    left, picks, decreases = np.ones(len(candidates), dtype=bool), np.empty(k, dtype=np.int64), np.empty(k)
    for i in range(k):
        shares = weights / (1 + weights * np.maximum(among.diagonal(), 0))
        changes = np.where(left, (unsure @ to_pool**2) * shares, -1.0)
        pick = argmax(changes, rng)
        picks[i], decreases[i], left[pick] = pick, changes[pick], False
        column = among[:, pick].copy()
        to_pool -= shares[pick] * np.outer(to_pool[:, pick], column)
        among -= shares[pick] * np.outer(column, column)
    return picks, decreases


def covariances(x: Floats, y: Floats, known: Floats, penalty: float) -> Doubles:
    """Return x (penalty + known^T known)^-1 y^T, (X, Y), by the matrix inversion lemma: an inverse of L x L numbers."""
    x, y, known = (rows.astype(np.float64) for rows in (x, y, known))
    inner = penalty * np.eye(len(known)) + known @ known.T
    through = np.linalg.solve(inner, known @ y.T)
    return np.asarray((x @ y.T - (x @ known.T) @ through) / penalty)
