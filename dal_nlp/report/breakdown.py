"""Tables of the breakdown of a score by class."""

from typing import Any

from dal_nlp.ledger.state import State


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
