"""Tables that people open in a spreadsheet: nothing in them runs, and what comes back is read however it was saved.

A cell that would be a formula gets an apostrophe in front. A table in which that was necessary ends with the column
``dal_nlp_guarded``, which names the cells of each row that were changed: by it a reader knows that the apostrophe is no
part of the text, whoever has saved the file in between. Rows of somebody else that are put below are not marked, so
theirs stays.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, Literal

from dal_nlp.core.errors import DataError
from dal_nlp.readers.encodings import decode
from dal_nlp.readers.reading import Reading, in_other_capitals, loose, named_twice, repeated

if TYPE_CHECKING:
    import pyarrow as pa

LONGEST_CELL = 2**24  # characters; Python's own limit of 131,072 is less than a long report
FORMULA_STARTS = "=+-@\t\r\n＝＋－＠"  # noqa: RUF001 - spreadsheets take the full-width signs too
#: The column of marks.
GUARDED = "dal_nlp_guarded"
#: What the rows above the header begin with, which are for reading.
HEAD = "#|"
_RUNS = re.compile(rf"'*[{re.escape(FORMULA_STARTS)}]")
_INERT = re.compile(rf"'+[{re.escape(FORMULA_STARTS)}]")
_GUARD = rf"^'('*[{re.escape(FORMULA_STARTS)}])"  # as pyarrow takes it
_SAYS_SEPARATOR = re.compile('sep=.?"?', re.IGNORECASE)
_IN_MEMORY = 2**24  # bytes of a table that need no file
_SEPARATORS = ",;\t|"
#: The separators of tables, by the names of what is between the columns.
SEPARATED_BY = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_QUOTED_APART = re.compile(r'"[^"]*"( +"[^"]*")+ *')

#: What to do in answers of people, which have no flag: where quotation marks are letters, and where they are not.
TAKE_OUT = "where they are not, the text is a table itself: take its line ends out"
DOUBLED = "where quotation marks are letters in this file, save it from a spreadsheet, which doubles them"
#: What to do where letters are wrong.
SAVED = "save it as `CSV UTF-8`"
#: What is wrong with the rows of ``lack_a_name``.
ROW_NAMES = (
    "has one cell more in every row than in its header, as R writes a table with the numbers of its rows: if these are "
    "first in each row, put a name for them before the first of the header; if texts hold the separator, put them in "
    "double quotes"
)
#: Share of the rows whose last cell is filled where it belongs to the last column.
_MOST = 0.9
#: Takes the number of a row (or line) that is broken, and what is wrong with it.
Broken = Callable[[int, str], None]


def inert(text: str) -> str:
    """Return the text as one that no spreadsheet runs: an apostrophe is before what would be a formula."""
    return f"'{text}" if _RUNS.match(text) else text


def plain(cell: str) -> str:
    """Return what ``inert`` was given."""
    return cell[1:] if _INERT.match(cell) else cell


def restored(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a csv as it was before ``inert_rows``, without the column of marks; any other row as it is."""
    if GUARDED not in row:
        return dict(row)
    marked = bool(str(row[GUARDED] or "").strip())
    cells = {plain(name): cell for name, cell in row.items() if name != GUARDED}
    return {name: plain(cell) if marked and isinstance(cell, str) else cell for name, cell in cells.items()}


def restored_batch(batch: "pa.RecordBatch") -> "pa.RecordBatch":
    """Return rows of a csv as ``restored`` does, all at once."""
    if GUARDED not in batch.schema.names:
        return batch
    import pyarrow as pa
    import pyarrow.compute as pc

    marked = pc.not_equal(pc.utf8_trim_whitespace(batch.column(GUARDED)), "")
    names = [name for name in batch.schema.names if name != GUARDED]
    before = {name: batch.column(name) for name in names}
    after = {name: pc.replace_substring_regex(column, _GUARD, r"\1") for name, column in before.items()}
    columns = [pc.if_else(marked, after[name], before[name]) for name in names]
    return pa.RecordBatch.from_arrays(columns, names=names)


def inert_rows(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[list[Any]]:
    """Yield the header and the rows of a table, inert, with the column of marks where there is one to set.

    Whether there is one is known after the last row, so they go through a file: a table may be larger than the memory.
    """
    with SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8", newline="\n") as spool:
        marked = any(map(_changes, header))
        for row in rows:
            marked = marked or any(map(_changes, row))
            spool.write(json.dumps(list(row)) + "\n")
        spool.seek(0)
        yield [*map(inert, header), *([GUARDED] if marked else [])]
        for line in spool:
            cells = json.loads(line)
            if marked:
                marks = ", ".join(name for name, cell in zip(header, cells, strict=True) if _changes(cell))
                cells = [*(inert(cell) if _changes(cell) else cell for cell in cells), inert(marks)]
            yield cells


def _changes(cell: Any) -> bool:
    return isinstance(cell, str) and _RUNS.match(cell) is not None


def write_table(header: Sequence[str], rows: Iterable[Sequence[Any]], head: Sequence[str] = ()) -> bytes:
    """Return a csv whose texts are inert; it begins with a byte order mark, by which spreadsheets know UTF-8.

    The lines of ``head`` are rows of one cell above the header, each with the mark ``HEAD`` before it.
    Where a cell had to be made inert, there is a further column that marks such rows; see ``restored``.
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerows([f"{HEAD} {line}".rstrip()] for line in head)
    writer.writerows(inert_rows(header, rows))
    return buffer.getvalue().encode("utf-8-sig")


def refuse(number: int, wrong: str) -> None:
    """Raise ``UserError`` for a broken row; the message goes after the name of the file."""
    raise DataError(f"is broken in row {number}: {wrong}.")


def read_table(
    data: bytes, needed: Sequence[str], broken: Broken = refuse, further: Sequence[str] = ()
) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield (number, cells by column) of the rows of a csv that a spreadsheet may have saved, the header being row 1.

    A head may be above it. Commas, semicolons, tabs and bars separate; line ends, a byte order mark, further columns,
    their order, blank rows and missing cells at the end of a row make no difference. Numbers count rows, as
    spreadsheets do.

    Args:
        data: The file's bytes.
        needed: Columns that have to be there; they are found with other capitals too.
        further: Columns that are found so as well.
        broken: Takes rows that a quote without an end has run together with those below; the others are yielded.

    Raises:
        UserError: It is no such table, not in UTF-8 throughout, or has a column twice that is looked for; the message
            goes after the name of the file.
    """
    text, _ = decode(data)
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CELL))
    separator, header, above, records = _records(text, needed, further)
    twice = repeated(header)
    if again := [name for name in (*needed, *further) if name in twice]:
        raise DataError(f"{named_twice(again[0])}.")
    from dal_nlp.readers.quoting import (  # with numpy, which short commands need not wait for
        BLANKS,
        SWALLOWED,
        Swallowed,
        blanks_before_quotes,
    )

    if len(wrong := blanks_before_quotes(text.encode(), separator)) > 1:
        raise DataError(f"has a line, {wrong[0] + 1}, that {BLANKS}.")

    rows, closed, quotes = list(records), text.rstrip().endswith('"'), Swallowed(separator, len(header))
    counting = [cells[0] for cells in rows if cells] == [str(i + 1) for i in range(sum(map(bool, rows)))]
    if counting and lack_a_name(rows, len(header)):  # further cells without a name are nothing
        raise DataError(f"{ROW_NAMES}.")
    for number, cells in enumerate(rows, start=above + 2):
        if any("\n" in cell for cell in cells):
            quotes.look_into(number, cells)
        quotes.learn(cells)
    swallowed = frozenset(quotes.found()[0])
    for number, cells in enumerate(rows, start=above + 2):
        short = len(cells) < len(header) or (number == len(rows) + above + 1 and not closed)
        if short and any("\n" in cell or "\r" in cell for cell in cells[-1:]):
            broken(number, "a quote has no end, or cells are missing after a line break; correct the row")
        elif number in swallowed:
            broken(number, f"it {SWALLOWED}; {DOUBLED}")
        elif any(cell.strip() for cell in cells) and [plain(cell.strip()) for cell in cells] != header:
            row = dict(zip(header, cells, strict=False))
            yield number, {name: plain(cell) for name, cell in row.items() if name not in (GUARDED, *twice)}


def lack_a_name(rows: Sequence[Sequence[str]], width: int) -> bool:
    """Tell whether all rows have one cell more than a header of a width: first the number of the row, as R has it.

    A cell more at the end, of a separator there or of a comment on some rows, is filled in few of them.
    """
    rows = [cells for cells in rows if cells]
    numbers = {cells[0] for cells in rows if cells[0].strip().isdecimal()}
    filled = sum(bool(cells[-1].strip()) for cells in rows)
    numbered = len(rows) > 1 and len(numbers) == len(rows) and filled > _MOST * len(rows)
    return numbered and all(len(cells) == width + 1 for cells in rows)


def is_head(cells: Sequence[str]) -> bool:
    """Tell whether a row is one of those above the header: for reading, or ``sep=;`` as Excel has it."""
    return bool(cells) and (cells[0].lstrip().startswith(HEAD) or bool(_SAYS_SEPARATOR.fullmatch(cells[0].strip())))


def header_of(data: bytes) -> list[str]:
    """Return the names in the first row of a csv below its head, by the separator that makes most of them.

    Raises:
        UserError: It is not UTF-8; the message goes after the name of the file.
    """
    text, _ = decode(data)
    tables = [_rows(text, separator) for separator in _SEPARATORS]
    headers = [next((cells for cells in rows if not is_head(cells)), []) for rows in tables]
    return [plain(name.strip()) for name in max(headers, key=len)]


def _records(
    text: str, needed: Sequence[str], further: Sequence[str]
) -> tuple[str, list[str], int, Iterator[list[str]]]:
    """Return the separator that makes the columns, the header, the number of rows above it, and those below."""
    for separator in _SEPARATORS:
        rows, above = _rows(text, separator), 0
        while is_head(names := next(rows, [])):
            above += 1
        header = [plain(name.strip()) for name in names]
        for known in (*needed, *further):
            if (alias := in_other_capitals(known, dict.fromkeys(header))) is not None:
                header = [known if name == alias else name for name in header]
        if set(needed) <= set(header):
            return separator, header, above, rows
    raise DataError(f"has no columns {' and '.join(map(repr, needed))} in its first row: put them back.")


def _rows(text: str, separator: str) -> Iterator[list[str]]:
    # Not strict: a cell that a spreadsheet quoted in a way of its own is no reason to lose the others.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        yield from reader
    except csv.Error as error:
        raise DataError(f"cannot be read around line {reader.line_num} ({error}): save it again as csv.") from None


def first_record(block: bytes, reading: Reading) -> tuple[int, int, str]:
    """Return where the second record begins in a block, how many lines come before it, and the first record."""
    start = line = 0
    while start < len(block):
        end = start
        while True:
            end = block.find(b"\n", end) + 1 or len(block)
            line += 1
            record = block[start:end].decode()
            if not reading.quoting or record.count('"') % 2 == 0 or end == len(block):
                break
        if record.strip() and not is_head([record.lstrip().lstrip('"')]):
            return end, line, record.rstrip("\r\n")
        start = end
    return start, line, ""


def separated(source: str, record: str, separator: str, reading: Reading) -> tuple[str, list[str]]:
    """Return the separator of a header, and the names between; raises ``UserError`` where blanks are between them."""
    cells = {one: _split(record, one, reading) for one in dict.fromkeys((separator, *SEPARATED_BY))}
    needed = set(map(loose, reading.needed))
    hits = {one: len(needed & set(map(loose, names))) for one, names in cells.items()}
    best = max(cells, key=lambda one: (hits[one], one == separator and len(cells[one]) > 1, len(cells[one])))
    if len(cells[best]) == 1 or (hits[best] == hits[separator] and len(cells[separator]) > 1):
        best = separator
    between = _split(record, " ", reading)
    apart = _QUOTED_APART.fullmatch(record) or (len(between) > 1 and set(between) <= set(reading.needed))
    if len(cells[best]) == 1 and apart and cells[best][0] not in reading.needed:
        raise DataError(
            f"{source} has its columns separated by blanks: save it with commas or tabs (in R, by `write.csv`)."
        )
    return best, cells[best]


def _split(record: str, separator: str, reading: Reading) -> list[str]:
    quoting = quoting_of(reading)
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CELL))
    try:
        return next(csv.reader([record], delimiter=separator, quoting=quoting, skipinitialspace=True), [])
    except csv.Error:
        return [record]


def quoting_of(reading: Reading) -> Literal[0, 3]:
    """Return how Python's csv is to take quotation marks."""
    return csv.QUOTE_MINIMAL if reading.quoting else csv.QUOTE_NONE
