"""What machines and a reader count beside each other, fitted to examples whose answers people gave.

The scores of a reader are multiplied by its weight, one of ``READERS``: one of few labels is surer than it has reason
to be, and no weight of a machine mends that on examples where it is sure and on others at once. None of them is 0, so
that an example to which no machine has an answer still has that of the reader.

A few numbers of each example and each weight of the reader are enough, and it does not answer again.

Letters: S machines.
"""

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


class Heard(Protocol):
    """An example with what a reader and machines say of it."""

    def log_likelihood(self, weights: Floats) -> float:
        """Return the log-probability of what people say of it, machines having weights (S,)."""


#: Examples by the weight that their readers have, in the same order at each.
Judged = Mapping[float, Sequence[Heard]]


@dataclass(frozen=True)
class Weights:
    """Weights (S,) of machines, which of them are left out, with weight 0, and the weight of the reader."""

    values: list[float]
    off: list[int]
    reader: float


def fit(examples: Sequence[Heard], means: Floats, kept: Floats) -> tuple[Floats, float]:
    """Return the weights (S,) of the largest posterior, and its logarithm; see ``log_posterior``."""
    found = minimize(lambda weights: -log_posterior(weights, examples, means, kept), means, method="L-BFGS-B")
    return found.x * kept, -float(found.fun)


def log_posterior(weights: Floats, examples: Sequence[Heard], means: Floats, kept: Floats) -> float:
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
    found = [(*fit(judged[own], means, kept), own) for own in readers]
    weights, _, own = max(found, key=lambda one: one[1] + np.log(one[2]))
    return weights, own


def _crossed(judged: Judged, means: Floats, off: Sequence[int]) -> Floats:
    """Return the log-likelihood of each example, even and odd ones under weights that the others gave."""
    found = np.zeros(len(judged[1.0]))
    for half in (0, 1):
        others = {own: examples[1 - half :: 2] for own, examples in judged.items()}
        weights, own = fit_both(others, means, off)
        found[half::2] = [one.log_likelihood(weights) for one in judged[own][half::2]]
    return found


def fit_weights(judged: Judged, means: Sequence[float]) -> Weights:
    """Fit the weights of machines and of the reader beside them.

    A machine is left out that makes right answers clearly less probable, one after the other: the last of them is
    compared with the reader as it is, with weight 1, and so is what stays where all are left out.

    Args:
        judged: By readers that were not trained on them.
        means: (S,) of the prior.
    """
    prior, off, n = np.array(means), list[int](), len(judged[1.0])
    if not n:
        return Weights(list(means), off, 1.0)
    if n >= GUARD_FROM:
        for place in range(len(means)):
            gains = _crossed(judged, prior, [*off, place]) - _crossed(judged, prior, off)
            if gains.mean() > CLEARLY * gains.std(ddof=1) / np.sqrt(n):
                off.append(place)
    values, own = fit_both(judged, prior, off)
    return Weights(values.tolist(), off, own)
