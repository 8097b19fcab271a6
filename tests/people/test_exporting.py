"""Answers to the files of other tools and back, for every task."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dal_nlp import UserError
from dal_nlp.people import label_studio
from dal_nlp.people.desk import Desk, open_desk
from dal_nlp.people.exporting import NAMES, export
from dal_nlp.people.ingesting import Ingested, ingest
from tests import asking, tiny
from tests.asking import fill, run, state, typed

Waiting = Callable[[str], Path]
FORMATS = sorted(NAMES)


def answered(folder: Path, task: str) -> dict[str, Any]:
    """Answer what a run waits for by hand; return the answers."""
    with open_desk(folder / "run") as desk:
        for id in list(desk.state.waiting):
            desk.write(desk.read(id, typed(task)[id], desk.origin("anna", "terminal")))
        return dict(desk.state.answers)


def out(folder: Path, format: str) -> Path:
    return folder / NAMES[format]


def write(folder: Path, format: str, which: Any = "labels") -> int:
    return export(Desk(folder / "run", state(folder)), format, which, out(folder, format))


def read(folder: Path, source: Path, format: str, by: str | None = None) -> Ingested:
    with open_desk(folder / "run") as desk:
        return ingest(desk, source, format, by)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("task", asking.TASKS)
def test_there_and_back(waiting: Waiting, tmp_path: Path, task: str, format: str) -> None:
    folder = waiting(task)
    answers = answered(folder, task)
    assert write(folder, format) == 4
    again = read(folder, out(folder, format), format)
    assert (again.new, again.known, again.problems) == (0, 4, [])
    with open_desk(folder / "run") as desk:
        for id in answers:
            desk.remove(id, "anna", "test")
    assert len(state(folder).waiting) == 4
    back = read(folder, out(folder, format), format, by="ben")
    assert (back.new, back.known, back.problems) == (4, 0, [])
    assert state(folder).answers == answers


@pytest.mark.parametrize("format", ["csv", "jsonl", "hf-dataset"])
@pytest.mark.parametrize("task", asking.TASKS)
def test_another_run_trains_on_what_was_exported(waiting: Waiting, task: str, format: str) -> None:
    from dal_nlp.data.corpus import read_corpus

    folder = waiting(task)
    answers = answered(folder, task)
    write(folder, format)
    desk = Desk(folder / "run", state(folder))
    corpus = read_corpus(str(out(folder, format)), desk.task, desk.config, None, "labeled", need_targets=True)
    assert dict(zip(corpus.dataset["id"], corpus.targets(), strict=True)) == answers


def test_what_is_pending_goes_out_and_comes_back_answered(waiting: Waiting) -> None:
    folder = waiting("sentiment")
    assert write(folder, "csv", "pending") == 4
    rows = asking.read_csv(out(folder, "csv"))
    assert {row["label"] for row in rows} == {""}
    for row, label in zip(rows, ["positive", "unsure", "nonsense", ""], strict=True):
        row["label"] = label
    asking.write_csv(out(folder, "csv"), rows, delimiter=";")
    found = read(folder, out(folder, "csv"), "csv", "anna")
    assert (found.new, found.known) == (2, 0)
    assert len(found.problems) == 1 and "row 4: 'nonsense' is none of" in found.problems[0]
    now = state(folder)
    assert now.answers == {rows[0]["id"]: "positive"} and list(now.skipped) == [rows[1]["id"]]
    assert write(folder, "jsonl", "all") == 3


def test_a_sheet_of_somebody_else_is_disputed_and_not_taken_over(waiting: Waiting) -> None:
    folder = waiting("sentiment")
    sheet = folder / "run" / "queries" / "round-000.csv"
    (id, *_) = [row["id"] for row in asking.read_csv(sheet)]
    for name, label in (("anna", "positive"), ("ben", "negative")):
        fill(sheet, {id: label})
        assert read(folder, sheet, "csv", name).new == 1
        assert read(folder, sheet, "csv", name).new == 0
    assert state(folder).answers == {id: "positive"}
    assert Desk(folder / "run", state(folder)).disputed() == [id]
    assert "disputed" in run("sentiment", folder).remarks[0]


def test_label_studio_counts_in_utf_16_and_knows_skips(waiting: Waiting) -> None:
    of = tiny.qa_task(unanswerable=True)
    example = {"id": "1", "question": "what", "context": "😀😀 the film 😀"}
    target = {"text": ["film 😀"], "answer_start": [7]}
    (result,) = label_studio.results(of, target, example)
    assert (result["value"]["start"], result["value"]["end"]) == (9, 16)
    assert of.parse(label_studio.read_results(of, [result], example), example) == target
    none = label_studio.results(of, {"text": [], "answer_start": []}, example)
    assert label_studio.read_results(of, none, example) == "no answer"
    with pytest.raises(ValueError, match="place in the context"):
        label_studio.read_results(of, [{**result, "value": {"start": 0, "end": 99}}], example)

    folder = waiting("sentiment")
    one, two, *_ = state(folder).waiting
    label = label_studio.results(tiny.task(), "positive", {"id": one, "text": "a", "pair": None})
    annotations = [{"was_cancelled": True, "result": []}], [{"completed_by": 7, "result": label}]
    tasks = [{"data": {"dal_nlp_id": id}, "annotations": a} for id, a in zip((one, two), annotations, strict=True)]
    (folder / "tasks.json").write_text(
        json.dumps([*tasks, {"data": {"dal_nlp_id": "gone"}, "annotations": annotations[1]}])
    )
    found = read(folder, folder / "tasks.json", "label-studio")
    assert found.new == 2 and "'gone'" in found.problems[0]
    assert state(folder).answers == {two: "positive"} and list(state(folder).skipped) == [one]
    assert state(folder).given[two][0]["by"] == "7"


@pytest.mark.parametrize("task", asking.TASKS)
def test_the_labelling_interface_is_xml_with_the_columns_of_the_task(waiting: Waiting, task: str) -> None:
    from xml.etree import ElementTree

    folder = waiting(task)
    desk = Desk(folder / "run", state(folder))
    view = ElementTree.fromstring(label_studio.interface(desk.task))
    assert {text.get("value") for text in view.iter("Text")} == {f"${name}" for name in desk.task.columns()}


@pytest.mark.parametrize(
    ("format", "content", "part"),
    [
        ("jsonl", b"{", "is broken in line 1"),
        ("label-studio", b'[{"data": {}}]', "dal_nlp_id"),
        ("csv", b"text\na\n", "no columns 'id'"),
        ("cvs", b"", "'csv'"),
        ("hf-dataset", b"", "no folder of a dataset"),
    ],
)
def test_files_that_are_something_else(waiting: Waiting, format: str, content: bytes, part: str) -> None:
    folder = waiting("sentiment")
    (folder / "file").write_bytes(content)
    with pytest.raises(UserError, match=part):
        read(folder, folder / "file", format)
    assert not state(folder).given


def test_nothing_is_exported_of_nothing(waiting: Waiting) -> None:
    folder = waiting("sentiment")
    with pytest.raises(UserError, match="nothing to export"):
        write(folder, "csv")
    with pytest.raises(UserError, match="did you mean 'jsonl'"):
        export(Desk(folder / "run", state(folder)), "jsnl", "all", folder / "x")
