"""Measures of agreement that need no network, and how sure one can be of them.

The formulas are free functions on two sequences of targets; those on answers in words come from ``answer_metrics``,
that on summaries from ``rouge``. ``Accuracy``, ``MacroF1``, ``Rouge``, ``Squad`` and ``SquadV2`` put them behind the
interface of ``evaluate.Metric``. That library takes seconds to import, so the module of these classes is loaded when
they are first asked for.
"""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dal_nlp.core.answer_format import AgreementMeasure
from dal_nlp.tasks.rouge import rouge as rouge
from dal_nlp.tasks.squad_metrics import answer_scores as answer_scores
from dal_nlp.tasks.squad_metrics import best_threshold as best_threshold
from dal_nlp.tasks.squad_metrics import exact_match as exact_match
from dal_nlp.tasks.squad_metrics import normalise_answer as normalise_answer
from dal_nlp.tasks.squad_metrics import token_f1 as token_f1

Statistic = Callable[[Sequence[Any], Sequence[Any]], float]
#: Scores that differ by less are one.
EQUAL = 1e-12


def __getattr__(name: str) -> Any:
    if name not in ("Accuracy", "MacroF1", "Rouge", "Squad", "SquadV2"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dal_nlp.tasks import hf_metrics

    return vars(hf_metrics)[name]


def accuracy(predictions: Sequence[Any], targets: Sequence[Any]) -> float:
    """Return the share of predictions that equal their target; 0 where there are none."""
    hits = sum(prediction == wanted for prediction, wanted in zip(predictions, targets, strict=True))
    return hits / len(targets) if len(targets) else 0.0


def macro_f1(predictions: Sequence[Any], targets: Sequence[Any]) -> float:
    """Return the unweighted mean of the classes' F1 scores; 0 where there are none.

    A class that is neither predicted nor a target does not count, so the size of the label set makes no
    difference. The F1 score of a class is 2 x hits / (times predicted + times target) (van Rijsbergen, 1979,
    ch. 7), 0 for a class that was never hit.
    """
    hits, predicted, wanted = _counts(predictions, targets)
    classes = predicted.keys() | wanted.keys()
    scores = [2 * hits[label] / (predicted[label] + wanted[label]) for label in classes]
    return math.fsum(scores) / len(scores) if scores else 0.0


def bootstrap_macro_f1(
    predictions: Sequence[Any], targets: Sequence[Any], rng: np.random.Generator, level: float = 0.95, n: int = 1000
) -> tuple[float, float]:
    """Return what ``bootstrap`` returns for ``macro_f1``, from the same draws and many times faster."""
    if not len(targets) or len(predictions) != len(targets):
        raise ValueError(f"{len(predictions)} predictions and {len(targets)} targets cannot be resampled")
    numbers = {label: i for i, label in enumerate(dict.fromkeys([*targets, *predictions]))}
    size = len(numbers)
    pairs = np.array(
        [numbers[target] * size + numbers[prediction] for prediction, target in zip(predictions, targets, strict=True)]
    )
    values = []
    for _ in range(n):
        counts = np.bincount(pairs[rng.integers(len(pairs), size=len(pairs))], minlength=size**2).reshape(size, size)
        both = counts.sum(0) + counts.sum(1)
        values.append(math.fsum(2 * np.diagonal(counts)[both > 0] / both[both > 0]) / np.count_nonzero(both))
    return percentile_interval(values, len(targets), level)


def percentile_interval(values: Sequence[float] | NDArray[Any], n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile interval of a score between 0 and 1 over resamples (Efron & Tibshirani, 1993, 13.3).

    Where all resamples score the same, as where every example is right, the percentiles say nothing of what other
    examples would. Then it is Wilson's interval of n answers of which that share is right.

    Args:
        values: The score of each resample.
        n: Examples.
        level: Of the interval.
    """
    least, most = float(np.min(values)), float(np.max(values))
    if most - least < EQUAL and least >= 0 and most <= 1:  # lengths are no shares
        return wilson(min(round(most * n, 9), n), n, level)
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_difference(
    score: Callable[[Sequence[Any], Sequence[Any]], float],
    first: Sequence[Any],
    second: Sequence[Any],
    targets: Sequence[Any],
    rng: np.random.Generator,
    n: int = 500,
    weights: NDArray[np.float64] | None = None,
) -> tuple[float, float, float]:
    """Return by how much the second predictions score above the first, and its 95 % bootstrap interval, paired.

    Args:
        score: Of predictions and targets.
        first: (N,) predictions.
        second: (N,) predictions for the same examples.
        targets: (N,).
        rng: Draws the examples of each resample, the same for both.
        n: Resamples.
        weights: (N,) of the examples, adding up to 1; even ones if left out.
    """
    differences = []
    for _ in range(n):
        drawn = (
            rng.integers(len(targets), size=len(targets))
            if weights is None
            else rng.choice(len(targets), size=len(targets), p=weights)
        )
        sides = [[side[i] for i in drawn] for side in (first, second, targets)]
        differences.append(score(sides[1], sides[2]) - score(sides[0], sides[2]))
    low, high = np.quantile(differences, [0.025, 0.975])
    if weights is not None:
        return float(np.mean(differences)), float(low), float(high)
    return score(second, targets) - score(first, targets), float(low), float(high)


def per_class(predictions: Sequence[Any], targets: Sequence[Any], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row for each label, in the order of ``labels``.

    A row holds ``label``, ``count`` (how often it is a target), ``predicted`` (how often it is the
    prediction), ``recall``, ``precision`` and ``f1``; the last three are 0 where their denominator is.
    """
    hits, predicted, wanted = _counts(predictions, targets)
    return [
        {
            "label": label,
            "count": wanted[label],
            "predicted": predicted[label],
            "recall": hits[label] / wanted[label] if wanted[label] else 0.0,
            "precision": hits[label] / predicted[label] if predicted[label] else 0.0,
            "f1": 2 * hits[label] / both if (both := predicted[label] + wanted[label]) else 0.0,
        }
        for label in labels
    ]


def _counts(predictions: Sequence[Any], targets: Sequence[Any]) -> tuple[Counter[Any], ...]:
    """Count hits, predictions and targets by class."""
    pairs = Counter(zip(predictions, targets, strict=True))
    hits, predicted, wanted = Counter[Any](), Counter[Any](), Counter[Any]()
    for (prediction, target), times in pairs.items():
        predicted[prediction] += times
        wanted[target] += times
        if prediction == target:
            hits[prediction] += times
    return hits, predicted, wanted


def wilson(successes: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the score interval of a proportion (Wilson, 1927): the right one for an accuracy.

    Unlike the textbook interval it stays inside [0, 1] and keeps its level near 0, near 1 and for small n.
    Without observations it is (0, 1). A sum of scores between 0 and 1 may stand for the successes.

    Raises:
        ValueError: ``successes`` is not between 0 and ``n``.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes in {n} trials cannot be")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # At the ends the bound is exactly 0 or 1; rounding must not move it past the estimate.
    low = centre - half if successes else 0.0
    high = centre + half if successes < n else 1.0
    return low, high


def bootstrap(
    predictions: Sequence[Any],
    targets: Sequence[Any],
    statistic: Statistic,
    rng: np.random.Generator,
    level: float = 0.95,
    n: int = 1000,
) -> tuple[float, float]:
    """Return the percentile interval of a statistic over ``n`` resamples; see ``percentile_interval``.

    Examples are drawn with replacement, each prediction together with its target. The cost is ``n`` calls of
    ``statistic``. What it says is about the test examples alone: another training run would add its own
    spread.

    Raises:
        ValueError: There is nothing to draw from, or the two sequences differ in length.
    """
    if not len(targets) or len(predictions) != len(targets):
        raise ValueError(f"{len(predictions)} predictions and {len(targets)} targets cannot be resampled")
    values = []
    for _ in range(n):
        rows = rng.integers(len(targets), size=len(targets)).tolist()
        values.append(statistic([predictions[row] for row in rows], [targets[row] for row in rows]))
    return percentile_interval(values, len(targets), level)


def mean_interval(values: Sequence[float], rng: np.random.Generator, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile interval of the mean of values (N,) over 300 resamples; raises as ``bootstrap``."""
    return bootstrap(values, values, lambda drawn, _: math.fsum(drawn) / len(drawn), rng, level, n=300)


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float:
    """Return the agreement beyond chance (Cohen, 1960): (p_o - p_e) / (1 - p_e).

    Where both give one and the same label to every example the formula is 0 / 0; they agree fully, so kappa is 1.

    Args:
        first: The label of each example, N > 0 of them.
        second: The labels that somebody else, or another model, gave the same examples.

    Raises:
        ValueError: The two differ in length.
    """
    from sklearn.metrics import cohen_kappa_score  # seconds, which a configuration with a rule in it need not wait for

    if len(first) == len(second) and len({*first, *second}) == 1:
        return 1.0
    return float(cohen_kappa_score(first, second))


#: The measure of agreement of labels.
KAPPA = AgreementMeasure("Cohen's kappa", cohen_kappa)
