"""The lines of a ledger: each holds an event, and says by its number and its checksum what it was when it was written.

A line ends in ``"n": 12, "v": 2, "sum": "0f3a..."``: its number from 1, the format of the event, a checksum of all
before that. Ledgers of format 1 have none of them and get them from their next line on, which also holds ``"before"``,
the checksum of all lines before it.
"""

import hashlib
import json
from codecs import BOM_UTF8
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dal_nlp.core.errors import RunFolderError
from dal_nlp.core.text import counted
from dal_nlp.ledger.events import FORMAT, Event, read_event

#: Of the hex digits of a checksum.
_DIGITS = 16
#: What the end of a line looks like.
_OPEN, _CLOSE = b', "sum": "', b'"}'
_TAIL = len(_OPEN) + _DIGITS + len(_CLOSE)


class Damage(ValueError):
    """A line that is not what was written, or not where it was written; the message says what is lost.

    Attributes:
        number: Of the line, from 1.
    """

    def __init__(self, number: int, what: str) -> None:
        super().__init__(what)
        self.number = number


class LaterFormat(ValueError):
    """A line that a later version has written."""


@dataclass(frozen=True)
class LedgerLine:
    """A line of a ledger.

    Attributes:
        event: What it holds.
        number: Its own, as it stands there; None in format 1.
        before: The checksum of all lines before it, where it says one; else "".
    """

    event: Event
    number: int | None
    before: str


def checksum(data: bytes) -> str:
    """Return what stands for the bytes of a line."""
    return _digits(hashlib.blake2b(data, digest_size=_DIGITS // 2))


def write_line(event: Event, number: int, before: str = "") -> bytes:
    """Return the line that holds an event; ``before`` is the checksum of all lines before the first numbered one."""
    values = {**event.to_json(), "n": number, "v": event.format, **({"before": before} if before else {})}
    body = json.dumps(values, ensure_ascii=False).encode()[:-1]
    return body + _OPEN + checksum(body).encode() + _CLOSE + b"\n"


def write_lines(events: Sequence[Event], number: int = 0, before: str = "") -> bytes:
    """Return the lines of events that follow on ``number`` lines; see ``write_line`` for ``before``."""
    texts = [before, *[""] * len(events)]
    return b"".join(map(write_line, events, range(number + 1, number + 1 + len(events)), texts))


def read_line(raw: bytes) -> LedgerLine:
    """Return what a line holds.

    Raises:
        ValueError: It holds no event, or was changed after it was written.
        LaterFormat: It is of a later version.
    """
    if raw.startswith(BOM_UTF8) or raw.endswith(b"\r"):
        raise ValueError("another program, such as an editor or git, has saved it with other line ends or a mark")
    body, tail = raw[:-_TAIL], raw[-_TAIL:]
    summed = tail.startswith(_OPEN) and tail.endswith(_CLOSE)
    if summed and checksum(body) != tail[len(_OPEN) : -len(_CLOSE)].decode(errors="replace"):
        raise ValueError(f"it was changed after it was written{_about(raw)}")
    try:
        values = json.loads(raw)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    if not isinstance(values, dict):
        raise ValueError("it holds no event")
    values.pop("sum", None)
    number, form, before = values.pop("n", None), values.pop("v", 1), values.pop("before", "")
    if isinstance(form, int) and form > FORMAT:
        raise LaterFormat(f"its format {form} is of a later dal-nlp, and this one reads up to {FORMAT}: update dal-nlp")
    if not summed and number is not None:
        raise ValueError(f"it has lost its checksum{_about(raw)}")
    return LedgerLine(read_event(values), number, before)


def _about(raw: bytes) -> str:
    """Return what a changed line is about, as far as it can still be read."""
    try:
        values = json.loads(raw)
        kind, id = values["event"], values.get("id")
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        return ""
    return f" (it held a {kind!r} event{f' of {id!r}' if id is not None else ''})"


class LineReader:
    """The events of a file from its beginning, checked, for one who comes back for more.

    Attributes:
        end: Of the last whole line, in bytes.
        number: How many whole lines were read.
        numbered: Whether the last of them has a number.

    Args:
        path: Of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.end, self.number = path, 0, 0
        self._old: Any = hashlib.blake2b(digest_size=_DIGITS // 2)  # of lines without a number
        self.numbered = False

    @property
    def before(self) -> str:
        """The checksum of all lines so far, where none has a number yet; "" where one has, or there is none."""
        return "" if self.numbered or not self.number else _digits(self._old)

    def read(self, until: int | None = None) -> Generator[Event, None, None]:
        """Yield the further events, a torn last line left out, up to an offset or to the end.

        Raises:
            Damage: A line was lost, doubled, moved or changed.
            UserError: A line was written by a later version.
        """
        with self.path.open("rb") as file:
            file.seek(self.end)
            while until is None or self.end < until:
                raw = file.readline()
                if not raw.endswith(b"\n"):
                    return
                event = self._check(raw)
                self.end += len(raw)
                yield event

    def _check(self, raw: bytes) -> Event:
        number = self.number + 1
        try:
            line = read_line(raw[:-1])
        except LaterFormat as error:
            raise RunFolderError(f"{self.path}, line {number} cannot be read: {error}.") from None
        except ValueError as error:
            raise Damage(number, str(error)) from None
        if line.number is None and self.numbered:
            raise Damage(number, "it has lost its number and its checksum")
        if line.number is not None:
            self._check_place(line, number)
        else:
            self._old.update(raw)
        self.number, self.numbered = number, line.number is not None
        return line.event

    def _check_place(self, line: LedgerLine, number: int) -> None:
        """Raise ``Damage`` for a line that does not follow on those before it."""
        if line.number is not None and line.number > number:
            lost = counted(line.number - number, "line")
            raise Damage(
                number, f"it was written as line {line.number}: {lost} before it got lost, with what was in there"
            )
        if line.number != number:
            raise Damage(number, f"it was written as line {line.number}, so it is there twice, or lines were moved")
        if line.before != self.before:
            raise Damage(number, "one of the lines before it was changed, removed or added after it was written")


def _digits(hash: Any) -> str:
    return str(hash.hexdigest())
