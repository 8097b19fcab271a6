"""The mistakes of a model on the examples that measure it: which labels it takes for which, and where it was surest."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset

from dal_nlp.core.batch import Prediction
from dal_nlp.core.targets import Target
from dal_nlp.core.task import Capability, Task
from dal_nlp.ledger.events import QueryEvent
from dal_nlp.models.pool import fetch

#: Wrong answers that are kept of a model, and characters of each text.
KEPT, CHARACTERS = 30, 300
_LABELS = frozenset({Capability.SHARED_OUTCOMES, Capability.SEVERAL_LABELS})


def shown(
    task: Task, examples: Dataset, few: Sequence[int], predictions: Sequence[Target], targets: Sequence[Target]
) -> list[dict[str, Any]]:
    """Return a few examples with what a model says of them, as in ``MetricsEvent``."""
    return [
        {"id": row["id"], "text": task.show(row), "target": targets[i], "prediction": predictions[i]}
        for i, row in zip(few, fetch(examples, few), strict=True)
    ]


def mistakes(
    task: Task, examples: Dataset, answers: Sequence[Prediction], targets: Sequence[Target]
) -> dict[str, list[Any]]:
    """Return "confusion" and "errors" of a model, as in ``MetricsEvent``; {} of tasks whose answers are no labels.

    Args:
        task: Shows the texts.
        examples: N of them.
        answers: (N,) of the model.
        targets: (N,) the right ones.
    """
    if not task.capabilities & _LABELS:
        return {}
    wrong = [i for i, (answer, target) in enumerate(zip(answers, targets, strict=True)) if answer.target != target]
    surest = sorted(wrong, key=lambda i: -answers[i].confidence)[:KEPT]
    rows = fetch(examples, surest) if surest else []
    errors = [
        {
            "id": row["id"],
            "text": task.show(row)[:CHARACTERS],
            "target": targets[i],
            "prediction": answers[i].target,
            "confidence": answers[i].confidence,
        }
        for i, row in zip(surest, rows, strict=True)
    ]
    if Capability.SHARED_OUTCOMES not in task.capabilities:
        return {"errors": errors}
    pairs = Counter((str(target), str(answer.target)) for answer, target in zip(answers, targets, strict=True))
    return {"errors": errors, "confusion": [[*pair, count] for pair, count in sorted(pairs.items())]}


def agreement_of(task: Task, query: QueryEvent, answers: Mapping[str, Target]) -> dict[str, dict[str, float]]:
    """Return how well what the model would have answered agrees with the answers to a query, by id and measure."""
    predictions = {
        id: prediction["target"] for id, prediction in zip(query.ids, query.predictions, strict=False) if id in answers
    }
    if not predictions:
        return {}
    measured = task.agreement(list(predictions.values()), [answers[id] for id in predictions])
    return {id: {name: values[i] for name, values in measured.items()} for i, id in enumerate(predictions)}
