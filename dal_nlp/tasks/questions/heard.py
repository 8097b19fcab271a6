"""What machines say of answer spans, added to their scores.

A machine that gives the answer w with confidence c adds weight x b to the score of every span that reads w, with
b = log(c / (1 - c)) + log((M - m) / m), M the outcomes of the question and m the spans that read w: beside a reader
that finds all outcomes equally probable, and with weight 1, these spans get exactly the probability c. The reader has
a weight too: its scores are multiplied by it, as one of few labels is surer than it has reason to be.

Letters: B questions of a batch, S machines, K spans that a machine means, R rows and T x L as in ``spans``.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dal_nlp.core.categoricals import Categoricals, Ragged
from dal_nlp.core.targets import Target
from dal_nlp.core.task import Batch, Example
from dal_nlp.tasks.questions.spans import gold, said
from dal_nlp.tasks.squad_metrics import answer_scores

#: Where the configuration of a model has the weights of machines, and that of its own scores beside them.
WEIGHTS, READER = "dal_nlp_witness_weights", "dal_nlp_reader_weight"
#: The columns of a question: by machine the (window, column) of each span that it means, and the log-odds of its
#: confidence.
PLACES, ODDS = "heard", "heard_odds"


def places(example: Example, target: Target, longest: int, unanswerable: bool) -> list[list[int]]:
    """Return the window and the column of each span of a target, as far as the model could give it."""
    return [list(span) for span in gold({**example, "target": target}, longest, unanswerable)]


def columns(examples: Sequence[Example], width: int, longest: int) -> dict[str, Tensor]:
    """Return where in a batch the spans are that machines mean, (B, S, K), -1 for none, and their log-odds (B, S)."""
    if PLACES not in examples[0]:
        return {}
    size, row, outcomes = width * longest + 1, 0, []
    for example in examples:
        outcomes.append([[(row + w) * size + column for w, column in spans] for spans in example[PLACES]])
        row += example["rows"]
    most = max([1, *(len(spans) for by in outcomes for spans in by)])
    padded = [[spans + [-1] * (most - len(spans)) for spans in by] for by in outcomes]
    return {PLACES: torch.tensor(padded), ODDS: torch.tensor([list(example[ODDS]) for example in examples])}


def weighed(batch: Batch, model: nn.Module) -> dict[str, Tensor]:
    """Return the weights that a model has in its configuration, of machines (S,) and of its own scores, 1 without one.

    {} where it has heard no machine.
    """
    if PLACES not in batch.extra:
        return {}
    config: Any = model.config
    known, device = config.to_dict(), batch.owner.device
    if known.get(WEIGHTS) is None:
        return {}
    own = torch.tensor(float(known.get(READER, 1.0)), device=device)
    return {WEIGHTS: torch.tensor(known[WEIGHTS], device=device), READER: own}


def strengths(scores: Tensor, batch: Batch) -> Tensor:
    """Return b of every machine for every question, (B, S), 0 where it means no span, by scores (R, 1 + T x L)."""
    possible = torch.isfinite(scores).sum(1)
    outcomes = possible.new_zeros(batch.size).index_add(0, batch.owner, possible)[:, None]
    meant = (batch.extra[PLACES] >= 0).sum(-1)
    spread = ((outcomes - meant).clamp(min=1) / meant.clamp(min=1)).log()
    return torch.where(meant > 0, batch.extra[ODDS] + spread, 0.0).float()


def add(scores: Tensor, batch: Batch) -> Tensor:
    """Return scores (R, 1 + T x L) times the weight of a batch for them, and what its machines add.

    As they are where the batch has no weights.
    """
    if WEIGHTS not in batch.extra:
        return scores
    where = batch.extra[PLACES]
    added = (batch.extra[WEIGHTS].float() * strengths(scores.detach(), batch))[..., None].expand_as(where)
    there, own = where >= 0, scores * batch.extra[READER]
    return own.flatten().index_add(0, where[there], added[there].to(own)).view_as(own)


def hearing(model: nn.Module, weights: Sequence[float], own: float) -> nn.Module:
    """Return a model of the same parameters that gives machines some weights, and its own scores another."""
    heard: Any = copy.copy(model)
    heard.config = copy.deepcopy(heard.config)
    heard.config.update({WEIGHTS: list(weights), READER: own})
    result: nn.Module = heard
    return result


def alone(model: nn.Module, fitted: Sequence[str] = ()) -> nn.Module:
    """Return a model of the same parameters that hears no machine, also where a checkpoint says that it did.

    Args:
        model: A reader.
        fitted: Further names in its configuration, of what was fitted to it and machines together.
    """
    inner: Any = model
    if WEIGHTS not in inner.config.to_dict():
        return model
    deaf: Any = copy.copy(inner)
    deaf.config = copy.deepcopy(inner.config)
    for name in (WEIGHTS, READER, *fitted):
        if name in deaf.config.to_dict():
            delattr(deaf.config, name)
    result: nn.Module = deaf
    return result


@dataclass(frozen=True)
class Question:
    """What the weights of machines are fitted to: the K spans that some machine means, of a question with an answer.

    Attributes:
        gold: Log-probability of all right outcomes together, by the reader alone.
        spans: (K,) likewise of each span that is meant.
        right: (K,) whether it is right.
        said: (K, S) b of every machine that means it, 0 for the others.
        rest: Likewise of the most probable outcome that no machine means.
        f1: (K + 1,) token F1 of the words of each span that is meant, and of that outcome.
    """

    gold: float
    spans: NDArray[np.float64]
    right: NDArray[np.bool_]
    said: NDArray[np.float64]
    rest: float
    f1: NDArray[np.float64]

    def log_likelihood(self, weights: NDArray[np.float64]) -> float:
        """Return log p'(right) under weights (S,)."""
        return question_log_likelihood(weights, self)

    def agreement(self, weights: NDArray[np.float64]) -> tuple[float, float]:
        """Return the F1 of the most probable outcome under weights (S,), and 1."""
        return float(self.f1[np.append(self.spans + self.said @ weights, self.rest).argmax()]), 1.0


def question_log_likelihood(weights: NDArray[np.float64], question: Question) -> float:
    """Return log p'(right) of a question under weights (S,), of few numbers.

    With u the sum of weight x b of the machines that mean a span, p its probability by the reader at its weight, g that
    of all right outcomes, log p'(right) = log(g + sum over right spans of p (e^u - 1)) - log(1 + sum over all spans of
    p (e^u - 1)).
    """
    up = question.said @ weights
    rest = np.log1p(-np.exp(question.spans).sum().clip(max=1 - 1e-12))
    meant = question.spans + up
    told = np.logaddexp.reduce(question.spans[question.right], initial=-np.inf) - question.gold
    apart = question.gold + np.log1p(-np.exp(min(told, -1e-12)))  # right outcomes that no machine means
    right = np.logaddexp.reduce([apart, *meant[question.right]])
    return float(right - np.logaddexp.reduce([rest, *meant]))


def questions(
    predicted: Categoricals, batch: Batch, own: float, examples: Sequence[Example], longest: int
) -> list[Question]:
    """Return what weights are fitted to, of the questions whose right answers the reader could give.

    Args:
        predicted: What the reader says, of every outcome.
        batch: What it has read.
        own: The weight of its scores, more than 0.
        examples: Of the batch, with their answers.
        longest: Tokens of the longest answer.
    """
    assert batch.labels is not None
    known = Ragged.of(predicted.log_probs.double() * own, batch.owner, batch.size)
    every, where = known.log_probs.flatten(), batch.extra[PLACES]
    b = strengths(known.log_probs, batch).double().cpu().numpy()
    unmeant = every.scatter(0, where[where >= 0], -torch.inf).view_as(known.log_probs)
    others = replace(known, log_probs=unmeant).best()
    columns = known.numbers(torch.cat([where.flatten(1).clamp(min=0), others], 1)).tolist()
    answerable = list[Question]()
    for row, (labels, mine, example) in enumerate(zip(batch.labels, where, examples, strict=True)):
        right = labels[labels >= 0]
        if len(right):
            number = dict(zip(mine.flatten().tolist(), columns[row][:-1], strict=True))
            spans = mine[mine >= 0].unique()
            answers = [
                said(example, of, longest) for of in [*(number[span] for span in spans.tolist()), columns[row][-1]]
            ]
            f1 = np.array(answer_scores(answers, [example["target"]] * len(answers))[1])
            meant = (mine[None] == spans[:, None, None]).any(-1).cpu().numpy()
            values = every[spans].cpu().numpy(), torch.isin(spans, right).cpu().numpy(), meant * b[row]
            rest = float(every[others[row, 0]])
            answerable.append(Question(float(every[right].logsumexp(0)), *values, rest, f1))
    return answerable
