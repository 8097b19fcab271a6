"""Tables of the breakdown of a score by class, and of mistakes."""

from typing import Any

from dal_nlp.core.targets import readable
from dal_nlp.ledger.events import MetricsEvent
from dal_nlp.ledger.state import State

#: Labels up to which a confusion matrix is one, and pairs that are named in its place.
MATRIX, PAIRS = 15, 30


def classes_table(breakdown: list[dict[str, Any]]) -> list[list[Any]]:
    """Return the breakdown's header and rows; a class that was not there to be found has no recall."""
    rows = [row | {"recall": None} if row.get("count") == 0 and "recall" in row else row for row in breakdown]
    return [list(rows[0]), *(list(row.values()) for row in rows)] if rows else []


def counts_table(state: State) -> list[list[Any]]:
    """Return header and rows of what the breakdown counted in each round; [] where that is always the same."""
    rounds = [{row[next(iter(row))]: row["count"] for row in event.breakdown} for event in state.metrics]
    if all(counts == rounds[0] for counts in rounds):
        return []
    return [
        ["round", *rounds[-1]],
        *([i, *(counts.get(kind, 0) for kind in rounds[-1])] for i, counts in enumerate(rounds)),
    ]


def confusion_table(state: State) -> list[list[Any]]:
    """Return header and rows of the confusion matrix of the last round, [] where there is none.

    A row is a right label, a column an answer. Of many labels there are the most frequent pairs that differ instead.
    """
    pairs = {(right, answer): count for right, answer, count in _last(state).confusion} if state.metrics else {}
    there = {label for pair in pairs for label in pair}
    labels = [label for label in state.labels if label in there] + sorted(there - set(state.labels))
    if len(labels) > MATRIX:
        wrong = sorted((pair for pair in pairs if pair[0] != pair[1]), key=lambda pair: -pairs[pair])[:PAIRS]
        return [["right", "answered", "count"], *([*pair, pairs[pair]] for pair in wrong)] if wrong else []
    rows = [[right, *(pairs.get((right, answer), 0) for answer in labels)] for right in labels]
    return [["right \\ answered", *labels], *rows] if rows else []


def error_rows(state: State) -> list[dict[str, Any]]:
    """Return wrong answers of the last round, the surest first, for people to read."""
    return [
        {**row, "target": readable(row["target"]), "prediction": readable(row["prediction"])}
        for row in (_last(state).errors if state.metrics else [])
    ]


def _last(state: State) -> MetricsEvent:
    return state.metrics[-1]
