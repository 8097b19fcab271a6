"""Who answered what, when, and with which model's suggestion."""

from collections.abc import Iterator
from typing import NamedTuple

from dal_nlp.core.ledger import Event, State, readable


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
            known = event["event"] in ("label", "skip") or (known and event["event"] == "answer")


def _line(id: str, event: Event, known: bool) -> Line:
    kinds = {
        "label": "corrected" if known else "labelled",
        "skip": "corrected" if known else "skipped",
        "answer": "one of several",
        "removed": f"removed the answer of {event['whose']}" if event.get("whose") else "removed",
    }
    what = kinds[event["event"]]
    if event.get("final"):
        what += ", for good"
    answer = readable(event["target"]) if "target" in event else event.get("reason", "")
    by = event.get("by", "the oracle")
    via = event.get("via", "")
    who = via if via.startswith(f"{by}.") else f"{by} ({via})" if via else by
    return Line(event.get("at", ""), id, who, what, answer, *_suggested(event), event.get("note", ""))


def _suggested(event: Event) -> tuple[str, str]:
    """Return what was suggested, and by which model."""
    shown = event.get("suggested")
    if not shown:
        return "", ""
    model = "pretrained model" if shown["round"] < 0 else f"model of round {shown['round']}"
    return readable(shown["target"]), f"{model} ({shown['confidence']:.2f})"
