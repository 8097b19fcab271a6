"""Which part of a text is shown where something in it is highlighted."""

import re
from collections.abc import Sequence

#: Most characters of a text that are shown, and most of its beginning that is kept where the rest is far from there.
LONGEST, BEGINNING = 1500, 280
GAP = "... "

Piece = tuple[str, bool]  # a part of a text, and whether it is highlighted


def excerpt(text: str, marks: Sequence[Sequence[int]]) -> list[Piece]:
    """Cut a text where highlights begin and end; of a long one, show about ``LONGEST`` characters.

    These are the beginning (the first line if it is short: of a question and its context, the question) and what is
    around the first highlight.

    Args:
        text: In which the marks are.
        marks: [start, end) in characters, in any order; what is outside of the text is ignored.

    Returns:
        The pieces, in order.
    """
    spans = _joined(text, marks)
    if len(text) <= LONGEST:
        return _pieces(text, spans, 0, len(text))
    line = re.match(rf"[^\n]{{1,{BEGINNING}}}\n\s{{0,9}}", text)
    beginning = line.end() if line else BEGINNING
    room = LONGEST - beginning
    first, last = spans[0] if spans else (0, 0)
    start = max(0, min(first, (first + last - room) // 2, len(text) - room))
    if start <= beginning:
        beginning, start, room = 0, 0, LONGEST
    pieces = _pieces(text, spans, 0, beginning)
    if beginning:
        pieces.append((GAP if line else f" {GAP}", False))
    pieces += _pieces(text, spans, start, start + room)
    if start + room < len(text):
        pieces.append((f" {GAP.strip()}", False))
    return pieces


def _joined(text: str, marks: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Return the marks in order, inside the text, without overlaps."""
    spans: list[tuple[int, int]] = []
    for start, end in sorted((max(0, start), min(end, len(text))) for start, end in marks):
        if start < end:
            last = spans.pop() if spans and spans[-1][1] >= start else (start, end)
            spans.append((last[0], max(last[1], end)))
    return spans


def _pieces(text: str, spans: Sequence[tuple[int, int]], start: int, end: int) -> list[Piece]:
    """Cut text[start:end] where spans begin and end."""
    cuts = [start, *(min(max(cut, start), end) for span in spans for cut in span), end]
    parts = [(text[cuts[i] : cuts[i + 1]], i % 2 == 1) for i in range(len(cuts) - 1)]
    return [(part, marked) for part, marked in parts if part]
