"""What all commands print with: sentences, tables, and silence in all processes but the first.

What they print holds ids, texts and labels of users: whatever it is, it moves no cursor.
"""

import getpass
import json
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TextIO, TypeVar

from dal_nlp.core.progress import Console, Progress, Silent
from dal_nlp.core.text import harmless

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.table import Table

T = TypeVar("T")

#: Set in the processes that ``--processes`` starts: what ends them is for their parent to print.
LAUNCHED = "DAL_NLP_LAUNCHED"

#: Numbers in a file or pipe are not cut off.
_PIPE_WIDTH = 1000


def is_first() -> bool:
    """Tell whether this process prints; ``accelerate launch`` numbers its processes in RANK."""
    return os.environ.get("RANK", "0") == "0"


def who_types() -> str:
    """Return the name under which somebody is known to the machine."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


def progress(quiet: bool) -> Progress:
    """Return where a command shows how far it is."""
    return Console() if is_first() and not quiet else Silent()


class TerminalProgress:
    """Show how far a command is, and know what was said already.

    Args:
        quiet: Show nothing.
    """

    def __init__(self, quiet: bool) -> None:
        self._progress, self._quiet = progress(quiet), quiet
        self._said: set[str] = set()

    def unheard(self, sentences: Iterable[str]) -> list[str]:
        """Return those that were not shown."""
        return [text for text in sentences if self._quiet or text not in self._said]

    def track(self, items: Sequence[T], label: str) -> Iterator[T]:
        """Yield the items, showing how many of them are done."""
        return self._progress.track(items, label)

    def say(self, text: str) -> None:
        """Show one sentence."""
        self._said.add(text)
        self._progress.say(text)


def names(text: str | None) -> list[str] | None:
    """Return the names in "a,b"; a name that holds a comma is in double quotes; None of None."""
    from dal_nlp.core.text import split_names

    return None if text is None else split_names(text)


def say(text: str, hang: int = 0) -> None:
    """Print sentences on standard output: wrapped between words on a screen, as they are in a file or pipe.

    Args:
        text: The sentences.
        hang: Blanks before what a line goes on with on a screen.
    """
    _print(text, sys.stdout, hang)


def complain(text: str) -> None:
    """Print sentences on standard error."""
    _print(text, sys.stderr)


def fail(text: str, code: int, consequence: bool = False) -> None:
    """Say what ends this process, and leave it to what launched it: torch's launchers show what ended the first one.

    Args:
        text: A sentence.
        code: The exit code to come.
        consequence: Whether the end of another process may have caused this one.
    """
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if path:
        now = time.time()
        failure = {"message": text, "timestamp": int(now), "time": now, "code": code, "consequence": consequence}
        with open(path, "w", encoding="utf-8") as file:
            json.dump(failure, file)
    if LAUNCHED not in os.environ or "RANK" not in os.environ:  # the parent has no number
        complain(text)


def _print(text: str, stream: TextIO, hang: int = 0) -> None:
    if not is_first():
        return
    text = harmless(text)
    if stream.isatty():
        width = shutil.get_terminal_size().columns
        # Long words are paths: they stay whole, to be copied.
        wrapper = textwrap.TextWrapper(
            width, subsequent_indent=" " * hang, break_long_words=False, break_on_hyphens=False
        )
        lines = [wrapper.wrap(line) for line in text.split("\n")]
        text = "\n".join("\n".join(parts) for parts in lines)
    print(text, file=stream, flush=True)  # in a pipe too, before what takes long


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table of texts under an optional header; what does not fit on the screen is wrapped."""
    from rich.text import Text

    screen, built = _screen(), _empty_table(any(header))
    for column, name in enumerate(header):
        built.add_column(Text(name), overflow="fold", no_wrap=column == 0)
    for row in rows:
        built.add_row(*(Text(harmless(cell)) for cell in row))
    screen.print("", built, "", sep="\n")


def figures(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table of numbers, named in its first column; columns at its end that do not fit are named below it."""
    from rich.text import Text

    screen, built = _screen(None if sys.stdout.isatty() else _PIPE_WIDTH), _empty_table(True)
    widths = [max(map(len, (*name.split(), *cells))) for name, *cells in zip(header, *rows, strict=True)]
    fitting = [end for end in range(1, len(widths) + 1) if sum(widths[:end]) + 2 * (end - 1) <= screen.width]
    shown = max(fitting, default=1)
    for column, (name, width) in enumerate(zip(header[:shown], widths, strict=False)):
        words = column == 0 and not all(row[0].isdigit() for row in rows)
        built.add_column(Text(name), justify="left" if words else "right", width=width)
    for row in rows:
        built.add_row(*row[:shown])
    screen.print("", built, "", sep="\n")
    if header[shown:]:
        say(f"Columns for which this screen is too narrow: {', '.join(header[shown:])}.")


def _screen(width: int | None = None) -> "RichConsole":
    from rich.console import Console as RichConsole

    return RichConsole(highlight=False, markup=False, width=width, quiet=not is_first())


def _empty_table(with_header: bool) -> "Table":
    """Two blanks are between columns; with a header one of them comes from the line below it."""
    from rich import box
    from rich.table import Table

    style, blanks = (box.SIMPLE_HEAD, 1) if with_header else (None, 2)
    return Table(box=style, show_header=with_header, show_edge=False, pad_edge=False, padding=(0, blanks, 0, 0))
