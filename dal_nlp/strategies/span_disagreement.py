"""Disagreement of answers by what they say: two overlapping spans contradict each other less than two disjoint ones."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from dal_nlp.models.forward import Forward
from dal_nlp.models.pool import Pool
from dal_nlp.strategies.base import Capability
from dal_nlp.strategies.scored import Scored
from dal_nlp.strategies.selectors import Scores


@dataclass(frozen=True)
class SpanDisagreement(Scored):
    """The expected token-F1 loss between two answers drawn from the model: 1 - sum_ab p_a p_b F1(a, b).

    a and b go over the texts of the most likely outcomes; outcomes that read alike are one text with their
    probabilities together, and these are divided by their total. F1 is that of SQuAD: two answers share words or they
    do not, so that the model's doubt about an article or a title counts little.

    Reads: log_probs, text (of the ``answers`` most likely outcomes).
    Cost: one pass; O(N A^2) comparisons for A texts.
    Tasks: those whose outcomes are answers in words: question answering.
    Reference: none; it is to spans what BLEU variance (Xiao et al., 2020, Wat zei je?) is to generated texts.

    Attributes:
        answers: How many of the most likely outcomes are looked at.
    """

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.ANSWER_TEXTS})

    answers: Annotated[int, Field(ge=2)] = 20

    def scores(self, pool: Pool, rng: np.random.Generator) -> Scores:
        """Return the expected losses, (N,)."""
        (scores,) = pool.collect(_Probe(self.answers))
        return np.asarray(scores)


@dataclass(frozen=True)
class _Probe:
    """Probes are known by what they are: two of as many answers are one."""

    answers: int

    def __call__(self, forward: Forward) -> Tensor:
        """Expected loss between two answers, (B,)."""
        c = forward.categoricals
        values, positions = c.top(self.answers)
        scores = []
        for i, (log_probs, outcomes) in enumerate(
            zip(values[:, 0].tolist(), c.numbers(positions)[:, 0].tolist(), strict=True)
        ):
            possible = [(number, p) for number, p in zip(outcomes, log_probs, strict=True) if p > -np.inf or p != p]
            texts = [forward.text(i, number) for number, _ in possible]
            scores.append(expected_loss(texts, np.array([p for _, p in possible])))
        return torch.tensor(scores, dtype=torch.float32)


def expected_loss(texts: Sequence[str], log_probs: NDArray[np.float64]) -> float:
    """Return 1 - sum_ab p_a p_b F1(a, b), with the p divided by their sum.

    Written as sum over a != b of p_a p_b (1 - F1(a, b)), which is exact where one answer has nearly all probability.
    """
    merged: dict[str, float] = {}
    for text, p in zip(texts, np.exp(log_probs - log_probs.max()), strict=True):
        merged[text] = merged.get(text, 0.0) + float(p)
    words = [text.split() for text in merged]
    p = np.array(list(merged.values()))
    loss = sum(
        2 * p[a] * p[b] * (1 - overlap(words[a], words[b])) for a in range(len(words)) for b in range(a + 1, len(words))
    )
    return float(loss / p.sum() ** 2)


def overlap(a: Sequence[str], b: Sequence[str]) -> float:
    """Return the F1 of two lists of words as multisets: 2 x shared / (all words); 0 where one of them is empty."""
    shared = sum((Counter(a) & Counter(b)).values())
    return 2 * shared / (len(a) + len(b)) if shared else 0.0
