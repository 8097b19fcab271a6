"""Answers from the files of other tools; see ``exporting``."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets import load_from_disk

from dal_nlp.annotation import label_studio_format as label_studio
from dal_nlp.annotation.answer_store import Desk
from dal_nlp.annotation.exporting import BY
from dal_nlp.annotation.parsing import back_in_the_pool
from dal_nlp.annotation.sheet_files import ANSWER, ID, NOTE, Entry, check_entries, lines_of
from dal_nlp.annotation.voting import is_new
from dal_nlp.core.errors import UserError, nearest, unknown
from dal_nlp.ledger.answer_events import MAJORITY
from dal_nlp.readers.spreadsheets import read_table


@dataclass
class Ingested:
    """What a file brought: answers that are new, answers that were known, and what is wrong with others."""

    new: int = 0
    known: int = 0
    problems: list[str] = field(default_factory=list)


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
    asked = desk.state.ever_asked
    found = Ingested()

    def wrong(id: str) -> str:
        return "" if id in asked else f"{id!r} was not asked about{nearest(id, asked)}"

    entries = list(READERS[format](desk, source, found.problems.append))  # a file that breaks off is not half taken
    for entry in check_entries(entries, wrong, found.problems.append):
        _take(desk, entry, by, found)
    return found


def _take(desk: Desk, entry: Entry, by: str | None, found: Ingested) -> None:
    """Take one answer."""
    named = by or (entry.by if entry.by != MAJORITY else "")
    origin = desk.origin(named or Path(entry.file).stem, entry.file, note=entry.note)
    try:
        answer = desk.read(entry.id, entry.answer, origin)
    except ValueError as error:
        found.problems.append(f"{entry.place}: {str(error).rstrip('.')}.")
        return
    if not is_new(desk.state, answer) or not (named or desk.changes(answer)):
        found.known += 1
        return
    if not desk.state.asks(entry.id):
        found.problems.append(f"{entry.place}: {back_in_the_pool(entry.id)}.")
        return
    desk.write(answer)
    found.new += 1


Say = Callable[[str], None]


def _entry(desk: Desk, source: Path, place: str, row: Mapping[str, Any]) -> Entry:
    """Return a row whose answer is in the column of sheets, or in that of the pool."""
    answer = row.get(ANSWER if ANSWER in row else desk.config.label_column)
    text = answer if isinstance(answer, str) else "" if answer is None else json.dumps(answer, ensure_ascii=False)
    id = row.get(desk.config.id_column, row.get(ID))
    cells = "" if id is None else str(id), text, str(row.get(NOTE) or ""), str(row.get(BY) or "")
    return Entry(source.name, f"{source.name}, {place}", *cells)


def _read_csv(desk: Desk, source: Path, say: Say) -> Iterator[Entry]:
    def broken(number: int, wrong: str) -> None:
        say(f"{source.name}, row {number}: {wrong}.")

    for number, row in _named(source, lambda data: read_table(data, [_id_column(desk, data)], broken)):
        yield _entry(desk, source, f"row {number}", row)


def _id_column(desk: Desk, data: bytes) -> str:
    """Return the column of ids that a table has: that of the pool, or that of sheets."""
    name = desk.config.id_column
    try:
        next(read_table(data, [name], lambda number, wrong: None), None)
    except UserError:
        return ID
    return name


def _read_jsonl(desk: Desk, source: Path, say: Say) -> Iterator[Entry]:
    def broken(number: int, wrong: str) -> None:
        say(f"{source.name}, line {number}: {wrong}.")

    for number, row in _named(source, lambda data: lines_of(data, broken)):
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
        rows = [(task["data"][label_studio.ID], task.get("annotations") or []) for task in tasks]
    except IsADirectoryError:
        raise UserError(f"{source} is a folder: name the JSON file in it.") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(
            f"{source} is no JSON export of Label Studio whose tasks have a {label_studio.ID!r}: export it as JSON."
        ) from None
    for number, (id, annotations) in enumerate(rows, start=1):
        place = f"{source.name}, task {number}"
        for annotation in annotations:
            try:
                cancelled = annotation.get("was_cancelled")
                text = "skip" if cancelled else _studio_answer(desk, str(id), annotation["result"])
            except (ValueError, UserError) as error:
                say(f"{place}: {str(error).rstrip('.')}.")
                continue
            except (KeyError, TypeError, AttributeError):
                say(f"{place}: an annotation is not as Label Studio writes it; export the task again.")
                continue
            yield Entry(source.name, place, str(id), text, "", _studio_name(annotation.get("completed_by")))


def _studio_name(by: Any) -> str:
    """Return who signs an annotation: a number, or what an export says of a person."""
    name = (by.get("email") or by.get("id")) if isinstance(by, Mapping) else by
    return "" if name is None else str(name)


def _studio_answer(desk: Desk, id: str, results: Sequence[Mapping[str, Any]]) -> str:
    return label_studio.read_results(desk.task, results, desk.example(id))


READERS: Mapping[str, Callable[[Desk, Path, Say], Iterator[Entry]]] = {
    "csv": _read_csv,
    "jsonl": _read_jsonl,
    "label-studio": _read_label_studio,
    "hf-dataset": _read_dataset,
}
