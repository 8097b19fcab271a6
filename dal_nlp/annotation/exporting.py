"""Answers as files of other tools: csv, jsonl, tasks of Label Studio, datasets of Hugging Face."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from datasets import Dataset, Features, List, Value

from dal_nlp.annotation import label_studio_format as label_studio
from dal_nlp.annotation.answer_store import Desk
from dal_nlp.annotation.sheet_files import NOTE
from dal_nlp.core.errors import UserError, unknown
from dal_nlp.core.files import replace_file, whole_folder
from dal_nlp.readers.spreadsheets import write_table

#: What signs an answer in a file.
BY, AT = "annotated_by", "annotated_at"
Which = Literal["labels", "pending", "all"]
Row = dict[str, Any]
#: What a file that is exported is called.
NAMES: Mapping[str, str] = {
    "csv": "export.csv",
    "jsonl": "export.jsonl",
    "label-studio": "export.json",
    "hf-dataset": "export",
}


def export(desk: Desk, format: str, which: Which, path: Path) -> int:
    """Write what was answered, what is waiting for an answer, or both; return how many examples.

    csv, jsonl and hf-dataset have the columns of the pool, so a run can read them again (``--labeled``). In csv, what a
    spreadsheet would run gets an apostrophe in front; ``ingest`` takes it off, another run reads it as a character.

    Raises:
        UserError: An unknown format, nothing to write, or a place that cannot be written to.
    """
    if format not in WRITERS:
        raise unknown("format", format, WRITERS)
    answered = [id for id in desk.state.given if id in desk.state.answers]
    ids = {"labels": answered, "pending": desk.state.waiting, "all": [*answered, *desk.state.waiting]}[which]
    if not ids:
        raise UserError(f"{desk.folder} has nothing to export there: let `dal-nlp run` ask, or answer first.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        WRITERS[format](desk, ids, path)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}): give another --out.") from None
    return len(ids)


def _rows(desk: Desk, ids: Sequence[str], in_words: bool) -> list[Row]:
    """Return the columns of the pool with the answers; ``in_words``: as text, whatever they are."""
    return [_row(desk, id, in_words) for id in ids]


def _row(desk: Desk, id: str, in_words: bool) -> Row:
    task, example, event = desk.task, desk.example(id), desk.state.decision(id)
    texts = dict(zip(task.columns(), task.texts(example), strict=True))
    answer = None
    if event is not None and event.answered:
        spans = task.asks == "span"
        answer = event.target if spans else task.spell(event.target, example)
        if spans and in_words:
            answer = json.dumps(answer, ensure_ascii=False)
    signature = {BY: event.by, AT: event.at, NOTE: event.note} if event else dict.fromkeys((BY, AT, NOTE), "")
    return {desk.config.id_column: id, **texts, desk.config.label_column: answer, **signature}


def _write_csv(desk: Desk, ids: Sequence[str], path: Path) -> None:
    rows = _rows(desk, ids, in_words=True)
    replace_file(path, write_table(list(rows[0]), [["" if c is None else c for c in row.values()] for row in rows]))


def _write_jsonl(desk: Desk, ids: Sequence[str], path: Path) -> None:
    rows = _rows(desk, ids, in_words=False)
    replace_file(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())


def _write_dataset(desk: Desk, ids: Sequence[str], path: Path) -> None:
    rows = _rows(desk, ids, in_words=False)
    features: dict[str, Any] = dict.fromkeys(rows[0], Value("string"))
    if desk.task.asks == "span":
        spans = {"text": List(Value("string")), "answer_start": List(Value("int64"))}
        features[desk.config.label_column] = spans
    if path.exists() and not (path / "dataset_info.json").is_file():
        raise UserError(f"{path} is there and no dataset: give another --out.")
    with whole_folder(path) as draft:
        Dataset.from_list(rows, features=Features(features)).save_to_disk(draft)


def _write_label_studio(desk: Desk, ids: Sequence[str], path: Path) -> None:
    """Write tasks with our answers as annotations and the model's as predictions, and the interface beside them."""
    tasks = [_studio_task(desk, id) for id in ids]
    replace_file(path, (json.dumps(tasks, ensure_ascii=False, indent=1) + "\n").encode())
    replace_file(path.with_suffix(".xml"), label_studio.interface(desk.task).encode())


def _studio_task(desk: Desk, id: str) -> Row:
    task, example, event = desk.task, desk.example(id), desk.state.decision(id)
    guess = desk.state.suggestion(id)
    predictions = label_studio.predictions(task, guess, example, f"round-{guess['round']}" if guess else "")
    found: Row = {"data": label_studio.data(task, example), "annotations": [], "predictions": predictions}
    if event is not None and event.answered:
        found["annotations"] = [{"result": label_studio.results(task, event.target, example)}]
    return found


WRITERS: Mapping[str, Callable[[Desk, Sequence[str], Path], None]] = {
    "csv": _write_csv,
    "jsonl": _write_jsonl,
    "label-studio": _write_label_studio,
    "hf-dataset": _write_dataset,
}
