"""BatchBALD: the batch whose answers together tell most about the parameters.

Letters: N candidates, K draws, C outcomes, M combinations of answers to the batch so far.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import Array, Positions
from dal_nlp.strategies import probes
from dal_nlp.strategies.base import Capability, Selection, Strategy
from dal_nlp.strategies.information import DECIMALS, ROOM, prob_entropy, probabilities
from dal_nlp.strategies.selectors import descending

#: Candidates looked at together; more would be looked at in vain.
STEP = 256
#: Share of log K after which the answers so far tell the draws apart, and further picks would be noise.
SATURATED = 0.99


@dataclass(frozen=True)
class BatchBald(Strategy):
    """The k examples with most joint information about the parameters: I(y_1 .. y_k; omega), chosen one by one.

    Greedy: each pick adds most to the batch so far B, I(y; omega | y_B) = E[H(y | y_B)] - mean_k H[p_k]. Given one
    combination m of answers to B, draw k is believed in proportion to prod_i p_k(y_i), which makes a (M, K) table; all
    C^|B| combinations are enumerated while there are at most ``samples`` of them, then that many are sampled.

    K draws cannot tell more than log K nats. After 99 % of that the remaining picks are those of the largest BALD, and
    the note ``saturated_after`` says how many came before; the note ``draws_suffice_for`` is written where k exceeds
    log K / (mean BALD of the k best). Raise draws.k for larger batches (50 to 100 for 10 picks), or use ``power_bald``.

    A score is what the pick adds to the batch before it, in nats; 0 where BALD alone chose.

    Reads: draws.
    Cost: K passes; N K C numbers in memory; O(M K C) for a pick and each candidate that is looked at again. As a gain
        only falls while the batch grows, the last known gain bounds the next, and few candidates are looked at.
    Tasks: classification; draws.kind fixed or head, because all examples must share draw k.
    Reference: Kirsch et al. (2019), BatchBALD: efficient and diverse batch acquisition for deep Bayesian active
        learning, section 3.
    Deviations: sampled combinations are extended from pick to pick instead of drawn anew; bounds are taken for exact
        where combinations are sampled, so a pick may be second best by less than the sampling error; saturation.

    Attributes:
        samples: Most combinations of answers that are enumerated, and how many are sampled beyond.
    """

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.DRAWS, Capability.SHARED_OUTCOMES})

    samples: Annotated[int, Field(ge=1)] = 10_000

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Choose k greedily."""
        (log_probs,) = pool.collect(probes.draw_log_probs)
        return batch_bald(log_probs, k, self.samples, rng)


def batch_bald(log_probs_N_K_C: Array, k: int, samples: int, rng: np.random.Generator) -> Selection:
    """Choose k of N by greedy joint mutual information; see ``BatchBald``.

    Args:
        log_probs_N_K_C: Draw k must be the same parameters for every example.
        k: At most N.
        samples: Most combinations of answers.
        rng: Breaks ties and samples the combinations.

    Raises:
        BrokenModelError: NaN among the log-probabilities.
    """
    draws = log_probs_N_K_C.shape[1]
    candidates = _Candidates(log_probs_N_K_C)
    answers = Combinations.none(draws)
    gains = candidates.gains(answers, np.arange(len(log_probs_N_K_C)))
    bald = gains.copy()
    picks: list[int] = []
    scores: list[float] = []
    while len(picks) < k and answers.unknown() > (1 - SATURATED) * math.log(draws):
        pick = _best(candidates, answers, gains, rng)
        picks.append(pick)
        scores.append(gains[pick])
        gains[pick] = -np.inf
        answers = answers.extended(candidates.probs(np.array([pick]))[0], samples, rng)
    notes = _notes(bald, k, draws, len(picks))
    bald[picks] = -np.inf
    rest = descending(bald, rng)[: k - len(picks)]
    positions = np.concatenate([np.array(picks, dtype=np.int64), rest])
    return Selection(positions, np.array(scores + [0.0] * len(rest)), notes)


def _best(
    candidates: "_Candidates", answers: "Combinations", gains: NDArray[np.float64], rng: np.random.Generator
) -> int:
    """Return the candidate with the largest gain, and bring up to date in ``gains`` (N,) those that might be it."""
    order, end, best = descending(gains, rng), 0, -np.inf
    step = max(1, min(STEP, ROOM // (len(answers.weights) * candidates.outcomes)))
    while end < len(order) and gains[order[end]] > best:
        some = order[end : end + step]
        some = some[gains[some] > -np.inf]  # not those already picked
        gains[some] = candidates.gains(answers, some)
        best = max(best, gains[some].max())
        end += len(some)
    return int(order[gains[order[:end]].argmax()])


def _notes(bald: NDArray[np.float64], k: int, draws: int, picks: int) -> dict[str, Any]:
    """Say where K draws are too few for k picks, before (by BALD) and after the fact."""
    notes: dict[str, Any] = {}
    mean = np.sort(bald)[-k:].mean()
    if k * mean > math.log(draws):
        notes["draws_suffice_for"] = max(1, int(math.log(draws) / mean))
    if picks < k:
        notes["saturated_after"] = picks
    return notes


class _Candidates:
    """The pool's draws as probabilities in fp64, some examples at a time."""

    def __init__(self, log_probs_N_K_C: Array) -> None:
        self._log_probs = log_probs_N_K_C
        _, draws, self.outcomes = log_probs_N_K_C.shape
        step = max(1, ROOM // (draws * self.outcomes))
        chunks = [np.arange(i, min(i + step, len(log_probs_N_K_C))) for i in range(0, len(log_probs_N_K_C), step)]
        self._conditional = torch.cat([prob_entropy(self.probs(chunk)).mean(1) for chunk in chunks])  # (N,)

    def probs(self, positions: Positions) -> Tensor:
        """Return (n, K, C) probabilities."""
        return probabilities(self._log_probs[positions])

    def gains(self, answers: "Combinations", positions: Positions) -> NDArray[np.float64]:
        """Return I(y; omega | y_B) in nats, (n,), at least 0."""
        step = max(1, ROOM // (max(len(answers.weights), answers.beliefs.shape[1]) * self.outcomes))
        entropies = [answers.entropies(self.probs(positions[i : i + step])) for i in range(0, len(positions), step)]
        gains = torch.cat(entropies) - self._conditional[positions]
        return np.round(gains.clamp(min=0).numpy(), DECIMALS)


@dataclass(frozen=True)
class Combinations:
    """M combinations of answers to the batch so far, and what each would let us believe.

    Attributes:
        weights: (M,) probability of each combination; they sum to one.
        beliefs: (M, K) probability of each draw given the combination; rows sum to one.
        sampled: Whether these are a sample of all combinations.
    """

    weights: Tensor
    beliefs: Tensor
    sampled: bool = False

    @classmethod
    def none(cls, draws: int) -> "Combinations":
        """Return what is believed before any answer: all draws alike."""
        return cls(torch.ones(1, dtype=torch.double), torch.full((1, draws), 1 / draws, dtype=torch.double))

    def unknown(self) -> float:
        """Return H(omega | y_B) in nats: what further answers can tell at most."""
        return float(self.weights @ prob_entropy(self.beliefs))

    def entropies(self, probs_n_K_C: Tensor) -> Tensor:
        """Return E[H(y | y_B)] of n examples, (n,)."""
        n, draws, outcomes = probs_n_K_C.shape
        predictions = self.beliefs @ probs_n_K_C.transpose(0, 1).reshape(draws, n * outcomes)  # (M, n C)
        return -(self.weights @ torch.xlogy(predictions, predictions)).reshape(n, outcomes).sum(-1)

    def extended(self, probs_K_C: Tensor, samples: int, rng: np.random.Generator) -> "Combinations":
        """Return the combinations with one more answer: all of them if at most ``samples``, else a sample."""
        if self.sampled or len(self.weights) * probs_K_C.shape[1] > samples:
            return self._sampled(probs_K_C, samples, rng)
        joint = self.beliefs[:, None, :] * probs_K_C.T  # (M, C, K)
        chances = joint.sum(-1)
        weights = self.weights[:, None] * chances
        possible = weights > 0
        return Combinations(weights[possible], joint[possible] / chances[possible][:, None])

    def _sampled(self, probs_K_C: Tensor, samples: int, rng: np.random.Generator) -> "Combinations":
        beliefs = self.beliefs
        if not self.sampled:  # systematic sampling: a combination of weight w comes about w x samples times
            points = (rng.random() + np.arange(samples)) / samples
            rows = np.searchsorted(self.weights.cumsum(0).numpy(), points).clip(max=len(beliefs) - 1)
            beliefs = beliefs[rows]
        sums = (beliefs @ probs_K_C).cumsum(-1).numpy()  # (M, C)
        points = rng.random(len(beliefs)) * sums[:, -1]
        chosen = (sums <= points[:, None]).sum(-1).clip(max=sums.shape[1] - 1)
        joint = beliefs * probs_K_C.T[chosen]  # (M, K)
        weights = torch.full((len(joint),), 1 / len(joint), dtype=torch.double)
        return Combinations(weights, joint / joint.sum(-1, keepdim=True), sampled=True)
