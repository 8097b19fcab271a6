"""Cells in quotes: whether they are written as they should be, and whether one of them has swallowed rows."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Positions = NDArray[np.int64]

#: What to say of a row that has swallowed others, and what to do where it has not.
SWALLOWED = "holds a cell in quotes that has swallowed the rows below it"
TAKE_OUT = "where they are not, the text is a table itself: take its line ends out"
_QUOTE, _LINE_FEED, _RETURN = 34, 10, 13
_LEARNT = 1000  # values of a column of a block
_SHORT = 40  # characters of a value that other rows may have too
_READ = 64  # characters of a cell that may be an id; the pattern takes the square of a long word's time
_NUMBERED = re.compile("[A-Za-z0-9]*[0-9][A-Za-z0-9]*")
#: How a line begins that has a comma within a number.
_THOUSANDS = re.compile(r"[0-9]{1,3},[0-9]{3}\b")


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


@dataclass(frozen=True)
class _Suspect:
    """A row with a cell whose lines may be rows.

    Attributes:
        number: Of the row.
        own: The row's own cells as they would be without its quotation mark, by column; none behind the cell.
        lines: How many there are behind the first.
        rows: The would-be cells by column, the cell's own column left out, of the lines that have as many as rows have.
    """

    number: int
    own: dict[int, str]
    lines: int
    rows: list[tuple[int, dict[int, str]]]


class Swallowed:
    """Finds cells that hold rows: what a quotation mark does in a file whose writer knew no quotes.

    A cell is suspected where its first line has all further cells of a row, as that of a row has whose mark is a
    letter, and half of its other lines have as many separators as a row. These must look like rows in each of their
    cells: what several rows have in the column, or what looks like an id of the file; one such line is chance, so it
    takes two. One is enough where it counts on from the id of the row, and between tabs, which texts do not have.

    Args:
        separator: Of the cells.
        width: Cells of a row.
    """

    def __init__(self, separator: str, width: int) -> None:
        self._separator, self._width = separator, width
        self._seen: list[Counter[str]] = [Counter() for _ in range(width)]
        self._columns: list[tuple[int, pa.Array]] = []
        self._suspects: list[_Suspect] = []
        #: Rows with a cell of several lines, and the number of the first of them.
        self.tall, self.first_tall = 0, 0

    def learn(self, cells: Sequence[str]) -> None:
        """Take up the values of a row that is in order."""
        for seen, cell in zip(self._seen, cells, strict=False):
            if len(cell) <= _SHORT and (len(seen) < _LEARNT or cell in seen):
                seen[cell] += 1

    def learn_column(self, column: int, cells: pa.Array) -> None:
        """Take up the first values of a column."""
        self._columns.append((column, cells.take(pa.array(range(min(len(cells), _LEARNT))))))  # a slice keeps them all

    def look_into(self, number: int, cells: Sequence[str]) -> None:
        """Suspect a row, or not."""
        column = next((i for i, cell in enumerate(cells) if "\n" in cell), None)
        if column is None:
            return
        self.tall, self.first_tall = self.tall + 1, self.first_tall or number
        first, *parts = (part.rstrip("\r") for part in cells[column].split("\n"))
        rows = []
        for k, part in enumerate(parts, start=1):
            found = part.split(self._separator)
            if len(found) == (self._width if k < len(parts) else column + 1) and not _THOUSANDS.match(part):
                rows.append((k, {i: cell for i, cell in enumerate(found) if i != column}))
        own = dict(enumerate(cells[:column])) | dict(enumerate(first.split(self._separator), start=column))
        del own[column]
        if self._width > 1 and len(own) >= self._width - 1 and 2 * len(rows) >= len(parts):
            self._suspects.append(_Suspect(number, own, len(parts), rows))

    def found(self) -> list[int]:
        """Return the numbers of the rows that have swallowed others, once all values are known."""
        for column, cells in self._columns if self._suspects else ():
            for entry in cells.value_counts().to_pylist() if len(self._seen[column]) < _LEARNT else ():
                if entry["values"] is not None and len(entry["values"]) <= _SHORT:
                    self._seen[column][entry["values"]] += entry["counts"]
        self._columns = []
        forms = [_usual_form(seen) for seen in self._seen] if self._suspects else []
        found = []
        for suspect in self._suspects:
            told = [[self._fits(i, cell, forms[i]) for i, cell in row.items()] for _, row in suspect.rows]
            if self._separator == "\t":
                alike, least = sum(False not in one for one in told), 1
            else:
                alike, least = sum(False not in one and True in one for one in told), 2
            if alike >= max(least, suspect.lines / 2) or self._counts_on(suspect):
                found.append(suspect.number)
        return found

    def _fits(self, column: int, cell: str, form: str) -> bool | None:
        """Tell whether a cell is like those of a column, None where these are like nothing in particular."""
        seen = self._seen[column]
        repeated = 2 * len(seen) <= seen.total() and len(seen) > 0
        if seen[cell] >= (1 if repeated else 2) or (form and _form(cell) == form):
            return True
        return False if repeated or form else None

    def _counts_on(self, suspect: _Suspect) -> bool:
        """Tell whether half of the lines have a number that is as much more than that of the row as they are below."""
        for column, own in suspect.own.items():
            cells = [(k, row.get(column, "")) for k, row in suspect.rows] if own.isdecimal() else []
            if sum(cell.isdecimal() and int(cell) == int(own) + k for k, cell in cells) >= max(1, suspect.lines / 2):
                return True
        return False


def _form(cell: str) -> str:
    """Return what ids of one file share: the words and signs around their numbers, and whether these have letters."""
    return _NUMBERED.sub(lambda found: "0" if found[0].isdecimal() else "x0", cell[:_READ])


def _usual_form(seen: Counter[str]) -> str:
    """Return the form that most values of a column have, "" where it has none with a number."""
    forms: Counter[str] = Counter()
    for cell, count in seen.items():
        forms[_form(cell)] += count
    form, count = forms.most_common(1)[0] if forms else ("", 0)
    return form if "0" in form and " " not in form and 2 * count > forms.total() else ""
