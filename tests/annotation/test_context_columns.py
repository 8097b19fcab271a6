"""Columns that people are shown beside the text: whatever they look at has them, and no text holds them."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from dal_nlp.annotation.answer_store import AnswerStore, open_answer_store
from dal_nlp.annotation.exporting import WRITERS, export
from dal_nlp.ledger.ledger import Ledger, read_state
from dal_nlp.page.queue import AnnotationQueue
from dal_nlp_cli.terminal_annotator import LabelingSession
from tests import waiting_runs as asking
from tests.cli.conftest import invoke
from tests.tiny import write

NAMES = ["product", "text"]


@pytest.fixture(scope="module")
def paused_with_context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that waits for its first answers, whose pool has a column beside the texts; it shows the text twice."""
    folder = tmp_path_factory.mktemp("context")
    flags = asking.flags("sentiment", folder)
    rows = [{**row, "product": f"phone {row['id']}"} for row in asking.rows_of("sentiment", 24)]
    asking.write(Path(flags["data"]), rows)
    asking.run("sentiment", folder, context_columns=NAMES)
    return folder


@pytest.fixture
def folder(paused_with_context: Path, tmp_path: Path) -> Path:
    shutil.copytree(paused_with_context / "run", tmp_path / "run")
    return tmp_path / "run"


def test_the_page_gets_them_apart_from_the_texts(folder: Path) -> None:
    with Ledger(folder) as ledger:
        item = AnnotationQueue(AnswerStore(folder, ledger.state, ledger), ledger).next("anna", "tab-of-anna")
    assert item is not None
    ((text),) = item["texts"]
    shown = {"product": f"phone {item['id']}", "text": text["text"]}
    assert item["context"] == [{"name": name, "text": shown[name]} for name in NAMES]


def test_the_terminal_shows_them_above_the_text(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def end(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", end)
    with open_answer_store(folder) as store:
        first = store.state.waiting[0]
        LabelingSession(store, "anna", False, False, False).work_through(store.state.waiting)
        (text,) = store.task.texts(store.example(first))
    said = capsys.readouterr().out
    assert said.index(f"product: phone {first}") < said.index(f"text: {text}") < said.rindex(text)


@pytest.mark.parametrize("pool", ["there", "gone"])
@pytest.mark.parametrize("format", WRITERS)
def test_every_export_has_them_also_where_the_pool_has_gone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str, pool: str
) -> None:
    store, out = AnswerStore(folder, read_state(folder)), tmp_path / "out"
    if pool == "gone":
        monkeypatch.setattr(store.config, "data", str(tmp_path / "gone.jsonl"))
    assert export(store, format, "pending", out) == 4
    found: list[Any]
    if format == "csv":
        with out.open(newline="", encoding="utf-8-sig") as file:
            found = [row["product"] for row in csv.DictReader(file)]
    elif format == "jsonl":
        found = [json.loads(line)["product"] for line in out.read_text().splitlines()]
    elif format == "hf-dataset":
        from datasets import load_from_disk

        found = list(load_from_disk(str(out))["product"])
    else:
        found = [task["data"]["dal_nlp_context0"] for task in json.loads(out.read_text())]
        assert [task["data"]["product"] for task in json.loads(out.read_text())] == found
        assert 'value="$dal_nlp_context0"' in out.with_suffix(".xml").read_text()
    assert found == [f"phone {id}" for id in store.state.waiting]


def test_predict_has_them_behind_its_answers(paused_with_context: Path, tmp_path: Path) -> None:
    flags, folder = asking.flags("sentiment", paused_with_context), tmp_path / "run"
    sets = [word for name in ("max_length", "initial_strategy") for word in ("--set", f"{name}={flags[name]}")]
    given = [word for name in ("task", "data", "test", "model") for word in (f"--{name}", flags[name])]
    trained = ["--set", "training.min_steps=2", "--set", "training.epochs=1", "--train", "full"]
    words = [*given, *sets, *trained, "--initial", "4", "--rounds", "0", "--context-columns", ",".join(NAMES)]
    done = invoke("run", *words, "--out", str(folder))
    assert done.exit_code == 0, done.output
    out = tmp_path / "out.csv"
    assert invoke("predict", str(folder), flags["data"], "--out", str(out)).exit_code == 0
    with out.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["id", "text", "prediction", "confidence", "product", "text (context)"]
    assert len(rows) == 24
    for row in rows:
        assert row["product"] == f"phone {row['id']}" and row["text (context)"] == row["text"]
    write(tmp_path / "new.jsonl", [{"id": "a", "text": "", "product": "phone a"}, {"id": "b", "text": "a good film"}])
    done = invoke("predict", str(folder), str(tmp_path / "new.jsonl"), "--out", str(out))
    with out.open(newline="", encoding="utf-8-sig") as file:
        assert [row["product"] for row in csv.DictReader(file)] == ["phone a", ""]
    assert "Rows without a prediction: 1 (1 empty text)" in done.stderr and "no column" not in done.stderr
    write(tmp_path / "bare.jsonl", [{"id": "b", "text": "a good film"}])
    done = invoke("predict", str(folder), str(tmp_path / "bare.jsonl"), "--out", str(out))
    assert "bare.jsonl has no column 'product': these cells stay empty." in done.stderr
