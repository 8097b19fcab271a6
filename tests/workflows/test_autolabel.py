"""Labels by the model: where the threshold comes from, what is written, what is left to people."""

import csv
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dal_nlp import RunConfig, Session
from dal_nlp.core.errors import UserError
from dal_nlp.ledger.ledger import read_state
from dal_nlp.tasks.calibration import precision_guarantee
from dal_nlp.workflows.autolabel import LabeledRow, Plan, plan
from dal_nlp.workflows.autolabel import write as write_files
from dal_nlp.workflows.autolabel import write as write_plan
from dal_nlp.workflows.predict import predict
from dal_nlp_cli.main import app
from tests import tiny, tiny_summaries, waiting_runs
from tests.tiny import write


def run(folder: Path, model: str, **changes: Any) -> Path:
    values = {
        "task": "sentiment",
        "data": write(folder / "pool.jsonl", tiny.sentences(150)),
        "model": model,
        "out": str(folder / "run"),
        "initial": 60,
        "rounds": 0,
        "audit": 80,
        "training": {"mode": "full", "min_steps": 150, "epochs": 1e-3, "learning_rate": 1e-2},
        **changes,
    }
    return Session(RunConfig.load(flags=values)).run().folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("autolabel")
    return run(folder, tiny.save_model(folder / "model"))


LABELS = ("negative", "positive")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.long
def test_the_threshold_is_that_of_the_audit_sample(finished: Path, tmp_path: Path) -> None:
    new = write(tmp_path / "new.jsonl", [{"id": "e", "text": " "}, *tiny.sentences(60, seed=3)])
    found = plan(finished, new, 0.8)
    assert found.measured == 80
    assert [row.id for row in found.rows] == [row["id"] for row in tiny.sentences(60, seed=3)]
    state = read_state(finished)
    truth = {row["id"]: row["text"] for row in tiny.sentences(150)}
    # The same texts under other ids: what people have labeled is left out.
    audit = write(tmp_path / "audit.jsonl", [{"id": f"new {id}", "text": truth[id]} for id in state.audit or []])
    said = {row.id.removeprefix("new "): row for row in plan(finished, audit, 0.8).rows}
    expected = precision_guarantee(
        [said[id].confidence for id in state.audit or []],
        [said[id].answer == state.answers[id] for id in state.audit or []],
        0.8,
    )
    assert found.guarantee == expected
    assert expected is not None
    assert [row.sure for row in found.rows] == [row.confidence >= expected.threshold for row in found.rows]
    plain = {row.id: row.answer for row in predict(finished, new) if row.answer is not None}
    assert all(plain[row.id].target == row.answer for row in found.rows)  # a temperature changes no answer


def test_rows_are_left_out_where_the_run_has_a_label_of_the_same_text_under_the_same_id(
    finished: Path, tmp_path: Path
) -> None:
    state = read_state(finished)
    ids = [*(state.audit or [])[:2], *state.training_ids[:2]]
    texts = {row["id"]: row["text"] for row in tiny.sentences(150)}
    others = [{"id": id, "text": f"another {texts[id]}"} for id in ids]
    mixed = write(tmp_path / "mixed.jsonl", [{"id": ids[0], "text": texts[ids[0]]}, *others[1:]])
    assert [(row.id, row.text) for row in plan(finished, mixed, 0.8).rows] == [tuple(r.values()) for r in others[1:]]
    again = write(tmp_path / "again.jsonl", [{"id": id, "text": texts[id]} for id in ids])
    with pytest.raises(UserError, match="only rows that the run has labels of"):
        plan(finished, again, 0.8)
    # Likewise a known answer measures, although an example that trained has its id.
    known = write(tmp_path / "known.jsonl", [{**row, "label": "positive"} for row in others])
    assert plan(finished, mixed, 0.8, validation=known).measured == 4


def test_texts_that_are_answered_in_several_ways_measure_by_a_rule_only(finished: Path, tmp_path: Path) -> None:
    texts = [f"another {row['text']}" for row in tiny.sentences(12)]
    both = [{"id": f"{label}{i}", "text": text, "label": label} for i, text in enumerate(texts) for label in LABELS]
    new, known = write(tmp_path / "new.jsonl", tiny.sentences(5, seed=3)), write(tmp_path / "known.jsonl", both)
    with pytest.raises(UserError, match="12 texts are answered in several ways"):
        plan(finished, new, 0.8, validation=known)
    assert plan(finished, new, 0.8, validation=known, repeats="first").measured == 12
    with pytest.raises(UserError, match="repeats"):
        plan(finished, new, 0.8, validation=known, repeats="last")


def test_two_texts_under_one_id_are_refused(finished: Path, tmp_path: Path) -> None:
    rows = [{"id": "a", "text": "one"}, {"id": "b", "text": "two"}, {"id": "a", "text": "three"}]
    twice = write(tmp_path / "twice.jsonl", rows)
    with pytest.raises(UserError, match=r"line 3 has the id of .*line 1, and another text"):
        plan(finished, twice, 0.8)
    with pytest.raises(UserError, match=r"line 3 has the id of .*line 1, and another text"):
        next(iter(predict(finished, twice)))  # before the first answer, which may be hours before the last
    assert len(list(predict(finished, twice, id_column="none"))) == 3
    assert len(list(predict(finished, write(tmp_path / "same.jsonl", [rows[0], rows[0]])))) == 2
    task = {"id": 1, "data": {"text": "one"}, "annotations": [{"result": []}, {"result": []}]}
    assert [row.id for row in predict(finished, write(tmp_path / "tasks.jsonl", [task, {**task, "id": 2}]))] == [
        "1",
        "2",
    ]


def test_two_files_are_written_and_what_they_are_worth_is_said(finished: Path, tmp_path: Path) -> None:
    new = write(tmp_path / "new.jsonl", tiny.sentences(60, seed=3))
    done = CliRunner().invoke(
        app, ["autolabel", str(finished), new, "--precision", "0.8", "--out", str(tmp_path / "o")]
    )
    assert done.exit_code == 0, done.output
    labeled, people = rows_of(tmp_path / "o" / "labeled.csv"), rows_of(tmp_path / "o" / "people.csv")
    assert len(labeled) + len(people) == 60
    assert list(labeled[0]) == ["id", "text", "label", "confidence"]
    confidences = [float(row["confidence"]) for row in people]
    assert confidences == sorted(confidences)
    assert "expected precision" in done.output
    assert "95 % interval" in done.output
    assert "Measured on 80 known answers" in " ".join(done.output.split())


def test_a_file_without_rows_has_the_columns_of_the_other(tmp_path: Path) -> None:
    row = LabeledRow("1", "a film", "positive", 0.9, True, {"source": "mail", "text": "of the mail"})
    write_files(Plan([row], [], None, 1.0, 0, True), tmp_path)
    heads = [(tmp_path / name).read_text().splitlines()[0] for name in ("labeled.csv", "people.csv")]
    assert heads[0] == "id,text,label,confidence,source,text (context)"
    assert heads[1] == heads[0].replace("label", "suggestion")


def test_where_nothing_can_be_promised_all_goes_to_people(finished: Path, tmp_path: Path) -> None:
    new = write(tmp_path / "new.jsonl", tiny.sentences(5, seed=3))
    done = CliRunner().invoke(
        app, ["autolabel", str(finished), new, "--precision", "0.999", "--out", str(tmp_path / "o")]
    )
    assert done.exit_code == 0, done.output
    assert "No threshold can be guaranteed" in " ".join(done.output.split())
    assert not rows_of(tmp_path / "o" / "labeled.csv")
    assert len(rows_of(tmp_path / "o" / "people.csv")) == 5


@pytest.mark.long
def test_a_validation_file_measures_and_a_test_set_does_not(tmp_path: Path, model_folder: str) -> None:
    test = write(tmp_path / "test.jsonl", tiny.sentences(20, seed=1))
    new = write(tmp_path / "new.jsonl", tiny.sentences(5, seed=3))
    folder = run(tmp_path, model_folder, test=test, audit=0, training={"mode": "full", "min_steps": 2, "epochs": 1e-3})
    with pytest.raises(UserError, match="the test set is not for that: give --validation FILE"):
        plan(folder, new, 0.9)
    validation = write(tmp_path / "validation.jsonl", tiny.sentences(30, seed=2))
    assert plan(folder, new, 0.9, validation=validation).measured == 30
    trained = write(tmp_path / "trained.jsonl", [*tiny.sentences(30, seed=2), *tiny.sentences(150)])
    assert plan(folder, new, 0.9, validation=trained).measured == 30 + 150 - 60
    strange = write(tmp_path / "strange.jsonl", [{"id": "s", "text": "a film", "label": "odd"}])
    with pytest.raises(UserError, match="label 'odd', which the run does not know"):
        plan(folder, new, 0.9, validation=strange)
    out = str(tmp_path / "second")
    training = {"mode": "full", "min_steps": 2, "epochs": 1e-3}
    folder = run(tmp_path, model_folder, test=test, audit=0, validation=validation, out=out, training=training)
    assert plan(folder, new, 0.9).measured == 30


@pytest.mark.long
def test_answers_in_words_are_ranked_without_a_promise(tmp_path: Path) -> None:
    values = {
        "task": "summarization",
        "data": write(tmp_path / "pool.jsonl", tiny_summaries.documents(30)),
        "model": tiny_summaries.save_writer(tmp_path / "writer"),
        "out": str(tmp_path / "run"),
        "audit": 5,
        "initial": 4,
        "rounds": 0,
        "max_length": 24,
        "task_options": {"max_new_tokens": 8},
        "training": {"mode": "full", "min_steps": 2, "epochs": 1},
    }
    folder = Session(RunConfig.load(flags=values)).run().folder
    new = write(tmp_path / "new.jsonl", tiny_summaries.documents(6, seed=2))
    done = CliRunner().invoke(app, ["autolabel", str(folder), new])
    assert done.exit_code == 0, done.output
    assert "without a guarantee" in " ".join(done.output.split())
    people = rows_of(folder / "autolabel" / "people.csv")
    assert len(people) == 6
    assert [float(row["confidence"]) for row in people] == sorted(float(row["confidence"]) for row in people)
    guaranteed = CliRunner().invoke(app, ["autolabel", str(folder), new, "--error", "0.3"])
    assert guaranteed.exit_code == 2
    assert "Answers in words are more or less right, so no error is guaranteed" in " ".join(guaranteed.output.split())
    assert not (folder / "whole-file").exists()


def test_answers_to_questions_are_ranked_and_no_error_is_promised(tmp_path: Path) -> None:
    run = waiting_runs.run("qa", tmp_path / "qa", oracle="labeled-file").folder
    new = write(tmp_path / "new.jsonl", tiny.questions(6, seed=2))
    guaranteed = CliRunner().invoke(app, ["autolabel", str(run), new, "--error", "0.3"])
    assert guaranteed.exit_code == 2
    assert "Answers in words are more or less right, so no error is guaranteed" in " ".join(guaranteed.output.split())
    ranked = CliRunner().invoke(app, ["autolabel", str(run), new])
    assert ranked.exit_code == 0 and len(rows_of(run / "autolabel" / "people.csv")) == 6


def test_texts_may_be_in_other_columns(finished: Path, tmp_path: Path) -> None:
    rows = [{"id": row["id"], "mail": row["text"]} for row in tiny.sentences(6, seed=3)]
    words = [str(finished), write(tmp_path / "new.jsonl", rows), "--text-column", "mail", "--out", str(tmp_path / "o")]
    done = CliRunner().invoke(app, ["autolabel", *words])
    assert done.exit_code == 0, done.output
    parts = [rows_of(tmp_path / "o" / name) for name in ("labeled.csv", "people.csv")]
    assert sorted(row["text"] for row in parts[0] + parts[1]) == sorted(row["mail"] for row in rows)


def test_mistakes_are_sentences(finished: Path, tmp_path: Path) -> None:
    empty = write(tmp_path / "empty.jsonl", [{"id": "a", "text": ""}])
    for words, message in (
        ([str(finished), empty], "has no row with a text"),
        ([str(finished), empty, "--precision", "1.5"], "--precision 1.5 cannot be guaranteed"),
        ([str(tmp_path), empty], "is not a run folder"),
    ):
        done = CliRunner().invoke(app, ["autolabel", *words])
        assert done.exit_code == 2
        assert message in " ".join(done.stderr.split())


def test_every_row_is_in_one_file_and_formulas_in_none(finished: Path, tmp_path: Path) -> None:
    state = read_state(finished)
    (id, *_), texts = state.training_ids, {row["id"]: row["text"] for row in tiny.sentences(150)}
    rows = [{"id": "e", "text": " "}, {"id": id, "text": texts[id]}, {"id": "@x", "text": "=cmd|'/c calc'!A1"}]
    new = write(tmp_path / "new.jsonl", [*rows, *tiny.sentences(20, seed=3)])
    done = CliRunner().invoke(
        app, ["autolabel", str(finished), new, "--precision", "0.8", "--out", str(tmp_path / "o")]
    )
    assert done.exit_code == 0, done.output
    files = {name: rows_of(tmp_path / "o" / f"{name}.csv") for name in ("labeled", "people", "rejected")}
    assert sum(map(len, files.values())) == 23
    assert [(row["id"], row["reason"]) for row in files["rejected"]] == [
        ("e", "empty text"),
        (id, "labeled in the run"),
    ]
    written = [row for row in files["labeled"] + files["people"] if row["id"] == "'@x"]
    assert [row["text"] for row in written] == ["'=cmd|'/c calc'!A1"]
    assert not any(cell.startswith(("=", "@")) for rows in files.values() for row in rows for cell in row.values())


@pytest.mark.parametrize("sure", [True, False])
def test_both_files_have_the_context_columns_where_one_of_them_has_no_row(tmp_path: Path, sure: bool) -> None:
    row = LabeledRow("1", "a text", "good", 0.9, sure, {"product": "p1", "label": "shelf"})
    for path in write_plan(Plan([row], [], None, 1.0, 10, True), tmp_path)[:2]:
        with path.open(newline="") as file:
            header, *rows = csv.reader(file)
        last = "label (context)" if "label" in header[:4] else "label"
        assert header[4:] == ["product", last]
        assert len(rows) == (sure == (path.stem == "labeled"))
