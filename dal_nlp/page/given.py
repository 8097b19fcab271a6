"""Answers as the page sends them."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Given:
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
