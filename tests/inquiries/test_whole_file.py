"""A file at a stated error: who labels what, what is said before, resuming, and where every row goes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dal_nlp import RunConfig, Session
from dal_nlp.annotation.answer_store import open_answer_store
from dal_nlp.core.errors import UserError
from dal_nlp.inquiries.active_test import active_test
from dal_nlp.inquiries.whole_file import label_file
from dal_nlp.ledger.ledger import read_state
from dal_nlp_cli.main import app
from tests import tiny
from tests.inquiries.rows import new_rows, rows_of
from tests.ledgers import copies_after_every_write
from tests.tiny import write
from tests.waiting_runs import fill


def test_a_file_ends_labeled_by_the_model_and_by_people(finished: Path, tmp_path: Path) -> None:
    rows = new_rows()
    source = write(tmp_path / "new.jsonl", rows)
    said: list[str] = []
    found = label_file(finished, source, 0.4, tmp_path / "out", "labeled-file", draws=40, told=said.append)
    assert found.bound is not None and found.machine > 0 and found.people >= 40 and found.pending == 0
    assert found.texts == found.machine + found.people + found.known
    (sentence,) = said
    assert f"{found.machine:,} by the model, {found.people:,} by people" in sentence and "95 % sure" in sentence
    labeled = rows_of(tmp_path / "out" / "labeled.csv")
    assert [row["id"] for row in labeled] == [row["id"] for row in rows]
    truth = {row["id"]: row["label"] for row in rows}
    assert all(row["label"] == truth[row["id"]] for row in labeled if row["by"] == "people")
    wrong = sum(row["label"] != truth[row["id"]] for row in labeled)
    assert wrong / len(rows) <= 0.4
    texts = {row["text"] for row in labeled if row["by"] == "model"}
    assert len(texts) == found.machine
    assert rows_of(tmp_path / "out" / "people.csv") == []


def test_nothing_is_labeled_before_people_have_answered_and_the_same_call_goes_on(
    finished: Path, tmp_path: Path
) -> None:
    rows = [*new_rows(120), {"id": "e", "text": " ", "label": ""}]
    rows.append({**rows[0], "id": "again"})
    source = write(tmp_path / "new.jsonl", rows)
    out, said = tmp_path / "out", list[str]()

    def call() -> Any:
        return label_file(finished, source, 0.4, out, draws=20, told=said.append)

    first = call()
    assert first.bound is None and first.pending == 20 and "Nothing is labeled yet" in said[-1]
    assert not (out / "labeled.csv").exists() and any("audit.csv" in remark for remark in first.remarks)
    assert call().pending == 20
    truth = {row["id"]: row["label"] for row in rows}
    fill(out / "queries" / "audit.csv", truth)
    second = call()
    assert second.bound is not None
    done, people = rows_of(out / "labeled.csv"), rows_of(out / "people.csv")
    rejected = rows_of(out / "rejected.csv")
    assert sorted(row["id"] for row in [*done, *people, *rejected]) == sorted(row["id"] for row in rows)
    assert [row["id"] for row in rejected] == ["e"]
    confidence = [float(row["confidence"]) for row in people]
    assert confidence == sorted(confidence)
    if second.pending:
        assert second.pending == len({row["text"] for row in people})
        fill(out / "queries" / "round-000.csv", truth)
    third = call()
    assert third.pending == 0 and rows_of(out / "people.csv") == []
    by_text = {row["text"]: row["label"] for row in rows_of(out / "labeled.csv")}
    assert all(by_text[row["text"]] == row["label"] for row in rows_of(out / "labeled.csv"))
    with pytest.raises(UserError, match="choose another --out"):
        label_file(finished, source, 0.3, out, draws=20)


def test_what_people_skip_is_in_no_other_file(finished: Path, tmp_path: Path) -> None:
    rows = new_rows(60)
    source, out = write(tmp_path / "new.jsonl", rows), tmp_path / "out"
    label_file(finished, source, 0.1, out, draws=30)
    truth = {row["id"]: row["label"] for row in rows}
    fill(out / "queries" / "audit.csv", truth)
    found = label_file(finished, source, 0.1, out, draws=30)
    assert found.pending
    waiting = [row["id"] for row in rows_of(out / "people.csv")]
    fill(out / "queries" / "round-000.csv", {**truth, waiting[0]: "skip"})
    assert label_file(finished, source, 0.1, out, draws=30).pending == 0
    (left,) = rows_of(out / "rejected.csv")
    assert left["id"] == waiting[0] and "skipped" in left["reason"] and rows_of(out / "people.csv") == []
    assert len(rows_of(out / "labeled.csv")) == 59


def test_repeats_count_as_often_as_they_stand_there_and_active_draws_are_weighed(
    finished: Path, tmp_path: Path
) -> None:
    rows = new_rows(200)
    source = write(tmp_path / "new.jsonl", rows + [{**rows[0], "id": f"again {i}"} for i in range(200)])
    found = label_file(finished, source, 0.4, tmp_path / "out", "labeled-file", draws=30)
    assert found.rows == 400 and found.texts == len({row["text"] for row in rows})
    state = read_state(tmp_path / "out")
    assert state.audit is not None and rows[0]["id"] in state.audit and len(state.audit) < 30
    assert len(rows_of(tmp_path / "out" / "labeled.csv")) == 400
    active = label_file(finished, source, 0.4, tmp_path / "active", "labeled-file", draws=60, design="active")
    assert (active.bound is not None and active.bound <= 0.4) or active.machine == 0
    with pytest.raises(UserError, match="another --design"):
        label_file(finished, source, 0.4, tmp_path / "active", "labeled-file", draws=60)


def test_a_promise_takes_a_number_of_answers(finished: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "new.jsonl", new_rows(80))
    with pytest.raises(UserError, match="at least 59 known answers"):
        label_file(finished, source, 0.05, tmp_path / "out", draws=58)
    with pytest.raises(UserError, match="no share"):
        label_file(finished, source, 1.0, tmp_path / "out")


def test_what_people_have_labeled_in_the_run_stays(finished: Path, tmp_path: Path) -> None:
    state = read_state(finished)
    found = label_file(
        finished, write(tmp_path / "pool.jsonl", tiny.sentences(150)), 0.4, tmp_path / "out", "labeled-file", draws=20
    )
    assert found.known == len(state.answers)
    own = read_state(tmp_path / "out")
    assert not set(own.audit or []) & set(state.answers)


def test_a_file_whose_open_texts_are_all_drawn_is_said_to_be_that(finished: Path, tmp_path: Path) -> None:
    source, said = write(tmp_path / "pool.jsonl", tiny.sentences(150)), list[str]()
    found = label_file(finished, source, 0.4, tmp_path / "out", "labeled-file", draws=500, told=said.append)
    assert found.machine == 0 and said[-1].endswith("no text is left for a machine.")


def test_the_encoder_is_not_asked_twice_about_a_text(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "new.jsonl", new_rows(60))
    label_file(finished, source, 0.4, tmp_path / "one", "labeled-file", draws=20)

    def refuse(*_: object) -> None:
        raise AssertionError("the encoder was loaded")

    monkeypatch.setattr("dal_nlp.learners.feature_cache.load_encoder", refuse)
    label_file(finished, source, 0.4, tmp_path / "two", "labeled-file", draws=20)


@pytest.mark.long
@pytest.mark.parametrize("of", [lambda run: run, lambda run: run / "model"], ids=["run", "classifier"])
def test_a_model_is_tested_from_few_answers(finished: Path, tmp_path: Path, of: Callable[[Path], Path]) -> None:
    rows = new_rows(600)
    source = write(tmp_path / "new.jsonl", rows)
    found = active_test(of(finished), source, 80, tmp_path / "out", "labeled-file")
    assert found.pending == 0 and found.answered in (80, 81)
    assert not any("counts once" in remark for remark in found.remarks)
    state = read_state(tmp_path / "out")
    assert len(set(state.audit_probabilities.values())) > 2
    whole = active_test(of(finished), source, 600, tmp_path / "whole", "labeled-file").scores["accuracy"]
    few = found.scores["accuracy"]
    assert few.low <= whole.value <= few.high
    assert few.worth > 0 and set(found.scores) == {"accuracy", "macro_f1"}


def test_repeats_count_once_in_a_test_and_that_is_said(finished: Path, tmp_path: Path) -> None:
    rows = new_rows(60)
    again = [{**rows[0], "id": f"again {i}"} for i in range(200)]
    source = write(tmp_path / "new.jsonl", [*rows, *again])
    found = active_test(finished, source, 20, tmp_path / "out", "labeled-file")
    assert found.answered < 40 and any("has 200 repeats of earlier texts" in remark for remark in found.remarks)


def test_draws_that_are_the_whole_file_are_said(finished: Path, tmp_path: Path) -> None:
    said: list[str] = []
    for rows in (40, 300):
        source = write(tmp_path / f"{rows}.jsonl", new_rows(rows))
        label_file(finished, source, 0.2, tmp_path / f"out {rows}", draws=60, told=said.append)
    assert "That is the whole file: --draws 14 leaves more to machines." in said[0]
    assert "whole file" not in said[1]


def test_a_test_waits_for_sheets(finished: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "new.jsonl", new_rows(100))
    found = active_test(finished, source, 20, tmp_path / "out")
    assert found.scores == {} and found.pending == 20
    fill(tmp_path / "out" / "queries" / "audit.csv", {row["id"]: row["label"] for row in new_rows(100)})
    assert active_test(finished, source, 20, tmp_path / "out").scores["accuracy"].value >= 0
    with pytest.raises(UserError, match="choose another --out"):
        active_test(finished, source, 30, tmp_path / "out")


def test_the_commands_say_what_will_be_and_what_waits(finished: Path, tmp_path: Path) -> None:
    source, out = write(tmp_path / "new.jsonl", new_rows(100)), str(tmp_path / "out")
    words = ["autolabel", str(finished), source, "--error", "0.4", "--draws", "20", "--out", out]
    waits = CliRunner().invoke(app, words)
    assert waits.exit_code == 3 and "Nothing is labeled yet" in waits.output
    ends = CliRunner().invoke(app, [*words[:-1], f"{out}-2", "--oracle", "labeled-file"])
    assert ends.exit_code == 0 and "by the model" in ends.output and "labeled.csv" in ends.output
    assert CliRunner().invoke(app, [*words, "--precision", "0.9"]).exit_code == 2
    words = ["test", str(finished), source, "--budget", "20", "--oracle", "labeled-file", "--out", f"{out}-3"]
    tested = CliRunner().invoke(app, words)
    assert tested.exit_code == 0 and "a uniform sample would have taken" in tested.output


def test_people_answer_in_the_folder_as_in_a_run_and_nothing_trains_there(finished: Path, tmp_path: Path) -> None:
    rows = new_rows(100)
    source, out, truth = (
        write(tmp_path / "new.jsonl", rows),
        tmp_path / "out",
        {row["id"]: row["label"] for row in rows},
    )
    label_file(finished, source, 0.4, out, draws=20)
    with open_answer_store(out) as store:
        waiting = store.queue("anna")
        assert len(waiting) == 20
        for id in waiting:
            store.write(store.read(id, truth[id], store.origin("anna", "terminal")))
    found = label_file(finished, source, 0.4, out, draws=20)
    assert found.bound is not None and found.people >= 20
    config = RunConfig.load(flags={"task": "sentiment", "data": source, "out": str(out)})
    with pytest.raises(UserError, match="questions about a file"):
        Session(config).run()


@pytest.mark.long
@pytest.mark.parametrize("kind", ["error", "active draws", "test"])
def test_an_inquiry_that_is_cut_anywhere_ends_the_same(
    finished: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "new.jsonl", new_rows(80))

    def call(out: Path) -> None:
        if kind == "test":
            active_test(finished, source, 20, out, "labeled-file")
        else:
            design = "active" if kind == "active draws" else "uniform"
            label_file(finished, source, 0.2, out, "labeled-file", draws=20, design=design)

    with monkeypatch.context() as patch:
        copies = copies_after_every_write(patch, tmp_path)
        call(tmp_path / "out")
    result = "test.json" if kind == "test" else "labeled.csv"
    want = (tmp_path / "out" / result).read_bytes()
    written = {"config", "pool", "inquiry", "audit", "label", *(() if kind == "test" else ("query",))}
    assert written == {name for name, _ in copies}
    for name, folder in copies:
        with (folder / "ledger.jsonl").open("a") as ledger:
            ledger.write('{"event": "label", "id": "torn')
        call(folder)
        assert (folder / result).read_bytes() == want, name
