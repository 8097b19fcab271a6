"""Measures of sets of labels: F1 over all decisions and by label, and the share of sets that are right as a whole.

Letters: N examples, F labels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dal_nlp.core.answer_format import AgreementMeasure
from dal_nlp.tasks.metrics import percentile_interval

LabelNames = Sequence[str]
Bits = NDArray[np.int64]


def indicators(sets: Sequence[LabelNames], labels: LabelNames) -> Bits:
    """Return which labels each set holds, (N, F), 1 or 0."""
    columns = {label: column for column, label in enumerate(labels)}
    bits = np.zeros((len(sets), len(labels)), dtype=np.int64)
    for row, members in enumerate(sets):
        bits[row, [columns[label] for label in members]] = 1
    return bits


def micro_f1(predictions: Sequence[LabelNames], targets: Sequence[LabelNames]) -> float:
    """Return 2 x hits / (labels given + labels right), over all examples and labels; 1 where there are none at all."""
    hits = sum(len({*prediction} & {*wanted}) for prediction, wanted in zip(predictions, targets, strict=True))
    both = sum(map(len, [*predictions, *targets]))
    return 2 * hits / both if both else 1.0


def macro_f1(predictions: Sequence[LabelNames], targets: Sequence[LabelNames]) -> float:
    """Return the unweighted mean of the labels' F1 scores; a label that is nowhere does not count; 0 without any."""
    there = _labels_in(predictions, targets)
    rows = per_label(predictions, targets, there)
    return sum(row["f1"] for row in rows) / len(rows) if rows else 0.0


def subset_accuracy(predictions: Sequence[LabelNames], targets: Sequence[LabelNames]) -> float:
    """Return the share of examples whose labels are all right and none of which is missing; 0 where there are none."""
    same = sum({*prediction} == {*wanted} for prediction, wanted in zip(predictions, targets, strict=True))
    return same / len(targets) if len(targets) else 0.0


def jaccard(first: Sequence[LabelNames], second: Sequence[LabelNames]) -> float:
    """Return the mean over examples of shared labels / labels of either (Jaccard, 1901), 1 where both have none."""
    shares = [
        len({*one} & {*other}) / len({*one} | {*other}) if {*one} | {*other} else 1.0
        for one, other in zip(first, second, strict=True)
    ]
    return sum(shares) / len(shares)


#: The measure of agreement of sets of labels.
JACCARD = AgreementMeasure("Jaccard index", jaccard)


def per_label(
    predictions: Sequence[LabelNames], targets: Sequence[LabelNames], labels: LabelNames
) -> list[dict[str, Any]]:
    """Return a row for each label: ``label``, ``count``, ``predicted``, ``recall``, ``precision`` and ``f1``.

    The last three are 0 where their denominator is.
    """
    predicted_bits, target_bits = indicators(predictions, labels), indicators(targets, labels)
    columns = zip(
        labels,
        (predicted_bits * target_bits).sum(0).tolist(),
        predicted_bits.sum(0).tolist(),
        target_bits.sum(0).tolist(),
        strict=True,
    )
    return [
        {
            "label": label,
            "count": count,
            "predicted": predicted,
            "recall": hits / count if count else 0.0,
            "precision": hits / predicted if predicted else 0.0,
            "f1": 2 * hits / (count + predicted) if count + predicted else 0.0,
        }
        for label, hits, predicted, count in columns
    ]


def bootstrap_scores(
    predictions: Sequence[LabelNames], targets: Sequence[LabelNames], rng: np.random.Generator, n: int = 300
) -> dict[str, list[float]]:
    """Return the 95 % percentile intervals of micro F1, macro F1 and subset accuracy over resamples of the examples.

    Raises:
        ValueError: There is nothing to draw from, or the two differ in length.
    """
    if not len(targets) or len(predictions) != len(targets):
        raise ValueError(f"{len(predictions)} predictions and {len(targets)} targets cannot be resampled")
    labels = _labels_in(predictions, targets)
    predicted_bits, target_bits = indicators(predictions, labels), indicators(targets, labels)
    times = rng.multinomial(len(targets), np.full(len(targets), 1 / len(targets)), size=n)  # (n, N)
    hits, both = times @ (predicted_bits * target_bits), times @ (predicted_bits + target_bits)  # (n, F)
    micro = np.where(both.sum(1) > 0, 2 * hits.sum(1) / np.maximum(both.sum(1), 1), 1.0)
    macro = (2 * hits / np.maximum(both, 1)).sum(1) / np.maximum((both > 0).sum(1), 1)
    subset = times @ (predicted_bits == target_bits).all(1) / len(targets)
    scores = {"micro_f1": micro, "macro_f1": macro, "subset_accuracy": subset}
    return {name: list(percentile_interval(of, len(targets))) for name, of in scores.items()}


def _labels_in(*sets: Sequence[LabelNames]) -> list[str]:
    """Return the labels that occur, in alphabetical order."""
    return sorted({label for part in sets for members in part for label in members})
