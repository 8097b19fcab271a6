"""The metrics of a task on a sample: as estimates with a judge, or without one on a sample that is not uniform."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dal_nlp.core.targets import Target
from dal_nlp.core.task import Task
from dal_nlp.measuring.powered import TIMES, Estimate, powered_mean, powered_score, repeated

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """What is known of a sample beside its answers.

    Attributes:
        g: (n,) what a judge expects of each label.
        pool_g: (N,) what it expects of texts without one.
        weights: (n,) of the labels, adding up to 1; None for a uniform sample.
    """

    g: Floats
    pool_g: Floats
    weights: Floats | None = None

    @classmethod
    def unjudged(cls, weights: Floats) -> "Sample":
        """Return a weighted sample that nobody judges."""
        return cls(np.zeros(len(weights)), np.zeros(1), weights)


def single_scores(task: Task, predictions: Sequence[Target], targets: Sequence[Target]) -> dict[str, Floats]:
    """Return the metrics of each example alone, (n,) each, from 0 to 1; others, such as counts of tokens, are left out.

    Those whose mean is the metric are means of examples; the others, such as macro F1, are not.
    """
    each = [task.evaluate([prediction], [wanted]) for prediction, wanted in zip(predictions, targets, strict=True)]
    columns = {name: np.array([row[name] for row in each], dtype=np.float64) for name in task.metrics}
    return {name: values for name, values in columns.items() if not len(values) or values.max() <= 1 >= -values.min()}


def answer_scores(task: Task, predictions: Sequence[Target], targets: Sequence[Target]) -> Floats:
    """Return how right each answer is, from 0 to 1: the headline metric of the example alone."""
    headline = task.metrics[0]
    each = [
        task.evaluate([prediction], [wanted])[headline] for prediction, wanted in zip(predictions, targets, strict=True)
    ]
    return np.clip(np.array(each, dtype=np.float64), 0, 1)


def held_out_scores(p: Floats, y: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return how sure models are that have not seen their examples, and how right, (n,) each, as ``answer_scores``.

    Args:
        p: (n, C) probabilities of classes, or of several labels.
        y: (n,) the classes, or (n, C) 1 where an example has a label; labels are given above .5.
    """
    if y.ndim == 1:
        return p.max(1), (p.argmax(1) == y).astype(np.float64)
    predicted = p > 0.5
    both = predicted.sum(1) + y.sum(1)
    right = np.where(both > 0, 2 * (predicted & (y == 1)).sum(1) / np.maximum(both, 1), 1.0)
    return np.asarray(np.where(predicted, p, 1 - p).prod(1)), np.asarray(right)


def estimated_metrics(
    task: Task, predictions: Sequence[Target], targets: Sequence[Target], sample: Sample, rng: np.random.Generator
) -> dict[str, Estimate]:
    """Return the estimate of each metric that lies between 0 and 1."""
    n = len(targets)
    values, right = task.evaluate(predictions, targets), answer_scores(task, predictions, targets)
    estimates: dict[str, Estimate] = {}
    for name, scores in single_scores(task, predictions, targets).items():
        if np.isclose(scores.mean(), values[name], atol=1e-9):
            estimates[name] = powered_mean(scores, sample.g, sample.pool_g, sample.weights)
        elif n > 1:

            def score(rows: NDArray[np.int64], name: str = name) -> float:
                return task.evaluate([predictions[i] for i in rows], [targets[i] for i in rows])[name]

            estimates[name] = powered_score(score, right, sample.g, sample.pool_g, rng, sample.weights)
    return estimates


def weighted_values(
    task: Task, predictions: Sequence[Target], targets: Sequence[Target], weights: Floats, rng: np.random.Generator
) -> dict[str, float]:
    """Return all metrics on rows that stand as often as their weights have it."""
    rows = repeated(weights, 10 * TIMES * len(weights), rng)
    return task.evaluate([predictions[i] for i in rows], [targets[i] for i in rows])
