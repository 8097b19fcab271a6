"""Scores that are no means, from the sums of counts of rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dal_nlp.tasks.entities import metrics as entities
from dal_nlp.tasks.metrics import bootstrap_macro_f1, macro_f1


@dataclass(frozen=True)
class Tally:
    """A score of rows from the sums of their counts, as fast as 800 resamples for each of 2,000 draws need it.

    Attributes:
        name: Of the score.
        of: Gives the score of rows.
        slow: Gives it from predictions and targets, as the package does.
        interval: The plain interval of the package on rows.
    """

    name: str
    of: Callable[[NDArray[np.int64]], float]
    slow: Callable[[NDArray[np.int64]], float]
    interval: Callable[[NDArray[np.int64], np.random.Generator], Sequence[float]]


def tally(found: Mapping[str, Any], said: Mapping[str, Any]) -> Tally | None:
    """Return the score that is no mean of answers: macro F1 of one label, entity F1; None of several labels."""
    predictions, targets = said["said"], found["targets"]

    def of_rows(rows: NDArray[np.int64]) -> tuple[list[Any], list[Any]]:
        return [predictions[i] for i in rows], [targets[i] for i in rows]

    if isinstance(targets[0], str):
        labels = {label: i for i, label in enumerate(found["labels"])}
        size = len(labels)
        pairs = np.array([labels[t] * size + labels[p] for p, t in zip(predictions, targets, strict=True)])

        def fast(rows: NDArray[np.int64]) -> float:
            table = np.bincount(pairs[rows], minlength=size * size).reshape(size, size)
            both = table.sum(0) + table.sum(1)
            return float((2 * np.diag(table)[both > 0] / both[both > 0]).mean())

        return Tally(
            "macro F1",
            fast,
            lambda rows: macro_f1(*of_rows(rows)),
            lambda rows, rng: bootstrap_macro_f1(*of_rows(rows), rng),
        )
    if isinstance(targets[0], dict):
        counts = entities.counts(predictions, targets, entities.labels_in(predictions, targets))[0].sum(2)

        def whole(rows: NDArray[np.int64]) -> float:
            hits, given, there = counts[rows].sum(0)
            return float(2 * hits / (given + there)) if given + there else 1.0

        return Tally(
            "entity F1",
            whole,
            lambda rows: entities.evaluate(*of_rows(rows))["f1"],
            lambda rows, rng: entities.intervals(*of_rows(rows), rng)["f1"],
        )
    return None
