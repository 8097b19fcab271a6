"""Answers to the files of other tools and back, for every task; files of other tools alone: `test_ingesting`."""

import json
from pathlib import Path

import pytest

from dal_nlp import UserError
from dal_nlp.annotation.answer_store import AnswerStore, open_answer_store
from dal_nlp.annotation.exporting import export
from dal_nlp.annotation.label_studio import format as label_studio
from tests import tiny
from tests import waiting_runs as asking
from tests.annotation.exchange import FORMATS, Waiting, answered, out, read, write
from tests.waiting_runs import run, state


@pytest.mark.long
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("task", asking.TASKS)
def test_there_and_back(waiting: Waiting, tmp_path: Path, task: str, format: str) -> None:
    folder = waiting(task)
    answers = answered(folder, task)
    assert write(folder, format) == 4
    again = read(folder, out(folder, format), format)
    assert (again.new, again.known, again.problems) == (0, 4, [])
    with open_answer_store(folder / "run") as store:
        for id in answers:
            store.remove(id, "anna", "test")
    assert len(state(folder).waiting) == 4
    back = read(folder, out(folder, format), format, by="ben")
    assert (back.new, back.known, back.problems) == (4, 0, [])
    assert state(folder).answers == answers


@pytest.mark.long
@pytest.mark.parametrize("format", ["csv", "jsonl", "hf-dataset"])
@pytest.mark.parametrize("task", asking.TASKS)
def test_another_run_trains_on_what_was_exported(waiting: Waiting, task: str, format: str) -> None:
    from dal_nlp.data.corpus import read_corpus

    folder = waiting(task)
    answers = answered(folder, task)
    write(folder, format)
    store = AnswerStore(folder / "run", state(folder))
    corpus = read_corpus(str(out(folder, format)), store.task, store.config, None, "labeled", need_targets=True)
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


@pytest.mark.parametrize("task", asking.TASKS)
def test_the_labeling_interface_is_xml_with_the_columns_of_the_task(waiting: Waiting, task: str) -> None:
    from xml.etree import ElementTree

    folder = waiting(task)
    store = AnswerStore(folder / "run", state(folder))
    view = ElementTree.fromstring(label_studio.interface(store.task))
    assert {text.get("value") for text in view.iter("Text")} == {f"${name}" for name in store.task.columns()}


def test_nothing_is_exported_of_nothing(waiting: Waiting) -> None:
    folder = waiting("sentiment")
    with pytest.raises(UserError, match="nothing to export"):
        write(folder, "csv")
    with pytest.raises(UserError, match="did you mean 'jsonl'"):
        export(AnswerStore(folder / "run", state(folder)), "jsnl", "all", folder / "x")


@pytest.mark.parametrize("format", ["csv", "jsonl", "hf-dataset"])
def test_all_columns_of_the_pool_go_along_as_far_as_its_file_still_has_them(waiting: Waiting, format: str) -> None:
    from dal_nlp.readers.sources import read_rows

    folder = waiting("sentiment")
    answered(folder, "sentiment")
    store = AnswerStore(folder / "run", state(folder))
    rows = asking.rows_of("sentiment", 24)
    pool = asking.write(folder / "pool.jsonl", [{"day": n, "tags": ["a"], **row} for n, row in enumerate(rows)])
    store.config = store.config.model_copy(update={"data": pool})
    said: list[str] = []
    export(store, format, "labels", out(folder, format), said.append)
    days = {row["id"]: str(n) for n, row in enumerate(rows)}
    found = [row for _, row in read_rows(str(out(folder, format)))]
    assert {row["id"]: str(row["day"]) for row in found} == {id: days[id] for id in store.state.answers}
    assert list(found[0])[:2] == ["day", "tags"] and not said
    Path(pool).unlink()
    export(store, format, "labels", out(folder, format), said.append)
    assert "other columns of the pool are left out: There is no file" in said[0]
    assert [row["text"] for _, row in read_rows(str(out(folder, format)))] == [row["text"] for row in found]


@pytest.mark.parametrize("format", ["csv", "jsonl", "hf-dataset"])
def test_columns_of_the_pool_with_names_of_ours_stay(waiting: Waiting, format: str) -> None:
    from dal_nlp.readers.sources import read_rows

    folder = waiting("sentiment")
    answers = answered(folder, "sentiment")
    store = AnswerStore(folder / "run", state(folder))
    rows = [{**row, "note": f"n{i}"} for i, row in enumerate(asking.rows_of("sentiment", 24))]
    store.config = store.config.model_copy(update={"data": asking.write(folder / "pool.jsonl", rows)})
    said: list[str] = []
    export(store, format, "labels", out(folder, format), said.append)
    assert said == ["The pool has columns 'note' of its own, so ours are called 'note (dal-nlp)'."]
    notes = {row["id"]: row["note"] for row in rows}
    found = [row for _, row in read_rows(str(out(folder, format)))]
    assert {row["id"]: row["note"] for row in found} == {id: notes[id] for id in answers}
    assert {row["annotated_by"] for row in found} == {"anna"} and "note (dal-nlp)" in found[0]


@pytest.mark.parametrize("format", ["csv", "jsonl", "hf-dataset"])
@pytest.mark.parametrize("column", ["note", "annotated_by", "annotated_at"])
def test_labels_in_a_column_with_a_name_of_ours_are_exported(waiting: Waiting, column: str, format: str) -> None:
    from dal_nlp.readers.sources import read_rows

    folder = waiting("sentiment")
    answers = answered(folder, "sentiment")
    store = AnswerStore(folder / "run", state(folder))
    store.config = store.config.model_copy(update={"label_column": column})
    export(store, format, "labels", out(folder, format))
    found = {row["id"]: row[column] for _, row in read_rows(str(out(folder, format)))}
    assert found == answers


def test_ids_of_a_pool_that_are_not_read_are_kept(tmp_path: Path) -> None:
    run("sentiment", tmp_path, id_column="none", rounds=0)
    with open_answer_store(tmp_path / "run") as store:
        for id in list(store.state.waiting):
            store.write(store.read(id, "positive", store.origin("anna", "terminal")))
        answers = dict(store.state.answers)
    said: list[str] = []
    store = AnswerStore(tmp_path / "run", state(tmp_path))
    export(store, "jsonl", "labels", out(tmp_path, "jsonl"), said.append)
    rows = [json.loads(line) for line in out(tmp_path, "jsonl").read_text().splitlines()]
    texts = {row["id"]: row["text"] for row in tiny.sentences(24)}
    assert {row["id (dal-nlp)"] for row in rows} == set(answers) and len(said) == 1
    assert all(texts[row["id"]] == row["text"] for row in rows)


def test_another_run_trains_on_what_label_studio_got_of_a_column_with_blanks(tmp_path: Path) -> None:
    from dal_nlp.data.corpus import read_corpus

    asking.flags("sentiment", tmp_path)  # makes the files
    rows = [{"my text" if name == "text" else name: v for name, v in row.items()} for row in tiny.sentences(24)]
    pool = asking.write(tmp_path / "pool.jsonl", rows)
    run("sentiment", tmp_path, data=pool, test=None, audit=4, text_column=["my text"], rounds=0)
    answers = answered(tmp_path, "sentiment")
    store = AnswerStore(tmp_path / "run", state(tmp_path))
    export(store, "label-studio", "labels", out(tmp_path, "label-studio"))
    again = read_corpus(
        str(out(tmp_path, "label-studio")), store.task, store.config, None, "labeled", need_targets=True
    )
    assert dict(zip(again.dataset["id"], again.targets(), strict=True)) == answers
