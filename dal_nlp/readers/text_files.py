"""Tables of text: csv and tsv files, and the like with semicolons or bars.

Blocks of a table whose quotes are as they should be are parsed by pyarrow; from the first block on that is otherwise,
Python's csv goes from letter to letter and names the row that cannot be read.
"""

import csv
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from dal_nlp.core.errors import DataError
from dal_nlp.core.text import counted
from dal_nlp.readers.encodings import blocks
from dal_nlp.readers.entities.conll import ENDINGS as CONLL
from dal_nlp.readers.quoting import (
    BLANKS,
    SWALLOWED,
    RecordLayout,
    Swallowed,
    blanks_before_quotes,
    lay_out,
    line_by_line,
)
from dal_nlp.readers.reading import Chunk, Chunks, Reading, Source, is_title, unique_names, unix_ends
from dal_nlp.readers.spreadsheets import (
    GUARDED,
    LONGEST_CELL,
    ROW_NAMES,
    SEPARATED_BY,
    first_record,
    lack_a_name,
    plain,
    quoting_of,
    restored_batch,
    separated,
)

SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": "\t"}
_BY_LINE = (*SEPARATORS, ".jsonl", ".ndjson", ".txt", *CONLL)
_ROWS = 4000  # that the slow reader hands on at a time
_LONGEST_CARRY = 2**26  # bytes of one record


def place(source: str, number: int) -> str:
    """Return where a row is, for a message: "pool.csv, line 3" or "pool.parquet, row 3"."""
    name = source.lower()
    for ending in (".gz", ".bz2", ".xz", ".zst"):
        name = name.removesuffix(ending)
    return f"{source}, {'line' if name.endswith(_BY_LINE) else 'row'} {number}"


def open_table(source: str, path: Path, separator: str, reading: Reading) -> Source:
    """Open a table of text whose first row, below those of a head, names the columns.

    Args:
        source: For messages.
        path: The file.
        separator: The one that its ending says; another one is taken where only that gives columns.
        reading: How to read it.

    Raises:
        UserError: It has no header, or one in which a column that is needed is there twice.
    """
    first = next(blocks(source, path, reading), b"")
    if b"\r" in first and b"\n" not in first:
        reading.remark(f"{source} has the line ends of old Macintosh computers, and was read with them.")
    _, _, record = first_record(next(unix_ends([first])), reading)
    if not record:
        raise DataError(f"{source} is empty, it has no rows: give a file with one example a row.")
    actual_separator, names = separated(source, record, separator, reading)
    if actual_separator != separator:
        reading.remark(f"{source} has its columns separated by {SEPARATED_BY[actual_separator]}, and was read so.")
    header = names
    if GUARDED in names:
        names = [plain(name) for name in names]
    names = unique_names(source, names, reading)
    table = _Table(source, path, actual_separator, header, names, reading)
    there = [name for name in names if name not in ("", GUARDED)]
    return Source(source, there, table, by_line=True, titled=is_title(header))


class _Table(Chunks):
    """The rows below the header."""

    def __init__(
        self,
        source: str,
        path: Path,
        separator: str,
        header: Sequence[str],
        names: Sequence[str],
        reading: Reading,
    ) -> None:
        self._source, self._path, self._separator, self._reading = source, path, separator, reading
        self._header, self._names, self._width = header, names, len(names)

    def __call__(self, wanted: Collection[str] | None) -> Iterator[Chunk]:
        read = None if wanted is None else {*wanted, GUARDED}
        self._kept = [i for i, name in enumerate(self._names) if name and (read is None or name in read)]
        self._rows = Swallowed(self._separator, self._width)
        self._short = self._repeated = 0
        for chunk in map(self._without_headers, self._chunks()):
            yield chunk if chunk.table is None else replace(chunk, table=restored_batch(chunk.table))
        self._judge()
        if self._repeated:
            self._reading.remark(
                f"{self._source} has its header {counted(self._repeated, 'more time')} among its rows, as files "
                "have that were put together: these rows were passed over."
            )
        if self._short:
            self._reading.remark(
                f"{self._source} has {counted(self._short, 'row')} with fewer cells than the header: those that are "
                "missing at the end were read as empty."
            )

    def _judge(self) -> None:
        """Refuse a file that a quotation mark has swallowed rows of, and say where one may have."""
        if self._reading.trusted:
            return
        swallowed, doubtful = self._rows.found()
        for number in swallowed:
            raise DataError(f"{self._place(number)} {SWALLOWED}: {self._reading.unquoted}; {self._reading.quoted}.")
        if doubtful:
            self._reading.remark(
                f"{self._source} has {counted(len(doubtful), 'cell')} of several lines in quotes, half of which "
                f"or more may be rows, the first in line {doubtful[0]}: {self._reading.unquoted}."
            )
        if self._rows.tall and self._width == 1:
            self._reading.remark(
                f"{self._source} has {counted(self._rows.tall, 'text')} of several lines in quotes, the first in line "
                f"{self._rows.first_tall}: {self._reading.unquoted}."
            )

    def _without_headers(self, chunk: Chunk) -> Chunk:
        """Leave out rows that are the header once more, as in files that were put together."""
        if chunk.table is None or len(self._kept) < 2:
            return chunk
        first, *others = self._kept
        there = pc.is_in(chunk.table.column(0), pa.array([self._header[first], f"\ufeff{self._header[first]}"]))
        for at, i in enumerate(others, start=1):
            if not there.true_count:
                return chunk
            there = pc.and_(there, pc.equal(chunk.table.column(at), self._header[i]))
        self._repeated += there.true_count
        keep = pc.invert(there)
        return Chunk(chunk.numbers[keep.to_numpy(zero_copy_only=False)], chunk.table.filter(keep))

    def _place(self, number: int) -> str:
        return place(self._source, number)

    def _marked(self, coming: Iterator[bytes]) -> Iterator[bytes]:
        """Refuse a file of whose cells two or more have a blank before their quotation marks."""
        line, wrong = 1, list[int]()
        for block in coming:
            if self._reading.quoting and not self._reading.trusted:
                wrong += [line + at for at in blanks_before_quotes(block, self._separator)]
            if len(wrong) > 1:
                raise DataError(f"{self._place(wrong[0])} {BLANKS}; {self._reading.quoted}.")
            line += block.count(b"\n")
            yield block

    def _chunks(self) -> Iterator[Chunk]:
        """Hand blocks to pyarrow for as long as their quotes are in order."""
        coming = self._marked(unix_ends(blocks(self._source, self._path, self._reading)))
        line, rest, at_header = 1, b"", True
        block = next(coming, None)
        while block is not None:
            following = next(coming, None)
            data = rest + block if rest else block
            if at_header:
                cut, lines, _ = first_record(data, self._reading)
                data, line, at_header = data[cut:], line + lines, False
            height = line_by_line(data, self._separator, self._reading.quoting)
            table = self._parsed(data, len(data), height, False) if height else None
            if table is not None and height is not None:
                self._learn(data)
                yield Chunk(np.arange(line, line + height, dtype=np.int64), table)
                line, rest, block = line + height, b"", following
                continue
            layout = lay_out(data, self._separator, self._reading.quoting, following is None)
            table = (
                self._parsed(data, layout.cut, len(layout.starts), bool(layout.broken.any()))
                if layout is not None
                else None
            )
            if layout is None or table is None or (layout.cut == 0 and len(data) > _LONGEST_CARRY):
                yield from self._slowly(chain([data], [] if following is None else [following], coming), line)
                return
            if table.num_rows:
                numbers = line + layout.lines
                self._suspect(data, layout, numbers)
                yield Chunk(numbers, table)
            line += layout.height
            rest, block = data[layout.cut :], following

    def _parsed(self, data: bytes, end: int, rows: int, broken: bool) -> pa.RecordBatch | None:
        """Parse whole records; None where they are not so many, or have other numbers of cells than the header.

        Args:
            data: Begins with them.
            end: Where the last of them ends.
            rows: How many they are.
            broken: Whether cells hold line ends.
        """
        names = [str(i) for i in range(self._width)]
        kept = [names[i] for i in self._kept]
        empty = pa.record_batch([pa.array([], pa.string())] * len(kept), names=[self._names[i] for i in self._kept])
        if rows == 0:
            return empty
        quote: str | bool = '"' if self._reading.quoting else False
        try:
            # Without Arrow's threads, which gain nothing on one block: a process that ends right after they have worked
            # is aborted now and then.
            table = (
                arrow_csv.read_csv(
                    pa.py_buffer(memoryview(data)[:end]),
                    read_options=arrow_csv.ReadOptions(
                        column_names=names, block_size=max(end, 2) + 1, use_threads=False
                    ),
                    parse_options=arrow_csv.ParseOptions(
                        delimiter=self._separator, quote_char=quote, newlines_in_values=broken
                    ),
                    convert_options=arrow_csv.ConvertOptions(
                        column_types=dict.fromkeys(kept, pa.string()),
                        include_columns=kept,
                        strings_can_be_null=False,
                        check_utf8=False,
                    ),
                )
                if kept
                else None
            )
        except pa.ArrowInvalid:
            return None
        if table is None or len(table) != rows:
            return None
        (batch,) = table.combine_chunks().to_batches(max_chunksize=len(table))
        return batch.rename_columns([self._names[i] for i in self._kept])

    def _learn(self, data: bytes, layout: RecordLayout | None = None) -> None:
        if self._reading.quoting and self._width > 1:
            self._rows.learn_block(data, layout)

    def _suspect(self, data: bytes, layout: RecordLayout, numbers: np.ndarray) -> None:
        """Look into rows with line ends in their cells."""
        broken = np.flatnonzero(layout.broken)
        self._learn(data, layout)
        for i in broken.tolist():
            record = data[layout.starts[i] : layout.ends[i]].decode()
            cells = next(csv.reader(record.splitlines(True), delimiter=self._separator), [])
            self._rows.look_into(int(numbers[i]), cells)

    def _slowly(self, coming: Iterator[bytes], line: int) -> Iterator[Chunk]:
        """Read on letter by letter."""
        csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CELL))
        quoting = quoting_of(self._reading)
        reader = csv.reader(_lines(coming), delimiter=self._separator, strict=True, quoting=quoting)
        records = self._records(reader, line)
        names = [self._names[i] for i in self._kept]
        while rows := list(islice(records, _ROWS)):
            columns = [pa.array([cells[i] for _, cells in rows], pa.string()) for i in self._kept]
            numbers = np.array([number for number, _ in rows], np.int64)
            table = pa.record_batch(columns, names=names) if names else None
            yield Chunk(numbers, table, None if names else [{} for _ in rows])

    def _records(self, reader: "csv.Reader", line: int) -> Iterator[tuple[int, list[str]]]:  # type: ignore[name-defined]
        """Yield (number of its first line, cells) of each record."""
        first: list[list[str]] = []  # record
        longer = True  # by one cell, all so far
        while True:
            number = line + reader.line_num
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise DataError(
                    f"{self._place(number)} cannot be read ({error}): {_mend(str(error), self._reading)}."
                ) from None
            if cells is None:
                return
            if not cells:
                continue
            longer = longer and len(cells) == self._width + 1
            if len(cells) > self._width and any(cells[self._width :]):
                rows = [*first, cells]
                with suppress(csv.Error):
                    rows.extend(islice(reader, _ROWS))
                if longer and lack_a_name(rows, self._width):
                    raise DataError(f"{self._source} {ROW_NAMES}.")
                blanks = "take out the blanks before its quotation marks, and " * any(c.startswith(' "') for c in cells)
                raise DataError(
                    f"{self._place(number)} has {counted(len(cells), 'cell')} and the header {self._width}: "
                    f"{blanks}put a text that holds the separator or a line break in double quotes; "
                    f"{self._reading.unquoted}."
                )
            first = first or [cells]
            if len(cells) < self._width:
                self._short += 1
                cells += [""] * (self._width - len(cells))
            if any("\n" in cell for cell in cells):
                self._rows.look_into(number, cells)
            self._rows.learn(cells)
            yield number, cells


def _lines(coming: Iterator[bytes]) -> Iterator[str]:
    """Yield the lines of blocks, with their ends; a record may go on in the next block."""
    for block in coming:
        text = block.decode()
        start = 0
        while start < len(text):
            end = text.find("\n", start) + 1 or len(text)
            yield text[start:end]
            start = end


def _mend(error: str, reading: Reading) -> str:
    """Return what can be done about an error of Python's csv."""
    if "field limit" in error:
        return f"it holds a cell of more than {LONGEST_CELL:,} characters, or a quotation mark that is never closed"
    if "new-line" in error:
        return "it holds a line end of another kind than the others; save the file again"
    return (
        f"close every quoted cell and double the quotation marks inside it, a backslash will not do; {reading.unquoted}"
    )
