"""A task of a user's own, with an answer format of its own, in every place where people answer; without a browser."""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import dal_nlp
from dal_nlp import RunConfig, Session, Unsupported
from dal_nlp.annotation import make_oracle
from dal_nlp.annotation.answer_store import AnswerStore, open_answer_store
from dal_nlp.annotation.exporting import export
from dal_nlp.annotation.ingesting import ingest
from dal_nlp.annotation.label_studio import format as label_studio
from dal_nlp.annotation.oracle import Setting
from dal_nlp.annotation.quality import by_label, by_pair, measure
from dal_nlp.core.progress import Silent
from dal_nlp.ledger.ledger import Ledger, read_state
from dal_nlp.page.given import PageAnswer
from dal_nlp.page.queue import AnnotationQueue
from dal_nlp.session.loop import Result
from dal_nlp.testing import check_task
from dal_nlp.workflows.label_errors import find_suspects
from dal_nlp_cli.terminal_annotator import LabelingSession
from tests import tiny
from tests.waiting_runs import fill, read_csv

LABELS = ["anger", "joy", "fear"]
EXAMPLES = Path(__file__).parent.parent / "examples"


def rows(n: int, seed: int = 0) -> list[dict[str, Any]]:
    """Texts with 0 to 3 labels."""
    texts = tiny.sentences(n, seed)
    return [{**row, "label": [label for j, label in enumerate(LABELS) if i >> j & 1]} for i, row in enumerate(texts)]


@pytest.fixture(autouse=True)
def beside_the_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))


@pytest.fixture
def folder(tmp_path: Path, model_folder: str) -> Path:
    """A folder with the files of a run."""
    tiny.write(tmp_path / "pool.jsonl", rows(24))
    tiny.write(tmp_path / "test.jsonl", rows(10, seed=1))
    (tmp_path / "model.txt").write_text(model_folder)
    return tmp_path


def run(folder: Path) -> Result:
    """Start the run, or go on with it."""
    flags = {
        "task": "multi_label:MultiLabel",
        "data": str(folder / "pool.jsonl"),
        "test": str(folder / "test.jsonl"),
        "model": (folder / "model.txt").read_text(),
        "out": str(folder / "run"),
        "oracle": "file",
        "max_length": 24,
        "initial": 4,
        "query_size": 4,
        "rounds": 1,
        "strategy": "entropy",
        "training": {"mode": "full", "min_steps": 2, "epochs": 1},
    }
    return Session(RunConfig.load(flags=flags)).run()


def test_the_contract_of_tasks() -> None:
    task = importlib.import_module("multi_label").MultiLabel(max_length=24, tokenizer=tiny.tokenizer())
    check_task(task, rows(16), tiny.classifier(len(LABELS)))


def test_sheets_name_the_labels_and_take_several_and_the_model_learns(folder: Path) -> None:
    (missing,) = run(folder).remarks
    assert "(anger, fear, joy, skip or unsure; several labels with commas between, none for no label)" in missing
    assert f"`dal-nlp label {folder / 'run'} --trust`" in missing  # the task is no part of the package
    sheet = folder / "run" / "queries" / "round-000.csv"
    assert "anger, fear, joy, skip or unsure" in sheet.read_text(encoding="utf-8").splitlines()[0]  # it may be sent on
    ids = [row["id"] for row in read_csv(sheet)]
    fill(sheet, dict(zip(ids, ["joy, Anger", "none", '["fear"]', "hope"], strict=True)))
    assert "'hope' is none of the labels anger, fear, joy" in run(folder).remarks[0]
    assert read_state(folder / "run").answers == {ids[0]: ["anger", "joy"], ids[1]: [], ids[2]: ["fear"]}
    fill(sheet, dict(zip(ids, ["joy, Anger", "none", '["fear"]', "joy"], strict=True)))
    run(folder)
    (first,) = read_state(folder / "run").metrics
    assert set(first.values) == {"micro_f1", "exact_match"}


def test_the_terminal_takes_numbers(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(folder)
    lines: Iterator[str] = iter(["3, 1", "fear,2", "none", ":quit"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(lines))
    with open_answer_store(folder / "run") as store:
        ids = store.state.waiting
        LabelingSession(store, "anna", suggest=False, final=False).work_through(ids)
    printed = capsys.readouterr()
    assert "[1] anger  [2] fear  [3] joy" in printed.out and "with commas between" in printed.err + printed.out
    assert read_state(folder / "run").answers == {ids[0]: ["anger", "joy"], ids[1]: ["fear"], ids[2]: []}


def test_the_page_has_label_buttons(folder: Path) -> None:
    run(folder)
    with Ledger(folder / "run") as ledger:
        queue = AnnotationQueue(AnswerStore(folder / "run", ledger.state, ledger), ledger)
        widget = queue.views.about()["widget"]
        assert widget["name"] == "labels" and widget["data"]["none"] == "none"
        assert widget["data"]["labels"] == [["1", "anger"], ["2", "fear"], ["3", "joy"]]
        item = queue.next("anna", "a tab")
        assert item is not None
        queue.answer("anna", "a tab", PageAnswer(item["id"], json.dumps(["joy", "fear"])))  # as the page sends it
        again = queue.open("anna", "a tab", item["id"])
        assert again["answer"] == {"typed": "fear, joy", "labels": ["fear", "joy"]}
    # The page has a widget of that name, and none that no format uses.
    script = (Path(dal_nlp.__file__).parent / "report" / "annotate_widgets.js.j2").read_text()
    table = script.split("const widgets = {")[1].split("\n};")[0]
    assert {
        line.split(":")[0].strip()
        for line in table.splitlines()
        if line.startswith("  ") and line.endswith(": {") and not line.startswith("   ")
    } == {"label", "labels", "span", "entities", "text"}


def test_label_studio_has_choices_and_files_go_there_and_back(folder: Path) -> None:
    run(folder)
    path = folder / "export.jsonl"
    with open_answer_store(folder / "run") as store:
        view = ElementTree.fromstring(label_studio.interface(store.task))
        (choices,) = view.iter("Choices")
        assert choices.get("choice") == "multiple"
        assert [choice.get("value") for choice in choices] == ["anger", "fear", "joy"]
        one, two, *_ = store.state.waiting
        example = store.example(one)
        for target in (["anger", "joy"], []):
            results = label_studio.results(store.task, target, example)
            read = label_studio.read_results(store.task, results, example)
            assert store.task.answer_format.parse_answer(read, example) == target
        for id, typed in ((one, "joy, anger"), (two, "none")):
            store.write(store.read(id, typed, store.origin("anna", "terminal")))
        assert export(store, "jsonl", "labels", path) == 2
        store.write(store.read(one, "joy", store.origin("ben", "terminal")))
        (pair,) = by_pair(store)
        assert (pair.count, pair.same, pair.value, measure(store)) == (1, 0, pytest.approx(2 / 3), "micro F1")
        assert {of.names[0]: of.same for of in by_label(store)} == {"anger": 0, "joy": 1}
        assert ingest(store, path, "jsonl", "carl").new == 2
        with pytest.raises(Unsupported, match="Only labels"):
            find_suspects(store, Silent())
        with pytest.raises(Unsupported, match="noisy"):
            config: Any = store.config
            setting = Setting(folder, config, store.task, store.state, {}, store.example, Silent())
            make_oracle("noisy:0.1").open(setting)


def test_its_words_are_answers_only_where_they_fit(folder: Path) -> None:
    run(folder)
    with open_answer_store(folder / "run") as store:
        kind = store.task.answer_format
        for typed, wrong in (("joy; fear", "none of the labels"), ("", "none of the labels")):
            with pytest.raises(ValueError, match=wrong):
                kind.parse_answer(typed, {})
