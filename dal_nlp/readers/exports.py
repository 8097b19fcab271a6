"""What annotation tools export, as plain rows: Label Studio, Argilla, Prodigy and doccano."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from dal_nlp.core.errors import DataError
from dal_nlp.readers.literals import literal
from dal_nlp.readers.reading import Chunk, Chunks, Reading, Source
from dal_nlp.readers.values import is_missing, label_of

Row = dict[str, Any]

#: Columns of Label Studio's short forms (JSON-MIN, CSV) that hold neither a text nor an answer.
_OF_STUDIO = frozenset(
    {
        *("id", "annotation_id", "annotator", "created_at", "updated_at", "lead_time", "agreement", "dal_nlp_id"),
        *("predictions", "total_annotations", "total_predictions", "inner_id", "comment_count"),
    }
)
_OF_TASKS = ("data", "annotations", "completions", "id")
#: The column in which Prodigy says of a row as a whole what became of it; only what was accepted has a label.
VERDICT, ACCEPTED = "answer", "accept"
_VERDICTS = frozenset({ACCEPTED, "reject", "ignore"})
#: What our own interface of Label Studio calls the control that answers, and the one that says that nothing does.
OUR_CONTROL, NO_ANSWER = "answer", "none"
#: What values of Label Studio's controls hold that is read: labels, texts, numbers, and parts of a text.
_NUMBERS = ("rating", "number")
_VALUES = frozenset({"choices", "text", *_NUMBERS})
#: The states of Argilla's answers that count: none, and handed in.
SUBMITTED = (None, "", "submitted")
#: Columns of Argilla's flat form, behind the name of the question.
_OF_ARGILLA = (".responses", ".responses.status")


def adapted(source: Source, texts: Sequence[str], label: str, reading: Reading) -> Source:
    """Return a source of plain rows in place of one that a tool has exported in a form of its own.

    Args:
        source: As it was opened.
        texts: The columns of the texts.
        label: The column of the answers, which the rows get where the tool calls it otherwise.
        reading: Takes a remark on what was done.
    """
    there = set(source.columns)
    of_tasks = {"annotations", "completions"} & there or not set(texts) & there
    if "data" in there and of_tasks and _holds_objects(source, "data"):
        answers = [one for row in _rows(source, _OF_TASKS) for one in _annotations(row)]
        control = answering_control(source.name, answers, (label,))
        reading.remark(f"{source.name} is an export of Label Studio: {_read('annotations', bool(answers))}.")
        return mapped(source, label, lambda row: _studio_task(row, label, control), _OF_TASKS)
    if {"fields", "responses"} <= there and _holds_objects(source, "fields"):
        answers = [
            one for row in _rows(source, ("responses",)) for one in argilla_responses(row.get("responses")).values()
        ]
        reading.remark(f"{source.name} is an export of Argilla: {_read('responses', any(answers))}.")
        return mapped(source, label, lambda row: _argilla_record(row, label), ("fields", "responses", "id"))
    if f"{label}.responses" in there:
        names = [f"{label}{end}" for end in _OF_ARGILLA]
        answered = any(_listed(opened(row.get(names[0]))) for row in _rows(source, names[:1]))
        reading.remark(f"{source.name} is an export of Argilla: {_read(names[0], answered)}.")
        return mapped(source, label, lambda row: _argilla_columns(row, label), names)
    if {"annotation_id", "annotator"} <= there:
        column = label if label in there else _answer_of_studio(source, texts, label)
        if column != label:
            reading.remark(f"{source.name} is an export of Label Studio: its labels were read from {column!r}.")
        return mapped(source, label, lambda row: [{**row, label: _choices(row.get(column))}], [column])
    if label != "answer" and {label, "accept"} & there and VERDICT in there and has_verdicts(_peeked(source, VERDICT)):
        reading.remark(
            f"{source.name} is an export of Prodigy: rows that were rejected or ignored were read as unlabeled."
        )
        return mapped(source, label, lambda row: [_prodigy(row, label)], (VERDICT, "accept"))
    if f"{label}.text" in there and label not in there:
        reading.remark(f"{source.name} has its answers in {label}.text and {label}.answer_start, and was read so.")
        further = [f"{label}.text", f"{label}.answer_start"]
        return mapped(source, label, lambda row: [{**row, label: joined_columns(row, label)}], further)
    if label in there and (source.has_keys or label in source.nested):
        return mapped(source, label, lambda row: _responses(row, label))
    return source


def _rows(source: Source, wanted: Collection[str]) -> Iterator[Row]:
    """Yield the rows with some columns at least."""
    return (row for chunk in source.chunks(wanted) for _, row in chunk.rows())


def _read(kind: str, has_any: bool) -> str:
    """Return what was done with the answers of an export, for a remark."""
    own = "" if "." in kind else "its "
    return f"{own}{kind} were read as labels" if has_any else f"there are no {kind} in it, so its rows have no labels"


class _Mapped(Chunks):
    """The rows of a source, each turned into plain ones.

    Args:
        source: As it was opened.
        plain: Returns the plain rows of a row.
        further: Columns that this reads beside those that are wanted of the plain rows.
    """

    def __init__(self, source: Source, plain: Callable[[Row], Sequence[Row]], further: Sequence[str]) -> None:
        self._source, self._plain, self._further = source, plain, further

    def __call__(self, wanted: Collection[str] | None) -> Iterator[Chunk]:
        everything = wanted is None or self._source.has_keys
        for chunk in self._source.chunks(None if everything else {*(wanted or ()), *self._further}):
            rows = [(number, one) for number, row in chunk.rows() for one in self._plain(row)]
            yield Chunk(np.array([number for number, _ in rows], np.int64), objects=[row for _, row in rows])


@dataclass
class _Adapted(Source):
    """A source of plain rows; where they are is where those are that they were made of."""

    origin: Source | None = None

    def place(self, number: int) -> str:
        """Return where a row is, for a message."""
        return self.origin.place(number) if self.origin else super().place(number)

    def locate(self, number: int) -> tuple[str, int]:
        """Return the file that holds a row, and the row's number there."""
        return self.origin.locate(number) if self.origin else super().locate(number)


def mapped(source: Source, label: str, plain: Callable[[Row], Sequence[Row]], further: Sequence[str] = ()) -> Source:
    """Return a source with each row turned into plain ones, which are where it is; see ``_Mapped``."""
    chunks = _Mapped(source, plain, further)
    names = [*source.columns, label]
    if source.has_keys:
        names = [key for chunk in islice(chunks(None), 1) for _, row in chunk.rows() for key in row]
    columns = list(dict.fromkeys(names))
    kinds = source.classes, source.is_open, source.by_line, source.nested, source.has_keys
    return _Adapted(source.name, columns, chunks, *kinds, origin=source)


def _answer_of_studio(source: Source, texts: Sequence[str], label: str) -> str:
    """Return the column that Label Studio has named after the control of its interface."""
    others = [name for name in source.columns if name not in _OF_STUDIO and name not in texts]
    if len(others) == 1:
        return others[0]
    raise DataError(
        f"{source.name} is an export of Label Studio without a column {label!r}: name the one that holds the labels "
        f"with --label-column ({', '.join(others) or 'there is none'})."
    )


def _annotations(row: Row) -> list[Mapping[str, Any]]:
    """Return the annotations of a task that were not cancelled."""
    annotations = [one for one in row.get("annotations") or row.get("completions") or [] if isinstance(one, Mapping)]
    return [one for one in annotations if not one.get("was_cancelled")]


def controls_of(annotations: Iterable[Mapping[str, Any]]) -> dict[str, set[str]]:
    """Return what the values of each control of Label Studio hold, such as {"label": {"choices"}}."""
    kinds: dict[str, set[str]] = defaultdict(set)
    for annotation in annotations:
        results = annotation.get("result")
        for one in results if isinstance(results, list) else []:
            if isinstance(one, Mapping) and isinstance(one.get("value"), Mapping):
                kinds[str(one.get("from_name", ""))].update(one["value"])
    return kinds


def answering_control(name: str, annotations: Iterable[Mapping[str, Any]], ways: Sequence[str]) -> str:
    """Return the control of Label Studio that holds the answers: of several the first of ``ways``, or ours.

    Args:
        name: Of the file, for messages.
        annotations: All that count.
        ways: What it may be called.

    Raises:
        UserError: There are several of other names, or it holds neither labels, texts, numbers nor parts of a text.
    """
    listed = list(annotations)
    kinds = controls_of(listed)
    others = [control for control in kinds if control != NO_ANSWER or len(_said_by(listed, NO_ANSWER)) > 1]
    preferred = next((way for way in (*ways, OUR_CONTROL) if way in kinds), None)
    if preferred is None and len(others) > 1:
        raise DataError(
            f"{name} has no control {ways[0]!r} but {', '.join(map(repr, others))}: name the one of the answers with "
            "--label-column."
        )
    control = preferred or (others or [OUR_CONTROL])[0]
    if kinds.get(control) and not kinds[control] & _VALUES:
        raise DataError(
            f"{name} has {' and '.join(map(repr, sorted(kinds[control])))} in its control {control!r}, which is read "
            "neither as labels nor as texts: name another one with --label-column, or write the labels into a table."
        )
    return control


def _said_by(annotations: Iterable[Mapping[str, Any]], control: str) -> set[tuple[Any, ...]]:
    """Return the different choices of a control; ours for no answer has one."""
    results = (one for annotation in annotations for one in annotation.get("result") or [])
    values = [_object(one, "value") for one in results if isinstance(one, Mapping) and one.get("from_name") == control]
    return {tuple(map(str, _listed(value.get("choices")))) for value in values}


def _studio_task(row: Row, label: str, control: str) -> list[Row]:
    """Return a row for each annotation of a task that was not cancelled, or one without a label."""
    plain = task_data(row)
    answers = [_studio_answer(one.get("result"), control) for one in _annotations(row)]
    return [{**plain, label: answer} for answer in answers] or [{**plain, label: None}]


def task_data(row: Row) -> Row:
    """Return the data of a task of Label Studio with its id: ours, else what its data calls so, or the task."""
    data = _object(row, "data")
    return _known_as([data.get("dal_nlp_id"), (data if "id" in data else row).get("id")], data)


def _known_as(ids: Iterable[Any], fields: Mapping[str, Any]) -> Row:
    """Return fields with the first id that is not empty, without any where there is none."""
    rows = [{"id": id} for id in ids if not is_missing(id)]
    own = {name: value for name, value in fields.items() if name != "id" or not is_missing(value)}
    return {**rows[0], **own} if rows else own


def _studio_answer(results: Any, control: str) -> Any:
    """Return what one control says in the results of an annotation: choices, a text, or marked parts of a text.

    An annotation that was submitted without any result is an empty list: no label of several applies, or no part of a
    text answers; the latter is also what our own interface has a control for.
    """
    if results == []:
        return []
    entries = [one for one in results or [] if isinstance(one, Mapping) and isinstance(one.get("value"), Mapping)]
    values = [plain_value(one["value"]) for one in entries if str(one.get("from_name", "")) == control]
    for name in ("choices", "text"):
        listed = [part for value in values if "start" not in value for part in _listed(value.get(name))]
        if listed:
            return listed[0] if len(listed) == 1 else listed
    spans = [value for value in values if "start" in value and isinstance(value.get("text"), str)]
    if spans:
        return {"text": [one["text"] for one in spans], "answer_start": [one["start"] for one in spans]}
    nothing = control == OUR_CONTROL and any(one.get("from_name") == NO_ANSWER for one in entries)
    return [] if nothing else None


def plain_value(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a value of a control of Label Studio; a rating or number in the form of a choice."""
    number = next((value[name] for name in _NUMBERS if isinstance(value.get(name), int | float)), None)
    return value if number is None else {**value, "choices": [label_of(number)]}


def _object(row: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = row.get(key)
    return value if isinstance(value, Mapping) else {}


def _holds_objects(source: Source, column: str) -> bool:
    """Tell whether a column holds objects, as the first rows tell."""
    return any(isinstance(row.get(column), Mapping) for row in _peeked(source, column))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _choices(value: Any) -> Any:
    """Return the label in a cell of Label Studio's short forms: a text, or {"choices": [...]} also as text."""
    value = literal(value) if isinstance(value, str) and value.startswith("{") else value
    return value["choices"] if isinstance(value, Mapping) and "choices" in value else value


def _argilla_record(row: Row, label: str) -> list[Row]:
    """Return a row for each submitted response of a record."""
    responses = argilla_responses(row.get("responses"))
    answer = responses.get(label, next(iter(responses.values()), None) if len(responses) == 1 else None)
    return _responses({**_known_as([row.get("id")], _object(row, "fields")), label: answer}, label)


def argilla_responses(responses: Any) -> dict[str, Any]:
    """Return the answers of a record by their questions: in its older form there is an entry for each person."""
    if isinstance(responses, Mapping):
        return dict(responses)
    answers: dict[str, list[Row]] = defaultdict(list)
    for one in responses if isinstance(responses, list) else []:
        values = _object(one, "values") if isinstance(one, Mapping) else {}
        for question, value in values.items():
            inner = value.get("value") if isinstance(value, Mapping) else value
            answers[question].append({"value": inner, "user_id": one.get("user_id"), "status": one.get("status")})
    return dict(answers)


def _argilla_columns(row: Row, label: str) -> list[Row]:
    """Return a row for each submitted response where responses and their states are columns."""
    values, states = (_listed(opened(row.get(f"{label}.{part}"))) for part in ("responses", "responses.status"))
    states += ["submitted"] * (len(values) - len(states))
    taken = [value for value, state in zip(values, states, strict=False) if state == "submitted"]
    different = [value for i, value in enumerate(taken) if value not in taken[:i]]
    return [{**row, label: value} for value in different] or [{**row, label: None}]


def opened(cell: Any) -> Any:
    """Return what a cell of a table stands for, where that is a list or an object."""
    return literal(cell) if isinstance(cell, str) else cell


def _responses(row: Row, label: str) -> list[Row]:
    """Return a row for each different submitted value of a list of Argilla's {"value", "status"}."""
    cell = row.get(label)
    several = [one for one in _listed(cell) if isinstance(one, Mapping) and "value" in one]
    if not several or len(several) < len(_listed(cell)):
        return [row]
    values = [one["value"] for one in several if one.get("status") in SUBMITTED]
    plain = [value for value in values if not is_missing(value)]
    return [{**row, label: value} for value in dict.fromkeys(map(str, plain))] or [{**row, label: None}]


def joined_columns(row: Mapping[str, Any], label: str) -> Row:
    """Return the answers that lie in two columns as one object."""
    parts = row.get(f"{label}.text"), row.get(f"{label}.answer_start")
    text, start = map(opened, parts)
    return {"text": text, "answer_start": start}


def has_verdicts(rows: Iterable[Row], labels: Collection[str] = ()) -> bool:
    """Tell whether the column ``answer`` holds Prodigy's verdicts on whole rows.

    Args:
        rows: Of a file.
        labels: Those that a run knows; what is one of them is no verdict.
    """
    verdicts = [row[VERDICT] for row in rows if not is_missing(row.get(VERDICT))]
    known = _VERDICTS.difference(labels)
    return bool(verdicts) and all(isinstance(value, str) and value in known for value in verdicts)


def _peeked(source: Source, column: str) -> Iterator[Row]:
    """Yield the first rows, with one column at least."""
    for chunk in islice(source.chunks({column}), 1):
        yield from (row for _, row in chunk.rows())


def _prodigy(row: Row, label: str) -> Row:
    """Return a row whose label is what was accepted, if it was."""
    if row.get(VERDICT) != ACCEPTED:
        return {**row, label: None}
    return {**row, label: row["accept"]} if isinstance(row.get("accept"), list) else row
