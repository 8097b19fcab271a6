"""Answers from the files of other tools; see ``exporting``."""

import codecs
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dal_nlp.annotation.answer_store import AnswerStore
from dal_nlp.annotation.answers import Skip
from dal_nlp.annotation.label_studio import format as label_studio
from dal_nlp.annotation.parsing import REASONS, back_in_the_pool
from dal_nlp.annotation.sheet_files import SheetEntry, check_entries, found_by_text, lines_of, remark_on_letters
from dal_nlp.annotation.voting import is_new
from dal_nlp.answer_formats import studio
from dal_nlp.core.errors import RowError, UserError, unknown
from dal_nlp.core.task import Capability
from dal_nlp.core.text import counted
from dal_nlp.joins.row_matching import RowMatcher, asked_texts, texts_in
from dal_nlp.joins.tool_rows import ANSWER, ID, NONE, STUDIO_ID, Columns, ToolRows, field_names
from dal_nlp.ledger.answer_events import MAJORITY
from dal_nlp.readers.encodings import decode, refuse_other
from dal_nlp.readers.entities.exports import with_text
from dal_nlp.readers.exports import answering_control, controls_of
from dal_nlp.readers.reading import Reading, repeated
from dal_nlp.readers.sources import read_rows
from dal_nlp.readers.spreadsheets import DOUBLED, TAKE_OUT, header_of, read_table
from dal_nlp.readers.values import is_missing


@dataclass
class Ingested:
    """What a file brought.

    Attributes:
        new: Answers that are new.
        known: Answers that were known.
        problems: What is wrong with each of the others.
        remarks: How the file was read, where that is not plain.
    """

    new: int = 0
    known: int = 0
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def ingest(store: AnswerStore, source: Path, format: str, by: str | None, columns: Columns | None = None) -> Ingested:
    """Take the answers in a file, by id and text; what is wrong is said, and the rest is kept.

    Reading a file again changes nothing, and what another person has answered is disputed and not overwritten.

    Args:
        store: Open for writing.
        source: The file, or the folder of a dataset.
        format: One of ``READERS``.
        by: Who answered; None: what the file says, else its name.
        columns: What the columns are called; what is usual if left out.

    Raises:
        UserError: An unknown format, a file that cannot be read, or one without any answer.
    """
    if format not in READERS:
        raise unknown("format", format, READERS)
    if not source.exists():
        raise UserError(f"There is no {source}: check the path.")
    ingested = Ingested()
    entries = READERS[format](store, source, columns or Columns(), ingested)  # a file that breaks off is not half taken
    if not ingested.problems and not any(entry.answer.strip() for entry in entries):
        raise UserError(
            f"{source} has no answer in any of its rows{_why(ingested)}: fill them in, or name their column with "
            "--label-column."
        )
    if known := {entry.id for entry in entries} & set(store.state.ever_asked):
        store.read_ahead(known)
    matcher = RowMatcher(store.task, store.state.ever_asked, asked_texts(store.state), store.example)
    checked = check_entries(entries, matcher, ingested.problems.append)
    if checked.by_text:
        ingested.remarks.append(found_by_text(source.name, checked.by_text))
    for entry in checked.entries:
        _take(store, entry, by, ingested)
    return ingested


def _why(ingested: Ingested) -> str:
    return f" ({' '.join(ingested.remarks).rstrip('.')})" if ingested.remarks else ""


def _take(store: AnswerStore, entry: SheetEntry, by: str | None, ingested: Ingested) -> None:
    """Take one answer."""
    named = by or (entry.by if entry.by != MAJORITY else "")
    origin = store.origin(named or Path(entry.file).stem, entry.file, note=entry.note)
    try:
        answer = store.read(entry.id, entry.answer, origin)
        answer = Skip(answer.id, REASONS["skip"], origin) if entry.refused else answer
    except ValueError as error:
        ingested.problems.append(f"{entry.place}: {str(error).rstrip('.')}.")
        return
    if not is_new(store.state, answer) or not (named or store.changes(answer)):
        ingested.known += 1
        return
    if not store.state.asks(entry.id):
        ingested.problems.append(f"{entry.place}: {back_in_the_pool(entry.id)}.")
        return
    store.write(answer)
    ingested.new += 1


def _read_csv(store: AnswerStore, source: Path, columns: Columns, ingested: Ingested) -> list[SheetEntry]:
    def broken(number: int, wrong: str) -> None:
        ingested.problems.append(f"{source.name}, row {number}: {wrong}.")

    if source.is_file() and source.suffix.lower() not in (".csv", ""):  # a table of another kind
        reading = Reading(columns.encoding, unquoted=DOUBLED, quoted=TAKE_OUT)
        others = list(read_rows(str(source), reading))
        if others and {"data", "annotations"} <= others[0][1].keys():
            return _read_label_studio(store, source, columns, ingested)
        ingested.remarks.extend(reading.remarks)
        return _entries(store, source, "row", others, columns, ingested, reading.twice)
    twice: list[str] = []

    def rows(data: bytes) -> Iterator[tuple[int, Mapping[str, Any]]]:
        header = header_of(data)
        twice.extend(repeated(header))
        return read_table(data, [name for name in header if name not in twice], broken)

    return _entries(store, source, "row", _named(source, rows, columns, ingested), columns, ingested, twice)


def _read_jsonl(store: AnswerStore, source: Path, columns: Columns, ingested: Ingested) -> list[SheetEntry]:
    def broken(number: int, wrong: str) -> None:
        ingested.problems.append(f"{source.name}, line {number}: {wrong}.")

    rows = _named(source, lambda data: lines_of(data, broken), columns, ingested)
    return _entries(store, source, "line", rows, columns, ingested)


def _named(
    source: Path, read: Callable[[bytes], Iterator[tuple[int, Mapping[str, Any]]]], columns: Columns, ingested: Ingested
) -> list[tuple[int, Mapping[str, Any]]]:
    try:
        data = source.read_bytes()
        refuse_other("", source, source.suffix.lower())
        if columns.encoding:
            data = codecs.BOM_UTF8 + decode(data, columns.encoding)[0].encode("utf-8", "surrogatepass")
        elif letters := remark_on_letters(data, Reading().decoded):
            ingested.remarks.append(f"{source.name} {letters}")
        return list(read(data))
    except IsADirectoryError:
        raise UserError(f"{source} is a folder: read it with --format hf-dataset.") from None
    except UserError as error:
        raise UserError(f"{source} {error}") from None


def _read_dataset(store: AnswerStore, source: Path, columns: Columns, ingested: Ingested) -> list[SheetEntry]:
    if not (source / "dataset_info.json").is_file():
        raise UserError(f"{source} is no folder of a dataset: write it with save_to_disk.")
    return _entries(store, source, "row", list(read_rows(str(source))), columns, ingested)


def _entries(
    store: AnswerStore,
    source: Path,
    unit: str,
    numbered: Sequence[tuple[int, Mapping[str, Any]]],
    columns: Columns,
    ingested: Ingested,
    twice: Sequence[str] = (),
) -> list[SheetEntry]:
    """Return the answers in the rows of a table; ``twice`` names columns that they lack as there are several."""
    if not numbered and ingested.problems:
        raise UserError(
            f"{source} has no row that can be read, {len(ingested.problems):,} that cannot "
            f"({ingested.problems[0].rstrip('.')}): leave out --format, or give the right one."
        )
    if not numbered:
        raise UserError(f"{source} has no rows: give a file with answers.")
    try:
        table = ToolRows([row for _, row in numbered], store.task, store.config, columns, twice)
    except UserError as error:
        raise UserError(f"{source} {error}") from None
    ingested.remarks.extend(f"{source.name}: {remark}" for remark in table.remarks)
    if table.answer_column not in (ANSWER, store.config.label_column):
        ingested.remarks.append(f"The answers of {source.name} are in its column {table.answer_column!r}.")
    if table.refused:
        ingested.remarks.append(
            f"{source.name}: {counted(table.refused, 'row')} rejected or ignored in Prodigy, which is no answer."
        )
    entries = []
    for (number, _), row in zip(numbered, table.rows, strict=True):
        place = f"{source.name}, {unit} {number}"
        try:
            id = table.id(row)
        except RowError as error:
            ingested.problems.append(f"{place} {error}.")
            continue
        for tool_answer in table.given(row):
            cells = id, tool_answer.answer, table.note(row), tool_answer.by
            entries.append(SheetEntry(source.name, place, *cells, texts=table.texts(row)))
    return entries


def _read_label_studio(store: AnswerStore, source: Path, columns: Columns, ingested: Ingested) -> list[SheetEntry]:
    """Return the annotations of all tasks, cancelled ones as refusals; predictions are no answers."""
    if source.suffix.lower() == ".csv":
        return _read_csv(store, source, columns, ingested)
    try:
        tasks = json.loads(decode(source.read_bytes(), columns.encoding)[0])
        if tasks and not any("data" in task for task in tasks):  # JSON-MIN, or something else
            rows = list(enumerate((dict(task) for task in tasks), start=1))
            return _entries(store, source, "task", rows, columns, ingested)
        annotated = [(_studio_data(store, task["data"]), list(task.get("annotations") or [])) for task in tasks]
    except IsADirectoryError:
        raise UserError(f"{source} is a folder: name the JSON file in it.") from None
    except UserError as error:
        raise UserError(f"{source} {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{source} is no JSON export of Label Studio: export it as JSON.") from None
    fields = field_names(store.task)
    ways = [STUDIO_ID, store.config.id_column, ID] if columns.id is None else [columns.id]
    id_column = next((way for way in ways if any(way in data for data, _ in annotated)), ways[0])
    if not any(id_column in data or set(fields) <= data.keys() for data, _ in annotated):
        raise UserError(
            f"{source} is no JSON export of Label Studio whose tasks have a {id_column!r} or the texts that were asked "
            "about: name the id with --id-column."
        )
    control = _control(
        store, source, [annotation for _, annotations in annotated for annotation in annotations], columns, ingested
    )
    entries: list[SheetEntry] = []
    for number, (data, annotations) in enumerate(annotated, start=1):
        place = f"{source.name}, task {number}"
        id = "" if id_column == NONE or is_missing(data.get(id_column)) else str(data[id_column])
        texts = texts_in(data, store.task.columns(), fields)
        for annotation in annotations:
            try:
                cancelled = bool(annotation.get("was_cancelled"))
                text = "skip" if cancelled else _studio_answer(store, id, texts, annotation["result"], control)
                by = _studio_name(annotation.get("completed_by"))
            except (ValueError, UserError) as error:
                ingested.problems.append(f"{place}: {str(error).rstrip('.')}.")
                continue
            except (KeyError, TypeError, AttributeError):
                ingested.problems.append(f"{place}: an annotation is not as Label Studio writes it; export it again.")
                continue
            entries.append(SheetEntry(source.name, place, id, text, "", by, texts, cancelled))
    return entries


def _studio_data(store: AnswerStore, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of a task; where parts of texts are marked, its text may have any of the usual names."""
    marks = Capability.PARTS in store.task.capabilities
    return dict(with_text(data, store.task.columns()[0]) if marks else data)


def _control(store: AnswerStore, source: Path, annotations: Sequence[Any], columns: Columns, ingested: Ingested) -> str:
    """Return the name of the control that holds the answers: the one that was named, ours, or the only one."""
    whole = [annotation for annotation in annotations if isinstance(annotation, Mapping)]
    whole = [annotation for annotation in whole if not annotation.get("was_cancelled")]
    there = controls_of(whole)
    if columns.answer is not None and there and columns.answer not in there:
        raise UserError(
            f"{source} has no control {columns.answer!r} but {', '.join(map(repr, there))}: correct the name."
        )
    control = answering_control(str(source), whole, [columns.answer or store.config.label_column])
    if control not in (columns.answer, studio.ANSWER):
        ingested.remarks.append(f"The answers of {source.name} are those of its control {control!r}.")
    return control


def _studio_name(by: Any) -> str:
    """Return who signs an annotation: a number, or what an export says of a person."""
    name = (by.get("email") or by.get("id")) if isinstance(by, Mapping) else by
    return "" if name is None else str(name)


def _studio_answer(
    store: AnswerStore, id: str, texts: Mapping[str, str], results: Sequence[Mapping[str, Any]], control: str
) -> str:
    whole = len(texts) == len(store.task.columns())
    example = store.task.read(texts) if whole and id not in store.state.ever_asked else store.example(id)
    return label_studio.read_results(store.task, results, example, control)


READERS: Mapping[str, Callable[[AnswerStore, Path, Columns, Ingested], list[SheetEntry]]] = {
    "csv": _read_csv,
    "jsonl": _read_jsonl,
    "label-studio": _read_label_studio,
    "hf-dataset": _read_dataset,
}
