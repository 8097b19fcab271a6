"""Cells in quotes: whether they are written as they should be, and whether one of them has swallowed rows."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Positions = NDArray[np.int64]

_QUOTE, _LINE_FEED, _RETURN = 34, 10, 13
_LEARNT = 1000  # values of a column of a block


@dataclass(frozen=True)
class Layout:
    """Where the records of a block of a table are.

    Attributes:
        starts: (R,) where each begins, blank lines left out.
        ends: (R,) where its line ends.
        lines: (R,) how many lines are before it in the block.
        broken: (R,) whether a cell of it holds a line end.
        cut: Where the last whole record ends.
        height: Lines up to there.
    """

    starts: Positions
    ends: Positions
    lines: Positions
    broken: NDArray[np.bool_]
    cut: int
    height: int


def lay_out(block: bytes, separator: str, quoting: bool, last: bool) -> Layout | None:
    """Find the records of a block that begins with a record and consists of whole lines.

    Args:
        block: UTF-8.
        separator: One character of ASCII.
        quoting: Whether double quotes enclose cells.
        last: Whether nothing comes after the block.

    Returns:
        None where line ends are mixed, or where quotes are anywhere but around cells and doubled within them: that
        takes a reader that goes from letter to letter.
    """
    data = np.frombuffer(block, dtype=np.uint8)
    if len(data) == 0:
        nothing = np.empty(0, np.int64)
        return Layout(nothing, nothing, nothing, np.empty(0, np.bool_), 0, 0)
    returns_there = b"\r" in block
    if returns_there and block.count(b"\r") != block.count(b"\r\n"):
        return None
    feeds = np.flatnonzero(data == _LINE_FEED)
    if len(feeds) == 0 or feeds[-1] != len(data) - 1:
        feeds = np.append(feeds, len(data))
    quotes = np.flatnonzero(data == _QUOTE) if quoting and b'"' in block else np.empty(0, np.int64)
    inside = np.searchsorted(quotes, feeds) % 2 == 1
    outside = feeds[~inside]
    if len(quotes) % 2 and last:
        return None
    cut = int(min(outside[-1] + 1, len(data))) if len(outside) else 0
    quotes = quotes[: np.searchsorted(quotes, cut)]
    if not _around_cells(data[:cut], quotes, ord(separator)):
        return None
    starts = np.concatenate([[0], outside[:-1] + 1]) if len(outside) else np.empty(0, np.int64)
    first = np.searchsorted(feeds, starts)
    broken = np.searchsorted(feeds, outside) - first > 0
    length = outside - starts
    full = length > 0
    if returns_there:
        full &= (length > 1) | (data[np.minimum(starts, len(data) - 1)] != _RETURN)
    return Layout(starts[full], outside[full], first[full], broken[full], cut, int(np.searchsorted(feeds, cut)))


def line_by_line(block: bytes, separator: str, quoting: bool) -> int | None:
    """Return how many lines a block has, if each of them may be a record; whether it is, a parse of them tells.

    It is what most blocks are, and known at a fraction of the cost of ``lay_out``.
    """
    if b"\r" in block and block.count(b"\r") != block.count(b"\r\n"):
        return None
    if not block.endswith(b"\n"):
        return None
    if quoting and b'"' in block:
        data = np.frombuffer(block, dtype=np.uint8)
        quotes = np.flatnonzero(data == _QUOTE)
        if len(quotes) % 2 or not _around_cells(data, quotes, ord(separator)):
            return None
    return block.count(b"\n")


def _around_cells(data: NDArray[np.uint8], quotes: Positions, separator: int) -> bool:
    """Tell whether quotes open at the beginning of a cell and close at its end, and are doubled within."""
    if len(quotes) == 0:
        return True
    table = np.zeros(256, dtype=np.bool_)
    table[[separator, _LINE_FEED, _RETURN, _QUOTE]] = True
    opening, closing = quotes[0::2], quotes[1::2]
    before = np.where(opening > 0, data[opening - 1], _LINE_FEED)
    after = np.where(closing + 1 < len(data), data[np.minimum(closing + 1, len(data) - 1)], _LINE_FEED)
    # A quote after a closing one opens the same cell again: the two are one doubled quote.
    return bool(table[before].all() and table[after].all())


class Swallowed:
    """Finds cells that hold rows: what a quotation mark does in a file whose writer knew no quotes.

    A cell is suspected where each of its lines has as many separators as a row; between tabs that is enough. Between
    commas, which texts have, what would be the short cells of those rows must be values that the column has elsewhere.

    Args:
        separator: Of the cells.
        width: Cells of a row.
    """

    def __init__(self, separator: str, width: int) -> None:
        self._separator, self._width = separator, width
        self._seen: list[Counter[str]] = [Counter() for _ in range(width)]
        self._columns: list[tuple[int, pa.Array]] = []
        self._suspects: list[tuple[int, list[list[tuple[int, str]]]]] = []

    def learn(self, cells: Sequence[str]) -> None:
        """Take up the values of a row that is in order."""
        for seen, cell in zip(self._seen, cells, strict=False):
            if len(cell) <= 40 and (len(seen) < 1000 or cell in seen):
                seen[cell] += 1

    def learn_column(self, column: int, cells: pa.Array) -> None:
        """Take up the first values of a column."""
        self._columns.append((column, cells.take(pa.array(range(min(len(cells), _LEARNT))))))  # a slice keeps them all

    def look_into(self, number: int, cells: Sequence[str]) -> None:
        """Suspect a row, or not."""
        for column, cell in enumerate(cells):
            parts = cell.split("\n") if "\n" in cell else []
            counts = [part.count(self._separator) for part in parts]
            if not parts or counts[0] != self._width - 1 - column or any(c != self._width - 1 for c in counts[1:-1]):
                continue
            if counts[-1] != column or self._width == 1:
                continue
            rows = [part.rstrip("\r").split(self._separator) for part in parts]
            places = [range(column, self._width), *[range(self._width)] * (len(rows) - 2), range(column + 1)]
            found = [list(zip(place, row, strict=True)) for place, row in zip(places, rows, strict=True)]
            self._suspects.append((number, found))
            return

    def first(self) -> int | None:
        """Return the number of the first row that has swallowed others, once all values are known."""
        for column, cells in self._columns if self._suspects else ():
            for entry in cells.value_counts().to_pylist() if len(self._seen[column]) < 1000 else ():
                if entry["values"] is not None and len(entry["values"]) <= 40:
                    self._seen[column][entry["values"]] += entry["counts"]
        self._columns = []
        for number, rows in self._suspects:
            if self._separator == "\t" or self._repeats(rows):
                return number
        return None

    def _repeats(self, rows: Sequence[Sequence[tuple[int, str]]]) -> bool:
        """Tell whether the would-be cells of some column are all values that many rows have."""
        by_column: dict[int, list[str]] = {}
        for k, row in enumerate(rows):
            for place, (column, cell) in enumerate(row):
                if not (k == 0 and place == 0) and not (k == len(rows) - 1 and place == len(row) - 1):
                    by_column.setdefault(column, []).append(cell)
        return any(all(cell and self._seen[column][cell] > 1 for cell in cells) for column, cells in by_column.items())
