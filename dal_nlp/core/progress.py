"""How a run tells a person what it is doing; the library itself prints nothing."""

import logging
from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

from dal_nlp.core.screens import harmless
from dal_nlp.core.text import counted

logger = logging.getLogger(__name__)

T = TypeVar("T")


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
