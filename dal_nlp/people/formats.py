"""Answers as files of other tools, and back: csv, jsonl, tasks of Label Studio, datasets of Hugging Face."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from datasets import Dataset, Features, List, Value, load_from_disk

from dal_nlp.errors import UserError, nearest, unknown
from dal_nlp.folders import replace_file
from dal_nlp.people import label_studio
from dal_nlp.people.desk import Desk
from dal_nlp.people.sheets import ANSWER, ID, NOTE, Entry, check_entries, lines_of
from dal_nlp.people.votes import MAJORITY, decision, is_new
from dal_nlp.spreadsheets import read_table, write_table

#: What signs an answer in a file.
BY, AT = "annotated_by", "annotated_at"
Which = Literal["labels", "pending", "all"]
Row = dict[str, Any]


@dataclass
class Ingested:
    """What a file brought: answers that are new, answers that were known, and what is wrong with others."""

    new: int = 0
    known: int = 0
    problems: list[str] = field(default_factory=list)


def export(desk: Desk, format: str, which: Which, path: Path) -> int:
    """Write what was answered, what is waiting for an answer, or both; return how many examples.

    csv, jsonl and hf-dataset have the columns of the pool, so a run can read them again (``--labeled``); in csv, texts
    that a spreadsheet would run get an apostrophe in front.

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
    task, example, event = desk.task, desk.example(id), decision(desk.state, id) or {}
    texts = dict(zip(task.columns(), task.texts(example), strict=True))
    answer = None
    if "target" in event:
        spans = task.asks == "span"
        answer = event["target"] if spans else task.spell(event["target"], example)
        if spans and in_words:
            answer = json.dumps(answer, ensure_ascii=False)
    signature = {BY: event.get("by", ""), AT: event.get("at", ""), NOTE: event.get("note", "")}
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
    draft = path.with_name(f".{path.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    Dataset.from_list(rows, features=Features(features)).save_to_disk(draft)
    if path.exists() and not (path / "dataset_info.json").is_file():
        raise UserError(f"{path} is there and no dataset: give another --out.")
    shutil.rmtree(path, ignore_errors=True)
    draft.rename(path)


def _write_label_studio(desk: Desk, ids: Sequence[str], path: Path) -> None:
    """Write tasks with our answers as annotations and the model's as predictions, and the interface beside them."""
    tasks = [_studio_task(desk, id) for id in ids]
    replace_file(path, (json.dumps(tasks, ensure_ascii=False, indent=1) + "\n").encode())
    replace_file(path.with_suffix(".xml"), label_studio.interface(desk.task).encode())


def _studio_task(desk: Desk, id: str) -> Row:
    task, example, event = desk.task, desk.example(id), decision(desk.state, id) or {}
    found: Row = {"data": label_studio.data(task, example), "annotations": [], "predictions": []}
    if "target" in event:
        found["annotations"] = [{"result": label_studio.results(task, event["target"], example)}]
    guess = desk.state.suggestion(id)
    if guess:
        model, results = f"round-{guess['round']}", label_studio.results(task, guess["target"], example)
        found["predictions"] = [{"model_version": model, "score": guess["confidence"], "result": results}]
    return found


WRITERS: Mapping[str, Callable[[Desk, Sequence[str], Path], None]] = {
    "csv": _write_csv,
    "jsonl": _write_jsonl,
    "label-studio": _write_label_studio,
    "hf-dataset": _write_dataset,
}


def ingest(desk: Desk, source: Path, format: str, by: str | None) -> Ingested:
    """Take the answers in a file by id; what is wrong is said, and the rest is kept.

    Reading a file again changes nothing, and what another person has answered is disputed and not overwritten.

    Args:
        desk: Open for writing.
        source: The file, or the folder of a dataset.
        format: One of ``READERS``.
        by: Who answered; None: what the file says, else its name.

    Raises:
        UserError: An unknown format, or a file that cannot be read.
    """
    if format not in READERS:
        raise unknown("format", format, READERS)
    if not source.exists():
        raise UserError(f"There is no {source}: check the path.")
    asked = {id for ids in desk.state.asked.values() for id in ids}
    found = Ingested()

    def wrong(id: str) -> str:
        return "" if id in asked else f"{id!r} was not asked about{nearest(id, asked)}"

    entries = list(READERS[format](desk, source, found.problems.append))  # a file that breaks off is not half taken
    for entry in check_entries(entries, wrong, found.problems.append):
        _take(desk, entry, by, found)
    return found


def _take(desk: Desk, entry: Entry, by: str | None, found: Ingested) -> None:
    """Take one answer."""
    name = by or (entry.by if entry.by != MAJORITY else "") or Path(entry.file).stem
    origin = desk.origin(name, entry.file, note=entry.note)
    try:
        answer = desk.read(entry.id, entry.answer, origin)
    except ValueError as error:
        found.problems.append(f"{entry.place}: {str(error).rstrip('.')}.")
        return
    if not is_new(desk.state, answer) or (by is None and not desk.changes(answer)):
        found.known += 1
        return
    desk.write(answer)
    found.new += 1


Say = Callable[[str], None]


def _entry(desk: Desk, source: Path, place: str, row: Mapping[str, Any]) -> Entry:
    """Return a row whose answer is in the column of sheets, or in that of the pool."""
    columns = (ANSWER, desk.config.label_column)
    answer = next((row[name] for name in columns if row.get(name) not in (None, "")), "")
    text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
    id = row.get(desk.config.id_column, row.get(ID))
    cells = str(id or ""), text, str(row.get(NOTE) or ""), str(row.get(BY) or "")
    return Entry(source.name, f"{source.name}, {place}", *cells)


def _read_csv(desk: Desk, source: Path, say: Say) -> Iterator[Entry]:
    for number, row in _named(source, lambda data: read_table(data, [_id_column(desk, data)])):
        yield _entry(desk, source, f"row {number}", row)


def _id_column(desk: Desk, data: bytes) -> str:
    """Return the column of ids that a table has: that of the pool, or that of sheets."""
    header = data.split(b"\n", 1)[0].decode("utf-8-sig", "replace")
    return desk.config.id_column if desk.config.id_column in header else ID


def _read_jsonl(desk: Desk, source: Path, say: Say) -> Iterator[Entry]:
    for number, row in _named(source, lines_of):
        yield _entry(desk, source, f"line {number}", row)


def _named(
    source: Path, read: Callable[[bytes], Iterator[tuple[int, Mapping[str, Any]]]]
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        yield from read(source.read_bytes())
    except IsADirectoryError:
        raise UserError(f"{source} is a folder: read it with --format hf-dataset.") from None
    except UserError as error:
        raise UserError(f"{source} {error}") from None


def _read_dataset(desk: Desk, source: Path, say: Say) -> Iterator[Entry]:
    if not (source / "dataset_info.json").is_file():
        raise UserError(f"{source} is no folder of a dataset: write it with save_to_disk.")
    for number, row in enumerate(load_from_disk(str(source)), start=1):
        yield _entry(desk, source, f"row {number}", row)


def _read_label_studio(desk: Desk, source: Path, say: Say) -> Iterator[Entry]:
    """Yield the annotations of all tasks, cancelled ones as refusals; predictions are no answers."""
    try:
        tasks = json.loads(source.read_text(encoding="utf-8"))
        rows = [(task["data"][label_studio.ID], task.get("annotations", [])) for task in tasks]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f"{source} is no JSON export of Label Studio whose tasks have a {label_studio.ID!r}: export it as JSON."
        ) from None
    for number, (id, annotations) in enumerate(rows, start=1):
        place = f"{source.name}, task {number}"
        for annotation in annotations:
            try:
                cancelled = annotation.get("was_cancelled")
                text = "skip" if cancelled else _studio_answer(desk, str(id), annotation["result"])
            except (ValueError, KeyError, TypeError, UserError) as error:
                say(f"{place}: {str(error).rstrip('.')}.")
                continue
            yield Entry(source.name, place, str(id), text, "", str(annotation.get("completed_by") or ""))


def _studio_answer(desk: Desk, id: str, results: Sequence[Mapping[str, Any]]) -> str:
    return label_studio.read_results(desk.task, results, desk.example(id))


READERS: Mapping[str, Callable[[Desk, Path, Say], Iterator[Entry]]] = {
    "csv": _read_csv,
    "jsonl": _read_jsonl,
    "label-studio": _read_label_studio,
    "hf-dataset": _read_dataset,
}
#: What a file that is exported is called.
NAMES: Mapping[str, str] = {
    "csv": "export.csv",
    "jsonl": "export.jsonl",
    "label-studio": "export.json",
    "hf-dataset": "export",
}
