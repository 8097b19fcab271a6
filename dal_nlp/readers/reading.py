"""How a source is to be read, and what is found out about it on the way."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from dal_nlp.core.errors import DalNlpError, DataError

if TYPE_CHECKING:  # help and short commands need not wait for them
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

Numbers: TypeAlias = "NDArray[np.int64]"
NumberedRows = Iterator[tuple[int, dict[str, Any]]]

#: The column of an index of pandas that may be no ids, as its ``reset_index`` calls it.
INDEX = "index"
#: Blanks in a name as they are typed after a message.
_BLANKS = re.compile(r"\\(?:[nrt]|xa0)")


@dataclass
class Reading:
    """How a source is to be read.

    Attributes:
        encoding: Of a text file; None: its mark, UTF-8, or what its bytes look like.
        quoting: Whether double quotes in tables of text enclose a cell; if not, they are letters.
        trusted: Whether quotes are right whatever they enclose; if not, a cell that has swallowed rows is looked for.
        needed: Column names that are looked for: they tell separators apart, and are found with other capitals too.
        once: Names of columns that need not be there, and must not be there twice.
        there: Those of them that a source has.
        remarks: What a user should know of a source, in sentences; each once.
        twice: Names of columns that are there several times, which rows do not have; none of them is needed.
        unquoted: What to do where quotation marks are letters.
        quoted: What to do where a cell is right whose lines look like rows.
        decoded: What to do where letters are wrong.
    """

    encoding: str | None = None
    quoting: bool = True
    trusted: bool = False
    needed: Collection[str] = ()
    once: Collection[str] = ()
    there: set[str] = field(default_factory=set, init=False)
    remarks: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    unquoted: str = "where quotation marks are letters in this file, read it with --quoting none"
    quoted: str = "where the cell is right as it stands, --quoting trusted reads it so"
    decoded: str = "name its encoding with --encoding, or save it as UTF-8"

    def remark(self, text: str) -> None:
        """Keep a sentence that is to be said."""
        if text not in self.remarks:
            self.remarks.append(text)


@dataclass(frozen=True)
class Chunk:
    """Some rows of a source, as columns or as objects.

    Attributes:
        numbers: (N,) what a person looks a row up by.
        table: The columns that were asked for, where the source has columns.
        objects: The rows, where it has objects.
    """

    numbers: Numbers
    table: pa.RecordBatch | None = None
    objects: Sequence[dict[str, Any]] | None = None

    def rows(self) -> NumberedRows:
        """Yield (number, row)."""
        if self.table is None:
            yield from zip(self.numbers.tolist(), self.objects or (), strict=True)
            return
        names = self.table.schema.names
        columns = [column.to_pylist() for column in self.table.columns]
        cells = zip(*columns, strict=True) if columns else ((),) * len(self.numbers)
        for number, row in zip(self.numbers.tolist(), cells, strict=True):
            yield number, dict(zip(names, row, strict=True))


class Chunks:
    """A function from the wanted columns (None: all of them) to the chunks of a source."""

    def __call__(self, wanted: Collection[str] | None) -> Iterator[Chunk]:
        """Yield the chunks in the order of the source."""
        raise NotImplementedError


@dataclass
class Source:
    """An opened source.

    Attributes:
        name: As it was given.
        columns: The names of its columns; of objects, the keys of the first thousand.
        chunks: Yields the rows, with some columns at least.
        classes: The names of the classes that the numbers in a column stand for; the rows hold names already.
        is_open: Whether later rows may have columns that the first ones do not have.
        by_line: Whether a row's number is that of its line.
        nested: The columns whose cells are lists or objects by their type.
        has_keys: Whether each row names its own columns.
        titled: Whether the row that should name its columns has one cell of several, as a title above it.
    """

    name: str
    columns: Sequence[str]
    chunks: Chunks
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    is_open: bool = False
    by_line: bool = False
    nested: Collection[str] = ()
    has_keys: bool = False
    titled: bool = False

    def place(self, number: int) -> str:
        """Return where a row is, for a message: "pool.csv, line 3" or "pool.parquet, row 3"."""
        return f"{self.name}, {'line' if self.by_line else 'row'} {number}"

    def locate(self, number: int) -> tuple[str, int]:
        """Return the file that holds a row, and the row's number there."""
        return self.name, number


def unique_names(source: str, names: Sequence[str], reading: Reading) -> list[str]:
    """Return the names of columns as they are looked for, "" for those that cannot be told from others.

    Outer blanks go; what is needed is found with other capitals too, where that is one column only.

    Raises:
        UserError: A needed name is there twice, or one of ``reading.once``.
    """
    clean = [name.strip("\ufeff").strip() for name in names]
    counts = Counter(clean)
    if again := [name for name in reading.once if counts[name] > 1]:
        raise DataError(f"{source} {named_twice(again[0])}.")
    reading.there.update(name for name in reading.once if name in counts)
    for needed in reading.needed:
        alias = in_other_capitals(needed, counts)
        if (twice := alias or needed) and counts[twice] > 1:
            raise DataError(f"{source} {named_twice(twice)}.")
        if alias is not None and alias not in reading.needed:
            reading.remark(f"{source} has no column {needed!r}, and {alias!r} was taken for it.")
            clean[clean.index(alias)] = needed
            counts[needed] = 1
    reading.twice.extend(name for name in repeated(clean) if name)
    return [name if counts[name] == 1 else "" for name in clean]


def is_title(names: Sequence[str]) -> bool:
    """Tell whether of several names of columns all but the first are blank."""
    return len(names) > 1 and bool(names[0].strip()) and not any(name.strip() for name in names[1:])


def repeated(names: Sequence[str]) -> list[str]:
    """Return the names that are there several times, each once."""
    return [name for name, count in Counter(names).items() if count > 1]


def named_twice(name: str) -> str:
    """Return what to say of a needed column that is there several times, behind the name of the file."""
    return f"names the column {name!r} twice: rename one of the two"


def in_other_capitals(wanted: str, names: Collection[str]) -> str | None:
    """Return the only name that differs from a wanted one in capitals and blanks alone; None where it is there itself.

    Blanks are line ends too, which forms and spreadsheets put into long names, also as a message shows them.
    """
    if wanted in names:
        return None
    matches = [name for name in names if loose(name) == loose(wanted)]
    return matches[0] if len(matches) == 1 else None


def loose(name: str) -> str:
    """Return the name of a column without its capitals, with one blank between its words."""
    return " ".join(_BLANKS.sub(" ", name).split()).casefold()


def other_names(keys: Sequence[str], wanted: Collection[str], rows: Collection[Sequence[str]]) -> dict[str, str]:
    """Return how keys of an object are called otherwise: as a wanted name that it lacks, but for its capitals.

    Args:
        keys: Of the object.
        wanted: Names that are looked for.
        rows: The keys of others of its file; what one of them has both of are two columns.
    """
    names = {in_other_capitals(name, keys): name for name in wanted}
    return {
        key: name
        for key, name in names.items()
        if key is not None and key not in wanted and not any(key in row and name in row for row in rows)
    }


def unused_ids(source: Source, wanted: str) -> list[str]:
    """Return a sentence on a column that may hold the ids where the one that is looked for by itself is not there.

    It is not taken for it: a run that was begun before it was looked for would find all its texts under other ids. A
    column whose values repeat among the first rows has ids of something else.
    """
    there = INDEX if INDEX in source.columns and wanted not in source.columns else None
    other = in_other_capitals(wanted, source.columns) or there
    if not other or _repeats(source, other):
        return []
    return [f"{source.name} has no column {wanted!r}: --id-column {other} takes {other!r} for it, if these are ids."]


def _repeats(source: Source, column: str) -> bool:
    """Tell whether two of the first rows have the same in a column; not where they cannot be read."""
    try:
        chunk = next(iter(source.chunks({column})), None)
    except DalNlpError:  # as whoever reads on will say
        return False
    cells = [str(row.get(column)) for _, row in chunk.rows()] if chunk is not None else []
    return len(set(cells)) < len(cells)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the progress bars and remarks of the datasets library off the screen for a block."""
    import datasets  # seconds, which reading a csv need not wait for

    bars, level = not datasets.utils.are_progress_bars_disabled(), datasets.logging.get_verbosity()
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    try:
        yield
    finally:
        datasets.logging.set_verbosity(level)
        if bars:
            datasets.enable_progress_bars()


def unix_ends(coming: Iterable[bytes]) -> Iterator[bytes]:
    """Put line feeds for the line ends of old Macintosh computers, in a file that has shown none so far."""
    old = True
    for block in coming:
        old = old and b"\n" not in block
        yield block.replace(b"\r", b"\n") if old else block
