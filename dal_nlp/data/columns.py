"""Whole columns -> examples, for a task whose example is one text as it stands: a million rows in seconds."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dal_nlp.core.errors import DataError, RowError
from dal_nlp.core.targets import Target
from dal_nlp.data.hashing import Hashes, hash_all, id_of_content
from dal_nlp.data.repeats import NOTHING
from dal_nlp.readers.reading import Chunk, Reading, Source
from dal_nlp.readers.values import is_missing, label_of

#: Every text that ``is_missing`` takes for empty, and a few more: what it finds is looked at again.
_BLANK = r"^[\s\x{1c}-\x{1f}\x{85}\p{Z}\p{Cf}]*$"


@runtime_checkable
class HasPlainFields(Protocol):
    """A task whose fields are the texts of columns as they stand, and whose answer is read from its column alone."""

    def plain_fields(self) -> Mapping[str, str | None]:
        """Return the column of each field, None for a field that is always null."""


@runtime_checkable
class HasOwnForms(Protocol):
    """A task whose rows tools export in forms of its own."""

    def adapted(self, source: Source, reading: Reading) -> Source:
        """Return a source of plain rows in place of one in such a form; ``reading`` takes remarks."""


@runtime_checkable
class HasAnswerCells(Protocol):
    """A task whose answers may stand in several cells of a row."""

    def answer_cells(self, target: Target) -> dict[str, Any]:
        """Return the cells of a row that say an answer, by column, as ``read_target`` reads them."""


@dataclass(frozen=True)
class RowBatch:
    """N rows that can be used, and those that cannot.

    Attributes:
        rows: (N,) row numbers in the source.
        ids: (N,) hashes of the ids.
        contents: (N,) hashes of the fields.
        targets: (N,) hashes of the targets, ``NOTHING`` for none.
        columns: The id, the target as JSON text or null, and the fields.
        unusable: Row number, id and reason of the others.
    """

    rows: NDArray[np.int64]
    ids: Hashes
    contents: Hashes
    targets: Hashes
    columns: Mapping[str, Any]
    unusable: Sequence[tuple[int, str, str]]


def missing(texts: pa.Array) -> pa.BooleanArray:
    """Return which texts are null or hold nothing to read."""
    mask = np.zeros(len(texts), np.bool_)
    positions = _without_a_beginning(texts)
    if len(positions):
        blank = pc.fill_null(pc.match_substring_regex(texts.take(pa.array(positions)), _BLANK), True)
        positions = positions[blank.to_numpy(zero_copy_only=False)]
    mask[positions] = [is_missing(text) for text in texts.take(pa.array(positions)).to_pylist()]
    return pa.array(mask)


def _without_a_beginning(texts: pa.StringArray) -> NDArray[np.int64]:
    """Return where texts are null, empty, or begin with anything but a visible character of ASCII."""
    _, ends, data = texts.buffers()
    places = np.frombuffer(ends, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    letters = np.frombuffer(data if data and data.size else b"\0", np.uint8)
    first = letters[np.minimum(places[:-1], len(letters) - 1)]
    plain = (first > ord(" ")) & (first < 127) & (places[1:] > places[:-1])
    if texts.null_count:
        plain &= texts.is_valid().to_numpy(zero_copy_only=False)
    return np.flatnonzero(~plain)


def _ids(column: pa.Array) -> pa.StringArray | None:
    """Return ids as texts, null where there is none; None where numbers with a point or objects may be among them."""
    if pa.types.is_integer(column.type):
        return column.cast(pa.string())
    if not pa.types.is_string(column.type):
        return None
    return pc.if_else(missing(column), pa.scalar(None, pa.string()), column)


def _targets(column: pa.Array, read: Callable[[Any], str | None]) -> pa.StringArray:
    """Return the answers in a column; each different value is read once."""
    encoded = column.dictionary_encode()
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), pa.string())
    targets = pa.array([read(value) for value in encoded.dictionary.to_pylist()], pa.string())
    return targets.take(encoded.indices)


def by_columns(
    chunk: Chunk,
    fields: Mapping[str, str | None],
    answers: str,
    ids: str | None,
    need_ids: bool,
    read: Callable[[Any], str | None],
    reason: str,
) -> RowBatch | None:
    """Return the rows of a chunk as a batch, None where that takes a look at each of them.

    Args:
        chunk: Of a source with columns.
        fields: See ``HasPlainFields``.
        answers: The column of the answers.
        ids: That of the ids; None where rows have none.
        need_ids: Whether every row has to have one.
        read: Returns the answer in a cell as JSON text.
        reason: Why a row without a text cannot be used.
    """
    sources = {column: name for name, column in fields.items() if column is not None}
    if chunk.table is None or len(sources) != 1:
        return None
    ((source, field),) = sources.items()
    cells = {name: chunk.table.column(name) for name in chunk.table.schema.names}
    if source not in cells or not pa.types.is_string(cells[source].type):
        return None
    all_ids = _ids(cells[ids]) if ids in cells else pa.nulls(len(chunk.numbers), pa.string())
    if all_ids is None or (need_ids and ids in cells and all_ids.null_count):
        return None
    try:
        targets = _targets(cells[answers], read) if answers in cells else pa.nulls(len(all_ids), pa.string())
    except RowError:
        return None
    empty = missing(cells[source])
    texts, kept_ids = cells[source], all_ids
    if empty.true_count:
        texts, kept_ids, targets = (column.filter(pc.invert(empty)) for column in (texts, kept_ids, targets))
    if kept_ids.null_count:
        both = zip(kept_ids.to_pylist(), texts.to_pylist(), strict=True)
        nothing = dict.fromkeys(fields)
        made = [id_of_content({**nothing, field: text}) if id is None else id for id, text in both]
        kept_ids = pa.array(made, pa.string())
    dropped = empty.to_numpy(zero_copy_only=False)
    shown = all_ids.filter(empty).fill_null("").to_pylist()
    unusable = [(int(number), id, reason) for number, id in zip(chunk.numbers[dropped], shown, strict=True)]
    ids_hashed, contents = (hash_all(column.cast(pa.binary()).to_pylist()) for column in (kept_ids, texts))
    nulls = dict.fromkeys(fields, pa.nulls(len(texts), pa.string()))
    columns = {"id": kept_ids, "target": targets, **nulls, field: texts}
    return RowBatch(chunk.numbers[~dropped], ids_hashed, contents, hash_targets(targets), columns, unusable)


def names_by_number(
    source: Source, column: str, classes: Sequence[str], remarks: list[str]
) -> Mapping[str, str | None]:
    """Return the names of classes by their numbers where names are numbers too, and a column has those of classes.

    Args:
        source: Is read once where names are numbers.
        column: Of its answers.
        classes: The names, in the order of their numbers.
        remarks: Takes a sentence where the answers could be either, and are read as names.

    Raises:
        UserError: The column has some that are names alone, and some that are numbers of classes alone.
    """
    names = [label_of(name) or "" for name in classes]
    numbers: dict[str, str | None] = {"-1": None} | {str(number): name for number, name in enumerate(names)}
    if not any(name.isdecimal() for name in names):
        return {}
    there: set[str | None] = set()
    for chunk in source.chunks({column}):
        cells = [row.get(column) for _, row in chunk.rows()]
        parts = {one for cell in cells for one in (cell if isinstance(cell, list) else [cell]) if _is_cell(one)}
        for part in parts:
            with suppress(RowError):  # which is said with its row
                there |= {label for label in [label_of(part)] if label in numbers or (label or "").isdecimal()}
    numbered, named = ([str(label) for label in there.difference(others)] for others in ([*names, "-1"], numbers))
    if named and numbered:
        raise DataError(
            f"{source.name} has {min(named)!r} and {min(numbered)!r} in its column {column!r}, and the classes are "
            f"{', '.join(map(repr, names[:20]))}: their names, or their numbers from 0 on? Write the names."
        )
    remark = f"{source.name}: the numbers in its column {column!r} were read as names of classes, which they may be."
    either = not named and not numbered and any(numbers.get(str(label)) not in (label, None) for label in there)
    if either and remark not in remarks:
        remarks.append(remark)
    return numbers if numbered else {}


def _is_cell(value: Any) -> bool:
    return isinstance(value, str | int | float | bytes)


def hash_targets(targets: pa.StringArray) -> Hashes:
    """Return the hashes of answers, ``NOTHING`` for none; each different answer is hashed once."""
    encoded = targets.dictionary_encode()
    hashes = np.append(hash_all(encoded.dictionary.cast(pa.binary()).to_pylist()), NOTHING)
    places: NDArray[np.int64] = encoded.indices.fill_null(len(hashes) - 1).to_numpy(zero_copy_only=False)
    return hashes[places]
