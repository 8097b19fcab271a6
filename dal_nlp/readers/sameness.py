"""Texts and ids that are the same, whatever tables and tools have made of them."""

import math

from dal_nlp.readers.inert import plain
from dal_nlp.readers.values import canonical_label, is_rewritten_id

#: Characters that a cell of a spreadsheet holds; it cuts off what is longer.
_CELL = 32_000
#: Characters of a text in a message.
_SHOWN = 40


def flat(text: str) -> str:
    """Return what a text and the forms in which tables and tools give it back share."""
    return " ".join(canonical_label(plain(text)).split())


def same_text(one: str, other: str) -> bool:
    """Tell whether two texts are one, whatever became of blanks, line ends and what a cell has no room for."""
    if one == other:
        return True
    short, long = sorted((flat(one), flat(other)), key=len)
    return short == long or (len(short) >= _CELL and long.startswith(short))


def near_text(one: str, other: str) -> bool:
    """Tell whether one text may be the other after a correction: they share most of their words."""
    words = [set(flat(text).casefold().split()) for text in (one, other)]
    return 2 * len(words[0] & words[1]) > len(words[0] | words[1])


def is_rewritten(id: str, original: str) -> bool:
    """Tell whether an id may be what a spreadsheet has made of another: rounded, or without the zeros in front."""
    try:
        one, other = float(id.replace(",", ".")), float(original)
    except ValueError:
        return False
    return math.isclose(one, other, rel_tol=1e-2 if is_rewritten_id(id) else 1e-12)


def beginning(text: str) -> str:
    """Return how a text begins, for a message."""
    shown = " ".join(text.split())
    return repr(shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}...")
