"""Examples -> an Arrow file, without ever holding the texts in memory.

Two passes. The first writes the texts to a nameless temporary file, and of each row keeps three numbers: hash of the
id, hash of the content, row number. Repeats and forbidden rows are found by sorting hashes. The second pass copies
what is left into the final file, which appears under its name at once and whole.
"""

import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dal_nlp.core.errors import DataError, writing
from dal_nlp.core.files import new_file
from dal_nlp.core.targets import decode, readable
from dal_nlp.data.examples import ExampleReader
from dal_nlp.data.hashing import CONTENT_HASH, ID_HASH, Hashes, Mask, has_repeats, hash64
from dal_nlp.data.repeats import DISAGREE, NOTHING, REPEAT, choose, contradictions, refuse

_OWN_IDS = "give each text an id of its own, or choose the column of ids with --id-column, or say --id-column none."
NO_ANSWER = "no answer"
OTHER_TEXT = "another text under this id than in the pool"
BATCH = 4000  # rows in one Arrow record batch; with small ones, opening the file would touch every page of it


@dataclass(frozen=True)
class Rejected:
    """A row that was dropped: where it is and why."""

    file: str
    row: int
    id: str
    reason: str


@dataclass
class Staged:
    """The N rows of a source that can be used, in its order, and those that cannot.

    Attributes:
        file: The texts, as an Arrow stream.
        ids: (N,) hashes of the ids.
        contents: (N,) hashes of the task's fields.
        rows: (N,) row numbers in the source.
        targets: (N,) hashes of the targets, ``repeats.NOTHING`` where there is none.
        unusable: The other rows, each with its reason.
    """

    reader: ExampleReader
    file: IO[bytes]
    ids: Hashes
    contents: Hashes
    rows: NDArray[np.int64]
    targets: Hashes
    unusable: list[Rejected]

    def place(self, i: int) -> str:
        """Return where row i is in the source."""
        return self.reader.place(int(self.rows[i]))

    def batches(self) -> Iterator[tuple[slice, pa.RecordBatch]]:
        """Yield the texts, each batch with the rows that it covers."""
        self.file.seek(0)
        with pa.ipc.open_stream(self.file) as stream:
            start = 0
            for batch in stream:
                yield slice(start, start + len(batch)), batch
                start += len(batch)

    def schema(self) -> pa.Schema:
        """Return the names and types of the columns on disk."""
        self.file.seek(0)
        with pa.ipc.open_stream(self.file) as stream:
            return stream.schema

    def names(self, mask: Mask) -> list[str]:
        """Return the ids of the rows under a mask."""
        names: list[str] = []
        for rows, batch in self.batches():
            if mask[rows].any():
                names += batch.column("id").filter(pa.array(mask[rows])).to_pylist()
        return names

    def name(self, i: int) -> str:
        """Return the id of row i."""
        return self.names(np.arange(len(self.rows)) == i)[0]

    def cells(self, mask: Mask) -> list[dict[str, Any]]:
        """Return the ids, targets and fields of the rows under a mask."""
        selected: list[dict[str, Any]] = []
        for rows, batch in self.batches():
            if mask[rows].any():
                selected += batch.filter(pa.array(mask[rows])).to_pylist()
        return selected


@contextmanager
def stage(reader: ExampleReader, folder: Path) -> Iterator[Staged]:
    """Read all examples once; the texts are on disk for the length of the block, and gone if the process dies."""
    numbers: list[tuple[Hashes, Hashes, NDArray[np.int64], Hashes]] = []
    unusable: list[Rejected] = []
    with _scratch(folder) as file:
        with writing(folder), ExitStack() as opened:
            writer, schema = None, pa.schema([])
            for batch in reader.batches():
                unusable += [Rejected("", row, id, reason) for row, id, reason in batch.unusable]
                if len(batch.rows) == 0:
                    continue
                if writer is None:  # the types are those of the first batch
                    schema = pa.schema({name: _type(values) for name, values in batch.columns.items()})
                    writer = opened.enter_context(pa.ipc.new_stream(file, schema))
                columns = {name: pa.array(values, schema.field(name).type) for name, values in batch.columns.items()}
                table = pa.Table.from_batches([pa.record_batch(columns, schema=schema)])
                writer.write_table(table, max_chunksize=BATCH)
                numbers.append((batch.ids, batch.contents, batch.rows, batch.targets))
            opened.close()
            file.flush()
        ids, contents, targets = (
            np.concatenate([np.empty(0, np.uint64), *(part[i] for part in numbers)]) for i in (0, 1, 3)
        )
        rows = np.concatenate([np.empty(0, np.int64), *(part[2] for part in numbers)])
        yield Staged(reader, file, ids, contents, rows, targets, unusable)


@contextmanager
def _scratch(folder: Path) -> Iterator[IO[bytes]]:
    """Open a nameless file; what a full disk leaves of it is of no use to anybody."""
    file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closing it may fail
    try:
        yield file
    finally:
        with suppress(OSError):
            file.close()


def _type(values: Any) -> pa.DataType:
    """Return the Arrow type of a field; one without any value so far is taken for text."""
    kind = values.type if isinstance(values, pa.Array) else pa.infer_type(values)
    if pa.types.is_list(kind) and pa.types.is_null(kind.value_type):
        return pa.list_(pa.string())
    return pa.string() if pa.types.is_null(kind) else kind


def clashing(ids: Hashes, contents: Hashes) -> tuple[int, int] | None:
    """Return the first of N rows that has the id of an earlier one and another text, behind that; None for none."""
    if not has_repeats(ids):
        return None
    order = np.argsort(ids, kind="stable")
    sorted_ids, texts = ids[order], contents[order]
    clashes = np.flatnonzero((sorted_ids[1:] == sorted_ids[:-1]) & (texts[1:] != texts[:-1]))
    if len(clashes) == 0:
        return None
    clash = clashes[np.argmin(order[clashes + 1])]
    return int(order[clash]), int(order[clash + 1])


def check_rows(reader: ExampleReader, rows: Hashes, ids: Hashes, contents: Hashes) -> None:
    """Raise ``UserError`` where two of N rows, of which only numbers and hashes are kept, have one id and two texts."""
    if clash := clashing(ids, contents):
        first, second = (reader.place(int(rows[i])) for i in clash)
        raise DataError(f"{second} has the id of {first}, and another text: {_OWN_IDS}")


def check_ids(staged: Staged) -> None:
    """Raise ``UserError`` where two rows have one id and different texts."""
    clash = clashing(staged.ids, staged.contents)
    if clash is None:
        return
    first, second = clash
    raise DataError(
        f"{staged.place(second)} has the id {staged.name(second)!r} and so has {staged.place(first)}, with another "
        f"text: {_OWN_IDS}"
    )


def sift(
    staged: Staged, exclude: Mapping[str, Hashes], need_targets: bool, unwanted: Collection[str] = ()
) -> tuple[Mask, list[Rejected]]:
    """Find the rows to drop: without an answer, of another set, or repeats of a row that stays.

    Args:
        staged: The rows.
        exclude: Hashes of the texts of other sets, by their names.
        need_targets: Whether a row without an answer is dropped, and answers that differ are an error.
        unwanted: Ids whose rows are dropped: the pool has another text under them.

    Returns:
        keep (N,), and all rejected rows, the unusable ones included, in the order of the source.

    Raises:
        UserError: One text has several answers, and the configuration does not say which counts.
    """
    reasons = ["", NO_ANSWER, *(f"also in the {name} set" for name in exclude), REPEAT, DISAGREE, OTHER_TEXT]
    codes = np.zeros(len(staged.rows), dtype=np.int8)
    codes[np.isin(staged.ids, np.array([hash64(id) for id in unwanted], np.uint64))] = len(reasons) - 1
    if need_targets:
        codes[(codes == 0) & (staged.targets == NOTHING)] = 1
    for code, contents in enumerate(exclude.values(), start=2):
        codes[(codes == 0) & np.isin(staged.contents, contents)] = code
    left = np.flatnonzero(codes == 0)
    rule = staged.reader.config.repeats
    if need_targets and rule is None:
        _refuse_contradictions(staged, left)
    stay, disagree = choose(staged.contents[left], staged.targets[left], rule if need_targets else None)
    codes[left[~stay]] = reasons.index(REPEAT)
    codes[left[disagree]] = reasons.index(DISAGREE)
    dropped = codes > 0
    rejected = list(staged.unusable)
    if dropped.any():
        dropped_rows = zip(staged.rows[dropped], staged.names(dropped), codes[dropped], strict=True)
        rejected += [Rejected("", int(row), id, reasons[code]) for row, id, code in dropped_rows]
    places = staged.reader.opened.locate
    in_order = sorted(rejected, key=lambda rejected: rejected.row)
    return ~dropped, [Rejected(*places(row.row), row.id, row.reason) for row in in_order]


def _refuse_contradictions(staged: Staged, left: NDArray[np.intp]) -> None:
    """Raise ``UserError`` where a text among some rows has several answers."""
    groups = contradictions(staged.contents[left], staged.targets[left])
    if not groups:
        return
    rows = left[groups[0]]
    rows = rows[staged.targets[rows] != NOTHING]
    pair = np.array([rows[0], rows[np.flatnonzero(staged.targets[rows] != staged.targets[rows[0]])[0]]])
    cells = staged.cells(np.isin(np.arange(len(staged.rows)), pair))
    shown = [readable(decode(row["target"]) or "") for row in cells]
    raise refuse(
        len(groups),
        [staged.place(int(row)) for row in pair],
        [repr(text) for text in shown],
        staged.reader.opened.columns,
    )


def write(staged: Staged, keep: Mask, path: Path, header: Mapping[str, str]) -> None:
    """Write the rows to keep, with their hashes and a header, as an Arrow stream that is there whole or not at all."""
    schema = staged.schema().append(pa.field(ID_HASH, pa.uint64())).append(pa.field(CONTENT_HASH, pa.uint64()))
    schema = schema.with_metadata(header)
    with writing(path), new_file(path) as part, part.open("wb") as file, pa.ipc.new_stream(file, schema) as writer:
        for rows, batch in staged.batches():
            columns = [*batch.columns, pa.array(staged.ids[rows]), pa.array(staged.contents[rows])]
            writer.write_batch(pa.record_batch(columns, schema=schema).filter(pa.array(keep[rows])))
