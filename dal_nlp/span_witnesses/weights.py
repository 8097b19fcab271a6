"""What machines and a reader count beside each other, fitted to examples whose answers people gave.

The scores of a reader are multiplied by its weight, one of ``READERS``: one of few labels is surer than it has reason
to be, and no weight of a machine mends that on examples where it is sure and on others at once. None of them is 0, so
that an example to which no machine has an answer still has that of the reader.

What is fitted is how probable labels are, and what is judged is the answer. A reader that knows where answers may lie
at all, and not which is right, makes labels more probable and answers worse. So both together must give better answers
than the better of the two alone, or that one is taken.

A few numbers of each example and each weight of the reader are enough, and it does not answer again.

Letters: n examples, S machines.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Floats = NDArray[np.float64]
#: The weight of a machine before any label: with it, and beside a reader that knows nothing, confidences hold.
TRUST = 1.0
#: Weights that a reader may have. The prior of each is proportional to it: half of one is taken where all labels
#: together are more than twice as probable by it: a few examples that it is wrongly sure of are enough.
READERS = (1.0, 0.5, 0.25, 0.125, 0.0625, 0.015625)
#: Examples from which on a machine may be left out, and by how many standard errors it must do harm.
GUARD_FROM, CLEARLY = 20, 2.0
#: By how many standard errors answers of both together must be better than those of one: by chance they are in one of
#: twenty cases, and in one of eight where few answers differ, as of three all three must be better then.
BETTER = 1.64
#: Whose answers are given: of reader and machines together, of either where the other says next to nothing.
TOGETHER, MACHINES, ALONE = "together", "machines", "reader"


class WitnessedExample(Protocol):
    """An example with what a reader and machines say of it."""

    def log_likelihood(self, weights: Floats) -> float:
        """Return the log-probability of what people say of it, machines having weights (S,)."""

    def agreement(self, weights: Floats) -> tuple[float, float]:
        """Return the points of the answer that is given, machines having weights (S,), and how many there may be.

        The points of several examples over those that there may be are what their answers are worth, such as F1.
        """


#: Examples by the weight that their readers have, in the same order at each.
Judged = Mapping[float, Sequence[WitnessedExample]]


@dataclass(frozen=True)
class Weights:
    """Weights (S,) of machines, which of them do harm and are left out, the weight of the reader, and who answers."""

    values: list[float]
    off: list[int]
    reader: float
    answers: str = TOGETHER


def fit_posterior(examples: Sequence[WitnessedExample], means: Floats, kept: Floats) -> tuple[Floats, float]:
    """Return the weights (S,) of the largest posterior, and its logarithm; see ``log_posterior``."""
    solution = minimize(lambda weights: -log_posterior(weights, examples, means, kept), means, method="L-BFGS-B")
    return solution.x * kept, -float(solution.fun)


def log_posterior(weights: Floats, examples: Sequence[WitnessedExample], means: Floats, kept: Floats) -> float:
    """Return log p of weights (S,) but for a constant; the prior of each is Gaussian, with deviation 1.

    Args:
        weights: Of machines.
        examples: That people have answered.
        means: (S,) of the prior.
        kept: (S,) 0 for the machines that are left out, 1 for the others.
    """
    likelihood = sum(one.log_likelihood(weights * kept) for one in examples)
    return float(likelihood - ((weights - means) ** 2).sum() / 2)


def fit_both(judged: Judged, means: Floats, off: Sequence[int]) -> tuple[Floats, float]:
    """Return the weights (S,) of machines and that of the reader whose posterior together is largest.

    Machines that are left out have weight 0; where none is left, the reader counts as it is.
    """
    kept = np.ones(len(means))
    kept[list(off)] = 0
    readers = judged if kept.any() else [1.0]
    fits = [(*fit_posterior(judged[own], means, kept), own) for own in readers]
    weights, _, own = max(fits, key=lambda one: one[1] + np.log(one[2]))
    return weights, own


def _crossed(judged: Judged, means: Floats, off: Sequence[int]) -> Floats:
    """Return the log-likelihood of each example, even and odd ones under weights that the others gave."""
    log_likelihoods = np.zeros(len(judged[1.0]))
    for half in (0, 1):
        others = {own: examples[1 - half :: 2] for own, examples in judged.items()}
        weights, own = fit_both(others, means, off)
        log_likelihoods[half::2] = [one.log_likelihood(weights) for one in judged[own][half::2]]
    return log_likelihoods


def fit_weights(judged: Judged, means: Sequence[float]) -> Weights:
    """Fit the weights of machines and of the reader beside them.

    A machine is left out that makes right answers clearly less probable, one after the other: the last of them is
    compared with the reader as it is, with weight 1, and so is what stays where all are left out.

    Then it is decided who answers, see ``preferred``. Machines alone have a reader of the least weight beside them,
    for what they do not answer; where none of them has a positive weight then, or a reader answers alone, all have 0.

    Args:
        judged: By readers that were not trained on them.
        means: (S,) of the prior.
    """
    prior, off, n = np.array(means), list[int](), len(judged[1.0])
    if n < 2:
        return Weights(list(means), off, min(judged), MACHINES)
    if n >= GUARD_FROM:
        for index in range(len(means)):
            gains = _crossed(judged, prior, [*off, index]) - _crossed(judged, prior, off)
            if gains.mean() > CLEARLY * gains.std(ddof=1) / np.sqrt(n):
                off.append(index)
    kept, none, least = (
        np.isin(np.arange(len(means)), off, invert=True).astype(float),
        np.zeros(len(means)),
        min(judged),
    )
    machines = fit_posterior(judged[least], prior, kept)[0]
    if machines.max() <= 0:
        return Weights(none.tolist(), off, 1.0, ALONE)
    ways = {TOGETHER: fit_both(judged, prior, off), MACHINES: (machines, least), ALONE: (none, 1.0)}
    worth = {who: _worth(judged[own], weights) for who, (weights, own) in ways.items()}
    answers = preferred(worth[MACHINES], worth[ALONE], worth[TOGETHER])
    values, own = ways[answers]
    return Weights(values.tolist(), off, own, answers)


def _worth(examples: Sequence[WitnessedExample], weights: Floats) -> Floats:
    """Return the points of the answers to examples and how many there may be, (n, 2)."""
    return np.array([one.agreement(weights) for one in examples])


def preferred(machines: Floats, reader: Floats, together: Floats) -> str:
    """Return whose answers are given, of the points of each, (n, 2).

    Those of the better of machines and reader, of machines where they are equal; and those of both together where they
    are better than these by ``BETTER`` standard errors, or where machines and reader are as good at every example, as
    where machines say nothing.
    """
    if np.array_equal(machines, reader):
        return TOGETHER
    answers, best = (ALONE, reader) if advantage(reader, machines) > 0 else (MACHINES, machines)
    return TOGETHER if advantage(together, best) > BETTER else answers


def advantage(first: Floats, second: Floats) -> float:
    """Return by how many standard errors some answers to n examples are better than others; 0 where they are as good.

    The share of points is a ratio of sums; its standard error is that of the mean of what each example adds to it, to
    first order (Cochran, 1977, Sampling Techniques, 6.4), and so is that of the difference of two shares.

    Args:
        first: (n, 2) points, and how many there may be, n > 1.
        second: Likewise.
    """
    (a, more), (b, less) = _share(first), _share(second)
    apart, difference = more - less, a - b
    error = float(apart.std(ddof=1) / np.sqrt(len(apart)))
    if error:
        return difference / error
    return math.copysign(math.inf, difference) if difference else 0.0


def _share(points: Floats) -> tuple[float, Floats]:
    """Return the points over those that there may be, 1 where there may be none, and what each example adds, (n,)."""
    scored, most = points.T
    if not most.sum():
        return 1.0, np.zeros(len(points))
    share = scored.sum() / most.sum()
    return float(share), (scored - share * most) / most.mean()
