"""Runs whose answers go to the files of other tools and come back from them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dal_nlp.annotation.answer_store import AnswerStore, open_answer_store
from dal_nlp.annotation.exporting import NAMES, export
from dal_nlp.annotation.ingesting import Ingested, ingest
from tests.waiting_runs import state, typed

Waiting = Callable[[str], Path]
FORMATS = sorted(NAMES)


def answered(folder: Path, task: str) -> dict[str, Any]:
    """Answer what a run waits for by hand; return the answers."""
    with open_answer_store(folder / "run") as store:
        for id in list(store.state.waiting):
            store.write(store.read(id, typed(task)[id], store.origin("anna", "terminal")))
        return dict(store.state.answers)


def out(folder: Path, format: str) -> Path:
    return folder / NAMES[format]


def write(folder: Path, format: str, which: Any = "labels") -> int:
    return export(AnswerStore(folder / "run", state(folder)), format, which, out(folder, format))


def read(folder: Path, source: Path, format: str, by: str | None = None) -> Ingested:
    with open_answer_store(folder / "run") as store:
        return ingest(store, source, format, by)
