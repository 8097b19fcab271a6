"""What machines count beside a reader, fitted to questions whose answers people gave.

With u the sum of weight x b of the machines that mean a span, p its probability by the reader alone, g that of all
right outcomes, log p'(right) = log(g + sum over right spans of p (e^u - 1)) - log(1 + sum over all spans of
p (e^u - 1)). So a few numbers of each question are enough, and the reader does not answer again.

Letters: S machines.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from dal_nlp.tasks.questions.heard import Question

Floats = NDArray[np.float64]
#: The weight of a machine before any label: with it, and beside a reader that knows nothing, confidences hold.
TRUST = 1.0
#: Questions from which on a machine may be left out, and by how many standard errors it must do harm.
GUARD_FROM, CLEARLY = 20, 2.0


@dataclass(frozen=True)
class Weights:
    """Weights (S,) of machines, and which of them are left out, with weight 0."""

    values: list[float]
    off: list[int]


def log_likelihood(weights: Floats, question: Question) -> float:
    """Return log p'(right) of a question under weights (S,)."""
    up = question.said @ weights
    rest = np.log1p(-np.exp(question.spans).sum().clip(max=1 - 1e-12))
    meant = question.spans + up
    told = np.logaddexp.reduce(question.spans[question.right], initial=-np.inf) - question.gold
    apart = question.gold + np.log1p(-np.exp(min(told, -1e-12)))  # right outcomes that no machine means
    right = np.logaddexp.reduce([apart, *meant[question.right]])
    return float(right - np.logaddexp.reduce([rest, *meant]))


def fit(questions: Sequence[Question], means: Floats) -> Floats:
    """Return the weights (S,) of the largest posterior; the prior of each is Gaussian, with deviation 1."""

    def loss(weights: Floats) -> float:
        return float(((weights - means) ** 2).sum() / 2 - sum(log_likelihood(weights, one) for one in questions))

    found: Floats = minimize(loss, means, method="L-BFGS-B").x
    return found


def _without(questions: Sequence[Question], places: Sequence[int]) -> list[Question]:
    kept = np.ones(questions[0].said.shape[1])
    kept[list(places)] = 0
    return [Question(one.gold, one.spans, one.right, one.said * kept) for one in questions]


def _crossed(questions: Sequence[Question], means: Floats) -> Floats:
    """Return the log-likelihood of each question, even and odd ones under weights that the others gave."""
    found = np.zeros(len(questions))
    for half in (0, 1):
        weights = fit(questions[1 - half :: 2], means)
        found[half::2] = [log_likelihood(weights, one) for one in questions[half::2]]
    return found


def fit_weights(questions: Sequence[Question], means: Sequence[float]) -> Weights:
    """Fit the weights of machines; one is left out that makes right answers clearly less probable, one after the other.

    Args:
        questions: By readers that were not trained on them.
        means: (S,) of the prior.
    """
    prior, off = np.array(means), list[int]()
    if not questions:
        return Weights(list(means), off)
    if len(questions) >= GUARD_FROM:
        for place in range(len(means)):
            with_it, without = (_crossed(_without(questions, out), prior) for out in (off, [*off, place]))
            gains = without - with_it
            if gains.mean() > CLEARLY * gains.std(ddof=1) / np.sqrt(len(gains)):
                off.append(place)
    values = fit(_without(questions, off), prior)
    values[off] = 0
    return Weights(values.tolist(), off)
