"""Tables that people open in a spreadsheet: nothing in them runs, and what comes back is read however it was saved."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from dal_nlp.core.errors import UserError
from dal_nlp.readers.inert import GUARDED, inert_rows, plain
from dal_nlp.readers.text_files import LONGEST_CELL

_SEPARATORS = ",;\t|"

#: Takes the number of a row (or line) that is broken, and what is wrong with it.
Broken = Callable[[int, str], None]


def write_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Return a csv whose texts are inert; it begins with a byte order mark, by which spreadsheets know UTF-8.

    Where a cell had to be made inert, there is a further column that marks such rows; see ``readers.inert``.
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerows(inert_rows(header, rows))
    return buffer.getvalue().encode("utf-8-sig")


def refuse(number: int, wrong: str) -> None:
    """Raise ``UserError`` for a broken row; the message goes after the name of the file."""
    raise UserError(f"is broken in row {number}: {wrong}.")


def read_table(data: bytes, needed: Sequence[str], broken: Broken = refuse) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield (number, cells by column) of the rows of a csv that a spreadsheet may have saved, the header being row 1.

    Commas, semicolons, tabs and bars separate; line ends, a byte order mark, further columns, their order, blank rows
    and missing cells at the end of a row make no difference. Numbers count rows, as spreadsheets do.

    Args:
        data: The file's bytes.
        needed: Columns that have to be there.
        broken: Takes rows that a quote without an end has run together with those below; the others are yielded.

    Raises:
        UserError: It is no such table; the message goes after the name of the file.
    """
    text = _decoded(data)
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CELL))
    header, records = _records(text, needed)
    rows, closed = list(records), text.rstrip().endswith('"')
    for number, cells in enumerate(rows, start=2):
        short = len(cells) < len(header) or (number == len(rows) + 1 and not closed)
        if short and any("\n" in cell or "\r" in cell for cell in cells[-1:]):
            broken(number, "a quote has no end, or cells are missing after a line break; correct the row")
        elif any(cell.strip() for cell in cells):
            row = dict(zip(header, cells, strict=False))
            yield number, {name: plain(cell) for name, cell in row.items() if name != GUARDED}


def header_of(data: bytes) -> list[str]:
    """Return the names in the first row of a csv, by the separator that makes most of them.

    Raises:
        UserError: It is not UTF-8; the message goes after the name of the file.
    """
    text = _decoded(data)
    headers = [[plain(name.strip()) for name in next(_rows(text, separator), [])] for separator in _SEPARATORS]
    return max(headers, key=len)


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError("is not UTF-8: save it as `CSV UTF-8`.") from None


def _records(text: str, needed: Sequence[str]) -> tuple[list[str], Iterator[list[str]]]:
    """Return the header and the rows below it, by the separator with which the header has the needed columns."""
    for separator in _SEPARATORS:
        rows = _rows(text, separator)
        header = [plain(name.strip()) for name in next(rows, [])]
        if set(needed) <= set(header):
            return header, rows
    raise UserError(f"has no columns {' and '.join(map(repr, needed))} in its first row: put them back.")


def _rows(text: str, separator: str) -> Iterator[list[str]]:
    # Not strict: a cell that a spreadsheet quoted in a way of its own is no reason to lose the others.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        yield from reader
    except csv.Error as error:
        raise UserError(f"cannot be read around line {reader.line_num} ({error}): save it again as csv.") from None
