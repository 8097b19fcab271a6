"""Who answered what, when, and with which model's suggestion."""

from collections.abc import Iterator
from typing import NamedTuple

from dal_nlp.core.events import AnswerEvent, LabelEvent, OpinionEvent, RemovedEvent, SkipEvent, readable
from dal_nlp.core.state import State


class Line(NamedTuple):
    """One thing that happened to an example.

    Attributes:
        at: When, "" where the ledger does not know (a simulation's answers have no time).
        id: Of the example.
        who: Did it, and through which channel.
        what: What it was, in words.
        answer: The answer; "" for a removal.
        suggestion: What the annotator was shown as the model's answer; "" where nothing was shown.
        suggested: Which model that was, and how sure of it.
        note: What the annotator wrote beside it.
    """

    at: str
    id: str
    who: str
    what: str
    answer: str
    suggestion: str
    suggested: str
    note: str


def history(state: State, id: str | None = None) -> Iterator[Line]:
    """Yield what happened to one example, or to all, in the order of the ledger within each example."""
    for name in [id] if id is not None else state.given:
        known = False
        for event in state.given.get(name, []):
            yield _line(name, event, known)
            known = isinstance(event, LabelEvent | SkipEvent) or (known and isinstance(event, OpinionEvent))


def _line(id: str, event: AnswerEvent | RemovedEvent, known: bool) -> Line:
    by = event.by or "the oracle"
    who = event.via if event.via.startswith(f"{by}.") else f"{by} ({event.via})" if event.via else by
    if isinstance(event, RemovedEvent):
        what = f"removed the answer of {event.whose}" if event.whose else "removed"
        return Line(event.at, id, who, what, "", "", "", "")
    kinds = {LabelEvent: "corrected" if known else "labelled", SkipEvent: "corrected" if known else "skipped"}
    what = kinds.get(type(event), "one of several") + (", for good" if event.final else "")
    answer = readable(event.target) if event.reason is None else event.reason
    return Line(event.at, id, who, what, answer, *_suggested(event), event.note)


def _suggested(event: AnswerEvent) -> tuple[str, str]:
    """Return what was suggested, and by which model."""
    shown = event.suggested
    if not shown:
        return "", ""
    model = "pretrained model" if shown["round"] < 0 else f"model of round {shown['round']}"
    return readable(shown["target"]), f"{model} ({shown['confidence']:.2f})"
