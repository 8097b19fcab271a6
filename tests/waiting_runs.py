"""Runs that wait for people, for every task: tiny models, a few questions."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dal_nlp import RunConfig, Session
from dal_nlp.core.task import Task
from dal_nlp.ledger.ledger import read_events, read_state
from dal_nlp.ledger.state import State
from dal_nlp.session.loop import Result
from tests import tiny, tiny_entities, tiny_summaries
from tests.tiny import write

TASKS = ("sentiment", "multilabel", "qa", "summarization", "ner")
#: What each task calls the texts and the answer.
COLUMNS = {"sentiment": "label", "multilabel": "labels", "qa": "answers", "summarization": "summary", "ner": "ner_tags"}


def rows_of(task: str, n: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows with answers, as a file has them."""
    if task == "sentiment":
        return list(tiny.sentences(n, seed))
    if task == "multilabel":
        return tiny.several_labels(n, seed)
    if task == "ner":
        return tiny_entities.tagged(n, seed, words=12)
    return tiny.questions(n, seed, unanswerable=True) if task == "qa" else tiny_summaries.documents(n, seed)


def save_model(task: str, folder: Path) -> str:
    if task in ("sentiment", "multilabel", "ner"):
        return tiny.save_model(folder)
    if task == "summarization":
        return tiny_summaries.save_writer(folder)
    tiny.reader().save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return str(folder)


def flags(task: str, folder: Path) -> dict[str, Any]:
    """The settings of a run of two rounds, four answers each; its files are made if they are not there.

    A copy of a run reads the files of the original: their paths are part of what it is.
    """
    note = folder / "files.txt"
    files = Path(note.read_text()) if note.exists() else folder
    if not (files / "model").exists():
        files.mkdir(parents=True, exist_ok=True)
        save_model(task, files / "model")
        write(files / "pool.jsonl", rows_of(task, 24))
        write(files / "test.jsonl", rows_of(task, 8, seed=1))
    options = {"qa": {"doc_stride": 6, "longest_answer": 4}, "summarization": {"max_new_tokens": 8}}
    return {
        "task": task,
        "data": str(files / "pool.jsonl"),
        "test": str(files / "test.jsonl"),
        "model": str(files / "model"),
        "out": str(folder / "run"),
        "oracle": "file",
        "max_length": 24,
        "task_options": options.get(task, {}),
        "initial": 4,
        "initial_strategy": "random",
        "strategy": "random",
        "query_size": 4,
        "rounds": 1,
        "training": {"mode": "full", "min_steps": 2, "epochs": 1, "learning_rate": 1e-3},
    }


def run(task: str, folder: Path, **changes: Any) -> Result:
    return Session(RunConfig.load(flags={**flags(task, folder), **changes})).run()


def gold(task: str) -> dict[str, Any]:
    """The answers of the pool by id, as the ledger has them."""
    of, rows = task_of(task), rows_of(task, 24)
    return {str(row["id"]): of.read_target(row) if task == "ner" else row[COLUMNS[task]] for row in rows}


def task_of(task: str) -> Task:
    return {
        "sentiment": tiny.task,
        "multilabel": tiny.multilabel_task,
        "qa": lambda: tiny.qa_task(unanswerable=True),
        "summarization": tiny_summaries.summary_task,
        "ner": tiny_entities.ner_task,
    }[task]()


def shown(task: str, row: dict[str, Any]) -> dict[str, Any]:
    """A row as those see it who answer."""
    return {**row, **task_of(task).read(row)} if task == "ner" else row


def typed(task: str) -> dict[str, str]:
    """What a person would type for the answers of the pool, by id."""
    said, answers = task_of(task).answer_format.format_answer, gold(task)
    return {str(row["id"]): said(answers[str(row["id"])], shown(task, row)) for row in rows_of(task, 24)}


def read_csv(path: Path) -> list[dict[str, str]]:
    lines = io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")
    return list(csv.DictReader(line for line in lines if not line.startswith('"#|')))


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], **format: Any) -> None:
    with path.open("w", newline="", encoding=format.pop("encoding", "utf-8")) as file:
        writer = csv.DictWriter(file, list(rows[0]), **format)
        writer.writeheader()
        writer.writerows(rows)


def fill(path: Path, answers: Mapping[str, str]) -> None:
    """Fill a sheet in, as far as there are answers."""
    write_csv(path, [{**row, "answer": answers.get(row["id"], row["answer"])} for row in read_csv(path)])


def state(folder: Path) -> State:
    return read_state(folder / "run")


def events(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [event.as_dict() for event in read_events(folder / "run" / "ledger.jsonl") if event.name == kind]
