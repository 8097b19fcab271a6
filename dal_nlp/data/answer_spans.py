"""Answers that are parts of a context: every way to write them, read as one and checked letter by letter.

A start is the number of characters (Unicode code points, as Python counts them) before the answer in its context.
"""

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

from dal_nlp.core.errors import RowError, UnusableRow
from dal_nlp.core.targets import Target
from dal_nlp.core.text import counted
from dal_nlp.readers.literals import literal
from dal_nlp.readers.values import is_missing, is_true

START_COLUMNS = ("start", "answer_start")  # beside a column of plain answers
FURTHER_COLUMNS = (*START_COLUMNS, "is_impossible", "answer", "answers")
_SHAPE = '{"text": [...], "answer_start": [...]}'
_SHOWN = 40  # characters of a text in a message

#: Quotation marks that a keyboard has no key for.
_QUOTES = str.maketrans(
    "\u2018\u2019\u201a\u201b\u2032`\u00b4\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", "'" * 7 + '"' * 7
)

RawSpan = tuple[Any, Any]  # a text and its start, unchecked

#: How other tools count what is before an answer.
_UNITS: Mapping[str, Callable[[str], int]] = {
    "in UTF-8 bytes": lambda before: len(before.encode("utf-8", "surrogatepass")),
    "in UTF-16 units, as JavaScript and Java count": lambda before: (
        len(before.encode("utf-16-le", "surrogatepass")) // 2
    ),
    "counted from 1": lambda before: len(before) + 1,
    "where each line end (CRLF) counts as one character": lambda before: len(before.replace("\r\n", "\n")),
}
#: What makes an answer differ from its context in a way that is easily overlooked.
_DIFFERENCES: Mapping[str, Callable[[str], str]] = {
    "blanks": lambda text: " ".join(text.split()),
    "capitals": str.casefold,
    "Unicode forms": lambda text: unicodedata.normalize("NFKC", text),
    "blanks, capitals or Unicode forms": lambda text: " ".join(unicodedata.normalize("NFKC", text).casefold().split()),
}


def read_answers(row: Mapping[str, Any], column: str, context: str) -> Target | None:
    """Return a row's answers as {"text": [...], "answer_start": [...]}, None where it is not answered.

    The column holds that same form, or with single values for the lists, or a list of {"text", "answer_start"}, or one
    of these as JSON text, or a plain text, whose start is in a column ``start`` or ``answer_start`` if it is known.
    Empty lists are "no answer", and so are a true ``is_impossible`` in the row and an empty text with the start -1.
    A start that is not given is found where the answer is once in the context.

    Raises:
        RowError: An answer is not where it is said to be, with what is there instead and the likely reason, or is
            written in another way.
        UnusableRow: An answer without a start is not exactly once in the context.
    """
    if is_true(row.get("is_impossible")):
        return {"text": [], "answer_start": []}
    entries = _entries(row, column)
    if entries is None:
        return None
    starts = [_start(start) for _, start in entries]
    texts = [text for text, _ in entries]
    for text in texts:
        if not isinstance(text, str) or not text.strip():
            raise RowError(
                f"has {'an empty text' if isinstance(text, str) else _cut(text)} among the answers in column "
                f"{column!r}: fill it in or remove it, and write no answer as empty lists"
            )
    positions = [_place(text, start, context) for text, start in zip(texts, starts, strict=True)]
    return {"text": texts, "answer_start": positions}


def _entries(row: Mapping[str, Any], column: str) -> list[RawSpan] | None:
    """Return the answers in a row with their starts, [] for "no answer" and None for none given."""
    value = _from_text(row.get(column), column)
    if isinstance(value, Mapping) and "text" in value:
        text, start = value["text"], value.get("answer_start")
        if isinstance(text, list):
            return _given(_pairs(text, start, column))
    elif isinstance(value, list):
        if all(isinstance(entry, str) for entry in value):
            return _given([(entry, None) for entry in value])
        if not all(isinstance(entry, Mapping) and "text" in entry for entry in value):
            raise RowError(f"has a list of other things than answers in column {column!r}: write it as {_SHAPE}")
        return _given([(entry["text"], entry.get("answer_start")) for entry in value])
    else:
        text, start = value, next((row[name] for name in START_COLUMNS if not is_missing(row.get(name))), None)
    if is_missing(text):
        return [] if _start(start) == -1 else None
    if not isinstance(text, str):
        raise RowError(f"has {_cut(text)} in column {column!r}, which is no text: write it in quotes or as {_SHAPE}")
    return [(text, start)]


def _given(entries: list[RawSpan]) -> list[RawSpan] | None:
    """Return the answers of a list; if all of them are empty, [] where their start is -1 and None elsewhere."""
    if not entries or not all(is_missing(text) for text, _ in entries):
        return entries
    return [] if any(_start(start) == -1 for _, start in entries) else None


def _from_text(value: Any, column: str) -> Any:
    """Return what a cell with JSON or Python stands for, another one as it is: an answer may begin with a bracket."""
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return value
    read = literal(value)
    if isinstance(read, str):
        if "answer_start" in value:
            raise RowError(f"has a broken list in column {column!r}: write it as {_SHAPE}")
        return value
    if isinstance(read, dict):
        return read if "text" in read else value
    texts = bool(read) and all(isinstance(entry, str) for entry in read)
    return read if texts or all(isinstance(entry, dict) for entry in read) else value


def _pairs(texts: list[Any], starts: Any, column: str) -> list[RawSpan]:
    if starts is None:
        starts = [None] * len(texts)
    if not isinstance(starts, list) or len(starts) != len(texts):
        count = len(starts) if isinstance(starts, list) else 1
        raise RowError(
            f"has {counted(len(texts), 'answer')} and {counted(count, 'start')} in column {column!r}: give every "
            "answer its start, or none of them"
        )
    return list(zip(texts, starts, strict=True))


def _start(value: Any) -> int | None:
    """Return a start as a number, None for an empty one."""
    if is_missing(value):
        return None
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            number = float(value)
            if number.is_integer():
                return int(number)
    raise RowError(f"has the start {_cut(value)}, which is no whole number: count the characters before the answer")


def _place(text: str, start: int | None, context: str) -> int:
    """Return where an answer begins, once that is certain."""
    if start is not None:
        if start < 0 or not context.startswith(text, start):
            raise RowError(_misplaced(text, start, context))
        return start
    places = list(islice(places_of(text, context), 3))
    if len(places) == 1:
        return places[0]
    times = {0: "nowhere", 2: "twice", 3: "more than twice"}[len(places)]
    raise UnusableRow(f"answer without a start that is {times} in its context")


def places_of(text: str, context: str) -> Iterator[int]:
    """Yield where a text begins in a context; two of its places may overlap."""
    position = context.find(text)
    while position >= 0:
        yield position
        position = context.find(text, position + 1)


def parts_like(text: str, context: str) -> list[tuple[int, int]]:
    """Return where a context has a text but for blanks, line ends, capitals, quotation marks and Unicode forms.

    That is what typing makes of a text that was read; the places are [start, end), and none overlap.
    """
    wanted, _ = _typed(text.strip())
    whole, places = _typed(context)
    spans: list[tuple[int, int]] = []
    at = whole.find(wanted) if wanted else -1
    while at >= 0:
        spans.append((places[at], places[at + len(wanted) - 1] + 1))
        at = whole.find(wanted, at + len(wanted))
    return spans


def _typed(text: str) -> tuple[str, list[int]]:
    """Return a text as it may be typed, and for each of its characters the one in the text that it stands for."""
    characters: list[str] = []
    places: list[int] = []
    for position, character in enumerate(text):
        plain = " " if character.isspace() else unicodedata.normalize("NFKC", character).translate(_QUOTES).casefold()
        if plain.isspace() and characters and characters[-1] == " ":
            continue
        characters += plain
        places += [position] * len(plain)
    return "".join(characters), places


def _misplaced(text: str, start: int, context: str) -> str:
    """Return what is wrong with a start, what it may come from, and the mend."""
    if start < 0:
        wrong = f"has the negative start {start} for the answer {_cut(text)}"
    elif start >= len(context):
        wrong = f"has the answer {_cut(text)} at {start}, behind the end of its context at {len(context)}"
    else:
        wrong = f"has the answer {_cut(text)} at {start}, where its context has {_cut(context[start:][: len(text)])}"
    places = list(places_of(text, context))
    if not places:
        return f"{wrong} ({_absent(text, context)}): copy the answer from the context"
    for position in places:
        units = [name for name, count in _UNITS.items() if count(context[:position]) == start]
        if units or position == start + 1:
            why = f"which is {start} {' or '.join(units)}" if units else "one character later"
            return f"{wrong} (the answer is at {position}, {why}): give starts in characters, counted from 0"
    more = f" and {len(places) - 3} more places" if len(places) > 3 else ""
    mend = "correct the start" + (", or leave it empty to have the answer found" if len(places) == 1 else "")
    return f"{wrong} (the answer is at {', '.join(map(str, places[:3]))}{more}): {mend}"


def _absent(text: str, context: str) -> str:
    for difference, same in _DIFFERENCES.items():
        if same(text) in same(context):
            return f"the answer is in it only with other {difference}"
    return "the answer is nowhere in it"


def _cut(value: Any) -> str:
    """Return what a message shows of a value."""
    shown = value if isinstance(value, str) else repr(value)
    shown = shown if len(shown) <= _SHOWN else shown[: _SHOWN - 3] + "..."
    return repr(shown) if isinstance(value, str) else shown
