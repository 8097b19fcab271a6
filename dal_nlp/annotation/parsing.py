"""What a person typed, as an answer; and an answer, as a person would type it."""

import json
from datetime import UTC, datetime
from typing import Any

from dal_nlp.annotation.answers import Label, Origin, Skip
from dal_nlp.core.answer_format import REFUSALS, refusals
from dal_nlp.core.task import Example, Task
from dal_nlp.ledger.events import AnswerEvent
from dal_nlp.readers.values import is_spreadsheet_error

#: Characters of the longest answer that is taken.
LONGEST_ANSWER = 100_000
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
    if word in REFUSALS and word in refusals(task.answer_format.choices):
        return Skip(id, REASONS[word], origin)
    target = task.answer_format.parse_answer(text, example)
    _check_characters("answer", json.dumps(target, ensure_ascii=False))
    task.check(target, example)
    return Label(id, target, origin)


def _check_characters(name: str, text: str) -> None:
    """Raise ``ValueError`` for a text that cannot be written to a file."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"the {name} holds half a surrogate pair, which is no character: remove it") from None


def write_answer(task: Task, event: AnswerEvent, example: Example) -> str:
    """Return the answer in an event of the ledger as a person would type it."""
    if event.answered:
        return task.answer_format.format_answer(event.target, example)
    return next((word for word, reason in REASONS.items() if reason == event.reason), REFUSALS[0])


def back_in_the_pool(id: str) -> str:
    """Return why an answer to an example is not taken whose label was removed after its round."""
    return f"{id!r} is back in the pool and not asked about now: answer it once a round asks again"


def suggested(suggestion: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return what the ledger keeps of a suggestion that an annotator was shown."""
    kept = ("target", "confidence", "round", "by")
    return suggestion and {name: suggestion[name] for name in kept if name in suggestion}
