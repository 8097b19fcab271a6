"""Cells in quotes: whether they are written as they should be, and whether one of them has swallowed rows."""

import csv
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Offsets = NDArray[np.int64]

#: What is wrong with a line that `blanks_before_quotes` names.
BLANKS = "has a blank before the quotation mark of a cell, which makes the marks letters: take such blanks out"
#: What to say of a row that has swallowed others.
SWALLOWED = "holds a cell in quotes that has swallowed the rows below it"
_QUOTE, _LINE_FEED, _RETURN = 34, 10, 13
_LEARNT = 1000  # values of a column
_HEAD = 2**16  # bytes of a block that are learnt from
_SHORT = 40  # characters of a cell that tell what it is; the pattern takes the square of a long word's time
_BEGINNING = 8  # characters that ids may share, or the fewest that an id has whose length is that of the others
_UNSURE = 5  # lines that are rows of cells like nothing in particular, where no line is anything else
_NUMBERED = re.compile("[A-Za-z0-9]*[0-9][A-Za-z0-9]*")
_WORDS = re.compile("[A-Za-z]+|[0-9]+")
#: How a line begins that has a comma within a number.
_THOUSANDS = re.compile(r"[0-9]{1,3},[0-9]{3}\b")


@dataclass(frozen=True)
class RecordLayout:
    """Where the records of a block of a table are.

    Attributes:
        starts: (R,) where each begins, blank lines left out.
        ends: (R,) where its line ends.
        lines: (R,) how many lines are before it in the block.
        broken: (R,) whether a cell of it holds a line end.
        cut: Where the last whole record ends.
        height: Lines up to there.
    """

    starts: Offsets
    ends: Offsets
    lines: Offsets
    broken: NDArray[np.bool_]
    cut: int
    height: int


def lay_out(block: bytes, separator: str, quoting: bool, last: bool) -> RecordLayout | None:
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
        return RecordLayout(nothing, nothing, nothing, np.empty(0, np.bool_), 0, 0)
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
    return RecordLayout(starts[full], outside[full], first[full], broken[full], cut, int(np.searchsorted(feeds, cut)))


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


def _around_cells(data: NDArray[np.uint8], quotes: Offsets, separator: int) -> bool:
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
        telling: How many of these would have cells beside the one in quotes; the last has none behind it.
        rows: The would-be cells by column, of the lines that have as many as rows have.
        column: The cell's own, whose would-be values may be anything but empty.
        doubled: Whether the cell holds a quotation mark, which a writer has doubled who knows what they are.
    """

    number: int
    own: dict[int, str]
    lines: int
    telling: int
    rows: list[tuple[int, dict[int, str]]]
    column: int
    doubled: bool


class Swallowed:
    """Finds cells that hold rows: what a quotation mark does in a file whose writer knew no quotes.

    A cell is suspected where its first line has all further cells of a row, as that of a row has whose mark is a
    letter, and half of its other lines have as many separators as a row. These must look like rows in each of their
    cells: what several rows have in the column, or what looks like an id of the file; one such line is chance, so it
    takes two. One is enough where it counts on from the id of the row, and between tabs, which texts do not have.
    Cells that are empty tell nothing, a comma with a blank behind it is one of a sentence, and an id that another row
    has is none. Of columns that are like nothing in particular, such as titles, each line must be a row, and several.
    A cell with quotation marks in it, which were doubled, is not taken for rows, and no more than doubted.

    Args:
        separator: Of the cells.
        width: Cells of a row.
    """

    def __init__(self, separator: str, width: int) -> None:
        self._separator, self._width = separator, width
        self._seen: list[Counter[str]] = [Counter() for _ in range(width)]
        self._learnt, self._blank = 0, [0] * width  # rows, and by column those that begin with a blank
        self._blocks: list[bytes] = []
        self._suspects: list[_Suspect] = []
        self._quoted = False  # whether a cell of one line has needed its quotes
        #: Rows with a cell of several lines, and the number of the first of them.
        self.tall, self.first_tall = 0, 0

    def learn(self, cells: Sequence[str]) -> None:
        """Take up the values of a row, those of several lines left out."""
        self._learnt += 1
        for i, (seen, cell) in enumerate(zip(self._seen, cells, strict=False)):
            value = cell[:_SHORT]
            if value[:1] == " ":
                self._blank[i] += 1
            if "\n" in cell:
                continue
            if len(seen) < _LEARNT or value in seen:
                seen[value] += 1
            self._quoted = self._quoted or self._separator in cell or '"' in cell

    def learn_block(self, block: bytes, layout: RecordLayout | None = None) -> None:
        """Take up the first records of a block, in all of their columns; without a layout, each line is a record."""
        if layout is None:
            end = block.rfind(b"\n", 0, _HEAD) + 1
        else:
            ends = layout.ends[layout.ends < _HEAD]
            end = int(ends[-1]) + 1 if len(ends) else 0
        self._blocks.append(block[:end])

    def look_into(self, number: int, cells: Sequence[str]) -> None:
        """Suspect a row, or not."""
        column = next((i for i, cell in enumerate(cells) if "\n" in cell), None)
        if column is None:
            return
        self.tall, self.first_tall = self.tall + 1, self.first_tall or number
        first, *parts = (part.rstrip("\r") for part in cells[column].split("\n"))
        rows = []
        for k, part in enumerate(parts, start=1):
            fields = part.split(self._separator)
            if len(fields) == (self._width if k < len(parts) else column + 1) and not _THOUSANDS.match(part):
                rows.append((k, dict(enumerate(fields))))
        own = dict(enumerate(cells[:column])) | dict(enumerate(first.split(self._separator), start=column))
        del own[column]
        if self._width > 1 and len(own) >= self._width - 1 and rows and 2 * len(rows) >= len(parts):
            self._suspects.append(
                _Suspect(number, own, len(parts), len(parts) - (column == 0), rows, column, '"' in cells[column])
            )

    def found(self) -> tuple[list[int], list[int]]:
        """Return the numbers of the rows that have swallowed others, and of those that may have, once all are known."""
        if not self._suspects:
            return [], []
        for block in self._blocks:
            for cells in csv.reader(block.decode().splitlines(True), delimiter=self._separator):
                if cells:
                    self.learn(cells)
        self._blocks = []
        columns = [_Column.of(seen, self._learnt, blank) for seen, blank in zip(self._seen, self._blank, strict=True)]
        swallowed, doubtful = [], []
        for suspect in self._suspects:
            told = {
                k: [columns[i].fits(cell, i == suspect.column) for i, cell in row.items()] for k, row in suspect.rows
            }
            alike = {k: fits for k, fits in told.items() if False not in fits and len(fits) > 1}
            if 2 * len(alike) < suspect.lines:
                continue
            if self._are_rows(suspect, alike, columns) and not suspect.doubled:
                swallowed.append(suspect.number)
            elif any(True in fits for fits in alike.values()) or 1 < len(alike) == suspect.telling:
                doubtful.append(suspect.number)
        plain = self.tall - len(self._suspects)
        return swallowed, doubtful if plain <= len(doubtful) else []

    def _are_rows(
        self, suspect: _Suspect, alike: Mapping[int, Sequence[bool | None]], columns: Sequence["_Column"]
    ) -> bool:
        """Tell whether lines that may be rows are, by what is known of the cells of each of them."""
        least, unsure = (1, 2) if self._separator == "\t" else (2, _UNSURE)
        if sum(True in fits for fits in alike.values()) >= least or self._counts_on(suspect, alike, columns):
            return True
        full = sum(k in alike and "" not in row.values() for k, row in suspect.rows)
        # A writer that has quoted what had to be, or texts of several lines that are none of rows, knows its quotes.
        return full == suspect.telling >= unsure and not self._quoted and self.tall == len(self._suspects)

    def _counts_on(self, suspect: _Suspect, alike: Collection[int], columns: Sequence["_Column"]) -> bool:
        """Tell whether half of the lines have a number that is as much more than that of the row as they are below."""
        for column, own in suspect.own.items():
            cells = [(k, row.get(column, "")) for k, row in suspect.rows if k in alike] if own.isdecimal() else []
            on = sum(cell.isdecimal() and int(cell) == int(own) + k for k, cell in cells if column != suspect.column)
            if on >= max(1, suspect.lines / 2):
                return True
        return False


@dataclass(frozen=True)
class _Column:
    """What is known of the values of a column.

    Attributes:
        seen: How often each is there, the first ones of each block.
        repeated: Whether most of them are there more than once.
        ids: Whether each of them is there once.
        forms: What most of them have in common; see ``_forms``.
        blank: Whether many begin with a blank.
    """

    seen: Counter[str]
    repeated: bool
    ids: bool
    forms: frozenset[tuple[str, str]]
    blank: bool

    @classmethod
    def of(cls, seen: Counter[str], rows: int, blank: int) -> "_Column":
        """Return what the first values of a column, and how many of all its rows begin with a blank, tell of it."""
        forms: Counter[tuple[str, str]] = Counter()
        for cell, count in seen.items():
            forms.update(dict.fromkeys(_forms(cell), count))
        filled, kinds = seen.total() - seen[""], len(seen) - ("" in seen)
        usual = frozenset(form for form, count in forms.items() if 2 * count > filled)
        return cls(seen, bool(seen) and 2 * kinds <= filled, kinds == filled > 0, usual, 2 * blank > rows)

    def fits(self, cell: str, own: bool) -> bool | None:
        """Tell whether a cell is like those of the column, None where these are like nothing in particular.

        Args:
            cell: Of a line that may be a row.
            own: Whether the column is that of the cell in quotes, where a text may be any.
        """
        value = cell[:_SHORT]
        if value == "":
            return None if "" in self.seen or not self.seen else False
        if value[0] == " " and not self.blank:
            return False
        if own:
            return None
        if self.ids and self.forms and value in self.seen:
            return False
        if self.seen[value] >= (1 if self.repeated else 2) or self.forms & _forms(value):
            return True
        return False if self.repeated or self.forms else None


def _forms(cell: str) -> frozenset[tuple[str, str]]:
    """Return what ids of one file may share.

    The words and signs around their numbers, and whether these have letters; with blanks, as times and dates have them,
    only where there are several numbers. Their length. Their beginning, up to a sign, as addresses have it.
    """
    if " " in cell:
        form = _WORDS.sub(lambda match: "0" if match[0].isdecimal() else "a", cell)
        return frozenset({("time", form)} if form.count("0") > 1 else ())
    forms = set()
    form = _NUMBERED.sub(lambda match: "0" if match[0].isdecimal() else "x0", cell)
    if "0" in form:
        forms.add(("number", form))
    if len(cell) >= _BEGINNING:
        forms.add(("length", str(len(cell))))
        if not cell[:_BEGINNING].isalnum():
            forms.add(("beginning", cell[:_BEGINNING]))
    return frozenset(forms)


def blanks_before_quotes(data: bytes, separator: str) -> list[int]:
    """Return the lines of a table, from 0, with a blank between a separator and a cell in quotes: ``, "x"``.

    To csv these marks are letters, so that texts and labels would keep them. Marks within a cell that csv has in quotes
    are doubled, so what is written as it should be has no such line.
    """
    mark = re.escape(separator.encode())
    cell = re.compile(mark + rb' +"(?!["\r\n' + mark + rb'])(?:[^"\r\n]|"")*+" *(?=\r|\n|\Z|' + mark + rb")")
    lines, at, line = [], 0, 0
    for match in cell.finditer(data):
        line, at = line + data.count(b"\n", at, match.start()), match.start()
        lines.append(line)
    return sorted({*lines})
