"""How well entities are found: precision, recall and F1 of whole entities, as the CoNLL tasks count them.

An entity is right where its first word, its last word and its label are. Every answer is one of ``data.entities``.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dal_nlp.core.answer_format import AgreementMeasure
from dal_nlp.core.targets import Target
from dal_nlp.data.entities import runs_of
from dal_nlp.tasks.metrics import percentile_interval

METRICS = ("f1", "macro_f1", "precision", "recall", "token_accuracy")
#: Resamples of an interval.
RESAMPLES = 300

EntityCounts = NDArray[np.int64]


def counts(
    predictions: Sequence[Target], targets: Sequence[Target], labels: Sequence[str]
) -> tuple[EntityCounts, EntityCounts]:
    """Return of each text hits, predictions and entities by label, (N, 3, L), and right tags and words, (N, 2)."""
    number = {label: i for i, label in enumerate(labels)}
    entities = np.zeros((len(targets), 3, len(labels)), dtype=np.int64)
    words = np.zeros((len(targets), 2), dtype=np.int64)
    for row, (prediction, wanted) in enumerate(zip(predictions, targets, strict=True)):
        predicted, there = Counter(runs_of(prediction)), Counter(runs_of(wanted))
        for kind, runs in enumerate((predicted & there, predicted, there)):
            for run, times in runs.items():
                entities[row, kind, number[run.label]] += times
        words[row] = sum(map(str.__eq__, prediction["tags"], wanted["tags"])), len(wanted["tags"])
    return entities, words


def labels_in(*answers: Sequence[Target]) -> list[str]:
    """Return the labels of the entities in answers, in alphabetical order."""
    return sorted({run.label for several in answers for target in several for run in runs_of(target)})


def scores(entities: EntityCounts, words: EntityCounts) -> dict[str, float]:
    """Return the metrics of summed counts (3, L) and (2,); 0 where there is nothing to divide by.

    A label that is neither predicted nor there does not count in the mean over labels.
    """
    hits, predicted, there = entities
    known = (predicted + there) > 0
    by_label = 2 * hits[known] / (predicted + there)[known]
    total = entities.sum(1)
    return {
        "f1": _share(2 * total[0], total[1] + total[2]),
        "macro_f1": float(by_label.mean()) if len(by_label) else 0.0,
        "precision": _share(total[0], total[1]),
        "recall": _share(total[0], total[2]),
        "token_accuracy": _share(words[0], words[1]),
    }


def evaluate(predictions: Sequence[Target], targets: Sequence[Target]) -> dict[str, float]:
    """Return the metrics of N texts; where nobody says that there is an entity, all is right."""
    entities, words = counts(predictions, targets, labels_in(predictions, targets))
    return _all_right(scores(entities.sum(0), words.sum(0)), entities)


def intervals(
    predictions: Sequence[Target], targets: Sequence[Target], rng: np.random.Generator, level: float = 0.95
) -> dict[str, list[float]]:
    """Return the percentile intervals of the metrics over resampled texts (Efron & Tibshirani, 1993, 13.3)."""
    entities, words = counts(predictions, targets, labels_in(predictions, targets))
    table, drawn = np.column_stack([entities.reshape(len(targets), -1), words]), []
    for _ in range(RESAMPLES):
        times = np.bincount(rng.integers(len(targets), size=len(targets)), minlength=len(targets))
        sums = times @ table  # of a text that is drawn twice, twice its counts
        of_labels = sums[:-2].reshape(entities.shape[1:])
        drawn.append(_all_right(scores(of_labels, sums[-2:]), of_labels))
    return {name: list(percentile_interval([one[name] for one in drawn], len(targets), level)) for name in METRICS}


def per_label(predictions: Sequence[Target], targets: Sequence[Target], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row for each label: how many entities there are and are predicted, recall, precision and F1."""
    known = list(dict.fromkeys([*labels, *labels_in(predictions, targets)]))
    hits, predicted, there = counts(predictions, targets, known)[0].sum(0).tolist()
    return [
        {
            "label": label,
            "count": there[i],
            "predicted": predicted[i],
            "recall": _share(hits[i], there[i]),
            "precision": _share(hits[i], predicted[i]),
            "f1": _share(2 * hits[i], predicted[i] + there[i]),
        }
        for i, label in enumerate(known)
    ]


def entity_f1(first: Sequence[Target], second: Sequence[Target]) -> float:
    """Return the micro F1 of one person's entities by another's; 1 where neither has any."""
    return evaluate(first, second)["f1"]


def f1_of_texts(predictions: Sequence[Target], targets: Sequence[Target]) -> list[float]:
    """Return the F1 of each text; 1 where there is no entity and none is predicted."""
    return [entity_f1([prediction], [wanted]) for prediction, wanted in zip(predictions, targets, strict=True)]


#: The measure of agreement of entities.
ENTITY_F1 = AgreementMeasure("entity F1", entity_f1)


def _all_right(values: dict[str, float], entities: EntityCounts) -> dict[str, float]:
    return values if entities.any() else {name: values[name] if name == "token_accuracy" else 1.0 for name in METRICS}


def _share(part: int, whole: int) -> float:
    return float(part / whole) if whole else 0.0
