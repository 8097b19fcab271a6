"""Raw rows -> examples: which columns are read, what the id and the answer are, which rows cannot be used."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

from dal_nlp.core.config import Settings
from dal_nlp.core.errors import EmptyRow, RowError, UnusableRow, UserError, nearest
from dal_nlp.core.targets import Target, encode_target
from dal_nlp.core.task import Task
from dal_nlp.data.hashing import hash64
from dal_nlp.readers.sources import read_rows
from dal_nlp.readers.text_files import place

DEFAULT_ID_COLUMN = "id"
GROUP = "group"  # what ``query.max_per_group`` counts; the same text under another one is the same text
EMPTY = "empty text"
_CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True)


class Example(NamedTuple):
    """One row as it was read; ``fields`` is None where it cannot be used, and ``reason`` says why."""

    row: int
    id: str
    id_hash: int
    content_hash: int  # of the fields
    fields: dict[str, Any] | None
    target: str | None  # JSON text
    reason: str | None = None


@dataclass(frozen=True)
class Reader:
    """How one source is read.

    Args:
        source: See ``data.read_rows``.
        task: Reads the texts and the answer of a row.
        config: Names the columns.
        need_targets: Whether a source without any answers is an error.
        answers: Answers by id, in place of those in the rows.
        label_mend: What a user can do about a missing column of answers.
    """

    source: str
    task: Task
    config: Settings
    need_targets: bool = False
    answers: Mapping[str, Target] | None = None
    label_mend: str = "name the column with --label-column"

    def examples(self) -> Iterator[Example]:
        """Yield the examples in the order of the source.

        Raises:
            UserError: The source cannot be read, a column is missing, or a row breaks the task's rules.
        """
        rows = read_rows(self.source)
        first = next(rows)
        answer_column = self.task.answer_column(first[1].keys())
        self._check_columns(first[1], answer_column)
        for number, row in chain([first], rows):
            try:
                yield self._example(number, row, answer_column)
            except RowError as error:
                raise UserError(f"{place(self.source, number)} {str(error).rstrip('.')}.") from None
            except UnicodeEncodeError:
                raise UserError(
                    f"{place(self.source, number)} holds half a surrogate pair, which is no character: remove it."
                ) from None

    def _check_columns(self, row: Mapping[str, Any], answer_column: str) -> None:
        """Check the first row, so that a wrong column name does not wait for the last one."""
        for column in self.task.columns():
            _require(self.source, row, column, "name the column with --text-column")
        if self.config.id_column != DEFAULT_ID_COLUMN:
            _require(self.source, row, self.config.id_column, "name the column with --id-column")
        if self.need_targets and self.answers is None:
            _require(self.source, row, answer_column, self.label_mend)

    def _example(self, number: int, row: Mapping[str, Any], answer_column: str) -> Example:
        for column in self.task.columns():
            if column not in row:
                raise RowError(f"has no column {column!r}: add it or remove the row")
        try:
            fields = self.task.read(row)
            content = hash64(_CANONICAL.encode({name: field for name, field in fields.items() if name != GROUP}))
            id = read_id(row, self.config) or f"{content:016x}"
            target = self.answers.get(id) if self.answers is not None else read_target(row, self.task, answer_column)
        except UnusableRow as error:
            return Example(number, str(row.get(self.config.id_column) or ""), 0, 0, None, None, _reason(error))
        return Example(number, id, hash64(id), content, fields, None if target is None else encode_target(target))


def _reason(error: UnusableRow) -> str:
    """Return why a row is dropped; every task calls a row with nothing to read the same."""
    return EMPTY if isinstance(error, EmptyRow) else str(error).rstrip(".")


def read_id(row: Mapping[str, Any], config: Settings) -> str | None:
    """Return a row's id as text, None where rows have no ids; raises ``RowError`` for an empty one."""
    column = config.id_column
    if column not in row:
        if column == DEFAULT_ID_COLUMN:
            return None
        raise RowError(f"has no column {column!r}: give every row an id or choose another --id-column")
    value = row[column]
    if value is None or value == "" or value != value:
        raise RowError(f"has no id in column {column!r}: fill it in or choose another --id-column")
    if not isinstance(value, str | int | float):
        raise RowError(f"has an id in column {column!r} that is neither text nor a number: choose another --id-column")
    if isinstance(value, float) and value.is_integer():  # tables with gaps turn 1 into 1.0
        return str(int(value))
    return str(value)


def read_target(row: Mapping[str, Any], task: Task, column: str) -> Target | None:
    """Return a row's answer, None where it has none or lacks the column of answers."""
    return task.read_target(row) if column in row else None


def read_answers(path: str, task: Task, config: Settings) -> dict[str, Target]:
    """Read answers by id from a file of any known kind; rows without an answer are left out.

    Raises:
        UserError: The file cannot be read, has no column of ids or answers, holds an answer that cannot be used, or
            answers one id in two ways.
    """
    answers: dict[str, Target] = {}
    rows = read_rows(path)
    first = next(rows)
    column = task.answer_column(first[1].keys())
    _require(path, first[1], config.id_column, "name the column that joins it to the pool with --id-column")
    _require(path, first[1], column, "name the column with --label-column")
    for number, row in chain([first], rows):
        where = place(path, number)
        try:
            id, target = read_id(row, config), read_target(row, task, column)
        except UnusableRow as error:
            raise UserError(f"{where} cannot be used ({_reason(error)}): correct or remove it.") from None
        except RowError as error:
            raise UserError(f"{where} {str(error).rstrip('.')}.") from None
        if id is None:
            raise UserError(f"{where} has no column {config.id_column!r}: give every answer its id.")
        if target is not None and answers.setdefault(id, target) != target:
            raise UserError(f"{where} answers the id {id!r} in another way than an earlier row: keep one of the two.")
    return answers


def _require(source: str, columns: Iterable[str], name: str, mend: str) -> None:
    """Raise ``UserError`` with the columns there are where ``name`` is not one of them."""
    there = [column for column in columns if column is not None]
    if name not in there:
        raise UserError(
            f"{source} has no column {name!r}{nearest(name, there)} but {', '.join(map(repr, there))}: {mend}."
        )
