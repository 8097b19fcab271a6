"""Texts on a screen: wrapped at words, in pages where they are longer than the screen, and labels in columns."""

import sys
from collections.abc import Mapping, Sequence
from shutil import get_terminal_size

from dal_nlp.core.text import harmless, lines, with_offsets

#: Lines of the screen that a page leaves to what stands around it, and lines that it has at least.
AROUND, LEAST = 7, 5


def on_screen() -> bool:
    """Tell whether what is printed is shown on a screen, not kept in a file or pipe."""
    return sys.stdout.isatty()


def wrapped(text: str) -> list[str]:
    """Return the lines of a text, harmless, cut between words to the width of the screen; in a pipe as they are."""
    if not on_screen():
        return harmless(text).split("\n")
    return [harmless(line).rstrip() for _, line in lines(text, max(20, get_terminal_size().columns - 1))]


def wrapped_with_offsets(text: str) -> list[str]:
    """Return the lines of a text, each with the offset of its first character before it."""
    return with_offsets(text, get_terminal_size().columns).split("\n")


def pages(shown: Sequence[str], below: int) -> list[list[str]]:
    """Return lines in pages that fit on the screen with ``below`` lines under them; in a pipe all are one page."""
    if not on_screen():
        return [list(shown)]
    height = max(LEAST, get_terminal_size().lines - AROUND - below)
    return [list(shown[start : start + height]) for start in range(0, len(shown), height)] or [[]]


def columns(choices: Mapping[str, str]) -> list[str]:
    """Return labels with what is typed for them, in columns of the screen's width; a few of them in one line."""
    cells = [_choice(number, label) for number, label in choices.items()]
    width = get_terminal_size().columns - 1
    one_line = "  ".join(cells)
    if not on_screen() or len(one_line) <= width:
        return [one_line]
    widest = max(map(len, cells)) + 2
    across = max(1, (width + 2) // widest)
    rows = -(-len(cells) // across)
    return ["".join(cell.ljust(widest) for cell in cells[row::rows]).rstrip() for row in range(rows)]


def _choice(number: str, label: str) -> str:
    return f"[{number}]" if number == label else f"[{number}] {harmless(label)}"
