"""The label that a reply means: exactly, as a part of it, or nearly; None where nobody can tell."""

import difflib
import re
from collections.abc import Sequence

#: How like a label a reply must be that is no label.
LIKE = 0.8


def plain(text: str) -> str:
    """Return a text in small letters, without punctuation around its words."""
    return " ".join(re.findall(r"[^\W_]+", text.casefold()))


def match(reply: str, names: Sequence[str]) -> int | None:
    """Return which of C names a reply means.

    It is the one that it equals, else the only one that stands in it as whole words, else the only one like it.
    """
    text, wanted = plain(reply), [plain(name) for name in names]
    if text in wanted and text:
        return wanted.index(text)
    inside = [index for index, name in enumerate(wanted) if name and f" {name} " in f" {text} "]
    longest = [
        index for index in inside if not any(wanted[index] in wanted[other] for other in inside if other != index)
    ]
    if len(longest) == 1:
        return longest[0]
    if inside:
        return None
    near = difflib.get_close_matches(text, wanted, 2, LIKE)
    return wanted.index(near[0]) if len(near) == 1 else None
