"""A run in a process of its own that trains while people answer: its ledger is the file of the process that asks them.

That process alone writes the ledger. The one that trains sends its events there, and reads the file up to where it is
told: what people have answered meanwhile comes with it, always between two steps of the loop and never within one.
"""

import os
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

from dal_nlp.annotation import Answer, Query
from dal_nlp.annotation.sheet_oracle import Sheets
from dal_nlp.core.distributed import spawn
from dal_nlp.core.errors import UserError
from dal_nlp.core.progress import Console
from dal_nlp.ledger.events import Event
from dal_nlp.ledger.ledger import Ledger
from dal_nlp.ledger.lines import LineReader
from dal_nlp.page.queue import AnnotationQueue
from dal_nlp.session.config import RunConfig

#: How far the process that trains gives way to the one that people wait for (see ``os.nice``).
NICE = 10
#: Seconds to wait for it when it is told to end.
_GRACE = 5


class Followed(Ledger):
    """A ledger that another process writes: events are sent there, and read from the file.

    Args:
        folder: The run folder.
        line: To the process that writes.
    """

    def __init__(self, folder: Path, line: Connection) -> None:
        super().__init__(folder)
        self._line, self._reader = line, LineReader(self.path)

    def __enter__(self) -> Self:
        self._request("wait", [])
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the file to the process that holds it."""

    def extend(self, events: Sequence[Event]) -> None:
        """Have events written, then fold them, and what was written before them, into ``state``.

        Raises:
            UserError: The disk did not take them.
        """
        self._request("extend", list(events))

    def wait(self, ids: Sequence[str]) -> None:
        """Wait until all of ``ids`` are answered, and fold what was written into ``state``."""
        self._request("wait", list(ids))

    def _request(self, what: str, values: object) -> None:
        self._line.send((what, values))
        reply = self._line.recv()
        if isinstance(reply, str):
            raise UserError(reply)
        for event in self._reader.read(reply):
            self._fold(event)


class Page(Sheets):
    """The oracle of people at a page: what sheets hold is taken first, the rest comes by the ledger.

    Args:
        ledger: Where the answers of the page come from.
        prefetch_limit: See ``Oracle``.
    """

    def __init__(self, ledger: Followed, prefetch_limit: int) -> None:
        self._ledger, self.prefetch_limit = ledger, prefetch_limit

    def label(self, queries: Sequence[Query]) -> Iterator[Answer]:
        """Yield what is new in the sheets; return once the page has answers to all queries."""
        yield from super().label(queries)
        self._ledger.wait([query.id for query in queries])

    def _write(self, missing: Sequence[Query]) -> None:
        """Write no sheets: what is missing is asked on the page."""


class Training:
    """The process that trains, as the one that asks people sees it.

    Args:
        queue: Holds the ledger.
        config: Of the run.
        prefetch_limit: See ``Oracle``.
    """

    def __init__(self, queue: AnnotationQueue, config: RunConfig, prefetch_limit: int) -> None:
        self._queue = queue
        self._line, line = Pipe()
        self._process = spawn(_train, config.model_dump(mode="json"), queue.store.folder, line, prefetch_limit)
        line.close()
        self._stopping = False
        for task in (self._serve, self._watch):
            threading.Thread(target=task, daemon=True).start()

    def stop(self) -> None:
        """End the process; what it has not finished is done again by the next one."""
        self._stopping = True
        self._process.terminate()
        self._process.join(_GRACE)
        self._process.kill()

    def _serve(self) -> None:
        """Do what the process asks for until it ends."""
        with suppress(EOFError, ConnectionError):  # it has ended
            while True:
                what, values = self._line.recv()
                match what:
                    case "wait":
                        self._line.send(self._done(lambda: self._queue.wait(values)))  # noqa: B023 - called at once
                    case "extend":
                        self._line.send(self._done(lambda: self._queue.append(values)))  # noqa: B023 - called at once
                    case "say":
                        self._queue.say(values)
                    case "failed":
                        self._queue.fail(values)

    def _watch(self) -> None:
        """Say when the process has died without a word, which whoever waits for answers does not notice."""
        self._process.join()
        if self._process.exitcode and not self._stopping:
            self._queue.fail("The process that trains has died.")

    def _done(self, ask: Callable[[], int]) -> int | str:
        """Return what the queue says, or why it could not: the run ends with that, and the page says so."""
        try:
            return ask()
        except (UserError, OSError) as error:
            return str(error)


class _Told(Console):
    """Shows a run in the terminal, and its sentences on the page."""

    def __init__(self, line: Connection) -> None:
        super().__init__()
        self._line = line

    def say(self, text: str) -> None:
        """Show one sentence in both places."""
        super().say(text)
        self._line.send(("say", text))


def _train(config: Mapping[str, Any], folder: Path, line: Connection, prefetch_limit: int) -> None:
    """Run a configuration to its end: what the process does."""
    from dal_nlp.session.loop import Session

    os.nice(NICE)
    ledger, progress = Followed(folder, line), _Told(line)
    try:
        Session(RunConfig.of(config), oracle=Page(ledger, prefetch_limit), progress=progress, ledger=ledger).run()
    except UserError as error:
        progress.say(f"Training has stopped: {error}")
        line.send(("failed", str(error)))
    except Exception as error:
        traceback.print_exc()
        line.send(("failed", f"Training has crashed ({type(error).__name__}: {error})."))
