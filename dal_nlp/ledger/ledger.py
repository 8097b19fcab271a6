"""The ledger of a run: an append-only JSONL file of events, which are folded into a ``State``.

A line is flushed to the disk before anything depends on it. There is one writer, held off by a lock. A torn last line
(the process died while writing) is dropped at the next start. Corrections are later lines; nothing is edited.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from dal_nlp.core.distributed import broadcast, is_main
from dal_nlp.core.errors import Locked, RunFolderError
from dal_nlp.core.files import sync
from dal_nlp.ledger.events import (
    AnswerEvent,
    ConfigEvent,
    Event,
    LabelEvent,
    MetricsEvent,
    OverflowEvent,
    PseudoLabelsEvent,
    RemovedEvent,
)
from dal_nlp.ledger.lines import Damage, LineReader, write_lines
from dal_nlp.ledger.state import State

logger = logging.getLogger(__name__)

#: The name of the file in a run folder.
FILE = "ledger.jsonl"
#: Seconds to wait for the lock: longer than a look at whether it is taken, shorter than a person notices.
GRACE = 0.3


def damaged(path: Path, number: int, what: str) -> RunFolderError:
    """Return the error for a line of a ledger, with the way out."""
    return RunFolderError(
        f"{path}, line {number} is damaged: {what}. Restore the file from a copy, or keep what can be proved with "
        f"`dal-nlp repair {path.parent}`."
    )


def load(path: Path, state: State) -> tuple[LineReader, list[Event]]:
    """Fold a file of events into a state; return its reader and the events.

    Raises:
        UserError: The file is damaged, or of a later version; the message names the line.
    """
    reader, events = LineReader(path), list[Event]()
    try:
        with closing(reader.read()) as further:
            for event in further:
                check_order(state, event)
                if not reader.numbered:  # nothing else would show that it was changed
                    _check_label(state, event)
                state.apply(event)
                events.append(event)
    except Damage as error:
        raise damaged(path, error.number, str(error)) from None
    except ValueError as error:
        raise damaged(path, reader.number, str(error)) from None
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read ({error.strerror}): check its permissions.") from None
    return reader, events


def check_order(state: State, event: Event) -> None:
    """Raise ``ValueError`` for an event that builds on others which a state does not hold."""
    if state.config is None and not isinstance(event, ConfigEvent):
        raise ValueError(f"it holds a {event.name!r} event before any 'config' event: the beginning is gone")
    if isinstance(event, AnswerEvent | RemovedEvent) and event.id not in state.ever_asked:
        raise ValueError(f"it is about {event.id!r}, and the query or audit sample that asked about it is not there")
    if isinstance(event, OverflowEvent | PseudoLabelsEvent | MetricsEvent) and state.query(event.round) is None:
        raise ValueError(f"it belongs to round {event.round}, whose query is not there")


def _check_label(state: State, event: Event) -> None:
    known, target = state.labels, event.target if isinstance(event, LabelEvent) else None
    if known and isinstance(target, str) and target not in known:
        raise ValueError(f"its answer {target!r} is none of the labels {', '.join(known)}")


def read_events(path: Path) -> Iterator[Event]:
    """Yield the events of a ledger; raises ``UserError`` where it is damaged."""
    reader = LineReader(path)
    try:
        yield from reader.read()
    except Damage as error:
        raise damaged(path, error.number, str(error)) from None


def read_state(folder: Path) -> State:
    """Fold the ledger of a run folder without taking the lock; raises ``UserError`` where there is none."""
    path = folder / FILE
    if not path.is_file():
        raise RunFolderError(f"{folder} is not a run folder: it has no {FILE}.")
    state = State()
    load(path, state)
    return state


class Ledger:
    """The one writer of a run folder's events.

    Use it as a context manager. Raises ``Locked`` where another living process holds the folder; the operating system
    gives the lock back when a process dies, however it dies. Of several processes of one run the main one holds the
    file and the lock, and the others fold what it wrote.

    Args:
        folder: Of the run; it is made where there is none.
        patience: Seconds to wait for another process to leave the folder, such as one whose parent was killed.
    """

    def __init__(self, folder: Path, patience: float = GRACE) -> None:
        self.folder, self._patience = folder, patience
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
        events = broadcast(events)
        if not is_main():
            for event in events:
                self.state.apply(event)
        return self

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder without reading the file."""
        self._acquire()
        try:
            yield
        finally:
            self._lock.release()

    def _acquire(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=self._patience)
        except Timeout:
            raise Locked(
                f"{self.folder} is in use by another dal-nlp process: end that, wait for it, or choose another folder."
            ) from None
        except OSError as error:
            raise RunFolderError(
                f"{self.folder} cannot be written to ({error.strerror}): choose another folder, or copy it first."
            ) from None

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
        whole = broadcast(list(events))
        if is_main():
            self._write(whole)
        for event in whole:
            self._fold(event)

    def _fold(self, event: Event) -> None:
        """Fold an event that is on the disk, and tell the subscribers of it."""
        self.state.apply(event)
        logger.debug("Event %s", event.name)
        for function in self._subscribers:
            function(event)

    def _write(self, events: Sequence[Event]) -> None:
        if not self.path.exists():  # it was removed while it was open: what is written is gone with it
            raise RunFolderError(
                f"{self.path} is gone, so nothing can be kept: put it back, then go on with the same command."
            )
        data = memoryview(write_lines(events, self._number, self._before))
        try:
            bytes_written = 0
            while bytes_written < len(data):
                bytes_written += self._file.write(data[bytes_written:])
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(self.end)
            raise RunFolderError(
                f"{self.path} cannot be written ({error.strerror}), so the last step or answer was not kept: make room "
                "on the disk, then go on with the same command."
            ) from None
        self.end, self._number, self._before = self.end + len(data), self._number + len(events), ""
