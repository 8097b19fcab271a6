"""Rows of annotation tools: which column holds the answers, who gave them, and what is none.

Known are sheets and exports of this package, doccano, Prodigy, Label Studio (JSON-MIN and CSV) and Argilla.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from dal_nlp.core.config import Settings
from dal_nlp.core.errors import DataError, nearest
from dal_nlp.core.task import Capability, Task
from dal_nlp.data.repeats import SIGNED
from dal_nlp.joins.row_matching import texts_in
from dal_nlp.readers.entities import exports as entities
from dal_nlp.readers.exports import ACCEPTED, SUBMITTED, argilla_responses, has_verdicts, joined_columns, opened
from dal_nlp.readers.reading import named_twice, other_names
from dal_nlp.readers.values import id_of, is_missing

#: The columns of a sheet.
ID, ANSWER, NOTE = "id", "answer", "note"
#: The columns that sign an answer in an export.
BY, AT = "annotated_by", "annotated_at"
#: What begins the name of what is ours in the data of Label Studio's tasks, and the id of our example there.
OURS = "dal_nlp_"
STUDIO_ID = f"{OURS}id"
#: What is typed for a column that is not there.
NONE = "none"
#: What tools call the column of answers: doccano and Prodigy, older doccano, Prodigy's choices, older Argilla.
_ANSWERS = ("label", "labels", "accept", "annotation")
#: The columns of Label Studio's own; by the first its tables are known.
_STUDIO = ("annotation_id", "annotator", "created_at", "updated_at", "lead_time", "id")


@dataclass(frozen=True)
class Columns:
    """What the columns of a file are called; None: what they are usually called.

    Attributes:
        id: Column of the ids.
        answer: Column, or control, of the answers.
        by: Column of who answered.
        encoding: Of its letters; None: what its bytes look like.
    """

    id: str | None = None
    answer: str | None = None
    by: str | None = None
    encoding: str | None = None


class ToolAnswer(NamedTuple):
    """One answer in a row, as it would be typed, and who gave it ("" where the row does not say)."""

    answer: str
    by: str


class ToolRows:
    """A table of answers, whichever program has written it.

    Args:
        rows: All rows, as they were read.
        task: Names the text columns.
        config: Names the columns of the pool.
        columns: What the user calls them.
        twice: Columns of the file that rows lack, as it has several of the name.

    Raises:
        UserError: There is no column of answers, or neither ids nor texts, or one of them is there twice; the message
            goes after the file's name.
    """

    def __init__(
        self,
        rows: Sequence[Mapping[str, Any]],
        task: Task,
        config: Settings,
        columns: Columns,
        twice: Sequence[str] = (),
    ) -> None:
        self.rows = [_flattened(row) for row in rows]
        self._marks = Capability.PARTS in task.capabilities  # parts of the text
        if self._marks:
            self.rows = [dict(entities.with_text(row, task.columns()[0])) for row in self.rows]
        self._task, self._config, self._columns, self._twice = task, config, columns, twice
        self._names = list(dict.fromkeys(name for row in self.rows for name in row) | dict.fromkeys(twice))
        self.remarks: list[str] = []
        self._find_in_other_capitals()
        self.answer_column = self._answer_column()
        self._refuse_twice()
        if self._marks and self._id_column is None:  # by whose text rows are found
            self.rows = [entities.joined(row, task.columns()[0]) for row in self.rows]
        if self._id_column is None and not all(texts_in(row, task.columns(), self._fields) for row in self.rows[:1]):
            raise DataError(
                f"has neither the ids ({config.id_column!r}) nor the texts of what was asked but {self._there}: name "
                "the column of ids with --id-column."
            )

    def _find_in_other_capitals(self) -> None:
        """Call columns as they are looked for where they differ in capitals only."""
        named = (self._columns.id, self._columns.answer, self._columns.by)
        wanted = (self._config.id_column, ID, self._config.label_column, ANSWER, *self._task.columns())
        sets = list(dict.fromkeys([*map(tuple, self.rows), tuple(self._twice)]))
        ways = {key: name for keys in sets for key, name in other_names(keys, wanted, sets).items()}
        ways = {key: name for key, name in ways.items() if key not in named}
        if ways:
            self.rows = [{ways.get(name, name): value for name, value in row.items()} for row in self.rows]
            self.remarks = [
                f"{key!r} was taken for {name!r} in rows that lack it."
                if name in self._names
                else f"There is no column {name!r}, and {key!r} was taken for it."
                for key, name in ways.items()
            ]
            self._names, self._twice = ([ways.get(name, name) for name in some] for some in (self._names, self._twice))

    def _refuse_twice(self) -> None:
        """Raise ``UserError`` where a column that is read is there twice."""
        texts = (way for name in self._task.columns() for way in (name, f"{name} (text)"))
        read = (self.answer_column, self._id_column, *texts, *self._signed, NOTE)
        if wrong := [name for name in self._twice if name in read]:
            raise DataError(f"{named_twice(wrong[0])}.")

    def id(self, row: Mapping[str, Any]) -> str:
        """Return the id in a row, "" where it has none; raises ``RowError`` for what is no id."""
        return (id_of(row.get(self._id_column)) or "") if self._id_column else ""

    def texts(self, row: Mapping[str, Any]) -> dict[str, str]:
        """Return the texts of a row by the task's column."""
        return texts_in(row, self._task.columns(), self._fields)

    def note(self, row: Mapping[str, Any]) -> str:
        """Return what was written beside the answer."""
        return "" if is_missing(row.get(NOTE)) else str(row[NOTE])

    def given(self, row: Mapping[str, Any]) -> Iterator[ToolAnswer]:
        """Yield the answers in a row."""
        if self._has_verdicts and row.get(ANSWER) != ACCEPTED:
            return
        by = next((str(row[name]) for name in self._signed if not is_missing(row.get(name))), "")
        unmarked = self._marks and self._has_verdicts and self.answer_column not in row  # as Prodigy writes it
        for value, who in _values([] if unmarked else row.get(self.answer_column)):
            yield ToolAnswer(_typed(value, self._of_nothing, self._marks), who or by)

    @property
    def _of_nothing(self) -> str:
        """What an empty list is, typed: an answer where a text may have no label or no marked part, else none."""
        return "[]" if self._marks or Capability.SEVERAL_LABELS in self._task.capabilities else ""

    @cached_property
    def refused(self) -> int:
        """How many rows Prodigy's annotator has rejected or passed over."""
        return sum(row.get(ANSWER) != ACCEPTED for row in self.rows) if self._has_verdicts else 0

    @property
    def _there(self) -> str:
        return ", ".join(map(repr, self._names))

    @cached_property
    def _fields(self) -> list[str]:
        return field_names(self._task)

    @property
    def _signed(self) -> Sequence[str]:
        return (self._columns.by,) if self._columns.by else SIGNED

    @cached_property
    def _is_studio(self) -> bool:
        return _STUDIO[0] in self._names

    @cached_property
    def _id_column(self) -> str | None:
        wanted = self._columns.id
        if wanted == NONE:
            return None
        if wanted is not None and wanted not in self._names:
            raise DataError(f"has no column {wanted!r}{nearest(wanted, self._names)} but {self._there}.")
        ways = [wanted] if wanted else [STUDIO_ID, self._config.id_column, ID]
        if self._is_studio and wanted is None:
            ways = [name for name in ways if name != ID]  # a number of Label Studio's
        return next((name for name in ways if name in self._names), None)

    @cached_property
    def _has_verdicts(self) -> bool:
        """Whether the column ``answer`` is Prodigy's, and not that of a sheet."""
        return has_verdicts(self.rows, self._task.labels) and self._elsewhere is not None

    @cached_property
    def _elsewhere(self) -> str | None:
        """The column of answers that is not called as in a sheet."""
        marked = entities.ANSWERS if self._marks else ()
        texts = set(self._task.columns())
        named = (self._columns.answer, self._config.label_column)
        column = next((name for name in (*named, *_ANSWERS) if name in self._names and name not in texts), None)
        usual = [name for name in dict.fromkeys((*_ANSWERS, *marked)) if name in self._names and name not in texts]
        if self._marks and usual and (column is None or column not in named):
            column = entities.filled_column(usual, self.rows)  # tools write columns beside their own that stay empty
        if column is not None or not self._is_studio:
            return column
        own = {*_STUDIO, *self._fields, *texts, BY, AT, NOTE, self._config.id_column}
        left = [name for name in self._names if name not in own and not name.startswith(OURS)]
        return left[0] if len(left) == 1 else None

    def _answer_column(self) -> str:
        wanted = self._columns.answer
        if wanted is not None:
            if wanted not in self._names:
                raise DataError(f"has no column {wanted!r}{nearest(wanted, self._names)} but {self._there}.")
            return wanted
        typed = ANSWER in self._names and (ANSWER not in self._task.columns() or f"{ANSWER} (text)" in self._names)
        if typed and not self._has_verdicts:
            return ANSWER
        if self._elsewhere is None:
            if self._task.labels and set(self._task.labels) <= set(self._names):
                raise DataError(
                    f"has a column for each label ({', '.join(map(repr, self._task.labels[:3]))}), and answers are "
                    f"read from one column: write the labels of a row into a column {ANSWER!r}, as a|b, [] for none."
                )
            ways = dict.fromkeys((ANSWER, self._config.label_column))
            alone = len(list(filter(None, self._names))) == 1
            header = " (has it a header? These are the cells of its first row)" * alone
            raise DataError(
                f"has no column of answers ({' or '.join(map(repr, ways))}) but {self._there}{header}: name it with "
                "--label-column."
            )
        return self._elsewhere


def field_names(task: Task) -> list[str]:
    """Return what the texts are called in Label Studio: as their columns are, unless it reads more into a name.

    It refuses or misreads a name such as "a.b" or "x[0]", and ours must stay ours.
    """
    return [
        name if re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII) and not name.startswith(OURS) else f"{OURS}text{i}"
        for i, name in enumerate(task.columns())
    ]


def _flattened(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row whose answers and texts are columns of their own; Argilla keeps them under "fields", "responses"."""
    cells: dict[str, Any] = {}
    for name in ("meta", "metadata", "inputs", "fields"):
        if isinstance(row.get(name), Mapping):
            cells |= row[name]
    cells |= {name: value for name, value in row.items() if name not in ("fields", "responses")}
    cells |= argilla_responses(row.get("responses"))
    for name in [name.removesuffix(".text") for name in row if name.endswith(".text")]:
        if name not in row and f"{name}.answer_start" in row:
            cells[name] = joined_columns(row, name)
    for name in [name for name in row if name.endswith(".responses")]:  # of a data set of Hugging Face
        columns = [opened(row.get(f"{name}{end}")) for end in ("", ".users", ".status")]  # of a csv lists are texts
        lists = [column if isinstance(column, list) else [] for column in columns]
        cells[name.removesuffix(".responses")] = [
            {"value": value, "user_id": _nth(lists[1], n), "status": _nth(lists[2], n)}
            for n, value in enumerate(lists[0])
        ]
    return cells


def _nth(values: Sequence[Any], n: int) -> Any:
    return values[n] if n < len(values) else None


def _values(cell: Any) -> Iterator[tuple[Any, str]]:
    """Yield the answers in a cell with who gave them: Argilla has a list with one object a person."""
    signed = cell if isinstance(cell, list) and cell and all(isinstance(one, Mapping) for one in cell) else [cell]
    for one in signed:
        if not (isinstance(one, Mapping) and "value" in one):
            yield cell, ""
            return
        if one.get("status") in SUBMITTED:
            yield one["value"], "" if is_missing(one.get("user_id")) else str(one["user_id"])


def _typed(value: Any, of_nothing: str, marks: bool) -> str:
    """Return a value as it would be typed; an empty list is ``of_nothing``, and parts that are ``marks`` stay whole."""
    if isinstance(value, Mapping) and "answer_start" not in value:  # Label Studio keeps a control's value in an object
        value = next((value[name] for name in ("choices", "text") if name in value), value)
    if isinstance(value, Mapping) and value and all(is_missing(answer) or answer == -1 for answer in value.values()):
        return ""  # an object of labels of which nobody has said anything
    places = isinstance(value, list) and value and all(isinstance(one, Mapping) and "start" in one for one in value)
    if places and not marks:
        value = {"text": [one.get("text") for one in value], "answer_start": [one["start"] for one in value]}
    if is_missing(value):
        return ""
    if value in ([], ()):
        return of_nothing
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
