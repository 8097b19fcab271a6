"""What machines and a reader count beside each other, fitted to questions whose answers people gave.

The scores of a reader are multiplied by its weight, one of ``READERS``: one of few labels is surer than it has reason
to be, and no weight of a machine mends that on questions where it is sure and on others at once. None of them is 0, so
that a question to which no machine has an answer still has that of the reader.

With u the sum of weight x b of the machines that mean a span, p its probability by the reader at its weight, g that
of all right outcomes, log p'(right) = log(g + sum over right spans of p (e^u - 1)) - log(1 + sum over all spans of
p (e^u - 1)). So a few numbers of each question and each weight of the reader are enough, and it does not answer again.

Letters: S machines.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from dal_nlp.tasks.questions.heard import Question

Floats = NDArray[np.float64]
#: The weight of a machine before any label: with it, and beside a reader that knows nothing, confidences hold.
TRUST = 1.0
#: Weights that a reader may have. The prior of each is proportional to it: half of one is taken where all labels
#: together are more than twice as probable by it: a few questions to an overconfident reader are enough.
READERS = (1.0, 0.5, 0.25, 0.125, 0.0625, 0.015625)
#: Questions from which on a machine may be left out, and by how many standard errors it must do harm.
GUARD_FROM, CLEARLY = 20, 2.0


#: The questions by the weight that their readers have, in the same order at each.
Judged = Mapping[float, Sequence[Question]]


@dataclass(frozen=True)
class Weights:
    """Weights (S,) of machines, which of them are left out, with weight 0, and the weight of the reader."""

    values: list[float]
    off: list[int]
    reader: float


def log_likelihood(weights: Floats, question: Question) -> float:
    """Return log p'(right) of a question under weights (S,)."""
    up = question.said @ weights
    rest = np.log1p(-np.exp(question.spans).sum().clip(max=1 - 1e-12))
    meant = question.spans + up
    told = np.logaddexp.reduce(question.spans[question.right], initial=-np.inf) - question.gold
    apart = question.gold + np.log1p(-np.exp(min(told, -1e-12)))  # right outcomes that no machine means
    right = np.logaddexp.reduce([apart, *meant[question.right]])
    return float(right - np.logaddexp.reduce([rest, *meant]))


def fit(questions: Sequence[Question], means: Floats) -> tuple[Floats, float]:
    """Return the weights (S,) of the largest posterior, and its logarithm; see ``log_posterior``."""
    found = minimize(lambda weights: -log_posterior(weights, questions, means), means, method="L-BFGS-B")
    return found.x, -float(found.fun)


def log_posterior(weights: Floats, questions: Sequence[Question], means: Floats) -> float:
    """Return log p of weights (S,) but for a constant; the prior of each is Gaussian, with deviation 1."""
    likelihood = sum(log_likelihood(weights, one) for one in questions)
    return float(likelihood - ((weights - means) ** 2).sum() / 2)


def fit_both(judged: Judged, means: Floats) -> tuple[Floats, float]:
    """Return the weights (S,) of machines and that of the reader whose posterior together is largest."""
    found = [(*fit(questions, means), own) for own, questions in judged.items()]
    weights, _, own = max(found, key=lambda one: one[1] + np.log(one[2]))
    return weights, own


def _part(judged: Judged, rows: slice) -> Judged:
    return {own: questions[rows] for own, questions in judged.items()}


def _without(judged: Judged, places: Sequence[int], machines: int) -> Judged:
    """Return questions at which some machines say nothing; where none is left, by the reader as it is."""
    kept = np.ones(machines)
    kept[list(places)] = 0
    return {
        own: [Question(one.gold, one.spans, one.right, one.said * kept) for one in questions]
        for own, questions in judged.items()
        if kept.any() or own == 1
    }


def _crossed(judged: Judged, means: Floats) -> Floats:
    """Return the log-likelihood of each question, even and odd ones under weights that the others gave."""
    found = np.zeros(len(judged[1.0]))
    for half in (0, 1):
        weights, own = fit_both(_part(judged, slice(1 - half, None, 2)), means)
        found[half::2] = [log_likelihood(weights, one) for one in judged[own][half::2]]
    return found


def fit_weights(judged: Judged, means: Sequence[float]) -> Weights:
    """Fit the weights of machines and of the reader beside them.

    A machine is left out that makes right answers clearly less probable, one after the other: the last of them is
    compared with the reader as it is, with weight 1, and so is what stays where all are left out.

    Args:
        judged: By readers that were not trained on them.
        means: (S,) of the prior.
    """
    prior, off, machines = np.array(means), list[int](), len(means)
    n = len(judged[1.0])
    if not n:
        return Weights(list(means), off, 1.0)
    if n >= GUARD_FROM:
        for place in range(machines):
            with_it, without = (_crossed(_without(judged, out, machines), prior) for out in (off, [*off, place]))
            gains = without - with_it
            if gains.mean() > CLEARLY * gains.std(ddof=1) / np.sqrt(n):
                off.append(place)
    values, own = fit_both(_without(judged, off, machines), prior)
    values[off] = 0
    return Weights(values.tolist(), off, own)
