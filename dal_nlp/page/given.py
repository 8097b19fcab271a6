"""Answers as the page sends them, and what their letters may be."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dal_nlp.core.errors import UserError, nearest
from dal_nlp.ledger.answer_events import MAJORITY

#: Characters of the longest name.
LONGEST_NAME = 60


@dataclass(frozen=True)
class PageAnswer:
    """An answer as a page sends it.

    Attributes:
        id: Of the example.
        text: The answer, as it would be typed (see ``read_answer``).
        refusal: "skip" or "unsure" in place of an answer, "" for none.
        note: What the annotator wrote beside it.
        final: Whether it settles a dispute.
        request: What the page calls this request, the same when it is sent again; "" for nothing.
    """

    id: str
    text: str = ""
    refusal: Literal["", "skip", "unsure"] = ""
    note: str = ""
    final: bool = False
    request: str = ""


def check_name(who: str, names: Sequence[str]) -> None:
    """Raise ``UserError`` for what is none of the names, where there are any, or cannot be one."""
    if names and who not in names:
        raise UserError(f"{who!r} is no annotator of this run{nearest(who, names)}: choose {' or '.join(names)}.")
    if not who.strip() or who != who.strip() or len(who) > LONGEST_NAME or not plain(who) or who == MAJORITY:
        raise UserError(f"A name has 1 to {LONGEST_NAME} letters, none of them invisible, and is not 'majority'.")


def plain(text: str) -> bool:
    """Tell whether a line holds nothing invisible but blanks, and joiners within words."""
    return all(unicodedata.category(c)[0] not in "CZ" or c in " \u200c\u200d" for c in text)
