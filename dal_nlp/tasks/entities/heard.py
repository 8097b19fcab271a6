"""What machines say of the words of a text, added to the scores of their tags.

A machine that gives a word the tag t with confidence c adds weight x b to the score of t, with
b = log(c / (1 - c)) + log(C - 1): beside a reader that finds all tags equally probable, and with weight 1, t gets
exactly the probability c. The reader's own scores are multiplied by a weight too, as in ``questions.heard``.

Letters: B texts of a batch, F words, S machines, C tags, n words of a text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dal_nlp.core.categoricals import Categoricals
from dal_nlp.core.task import Batch, Example, pad
from dal_nlp.readers.entities.tags import decode_tags
from dal_nlp.tasks.questions.heard import ODDS, PLACES, READER, WEIGHTS

#: In the place of a tag where a machine says nothing of a word.
SILENT = ""


def columns(examples: Sequence[Example], tags: Sequence[str]) -> dict[str, Tensor]:
    """Return the tag that each machine gives each word of a batch, (B, F, S), -1 for none, and its log-odds (B, S)."""
    if PLACES not in examples[0]:
        return {}
    numbers = {tag: i for i, tag in enumerate(tags)}
    by_machine = [
        pad([[numbers.get(tag, -1) for tag in example[PLACES][s]] for example in examples], -1)
        for s in range(len(examples[0][PLACES]))
    ]
    odds = torch.tensor([list(example[ODDS]) for example in examples])
    return {PLACES: torch.stack(by_machine, -1), ODDS: odds}


def strengths(batch: Batch, tags: int) -> Tensor:
    """Return b of every machine for every text, (B, S), for words that may have C tags."""
    return batch.extra[ODDS].float() + float(np.log(tags - 1))


def add(scores: Tensor, batch: Batch) -> Tensor:
    """Return scores (B, F, C) times the weight of a batch for them, and what its machines add.

    As they are where the batch has no weights.
    """
    if WEIGHTS not in batch.extra:
        return scores
    where = batch.extra[PLACES]
    added = (batch.extra[WEIGHTS].float() * strengths(batch, scores.shape[-1]))[:, None].expand(where.shape)
    own = scores * batch.extra[READER]
    return own.scatter_add(2, where.clamp(min=0), torch.where(where >= 0, added, 0.0).to(own))


@dataclass(frozen=True)
class TaggedWords:
    """What the weights of machines are fitted to: the words of a text whose tags people gave.

    Attributes:
        log_probs: (n, C) by the reader alone.
        right: (n,) tags.
        said: (n, S) the tag of each machine, -1 for none.
        strength: (S,) b of each.
        tags: (C,) their names.
    """

    log_probs: NDArray[np.float64]
    right: NDArray[np.int64]
    said: NDArray[np.int64]
    strength: NDArray[np.float64]
    tags: Sequence[str]

    def log_likelihood(self, weights: NDArray[np.float64]) -> float:
        """Return the sum of log p'(right) of the words under weights (S,)."""
        return words_log_likelihood(weights, self)

    def agreement(self, weights: NDArray[np.float64]) -> tuple[float, float]:
        """Return two points for each entity that is found under weights (S,), and how many are said and are there."""
        predicted, right = (
            set(decode_tags([self.tags[tag] for tag in of]).runs) for of in (moved(weights, self).argmax(1), self.right)
        )
        return 2.0 * len(predicted & right), float(len(predicted) + len(right))


def words_log_likelihood(weights: NDArray[np.float64], words: TaggedWords) -> float:
    """Return the sum over words of log p'(right), p' proportional to p e^(weight x b of the machines that say so)."""
    scores, rows = moved(weights, words), np.arange(len(words.right))
    return float((scores[rows, words.right] - np.logaddexp.reduce(scores, 1)).sum())


def moved(weights: NDArray[np.float64], words: TaggedWords) -> NDArray[np.float64]:
    """Return the scores of all tags of words under weights (S,), (n, C)."""
    scores, rows = words.log_probs.copy(), np.arange(len(words.right))
    for weight, b, answers in zip(weights, words.strength, words.said.T, strict=True):
        there = answers >= 0
        scores[rows[there], answers[there]] += weight * b
    return scores


def texts(predicted: Categoricals, batch: Batch, own: float, tags: Sequence[str]) -> list[TaggedWords]:
    """Return what weights are fitted to, of the texts of which some word is read.

    Args:
        predicted: What the reader says, of every tag of every word.
        batch: What it has read.
        own: The weight of its scores.
        tags: (C,) their names.
    """
    assert batch.labels is not None
    log_probs = (predicted.log_probs.double() * own).log_softmax(-1)
    b, words = strengths(batch, log_probs.shape[-1]).double().cpu().numpy(), []
    for row, labels in enumerate(batch.labels):
        read = labels >= 0
        if bool(read.any()):
            p, right, answers = (of[row][read].cpu().numpy() for of in (log_probs, batch.labels, batch.extra[PLACES]))
            words.append(TaggedWords(p, right, answers, b[row], tags))
    return words
