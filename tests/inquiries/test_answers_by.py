"""Who gives the machine's answers in a whole file, and files whose answers are several labels or entities."""

import csv
from pathlib import Path
from typing import Any

import pytest

from dal_nlp import RunConfig, Session
from dal_nlp.core.errors import UserError
from dal_nlp.core.progress import Silent
from dal_nlp.inquiries.machines import answered_by
from dal_nlp.inquiries.whole_file import label_file
from dal_nlp.ledger.ledger import read_state
from dal_nlp.workflows.autolabel import plan
from tests import tiny, tiny_entities
from tests.head_runs import bought
from tests.tiny import write

NEW = [{**row, "id": f"new {row['id']}"} for row in tiny.sentences(200, seed=7)]


class Said(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has heard a file of right answers, silent about every fourth text, and one of wrong answers."""
    folder = tmp_path_factory.mktemp("answers-by")
    other = {"negative": "positive", "positive": "negative"}
    rows = [*tiny.sentences(100), *NEW]
    wrong = [{**row, "label": other[row["label"]]} for row in rows]
    tiny.save_masked_lm(folder / "model")
    values: dict[str, Any] = {
        "task": "sentiment",
        "data": write(folder / "pool.jsonl", tiny.sentences(100)),
        "model": str(folder / "model"),
        "out": str(folder / "run"),
        "cache": str(folder / "features"),
        "initial": 12,
        "rounds": 0,
        "audit": 30,
        "training": {"mode": "head"},
        "head": {"prior": "none"},
        "signals": [
            f"file:{write(folder / 'right.jsonl', [row for i, row in enumerate(rows) if i % 4])}",
            f"file:{write(folder / 'wrong.jsonl', wrong)}",
        ],
    }
    return Session(RunConfig.load(flags=values)).run().folder


@pytest.mark.long
def test_machines_that_could_be_asked_and_are_not_are_named(finished: Path, tmp_path: Path) -> None:
    new, told = write(tmp_path / "new.jsonl", NEW[:20]), "file:right.jsonl, file:wrong.jsonl helped to train the model"
    for keep, said in ((None, True), (False, False), (True, False)):
        both = Said(), Said()
        plan(finished, new, 0.8, both[0], keep_witness=keep)
        label_file(finished, new, 0.3, tmp_path / f"out-{keep}", progress=both[1], told=str, keep_witness=keep)
        assert [any(told in line for line in seen.lines) for seen in both] == [said, said]


def labeled(out: Path) -> dict[str, dict[str, str]]:
    with (out / "labeled.csv").open() as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def test_a_witness_answers_what_it_knows_and_people_the_rest(finished: Path, tmp_path: Path) -> None:
    source, said = write(tmp_path / "new.jsonl", NEW), list[str]()
    asked = (finished, source, 0.1, tmp_path / "out", "labeled-file", 60)
    found = label_file(*asked, told=said.append, answers_by="file:right.jsonl")
    rows = labeled(tmp_path / "out")
    by = {row["id"]: row["by"] for row in rows.values()}
    machine = [id for id, who in by.items() if who == "file:right.jsonl"]
    truth = {row["id"]: row["label"] for row in NEW}
    assert found.machine == len(machine) > 50 and set(by.values()) == {"file:right.jsonl", "people"}
    assert all(rows[id]["label"] == truth[id] for id in machine)
    assert f"{found.machine:,} by file:right.jsonl" in said[0]
    silent = {row["id"] for i, row in enumerate(NEW, start=100) if not i % 4}
    assert not silent & set(machine)  # of these it has said nothing
    with pytest.raises(UserError, match="another model or file"):
        label_file(*asked, told=said.append, answers_by="stack")


def test_the_best_is_whoever_was_right_most_often_on_the_audit_sample(finished: Path) -> None:
    state, progress = read_state(finished), Said()
    chosen = answered_by(state, "best", progress)
    last = state.metrics[-1]
    right = {
        "model": sum(n for truth, said, n in last.confusion if truth == said),
        "stack": sum(n for truth, said, n in last.beside["stack"]["confusion"] if truth == said),
    }
    (line,) = progress.lines
    assert f"model {right['model']}, " in line and f"stack {right['stack']}" in line and "file:wrong.jsonl 0" in line
    assert right.get(chosen, 30) >= max(right.values()) and chosen != "file:wrong.jsonl"
    assert answered_by(state, "file:wrong.jsonl", progress) == "file:wrong.jsonl"
    with pytest.raises(UserError, match="source of answers"):
        answered_by(state, "file:other.jsonl", progress)
    state.metrics[-1:] = []
    with pytest.raises(UserError, match="compares machines by the audit sample"):
        answered_by(state, "best", progress)


@pytest.mark.long
@pytest.mark.parametrize("task", ["multilabel", "ner"])
def test_several_labels_and_entities_are_wrong_where_any_of_them_is(task: str, tmp_path: Path) -> None:
    many = {"multilabel": tiny.several_labels, "ner": tiny_entities.tagged}[task]
    new = many(120, seed=5)
    folder = bought(tmp_path, many, task=task)
    source = write(tmp_path / "new.jsonl", new)
    out = tmp_path / "out"
    found = label_file(folder, source, 0.8, out, "labeled-file", draws=20, told=lambda line: None)
    assert found.bound is not None and found.pending == 0 and found.machine > 0
    assert found.bound <= 0.8 and {row["by"] for row in labeled(out).values()} == {"model", "people"}


@pytest.mark.long
def test_of_entities_no_witness_answers_alone(tmp_path: Path) -> None:
    known = [
        {"id": row["id"], "entities": row["ner_tags"]}
        for row in [*tiny_entities.tagged(60), *tiny_entities.tagged(60, seed=5)]
    ]
    listed = f"file:{write(tmp_path / 'listed.jsonl', known)}"
    folder = bought(tmp_path, tiny_entities.tagged, task="ner", signals=[listed], keep_witness=True)
    source = write(tmp_path / "new.jsonl", tiny_entities.tagged(60, seed=5))
    with pytest.raises(UserError, match="is for texts with one label: name model, or stack"):
        label_file(folder, source, 0.8, tmp_path / "out", "labeled-file", draws=20, answers_by="file:listed.jsonl")
