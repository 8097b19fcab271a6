"""How probable the model's own answer is as a whole: a text by its tokens, a label or a span by itself.

Letters: see ``categoricals.py``; K draws; T tokens of the answer.
"""

from collections.abc import Iterable
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from dal_nlp.core.categoricals import Categoricals
from dal_nlp.models.forward import Forward
from dal_nlp.models.pool import Pool
from dal_nlp.strategies.base import Capability
from dal_nlp.strategies.scored import Scored
from dal_nlp.strategies.selectors import Scores


class NSP(Scored):
    """The least normalised sequence probability: 1 - exp((1/T) sum_t log p(y_t | y_<t, x)), y being the model's answer.

    The T-th root of the answer's probability, so that long answers are not less probable by their length alone. Where
    an answer is one outcome it is its probability, and this is ``least_confidence``; for the tags of a text's words it
    ranks as MNLP does, the maximum normalized log-probability of Shen et al. (2018).

    Reads: log_probs.
    Cost: one pass, O(N T C).
    Tasks: all.
    Reference: Ueffing and Ney (2007), Word-level confidence estimation for machine translation; to choose documents:
        Tsvigun et al. (2022), Active learning for abstractive text summarization; for entities: Shen et al. (2018),
        Deep active learning for named entity recognition, section 4.
    Deviations: none.
    """

    def scores(self, pool: Pool, rng: np.random.Generator) -> Scores:
        """Return one minus the normalised probabilities, (N,)."""
        (scores,) = pool.collect(nsp)
        return np.asarray(scores)


class ENSP(Scored):
    """The least expected normalised sequence probability: 1 - (1/K) sum_k exp((1/T) sum_t log p_k(y_t | y_<t, x)).

    y is the answer of the whole network, p_k what the k-th draw makes of it: ``nsp`` averaged over the draws.

    Reads: draws, log_probs (of the answer).
    Cost: K + 1 passes, O(N K T C); memory does not grow with K.
    Tasks: all that give draws.
    Reference: Tsvigun et al. (2022), Active learning for abstractive text summarization.
    Deviations: all draws are asked about one answer; the released code writes an answer anew with each.
    """

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.DRAWS})

    def scores(self, pool: Pool, rng: np.random.Generator) -> Scores:
        """Return one minus the mean probabilities, (N,)."""
        (scores,) = pool.collect(ensp)
        return np.asarray(scores)


class ENSV(Scored):
    """The largest variance of the normalised sequence probability over the draws.

    (1/K) sum_k (P_k - mean P)^2 with P_k = exp((1/T) sum_t log p_k(y_t | y_<t, x)), y as for ``ensp``: high where the
    draws contradict each other about the answer, low where all find it equally improbable.

    Reads: draws, log_probs (of the answer).
    Cost: K + 1 passes, O(N K T C); memory does not grow with K.
    Tasks: all that give draws.
    Reference: Tsvigun et al. (2022), Active learning for abstractive text summarization.
    Deviations: as for ``ensp``.
    """

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.DRAWS})

    def scores(self, pool: Pool, rng: np.random.Generator) -> Scores:
        """Return the variances, (N,)."""
        (scores,) = pool.collect(ensv)
        return np.asarray(scores)


def nsp(forward: Forward) -> Tensor:
    """One minus the normalised probability of the model's answer, (B,)."""
    c = forward.categoricals
    return improbability(c, c.answered())


def ensp(forward: Forward) -> Tensor:
    """The mean of the same over the draws, (B,)."""
    return _over_draws(forward)[0]


def ensv(forward: Forward) -> Tensor:
    """Its variance over the draws, (B,)."""
    return _over_draws(forward)[1]


def improbability(c: Categoricals, answer: Tensor) -> Tensor:
    """Return 1 - exp(log p(answer)), (B,), the log being summed or averaged over the factors.

    The probability of an outcome above a half is read off the others', so that what is left stays exact where it rounds
    to one.

    Args:
        c: The predictions.
        answer: (B, F) positions of outcomes.
    """
    rest = c.without(answer).log_total().exp()
    log_p = torch.where(rest < 0.5, torch.log1p(-rest.clamp(max=0.5)), c.at(answer))
    return -torch.expm1(c.over_factors(log_p))


def moments(values: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the mean and the variance of K values of each example, (B,) each, by Welford's running moments."""
    mean = squares = torch.zeros((), dtype=torch.float64)
    for k, value in enumerate(values, start=1):
        x = value.cpu().double()  # Apple's accelerator has no fp64
        difference = x - mean
        mean = mean + difference / k
        squares = squares + difference * (x - mean)
    return mean.float(), (squares / k).float()


def _over_draws(forward: Forward) -> tuple[Tensor, Tensor]:
    """Return mean and variance over the draws of one minus the probability of the answer of the whole network.

    Not of the draw's own answer: two draws that are sure of opposite labels would agree in how sure they are.
    """
    answer = forward.categoricals.answered()
    return moments(improbability(c, answer) for c in forward.draws)
