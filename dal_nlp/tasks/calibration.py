"""How far a classifier's confidence can be trusted: a temperature, and a threshold with a guarantee."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from scipy.stats import binom

from dal_nlp.tasks.metrics import wilson

Floats = NDArray[np.float64]

#: The chance that a threshold is given whose true precision is below the one asked for.
RISK = 0.05
#: The range of temperatures that are looked at.
TEMPERATURES = (0.05, 20.0)


def fit_temperature(log_probs: Floats, answers: NDArray[np.int_]) -> float:
    """Return the T that makes softmax(log p / T) likeliest on known answers (Guo et al., 2017, section 4.2).

    Args:
        log_probs: (N, C).
        answers: (N,) the right outcomes.
    """
    rows = np.arange(len(answers))

    def loss(log_t: float) -> float:
        return float(-log_softmax(log_probs / math.exp(log_t), axis=1)[rows, answers].mean())

    solution = minimize_scalar(loss, bounds=tuple(map(math.log, TEMPERATURES)), method="bounded")
    return math.exp(float(solution.x))


@dataclass(frozen=True)
class PrecisionGuarantee:
    """What labels above a threshold are worth, measured on N examples that neither train nor choose.

    Attributes:
        threshold: Least confidence of a label.
        precision: Share of right labels among those above it.
        precision_interval: Its 95 % interval.
        coverage: Share of examples above it.
        coverage_interval: Its 95 % interval.
        measured: N.
    """

    threshold: float
    precision: float
    precision_interval: tuple[float, float]
    coverage: float
    coverage_interval: tuple[float, float]
    measured: int


def least_answers(precision: float, risk: float = RISK) -> int:
    """Return how many right answers alone can guarantee a precision: the least n with precision^n <= risk."""
    return math.ceil(math.log(risk) / math.log(precision))


def precision_guarantee(
    confidences: Sequence[float], right: Sequence[bool], precision: float, risk: float = RISK
) -> PrecisionGuarantee | None:
    """Return the lowest threshold above which labels have a precision, or None where no threshold can be guaranteed.

    Thresholds are tested from the highest down, each by the exact binomial tail: the chance of so few errors among so
    many labels if the precision were lower. The first that fails ends the search, so that with a chance of 1 - ``risk``
    the guarantee holds however many were tried (fixed-sequence testing, as in Angelopoulos et al., 2021, Learn then
    test). Fewer than log(risk) / log(precision) labels prove nothing even without an error; the first threshold has so
    many above it.

    Args:
        confidences: (N,) of the predictions.
        right: (N,) whether each is right.
        precision: Between 0 and 1.
        risk: The chance of a guarantee that does not hold.

    Raises:
        ValueError: The precision is not between 0 and 1, or the two differ in length.
    """
    if not 0 < precision < 1:
        raise ValueError(f"a precision of {precision} cannot be guaranteed: it lies between 0 and 1")
    confidence, hits = np.asarray(confidences, np.float64), np.asarray(right, dtype=bool)
    if confidence.shape != hits.shape:
        raise ValueError(f"{len(confidence)} confidences and {len(hits)} answers do not belong together")
    order = np.argsort(-confidence, kind="stable")
    errors = np.cumsum(~hits[order])
    least = math.ceil(math.log(risk) / math.log(precision))
    # Where confidences are equal, all of them are above the threshold or none is.
    ends = [
        n for n in range(least, len(order) + 1) if n == len(order) or confidence[order[n]] < confidence[order[n - 1]]
    ]
    kept = 0
    for n in ends:
        if binom.cdf(errors[n - 1], n, 1 - precision) > risk:
            break
        kept = n
    if not kept:
        return None
    correct = kept - int(errors[kept - 1])
    return PrecisionGuarantee(
        threshold=float(confidence[order[kept - 1]]),
        precision=correct / kept,
        precision_interval=wilson(correct, kept),
        coverage=kept / len(order),
        coverage_interval=wilson(kept, len(order)),
        measured=len(order),
    )
