"""Answers as files of other tools: csv, jsonl, tasks of Label Studio, datasets of Hugging Face."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from dal_nlp.annotation.answer_store import AnswerStore
from dal_nlp.annotation.label_studio import format as label_studio
from dal_nlp.core.errors import UserError, unknown
from dal_nlp.core.files import check_spared, replace_file, whole_folder
from dal_nlp.core.plugins import split_spec
from dal_nlp.core.targets import Target
from dal_nlp.core.task import Example
from dal_nlp.data.examples import DEFAULT_ID_COLUMN, NO_IDS, AnswersById, ExampleReader, context_of
from dal_nlp.joins.tool_rows import AT, BY, NOTE
from dal_nlp.ledger.ledger import FILE
from dal_nlp.readers.spreadsheets import write_table
from dal_nlp.readers.values import is_missing
from dal_nlp.tasks import make_task

#: What the name of a column of ours ends with where the pool has one of that name.
_OURS = " (dal-nlp)"
Which = Literal["labels", "pending", "all"]
ExportRow = dict[str, Any]
#: What a file that is exported is called.
NAMES: Mapping[str, str] = {
    "csv": "export.csv",
    "jsonl": "export.jsonl",
    "label-studio": "export.json",
    "hf-dataset": "export",
}
#: What those are called that only answers of some kinds have; see ``AnswerFormat.further_files``.
FURTHER_NAMES: Mapping[str, str] = {"conll": "export.conll", "prodigy": "export-prodigy.jsonl"}


def export(
    store: AnswerStore, format: str, which: Which, path: Path, say: Callable[[str], None] = lambda text: None
) -> int:
    """Write what was answered, what is waiting for an answer, or both; return how many examples.

    csv, jsonl and hf-dataset have all columns of the pool, so a run can read them again (``--labeled``). In csv, what a
    spreadsheet would run gets an apostrophe in front, which every reader here takes off; see ``readers.spreadsheets``.

    Args:
        store: Of the run.
        format: One of ``WRITERS``.
        which: What is written.
        path: The file, or the folder of a dataset.
        say: Takes a sentence on columns that cannot be had.

    Raises:
        UserError: An unknown format, nothing to write, or a place that cannot be written to.
    """
    further = store.task.answer_format.further_files
    if format not in WRITERS and format not in further:
        raise unknown("format", format, [*WRITERS, *further])
    answered = [id for id in store.state.given if id in store.state.answers]
    ids = {"labels": answered, "pending": store.state.waiting, "all": [*answered, *store.state.waiting]}[which]
    if not ids:
        way = "answer first, or export what waits (--which pending)" if store.state.waiting else "let `dal-nlp run` ask"
        raise UserError(f"{store.folder} has nothing to export there: {way}.")
    config = store.config
    signal_files = [split_spec(spec)[1] for spec in config.signals]
    for file in {path, path.with_suffix(".xml") if format == "label-studio" else path}:
        own = [store.folder, store.folder / FILE, store.folder / "config.yaml"]
        check_spared(
            file, own, [config.data, config.test, config.validation, config.labeled, config.answers, *signal_files]
        )
    store.read_ahead(ids)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if format in further:
            return _write_answers(store, ids, path, further[format], say)
        WRITERS[format](store, ids, path, say)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}): give another --out.") from None
    return len(ids)


def _rows(store: AnswerStore, ids: Sequence[str], in_words: bool, say: Callable[[str], None]) -> list[ExportRow]:
    """Return all columns of the pool with the answers; ``in_words``: as text, whatever they are.

    What the pool calls as a column of ours keeps that name, and ours gets another one, which is said.
    """
    others = pool_columns(store, ids, say)
    names = dict.fromkeys(name for row in others.values() for name in row)
    rows = [{**dict.fromkeys(names), **others.get(id, {}), **_row(store, id, in_words)} for id in ids]
    further = [_further(store, id) for id in ids]
    renamed = {name: _free_name(name, rows[0]) for name in further[0] if name in rows[0]}
    if renamed:
        say(
            f"The pool has columns {_listed(list(renamed))} of its own, so ours are called "
            f"{_listed(list(renamed.values()))}."
        )
    return [
        {**row, **{renamed.get(name, name): value for name, value in ours.items()}}
        for row, ours in zip(rows, further, strict=True)
    ]


def _free_name(name: str, taken: Collection[str]) -> str:
    """Return what a column of ours is called beside some columns of the pool."""
    while name in taken:
        name += _OURS
    return name


def plain_name(name: str) -> str:
    """Return what a column was called before exports made room for it beside columns of pools."""
    while name.endswith(_OURS):
        name = name.removesuffix(_OURS)
    return name


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))


def pool_columns(store: AnswerStore, ids: Sequence[str], say: Callable[[str], None]) -> dict[str, ExportRow]:
    """Return the rows that the pool's file has now for some examples, by id; those whose text has changed are left out.

    Where the file cannot be read, there are the columns that people were shown, and that is said.
    """
    shown = {id: dict(context_of(store.example(id))) for id in ids}
    task, source = make_task(store.config), store.config.data
    if source is None:
        return shown
    try:
        rows: dict[str, ExportRow] = {}
        for example, row in ExampleReader(source, task, store.config, answers=AnswersById()).whole_rows():
            if example.fields is not None and example.id in shown:
                fields = {"id": example.id, **example.fields}
                if task.texts(fields) == task.texts(store.example(example.id)):
                    rows.setdefault(example.id, row)
    except (UserError, OSError) as error:
        say(f"The other columns of the pool are left out: {str(error).rstrip('.')}.")
        return shown
    missing = [id for id in ids if id not in rows]
    if missing:
        say(f"Not in {source} as the run has read it, and without its other columns: {len(missing):,} of {len(ids):,}.")
    return shown | rows


def _row(store: AnswerStore, id: str, in_words: bool) -> ExportRow:
    task, example, event = store.task, store.example(id), store.state.decision(id)
    texts = dict(zip(task.columns(), task.texts(example), strict=True)) if in_words else task.cells(example)
    answer = None
    if event is not None and event.answered:
        kind = task.answer_format
        answer = (kind.text_cell if in_words else kind.cell)(event.target, example)
    own = {} if store.config.id_column == NO_IDS else {store.config.id_column: id}
    return {**own, **texts, store.config.label_column: answer}


def _further(store: AnswerStore, id: str) -> ExportRow:
    """Return what no column of the pool holds: who answered, when, with which note; our id, where the pool has none."""
    event = store.state.decision(id)
    own = {DEFAULT_ID_COLUMN: id} if store.config.id_column == NO_IDS else {}
    return own | ({BY: event.by, AT: event.at, NOTE: event.note} if event else dict.fromkeys((BY, AT, NOTE), ""))


def _write_csv(store: AnswerStore, ids: Sequence[str], path: Path, say: Callable[[str], None]) -> None:
    rows = _rows(store, ids, True, say)
    replace_file(path, write_table(list(rows[0]), [[_cell(value) for value in row.values()] for row in rows]))


def _cell(value: Any) -> str | int | float:
    """Return a value as a cell of a table."""
    if is_missing(value):
        return "" if not isinstance(value, str) else value
    return value if isinstance(value, str | int | float) else _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _write_jsonl(store: AnswerStore, ids: Sequence[str], path: Path, say: Callable[[str], None]) -> None:
    rows = _rows(store, ids, False, say)
    lines = [
        {name: None if value != value else value for name, value in row.items()} for row in rows
    ]  # JSON has no NaN
    replace_file(path, "".join(f"{_json(line)}\n" for line in lines).encode())


def _write_answers(
    store: AnswerStore,
    ids: Sequence[str],
    path: Path,
    part: Callable[[Target, Example], str],
    say: Callable[[str], None],
) -> int:
    """Write the answers in a format of their own kind; what has none is left out, and said."""
    events = {id: store.state.decision(id) for id in ids}
    parts = [
        part(event.target, store.example(id)) for id, event in events.items() if event is not None and event.answered
    ]
    if len(parts) < len(ids):
        say(f"Without an answer, and so not in the file: {len(ids) - len(parts):,}.")
    if not parts:
        raise UserError(f"{store.folder} has no answers to export in this format: answer first.")
    replace_file(path, "".join(parts).encode())
    return len(parts)


def _write_dataset(store: AnswerStore, ids: Sequence[str], path: Path, say: Callable[[str], None]) -> None:
    rows = _rows(store, ids, False, say)
    own = _row(store, ids[0], False).keys()
    rows = [{n: v if n in own or is_missing(v) else str(_cell(v)) for n, v in row.items()} for row in rows]
    from datasets import Dataset, Features, Value  # seconds, which a csv need not wait for

    features: dict[str, Any] = dict.fromkeys(rows[0], Value("string"))
    label = store.config.label_column
    features[label] = store.task.answer_format.feature()
    lists = [name for name in own if features[name] is None or name in store.task.columns()]
    lists = [name for name in lists if any(isinstance(row[name], list) for row in rows)]
    features |= Dataset.from_list([{name: row[name] for name in lists} for row in rows]).features
    features[label] = features[label] or Value("string")  # nobody has answered
    if path.exists() and not (path / "dataset_info.json").is_file():
        raise UserError(f"{path} is there and no dataset: give another --out.")
    with whole_folder(path) as draft:
        Dataset.from_list(rows, features=Features(features)).save_to_disk(draft)


def _write_label_studio(store: AnswerStore, ids: Sequence[str], path: Path, say: Callable[[str], None]) -> None:
    """Write tasks with our answers as annotations and the model's as predictions, and the interface beside them."""
    tasks = [_studio_task(store, id) for id in ids]
    replace_file(path, (json.dumps(tasks, ensure_ascii=False, indent=1) + "\n").encode())
    replace_file(
        path.with_suffix(".xml"), label_studio.interface(store.task, store.config.context_columns or ()).encode()
    )


def _studio_task(store: AnswerStore, id: str) -> ExportRow:
    task, example, event = store.task, store.example(id), store.state.decision(id)
    suggested = store.state.suggestion(id)
    model = suggested.get("by", f"round-{suggested['round']}") if suggested else ""
    predictions = label_studio.predictions(task, suggested, example, model)
    # Texts, and what is shown beside them, stand there by the names of their columns too: so a run reads them again.
    beside = context_of(example)
    plain = beside | dict(zip(task.columns(), task.texts(example), strict=True))
    row: ExportRow = {
        "data": {**plain, **label_studio.data(task, example, beside)},
        "annotations": [],
        "predictions": predictions,
    }
    if event is not None and event.answered:
        row["annotations"] = [{"result": label_studio.results(task, event.target, example)}]
    return row


WRITERS: Mapping[str, Callable[[AnswerStore, Sequence[str], Path, Callable[[str], None]], None]] = {
    "csv": _write_csv,
    "jsonl": _write_jsonl,
    "label-studio": _write_label_studio,
    "hf-dataset": _write_dataset,
}
