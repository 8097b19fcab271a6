"""Disagreement of posterior draws: what K sampled networks make of one example.

Every formula reads the draws one by one and keeps running sums, so that memory does not grow with their number.
Letters: see ``categoricals.py``; K draws.
"""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from dal_nlp.core.categoricals import Categoricals, entropy
from dal_nlp.models.forward import Forward
from dal_nlp.models.pool import Pool
from dal_nlp.strategies.base import Capability
from dal_nlp.strategies.scored import Scored
from dal_nlp.strategies.selectors import Scores


class Bald(Scored):
    """What the answer would tell about the parameters: I(y; omega | x) = H[mean_k p_k] - mean_k H[p_k], in nats.

    High where every draw is sure and they contradict each other; low where all are unsure alike, as at a text that is
    ambiguous in itself.

    Reads: draws.
    Cost: K passes, O(N K C); memory does not grow with K.
    Tasks: all that give draws; several factors are taken one by one, then summed or averaged. The sum is an upper bound
        of their joint information.
    Reference: Houlsby et al. (2011), Bayesian active learning for classification and preference learning, eq. 2; by
        dropout: Gal et al. (2017), Deep Bayesian active learning with image data.
    Deviations: with draws.kind fixed, draw k has the same masks for every example; the paper draws new ones.
    """

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.DRAWS})

    def scores(self, pool: Pool, rng: np.random.Generator) -> Scores:
        """Return the mutual information, (N,)."""
        (scores,) = pool.collect(bald)
        return np.asarray(scores)


class MeanStd(Scored):
    """How far the draws spread: the standard deviation of p(c) over the draws, averaged over the possible outcomes c.

    Reads: draws.
    Cost: K passes, O(N K C); memory does not grow with K.
    Tasks: all that give draws.
    Reference: Kampffmeyer et al. (2016), Semantic segmentation of small objects and modeling of uncertainty in urban
        remote sensing images; to choose examples: Gal et al. (2017), Deep Bayesian active learning with image data.
    Deviations: outcomes that are impossible in an example (padding) do not count in the average.
    """

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.DRAWS})

    def scores(self, pool: Pool, rng: np.random.Generator) -> Scores:
        """Return the mean standard deviation, (N,)."""
        (scores,) = pool.collect(mean_std)
        return np.asarray(scores)


class VariationRatio(Scored):
    """How many draws vote against the most voted outcome: 1 - max_c #{k: argmax p_k = c} / K.

    There are only K different scores, so ties are many, and drawn at random.

    Reads: draws.
    Cost: K passes, O(N K C); K votes an example in memory, whatever the number of outcomes.
    Tasks: all that give draws.
    Reference: Freeman (1965), Elementary Applied Statistics; over draws: Gal et al. (2017), Deep Bayesian active
        learning with image data.
    Deviations: none.
    """

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.DRAWS})

    def scores(self, pool: Pool, rng: np.random.Generator) -> Scores:
        """Return the shares of dissenting draws, (N,)."""
        (scores,) = pool.collect(variation_ratio)
        return np.asarray(scores)


def bald(forward: Forward) -> Tensor:
    """Mutual information of outcome and parameters in nats, (B,)."""
    return mutual_information(forward.draws)


def mean_std(forward: Forward) -> Tensor:
    """Standard deviation over the draws, averaged over the outcomes, (B,)."""
    return mean_deviation(forward.draws)


def variation_ratio(forward: Forward) -> Tensor:
    """Share of draws against the most voted outcome, (B,)."""
    return dissent(forward.draws)


def mutual_information(draws: Iterable[Categoricals]) -> Tensor:
    """Return H[mean_k p_k] - mean_k H[p_k] in nats, (B,), at least 0.

    The mean is kept as a running log-sum, and both entropies in fp64: their difference is far smaller than they are.
    """
    log_sum: Tensor | None = None
    entropies = torch.zeros(())
    k = 0
    for single in draws:
        k += 1
        c = single.double()
        log_sum = c.log_probs if log_sum is None else torch.logaddexp(log_sum, c.log_probs)
        entropies = entropies.to(log_sum) + entropy(c)
    assert log_sum is not None  # K >= 2
    mean = replace(c, log_probs=log_sum - math.log(k))
    return (entropy(mean) - entropies / k).clamp(min=0).float()


def mean_deviation(draws: Iterable[Categoricals]) -> Tensor:
    """Return the mean over possible outcomes of the standard deviation over draws, (B,); Welford's running moments."""
    mean = squares = possible = torch.zeros(())
    for k, single in enumerate(draws, start=1):
        c = single.double()
        # Divided by their total, or log p_max, rounded to fp32, would hide what differs where predictions saturate.
        p = c.normalized().log_probs.exp()
        difference = p - mean.to(p)
        mean = mean.to(p) + difference / k
        squares = squares.to(p) + difference * (p - mean)
        possible = torch.maximum(possible.to(p), (c.log_probs > -torch.inf).to(p))
    total = c.over_outcomes((squares / k).sqrt())
    return c.over_factors(total / c.over_outcomes(possible).clamp(min=1)).float()


def dissent(draws: Iterable[Categoricals]) -> Tensor:
    """Return the share of draws whose most likely outcome is not the most frequent of these, (B,)."""
    votes = []
    for c in draws:  # not a comprehension: the last one is needed, and no draw may outlive the next
        votes.append(c.best())
    outcomes = torch.stack(votes, -1)  # (B, F, K)
    most = outcomes.mode(-1, keepdim=True).values
    return c.over_factors((outcomes != most).float().mean(-1))
