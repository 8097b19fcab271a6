"""Rows of Excel workbooks, through openpyxl."""

import datetime as dt
import re
import zipfile
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dal_nlp.core.errors import DataError, nearest
from dal_nlp.readers.reading import Chunk, Chunks, Reading, Source, is_title, unique_names
from dal_nlp.readers.spreadsheets import GUARDED, is_head, plain, restored_batch
from dal_nlp.readers.values import is_spreadsheet_error, text_of

_ROWS = 4000
#: How Excel writes characters that XML has no room for, such as a carriage return.
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")


def open_workbook(source: str, path: Path, sheet: str, reading: Reading) -> Source:
    """Open a sheet of a workbook; its first row that is neither empty nor a head names the columns.

    Args:
        source: For messages.
        path: The file.
        sheet: Its name, "" for the only one, or the first.
        reading: Takes remarks.
    """
    table = _Sheet(source, path, sheet, reading)
    there = [name for name in table.names if name not in ("", GUARDED)]
    return Source(source, there, table, titled=table.titled)


class _Sheet(Chunks):
    def __init__(self, source: str, path: Path, sheet: str, reading: Reading) -> None:
        self._source, self._path, self._sheet, self._reading = source, path, sheet, reading
        for number, cells in self._rows():
            if is_head(cells):
                continue
            names = [plain(cell) for cell in cells] if GUARDED in cells else cells
            self.titled = is_title(names)
            self.names: Sequence[str] = unique_names(source, names, reading)
            self._first = number
            return
        raise DataError(f"{source} is empty, it has no rows: give a file with one example a row.")

    def __call__(self, wanted: Collection[str] | None) -> Iterator[Chunk]:
        read = None if wanted is None else {*wanted, GUARDED}
        kept = [i for i, name in enumerate(self.names) if name and (read is None or name in read)]
        rows = ((number, cells) for number, cells in self._rows() if number > self._first)
        while some := list(islice(rows, _ROWS)):
            columns = [pa.array([cells[i] if i < len(cells) else "" for _, cells in some], pa.string()) for i in kept]
            numbers = np.array([number for number, _ in some], np.int64)
            yield Chunk(numbers, restored_batch(pa.record_batch(columns, names=[self.names[i] for i in kept])))

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield (number as spreadsheets count, cells) of the rows that are not empty."""
        book = _load(self._source, self._path)
        try:
            names = book.sheetnames
            if self._sheet and self._sheet not in names:
                raise DataError(
                    f"{self._source} has no sheet {self._sheet!r}{nearest(self._sheet, names)} but {', '.join(names)}: "
                    "choose one."
                )
            if len(names) > 1 and not self._sheet:
                self._reading.remark(
                    f"{self._source} has the sheets {', '.join(names)}, and {names[0]!r} was read: another one is "
                    f"{self._path.name}:{names[1]}."
                )
            sheet = book[self._sheet or names[0]]
            for number, cells in enumerate(sheet.iter_rows(values_only=True), start=1):
                row = [self._shown(number, cell) for cell in cells]
                if any(row):
                    yield number, row
        finally:
            book.close()

    def _shown(self, number: int, cell: Any) -> str:
        """Return a cell as a table of text would hold it; the error of a formula is nothing."""
        if cell is None or (isinstance(cell, str) and is_spreadsheet_error(cell)):
            return ""
        if isinstance(cell, str):
            cell = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), cell)
        if isinstance(cell, bool):
            return str(cell).upper()
        if isinstance(cell, dt.datetime | dt.date | dt.time):
            return cell.isoformat(" ") if isinstance(cell, dt.datetime) else cell.isoformat()
        return (text_of(cell) or "") if isinstance(cell, str | int | float) else str(cell)


def _load(source: str, path: Path) -> Any:
    try:
        import openpyxl
    except ImportError:
        raise DataError(
            f"{source} is a workbook, which needs openpyxl: install dal-nlp[xlsx], or save it as `CSV UTF-8`."
        ) from None
    try:
        return openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, TypeError, AttributeError) as error:
        raise DataError(f"{source} is no whole workbook ({error}): save it anew, or as `CSV UTF-8`.") from None
