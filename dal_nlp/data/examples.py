"""Raw rows -> examples: which columns are read, what the id and the answer are, which rows cannot be used."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from dal_nlp.core.config import Settings
from dal_nlp.core.errors import DataError, EmptyRow, RowError, UnusableRow, nearest
from dal_nlp.core.targets import Target, encode_target
from dal_nlp.core.task import Task
from dal_nlp.data.columns import HasOwnForms, HasPlainFields, RowBatch, by_columns, hash_targets, names_by_number
from dal_nlp.data.hashing import hash64, hash_content, id_of_content
from dal_nlp.readers.exports import adapted
from dal_nlp.readers.reading import Reading, Source, unused_ids
from dal_nlp.readers.sources import empty_source, known_classes, open_source
from dal_nlp.readers.values import id_of, is_missing, label_of

DEFAULT_ID_COLUMN, NO_IDS = "id", "none"
GROUP = "group"  # what ``query.max_per_group`` counts; the same text under another one is the same text
#: What people are shown beside the text, as JSON text; see ``context_of``. It is no part of the content.
CONTEXT = "context_columns"
EMPTY = "empty text"


class ReadRow(NamedTuple):
    """One row as it was read; ``fields`` is None where it cannot be used, and ``reason`` says why."""

    row: int
    id: str
    id_hash: int
    content_hash: int  # of the fields
    fields: dict[str, Any] | None
    target: str | None  # JSON text
    reason: str | None = None
    beside: Mapping[str, Any] = {}  # the context of such a row, see ``context_of``


class AnswersById(dict[str, Target]):
    """Answers by id, in place of those in the rows."""

    def find(self, id: str, fields: Mapping[str, Any]) -> Target | None:
        """Return the answer to a row, None where there is none."""
        return self.get(id)

    def signature(self) -> str:
        """Return what stands for all that rows can be given."""
        return json.dumps(self, sort_keys=True)

    def remarks(self) -> list[str]:
        """Return what became of the answers once all rows were read, in sentences."""
        return []


@dataclass(frozen=True)
class ExampleReader:
    """How one source is read.

    Args:
        source: See ``readers.sources.open_source``.
        task: Reads the texts and the answer of a row.
        config: Names the columns.
        need_targets: Whether a source without any answers is an error.
        answers: In place of those in the rows.
        label_mend: What a user can do about a missing column of answers, "" for what the task says.
        need_ids: Whether rows are found again by their ids; if not, a row without one is known by its content.
        classes: Names of the classes that numbers among the answers stand for; a source's own names count first.
        need_context: Whether the columns that people are shown beside the text have to be there.
    """

    source: str
    task: Task
    config: Settings
    need_targets: bool = False
    answers: AnswersById | None = None
    label_mend: str = ""
    need_ids: bool = True
    classes: Sequence[str] = ()
    need_context: bool = False
    remarks: list[str] = field(default_factory=list)

    @cached_property
    def opened(self) -> Source:
        """The source, in the form of plain rows."""
        opened = open_plain(self.source, self.task, self.config, self.remarks)
        if self.need_ids and self.config.id_column == DEFAULT_ID_COLUMN:
            self.remarks.extend(unused_ids(opened, DEFAULT_ID_COLUMN))
        return opened

    @cached_property
    def answer_column(self) -> str:
        """The column of the answers."""
        return self.task.answer_column(self.opened.columns)

    def place(self, number: int) -> str:
        """Return where a row is, for a message."""
        return self.opened.place(number)

    def examples(self) -> Iterator[ReadRow]:
        """Yield the examples in the order of the source.

        Raises:
            UserError: The source cannot be read, a column is missing, or a row breaks the task's rules.
        """
        self.check_columns()
        empty = True
        for chunk in self.opened.chunks(self._wanted()):
            for number, row in chunk.rows():
                empty = False
                yield self._checked(number, row)
        if empty:
            raise empty_source(self.source)

    def batches(self) -> Iterator[RowBatch]:
        """Yield the same examples in batches; raises as ``examples``."""
        self.check_columns()
        empty = True
        plain = isinstance(self.task, HasPlainFields) and self.answers is None and not self.config.context_columns
        fields = self.task.plain_fields() if isinstance(self.task, HasPlainFields) and plain else {}
        ids = None if self.config.id_column == NO_IDS else self.config.id_column
        for chunk in self.opened.chunks(self._wanted()):
            empty = empty and len(chunk.numbers) == 0
            batch = by_columns(chunk, fields, self.answer_column, ids, self.need_ids, self._target, EMPTY)
            yield batch or batch_of([self._checked(number, row) for number, row in chunk.rows()])
        if empty:
            raise empty_source(self.source)

    def _checked(self, number: int, row: dict[str, Any]) -> ReadRow:
        """Return the example of a row; raises ``UserError`` with its place."""
        try:
            return self._example(number, row)
        except RowError as error:
            raise DataError(f"{self.place(number)} {str(error).rstrip('.')}.") from None
        except UnicodeEncodeError:
            raise DataError(
                f"{self.place(number)} holds half a surrogate pair, which is no character: remove it."
            ) from None

    def _target(self, value: Any) -> str | None:
        """Return the answer in a cell as JSON text."""
        value = self._named(value)
        target = self.task.read_target({self.answer_column: value})
        return None if target is None else encode_target(target)

    def _named(self, value: Any) -> Any:
        """Return a cell with names for class numbers; of a list each of its own."""
        if not self.classes or self.answer_column in self.opened.classes:
            return value
        if isinstance(value, list):
            return [self._named_one(one) for one in value]
        return self._named_one(value)

    def _named_one(self, value: Any) -> str | None:
        label = label_of(value, () if self._by_number else self.classes)
        return None if label is None else self._by_number.get(label, label)

    @cached_property
    def _by_number(self) -> Mapping[str, str | None]:
        return names_by_number(self.opened, self.answer_column, self.classes, self.remarks)

    def whole_rows(self) -> Iterator[tuple[ReadRow, dict[str, Any]]]:
        """Yield every example with all columns of its row; rows that cannot be read are passed over.

        Raises:
            UserError: The source cannot be read.
        """
        for chunk in self.opened.chunks(None):
            for number, row in chunk.rows():
                with suppress(RowError):
                    yield self._example(number, dict(row)), row

    def check_columns(self) -> None:
        """Check the names at the start, so that a wrong one does not wait for the last row."""
        for column in self.task.columns():
            require(self.opened, column, "name the column with --text-column")
        if self.need_ids and self.config.id_column not in (DEFAULT_ID_COLUMN, NO_IDS):
            require(self.opened, self.config.id_column, "name the column with --id-column, or none where there is none")
        if self.need_targets and self.answers is None:
            require(self.opened, self.answer_column, self.label_mend or self.task.naming)
        for column in self.config.context_columns or ():
            if self.need_context:
                require(self.opened, column, "name others with --context-columns")

    def _wanted(self) -> Collection[str] | None:
        """Return the columns that are read."""
        further = self.task.further_columns()
        if further is None:
            return None
        names = {*self.task.columns(), *further, self.answer_column, self.config.id_column}
        return names | set(self.config.context_columns or ())

    def _example(self, number: int, row: dict[str, Any]) -> ReadRow:
        column = self.answer_column
        try:
            for name in self.task.columns():
                if is_missing(row.get(name)):
                    raise EmptyRow(f"column {name!r} is empty")
            fields = self.task.read(row)
            content = {name: field for name, field in fields.items() if name != GROUP}
            id = read_id(row, self.config, self.need_ids) or id_of_content(content)
            if self.answers is not None:
                target = self.answers.find(id, fields)
            elif column not in row:
                target = None
            else:
                row[column] = self._named(row[column])
                target = self.task.read_target(row)
        except UnusableRow as error:
            reason = EMPTY if isinstance(error, EmptyRow) else str(error).rstrip(".")
            beside = _context(row, self.config.context_columns or ())
            return ReadRow(number, _shown_id(row, self.config), 0, 0, None, None, reason, beside)
        fields |= _context(row, self.config.context_columns or ())
        encoded = None if target is None else encode_target(target)
        return ReadRow(number, id, hash64(id), hash_content(content), fields, encoded)


def batch_of(examples: Sequence[ReadRow]) -> RowBatch:
    """Return examples as a batch."""
    usable = [example for example in examples if example.fields is not None]
    fields = [example.fields or {} for example in usable]
    targets = pa.array([example.target for example in usable], pa.string())
    columns: dict[str, Any] = {"id": [example.id for example in usable], "target": targets}
    columns |= {name: [of[name] for of in fields] for name in (fields[0] if fields else {})}
    return RowBatch(
        np.array([example.row for example in usable], np.int64),
        np.array([example.id_hash for example in usable], np.uint64),
        np.array([example.content_hash for example in usable], np.uint64),
        hash_targets(targets),
        columns,
        [(example.row, example.id, example.reason) for example in examples if example.reason is not None],
    )


def how_to_read(task: Task, config: Settings, remarks: list[str]) -> Reading:
    """Return how the sources of a run are read; remarks are put into the list."""
    ids = {config.id_column} - {NO_IDS}
    needed = {*task.columns(), config.label_column, *(config.context_columns or ()), *(ids - {DEFAULT_ID_COLUMN})}
    return Reading(config.encoding, config.quoting != "none", config.quoting == "trusted", needed, ids, remarks)


def open_plain(source: str, task: Task, config: Settings, remarks: list[str], twice: list[str] | None = None) -> Source:
    """Open a source of rows of any tool as plain ones; remarks, and names that are there ``twice``, enter the lists."""
    how = how_to_read(task, config, remarks)
    how.twice = how.twice if twice is None else twice
    opened = open_source(source, how)
    if isinstance(task, HasOwnForms):
        return task.adapted(opened, how)
    return adapted(opened, task.columns(), config.label_column, how)


def class_names(sources: Sequence[str], task: Task, config: Settings) -> list[str]:
    """Return the names of the classes that the answers of the first of several sources have that knows them."""
    for source in sources:
        names = known_classes(source, how_to_read(task, config, []))
        if (column := task.answer_column(names)) in names:
            return list(names[column])
    return []


def text_of_fields(fields: Mapping[str, Any]) -> str:
    """Return the texts of an example in one, to be compared or shown."""
    own = ("id", "target", GROUP, CONTEXT)
    return " ".join(value for name, value in fields.items() if name not in own and isinstance(value, str))


def context_of(example: Mapping[str, Any]) -> dict[str, str]:
    """Return what people are shown beside the text of an example, by column; {} where nothing was asked for."""
    text = example.get(CONTEXT)
    return json.loads(text) if text else {}


def _context(row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, str]:
    """Return the field of some cells, {} of none; what is no text is shown as JSON."""
    shown = {
        name: "" if is_missing(cell) else cell if isinstance(cell, str) else json.dumps(cell, default=str)
        for name, cell in ((name, row.get(name)) for name in columns)
    }
    return {CONTEXT: json.dumps(shown, ensure_ascii=False)} if columns else {}


def _shown_id(row: Mapping[str, Any], config: Settings) -> str:
    """Return the id of a row that cannot be used, "" for none."""
    with suppress(RowError):
        return read_id(row, config, False) or ""
    return ""


def read_id(row: Mapping[str, Any], config: Settings, needed: bool = True) -> str | None:
    """Return a row's id as text, None where rows have no ids; raises ``RowError`` for an empty one.

    Args:
        row: As it was read.
        config: Names the column.
        needed: Whether an empty id is an error.
    """
    column = config.id_column
    if column == NO_IDS or (column not in row and (column == DEFAULT_ID_COLUMN or not needed)):
        return None
    if column not in row:
        raise RowError(f"has no id in column {column!r}: give every row one, or say --id-column none")
    try:
        id = id_of(row[column])
    except RowError as error:
        raise RowError(f"has no id in column {column!r} ({error}): choose another --id-column, or none") from None
    if id is None and needed:
        raise RowError(
            f"has no id in column {column!r}: fill it in, choose another --id-column, or say --id-column none"
        )
    return id


def read_target(row: Mapping[str, Any], task: Task, column: str) -> Target | None:
    """Return a row's answer, None where it has none or lacks the column of answers."""
    return task.read_target(row) if column in row else None


def require(opened: Source, name: str, mend: str) -> None:
    """Raise ``UserError`` with the columns there are where ``name`` is not one of them.

    Objects may have it in later rows only: these are gone through before it is missed.
    """
    there = list(opened.columns)
    if name in there:
        return
    if opened.is_open and any(name in row for chunk in opened.chunks(None) for _, row in chunk.rows()):
        return
    if not there:
        raise empty_source(opened.name)
    shown = ", ".join(map(repr, there[:20])) + (f" and {len(there) - 20:,} more" if len(there) > 20 else "")
    header = " (has it a header? These are the cells of its first row)" if _no_header(opened) else ""
    raise DataError(f"{opened.name} has no column {name!r}{nearest(name, there)} but {shown}{header}: {mend}.")


def _no_header(opened: Source) -> bool:
    """Tell whether names of columns look like cells: a title alone, a sentence, a number, or a value of the column."""
    if opened.has_keys or opened.titled:
        return opened.titled
    names = list(opened.columns)
    if any(len(name.split()) > 4 or name.replace(".", "", 1).isdecimal() for name in names):
        return True
    try:
        chunk = next(iter(opened.chunks(None)), None)
    except DataError:  # of another width than the first one
        return True
    return chunk is not None and any(row.get(name) == name for _, row in list(chunk.rows())[:1000] for name in names)
