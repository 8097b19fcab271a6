"""Repeated texts: which of several rows with one text stays, and what happens where their answers differ."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dal_nlp.core.errors import DataError
from dal_nlp.data.hashing import Hashes, Mask, has_repeats

#: What counts where one text has several answers: that of its first row, that of most rows, or none.
Repeats = Literal["first", "majority", "drop"]
REPEAT, DISAGREE = "repeat of an earlier text", "answered in several ways"
#: What tools call the one who answered: this package, Label Studio, doccano, Prodigy, Argilla.
SIGNED = ("annotated_by", "annotator", "username", "_annotator_id", "_session_id", "annotation_agent")
#: The hash of no answer.
NOTHING = np.uint64(0)

RowIndices = NDArray[np.intp]


def choose(contents: Hashes, targets: Hashes, rule: Repeats | None) -> tuple[Mask, Mask]:
    """Return which of N rows stay, and which go because the answers to their text differ, (N,) each.

    Args:
        contents: (N,) hashes of the texts.
        targets: (N,) hashes of the answers, ``NOTHING`` for none.
        rule: What counts where answers differ; None as for "first". A majority is more rows than any other answer has.
    """
    keep, disagree = np.zeros(len(contents), np.bool_), np.zeros(len(contents), np.bool_)
    if not has_repeats(contents):
        return ~keep, disagree
    _, first = np.unique(contents, return_index=True)
    keep[first] = True
    for rows in contradictions(contents, targets) if rule in ("majority", "drop") else ():
        keep[rows] = False
        winner = _winner(targets[rows]) if rule == "majority" else None
        if winner is None:
            disagree[rows] = True
        else:
            keep[rows[np.flatnonzero(targets[rows] == winner)[0]]] = True
    return keep, disagree


def contradictions(contents: Hashes, targets: Hashes) -> list[RowIndices]:
    """Return the rows of each text that has several different answers, in their order; unanswered rows among them."""
    if not has_repeats(contents):
        return []
    answered = np.flatnonzero(targets != NOTHING)
    order = answered[np.lexsort((targets[answered], contents[answered]))]
    same_text = contents[order][1:] == contents[order][:-1]
    other_answer = targets[order][1:] != targets[order][:-1]
    texts = np.unique(contents[order][1:][same_text & other_answer])
    if len(texts) == 0:
        return []
    rows = np.flatnonzero(np.isin(contents, texts))
    rows = rows[np.argsort(contents[rows], kind="stable")]
    cuts = np.flatnonzero(contents[rows][1:] != contents[rows][:-1]) + 1
    return sorted(np.split(rows, cuts), key=lambda group: int(group[0]))


def refuse(count: int, places: Sequence[str], answers: Sequence[str], columns: Sequence[str]) -> DataError:
    """Return the error of a source, whose columns are given, that answers texts in several ways."""
    signed = next((f" Who answered, as in the column {name!r}" for name in SIGNED if name in columns), "")
    return DataError(
        f"{places[1]} has the text of {places[0]} and another answer ({answers[1]} and {answers[0]}); "
        f"{'1 text is' if count == 1 else f'{count:,} texts are'} answered in several ways. Say what counts: --repeats "
        "first, --repeats majority, or --repeats drop."
        + (f"{signed}, is read by `dal-nlp ingest` alone, of texts that a run has asked about." if signed else "")
    )


def _winner(targets: Hashes) -> np.uint64 | None:
    """Return the answer that most rows have, None for a tie."""
    counts = Counter(targets[targets != NOTHING].tolist()).most_common(2)
    return np.uint64(counts[0][0]) if len(counts) == 1 or counts[0][1] > counts[1][1] else None
