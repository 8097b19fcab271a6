"""How a run tells a person what it is doing, and is told to end; the library itself prints nothing."""

import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any, Protocol, TypeVar

from dal_nlp.core.text import counted, duration, harmless

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds between two lines of progress where there is no terminal.
PAUSE = 30.0

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

    What is tracked is logged at level DEBUG: most of it is over in a moment.

    Args:
        progress: Where it is shown.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def track(self, items: Sequence[T], label: str) -> Iterator[T]:
        """Yield the items, showing how many of them are done."""
        logger.debug("%s: %s", label.capitalize(), counted(len(items), "step"))
        return self._progress.track(items, label)

    def say(self, text: str) -> None:
        """Show one sentence."""
        logger.info("%s", text)
        self._progress.say(text)


class Console:
    """Show progress bars and sentences on standard error, through rich.

    Args:
        clock: Gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        from rich.console import Console as RichConsole

        self._console = RichConsole(stderr=True, highlight=False, soft_wrap=True)
        self._clock = clock

    def track(self, items: Sequence[T], label: str) -> Iterator[T]:
        """Yield the items under a bar that vanishes when they are done; without a terminal, say what takes long."""
        if self._console.is_jupyter:  # where rich wants a further package for its bars
            from tqdm import tqdm

            yield from tqdm(items, label, leave=False)
            return
        if not self._console.is_terminal:
            yield from self._tell(items, label)
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self._console, transient=True) as bars:
            yield from bars.track(items, description=label)

    def _tell(self, items: Sequence[T], label: str) -> Iterator[T]:
        """Yield the items, and say every ``PAUSE`` seconds how many are done, how fast, and what time is left."""
        began = told = self._clock()
        for done, item in enumerate(items):
            now = self._clock()
            if done and now - told >= PAUSE:
                told = now
                self.say(how_far(label, done, len(items), now - began))
            yield item
        if told > began:
            self.say(f"{label.capitalize()}: done in {duration(self._clock() - began)}")

    def say(self, text: str) -> None:
        """Print one sentence."""
        self._console.print(harmless(text), markup=False)


def how_far(label: str, done: int, items: int, seconds: float) -> str:
    """Return how far something is after some seconds, and how long it will take, in a line."""
    rate = done / seconds
    speed = f"{rate:.1f} a second" if rate >= 1 else f"{rate * 60:.1f} a minute"
    return f"{label.capitalize()}: {done:,} of {items:,}, {speed}, about {duration((items - done) / rate)} left"


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
