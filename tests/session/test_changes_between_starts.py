"""What may change between two starts of a run, and what may not."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForSequenceClassification

from dal_nlp import UserError
from dal_nlp.ledger.ledger import read_state
from tests import tiny
from tests.session.test_loop import files as files  # the fixture
from tests.session.test_loop import run, timeless
from tests.tiny import write


def test_the_same_command_on_a_finished_run_changes_nothing(files: Path, model_folder: str) -> None:
    first = run(files, model_folder)
    before = (files / "run" / "ledger.jsonl").read_bytes()
    second = run(files, model_folder)
    assert (files / "run" / "ledger.jsonl").read_bytes() == before
    assert second.labels == first.labels and second.stopped == first.stopped


@pytest.mark.long
def test_more_budget_is_the_same_command_with_another_budget(files: Path, model_folder: str) -> None:
    run(files, model_folder, rounds=None, budget=10)
    result = run(files, model_folder, rounds=None, budget=18)
    assert [point["labels"] for point in result.curve] == [6, 10, 14, 18]
    straight = run(files, model_folder, rounds=None, budget=18, out=str(files / "straight"))
    assert straight.labels == result.labels
    assert [p["values"] for p in straight.curve] == [p["values"] for p in result.curve]


def test_strategy_and_query_size_may_change_between_starts(files: Path, model_folder: str) -> None:
    run(files, model_folder, rounds=1)
    run(files, model_folder, rounds=2, budget=20, strategy="entropy", query_size=3)
    state = read_state(files / "run")
    assert [query.strategy for query in state.queries] == ["kmeans", "margin", "entropy"]
    assert [len(query.ids) for query in state.queries] == [6, 4, 3]
    configs = [event for event in timeless(files / "run") if event["event"] == "config"]
    assert len(configs) == 2
    run(files, model_folder, rounds=2, budget=20, strategy="random")  # nothing is chosen any more
    assert not any("random" in note for note in read_state(files / "run").notes)
    said = "From round 2 on texts are chosen by entropy, until then by margin: --strategy margin keeps that."
    assert said in state.notes


@pytest.mark.long
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 5}, "seed was 0 and is 5"),
        ({"max_length": 32}, "max_length was 64 and is 32"),
        (
            {"training": {"mode": "full", "min_steps": 9, "epochs": 1, "learning_rate": 1e-3}},
            "training.min_steps was 3 and is 9",
        ),
        ({"test": "other.jsonl"}, "the test file has other rows"),
        ({"validation": "other.jsonl"}, "there was no validation file"),
    ],
)
def test_what_identifies_a_run_may_not_change(
    files: Path, model_folder: str, change: dict[str, Any], named: str
) -> None:
    run(files, model_folder, rounds=0)
    write(files / "other.jsonl", tiny.sentences(20, seed=2))
    change = {key: str(files / value) if value == "other.jsonl" else value for key, value in change.items()}
    with pytest.raises(UserError, match=named):
        run(files, model_folder, rounds=0, **change)


@pytest.mark.long
def test_new_rows_are_taken_up_and_new_labels_come_last(files: Path, model_folder: str) -> None:
    run(files, model_folder, rounds=1)
    more = [{**row, "label": "aaa neutral"} for row in tiny.sentences(12, seed=5)]
    write(files / "pool.jsonl", tiny.sentences(60) + more)
    result = run(files, model_folder, rounds=4, query_size=15)
    model = AutoModelForSequenceClassification.from_pretrained(result.model_dir)
    assert model.config.id2label == {0: "negative", 1: "positive", 2: "aaa neutral"}
    state = read_state(files / "run")
    assert state.pool is not None and state.pool.rows == 72 and state.pool.added == 12
    assert "aaa neutral" in result.labels.values()


def test_a_changed_text_under_an_old_id_is_refused(files: Path, model_folder: str) -> None:
    run(files, model_folder, rounds=0)
    rows = tiny.sentences(60)
    rows[7]["text"] = "the film was fine"
    write(files / "pool.jsonl", rows)
    with pytest.raises(UserError, match=r"s0-7"):
        run(files, model_folder, rounds=0)


def test_rows_that_were_labeled_may_not_leave_the_pool(files: Path, model_folder: str) -> None:
    result = run(files, model_folder, rounds=0)
    write(files / "pool.jsonl", [row for row in tiny.sentences(60) if row["id"] not in result.labels])
    with pytest.raises(UserError, match=r"has lost 6 rows that the run has asked about \(the first is 's0-"):
        run(files, model_folder, rounds=0)
