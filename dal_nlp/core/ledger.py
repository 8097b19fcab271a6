"""The ledger of a run: an append-only JSONL file of events, which are folded into a ``State``.

A line is flushed to the disk before anything depends on it. There is one writer, held off by a lock. A torn last line
(the process died while writing) is dropped at the next start. Corrections are later lines; nothing is edited.

Every line ends in its number, the format and a checksum of itself: ``"n": 12, "v": 2, "sum": "0f3a..."``. Ledgers of
format 1 have none of them and get them from their next line on, which also holds ``"before"``, the checksum of all
lines before it.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from dal_nlp.core.distributed import is_main, share
from dal_nlp.core.errors import Locked, UserError
from dal_nlp.core.events import FORMAT, ConfigEvent, Event
from dal_nlp.core.files import sync
from dal_nlp.core.state import State
from dal_nlp.core.text import counted

#: The name of the file in a run folder.
FILE = "ledger.jsonl"
#: Seconds to wait for the lock: longer than a look at whether it is taken, shorter than a person notices.
GRACE = 0.3

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


@dataclass(frozen=True)
class Line:
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
    values = {**event.to_json(), "n": number, "v": FORMAT, **({"before": before} if before else {})}
    body = json.dumps(values, ensure_ascii=False).encode()[:-1]
    return body + _OPEN + checksum(body).encode() + _CLOSE + b"\n"


def write_lines(events: Sequence[Event], number: int = 0, before: str = "") -> bytes:
    """Return the lines of events that follow on ``number`` lines; see ``write_line`` for ``before``."""
    texts = [before, *[""] * len(events)]
    return b"".join(map(write_line, events, range(number + 1, number + 1 + len(events)), texts))


def read_line(raw: bytes) -> Line:
    """Return what a line holds.

    Raises:
        ValueError: It holds no event, or was changed after it was written.
    """
    body, tail = raw[:-_TAIL], raw[-_TAIL:]
    summed = tail.startswith(_OPEN) and tail.endswith(_CLOSE)
    if summed and checksum(body) != tail[len(_OPEN) : -len(_CLOSE)].decode(errors="replace"):
        raise ValueError(f"it was changed after it was written{_once(raw)}")
    try:
        values = json.loads(raw)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    if not isinstance(values, dict):
        raise ValueError("it holds no event")
    values.pop("sum", None)
    number, form, before = values.pop("n", None), values.pop("v", 1), values.pop("before", "")
    if isinstance(form, int) and form > FORMAT:
        raise UserError(f"its format {form} is of a later dal-nlp, and this one reads up to {FORMAT}: update dal-nlp")
    if not summed and number is not None:
        raise ValueError(f"it has lost its checksum{_once(raw)}")
    return Line(Event.from_json(values), number, before)


def _once(raw: bytes) -> str:
    """Return what a changed line is about, as far as it can still be read."""
    try:
        values = json.loads(raw)
        kind, id = values["event"], values.get("id")
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        return ""
    return f" (it held a {kind!r} event{f' of {id!r}' if id is not None else ''})"


class Reader:
    """The events of a file from its beginning, checked, for one who comes back for more.

    Attributes:
        end: Of the last whole line, in bytes.
        number: How many whole lines were read.

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

    def read(self, until: int | None = None) -> Iterator[Event]:
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

    def _check_place(self, line: Line, number: int) -> None:
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


def damaged(path: Path, number: int, what: str) -> UserError:
    """Return the error for a line of a ledger, with the way out."""
    return UserError(
        f"{path}, line {number} is damaged: {what}. Restore the file from a copy, or keep what can be proved with "
        f"`dal-nlp repair {path.parent}`."
    )


def load(path: Path, state: State) -> tuple[Reader, list[Event]]:
    """Fold a file of events into a state; return its reader and the events.

    Raises:
        UserError: The file is damaged, or of a later version; the message names the line.
    """
    reader, events = Reader(path), list[Event]()
    try:
        for event in reader.read():
            if not events and not isinstance(event, ConfigEvent):
                raise ValueError(
                    f"the beginning is gone: a ledger begins with a 'config' event, not with {event.name!r}"
                )
            state.apply(event)
            events.append(event)
    except Damage as error:
        raise damaged(path, error.number, str(error)) from None
    except ValueError as error:
        raise damaged(path, reader.number, str(error)) from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): check its permissions.") from None
    return reader, events


def read_events(path: Path) -> Iterator[Event]:
    """Yield the events of a ledger; raises ``UserError`` where it is damaged."""
    reader = Reader(path)
    try:
        yield from reader.read()
    except Damage as error:
        raise damaged(path, error.number, str(error)) from None


def read_state(folder: Path) -> State:
    """Fold the ledger of a run folder without taking the lock; raises ``UserError`` where there is none."""
    path = folder / FILE
    if not path.is_file():
        raise UserError(f"{folder} is not a run folder: it has no {FILE}.")
    state = State()
    load(path, state)
    return state


class Ledger:
    """The one writer of a run folder's events.

    Use it as a context manager. Raises ``Locked`` where another living process holds the folder; the operating system
    gives the lock back when a process dies, however it dies. Of several processes of one run the main one holds the
    file and the lock, and the others fold what it wrote.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / FILE
        self.state = State()
        self._lock = FileLock(folder / ".lock")
        self._subscribers: list[Callable[[Event], object]] = []

    def subscribe(self, function: Callable[[Event], object]) -> None:
        """Have a function called with every further event, once it is on the disk and in ``state``."""
        self._subscribers.append(function)

    def __enter__(self) -> Self:
        events: list[Event] = []
        if is_main():
            self._acquire()
            try:
                events = self._open()
            except BaseException:
                self._lock.release()
                raise
        events = share(events)
        if not is_main():
            for event in events:
                self.state.apply(event)
        return self

    def _acquire(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=GRACE)
        except Timeout:
            raise Locked(
                f"{self.folder} is in use by another dal-nlp process: wait for it, or choose another --out."
            ) from None
        except OSError as error:
            raise UserError(f"{self.folder} cannot be written to ({error.strerror}): choose another --out.") from None

    def _open(self) -> list[Event]:
        """Read what is there, cut a torn line off, and open the file for appending."""
        new = not self.path.exists()
        self._file = self.path.open("ab", buffering=0)
        try:
            reader, events = load(self.path, self.state)
            self._file.truncate(reader.end)
            if new:
                sync(self.folder)
        except BaseException:
            self._file.close()
            raise
        self.end, self._number, self._before = reader.end, reader.number, reader.before
        return events

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if is_main():
            self._file.close()
            self._lock.release()

    def append(self, event: Event) -> None:
        """Write one event through to the disk, then fold it into ``state``; all processes of a run call it together.

        Raises:
            UserError: The disk did not take it; nothing of the event is left then, neither there nor in ``state``.
        """
        self.extend([event])

    def extend(self, events: Sequence[Event]) -> None:
        """Write several events at once; see ``append``."""
        whole = share(list(events))
        if is_main():
            self._write(whole)
        for event in whole:
            self._fold(event)

    def _fold(self, event: Event) -> None:
        """Fold an event that is on the disk, and tell the subscribers of it."""
        self.state.apply(event)
        for function in self._subscribers:
            function(event)

    def _write(self, events: Sequence[Event]) -> None:
        data = memoryview(write_lines(events, self._number, self._before))
        try:
            written = 0
            while written < len(data):
                written += self._file.write(data[written:])
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(self.end)
            raise UserError(
                f"{self.path} cannot be written ({error.strerror}), so the last step or answer was not kept: make room "
                "on the disk, then go on with the same command."
            ) from None
        self.end, self._number, self._before = self.end + len(data), self._number + len(events), ""
