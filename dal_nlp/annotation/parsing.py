"""What a person typed, as an answer; and an answer, as a person would type it."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from dal_nlp.annotation.answers import Label, Origin, Skip
from dal_nlp.core.errors import nearest
from dal_nlp.core.task import REFUSALS, Example, Task
from dal_nlp.ledger.events import AnswerEvent
from dal_nlp.readers.values import alike, is_spreadsheet_error, label_of

#: Characters of the longest answer that is taken.
LONGEST_ANSWER = 100_000
#: Labels for which one key is enough.
KEYS = 9
#: Characters of an answer in a message.
_SHOWN = 60
#: Why an example was passed over, by the word for it.
REASONS = {"skip": "skipped by the annotator", "unsure": "the annotator was unsure"}


def now() -> str:
    """Return the time in ISO 8601, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_answer(task: Task, text: str, example: Example, origin: Origin | None) -> Label | Skip:
    """Return what was typed as an answer to an example; ``skip`` and ``unsure`` are answers unless they are labels.

    Raises:
        ValueError: With the reason, the nearest label where there is one.
    """
    id, word = str(example["id"]), text.strip().casefold()
    if len(text) > LONGEST_ANSWER:
        raise ValueError(f"the answer has {len(text):,} characters, more than {LONGEST_ANSWER:,}: shorten it")
    if is_spreadsheet_error(text) and text.strip() not in task.labels:
        raise ValueError(
            f"{text.strip()!r} is what a spreadsheet makes of an answer that it takes for a formula: type it again, "
            "with an apostrophe in front"
        )
    _check_characters("answer", text)
    if origin:
        _check_characters("name", origin.by)
        _check_characters("note", origin.note)
    if word in REFUSALS and word not in task.labels:
        return Skip(id, REASONS[word], origin)
    if task.asks == "label":
        return Label(id, _label(task, text.strip()), origin)
    target = task.parse(text, example)
    _check_characters("answer", json.dumps(target, ensure_ascii=False))
    task.check(target, example)
    return Label(id, target, origin)


def _check_characters(name: str, text: str) -> None:
    """Raise ``ValueError`` for a text that cannot be written to a file."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"the {name} holds half a surrogate pair, which is no character: remove it") from None


def _label(task: Task, text: str) -> str:
    """Return the label that is meant: as it is written, as files have it (1.0 is 1), or where only one is like it."""
    if text in task.labels:
        return text
    label = label_of(text) or ""
    if label in task.labels:
        return label
    close = [known for known in task.labels if alike(known) == alike(label)]
    if len(close) == 1:
        return close[0]
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    raise ValueError(f"{shown!r} is none of the labels {', '.join(task.labels)}{nearest(shown, task.labels)}")


def numbered(labels: Sequence[str], by_key: bool) -> dict[str, str]:
    """Return the labels by what is typed for them: their places, or themselves where all of them are numbers."""
    if all(label.isascii() and label.isdecimal() and (len(label) == 1 or not by_key) for label in labels):
        return {label: label for label in labels}
    return {str(place): label for place, label in enumerate(labels, start=1)}


def write_answer(task: Task, event: AnswerEvent, example: Example) -> str:
    """Return the answer in an event of the ledger as a person would type it."""
    if event.answered:
        return task.spell(event.target, example)
    return next((word for word, reason in REASONS.items() if reason == event.reason), REFUSALS[0])


def back_in_the_pool(id: str) -> str:
    """Return why an answer to an example is not taken whose label was removed after its round."""
    return f"{id!r} is back in the pool and not asked about now: answer it once a round asks again"


def suggested(suggestion: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return what the ledger keeps of a suggestion that an annotator was shown."""
    return suggestion and {name: suggestion[name] for name in ("target", "confidence", "round")}
