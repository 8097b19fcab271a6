"""Inert csv: cells that no spreadsheet runs as a formula, and the way back to what they were.

A cell that would be a formula gets an apostrophe in front. A table in which that was necessary ends with the column
``dal_nlp_guarded``, which names the cells of each row that were changed: by it a reader knows that the apostrophe is no
part of the text, whoever has saved the file in between. Rows of somebody else that are put below are not marked, so
theirs stays.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from tempfile import SpooledTemporaryFile
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

FORMULA_STARTS = "=+-@\t\r\n＝＋－＠"  # noqa: RUF001 - spreadsheets take the full-width signs too
#: The column of marks.
GUARDED = "dal_nlp_guarded"
_RUNS = re.compile(rf"'*[{re.escape(FORMULA_STARTS)}]")
_INERT = re.compile(rf"'+[{re.escape(FORMULA_STARTS)}]")
_GUARD = rf"^'('*[{re.escape(FORMULA_STARTS)}])"  # as pyarrow takes it
_IN_MEMORY = 2**24  # bytes of a table that need no file


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


def restored_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows of a csv as ``restored`` does, all at once."""
    if GUARDED not in batch.schema.names:
        return batch
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
            marked |= any(map(_changes, row))
            spool.write(json.dumps(list(row)) + "\n")
        spool.seek(0)
        yield [*map(inert, header), *([GUARDED] if marked else [])]
        for line in spool:
            cells = json.loads(line)
            marks = ", ".join(name for name, cell in zip(header, cells, strict=True) if _changes(cell))
            cells = [inert(cell) if isinstance(cell, str) else cell for cell in cells]
            yield [*cells, inert(marks)] if marked else cells


def _changes(cell: Any) -> bool:
    return isinstance(cell, str) and inert(cell) != cell
