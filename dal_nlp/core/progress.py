"""How a run tells a person what it is doing, and is told to end; the library itself prints nothing."""

import logging
import signal
import sys
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any, Protocol, TypeVar

from dal_nlp.core.text import counted, harmless

logger = logging.getLogger(__name__)

T = TypeVar("T")

_ctrl_c = False


class Progress(Protocol):
    """Where progress goes."""

    def track(self, items: Sequence[T], label: str) -> Iterator[T]:
        """Yield the items, showing how many of them are done."""

    def say(self, text: str) -> None:
        """Show one sentence."""


class Silent:
    """Show nothing."""

    def track(self, items: Sequence[T], label: str) -> Iterator[T]:
        """Yield the items."""
        return iter(items)

    def say(self, text: str) -> None:
        """Do nothing."""


class Logged:
    """Show progress as another one does, and log its sentences, by ``dal_nlp.core.progress`` at level INFO.

    Args:
        progress: Where it is shown.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def track(self, items: Sequence[T], label: str) -> Iterator[T]:
        """Yield the items, showing how many of them are done."""
        logger.info("%s: %s", label.capitalize(), counted(len(items), "step"))
        return self._progress.track(items, label)

    def say(self, text: str) -> None:
        """Show one sentence."""
        logger.info("%s", text)
        self._progress.say(text)


class Console:
    """Show progress bars and sentences on standard error, through rich."""

    def __init__(self) -> None:
        from rich.console import Console as RichConsole

        self._console = RichConsole(stderr=True, highlight=False)

    def track(self, items: Sequence[T], label: str) -> Iterator[T]:
        """Yield the items under a bar that vanishes when they are done; without a terminal there is no bar."""
        if not self._console.is_terminal:
            self.say(f"{label.capitalize()}: {counted(len(items), 'step')}")
            yield from items
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self._console, transient=True) as bars:
            yield from bars.track(items, description=label)

    def say(self, text: str) -> None:
        """Print one sentence."""
        self._console.print(harmless(text), markup=False)


def heed_ctrl_c() -> None:
    """Have Ctrl-C remembered, beside what it does; call it in the main thread of a command.

    Python raises ``KeyboardInterrupt`` wherever the program happens to be. In a callback of the garbage collector, or
    in a library that swallows it, that has no effect: so the signal is looked at again between batches.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        global _ctrl_c
        _ctrl_c = True
        raise KeyboardInterrupt

    before = sys.unraisablehook

    def unraisable(what: Any) -> None:  # swallowed in a callback: ``check_ctrl_c`` raises it again
        if not issubclass(what.exc_type, KeyboardInterrupt):
            before(what)

    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as in the background of a script
        signal.signal(signal.SIGINT, handle)
        sys.unraisablehook = unraisable


def check_ctrl_c() -> None:
    """Raise ``KeyboardInterrupt`` where Ctrl-C was pressed and got lost."""
    global _ctrl_c
    if _ctrl_c:
        _ctrl_c = False
        raise KeyboardInterrupt
