"""Whole runs on tiny models: the loop, resuming after any cut, what may change, audits, budgets, labels."""

import csv
import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import dal_nlp
from dal_nlp import Label, Oracle, Query, RunConfig, Session, Skip, UserError
from dal_nlp.annotation import Setting
from dal_nlp.ledger.ledger import read_state
from dal_nlp.report.summary import rounds_table
from dal_nlp.session.loop import Result
from dal_nlp.tasks.classification import Classification
from tests import tiny
from tests.ledgers import copies_after_every_write
from tests.tiny import write

TIMES = ("train_seconds", "eval_seconds", "pool_seconds", "choose_seconds", "encode_seconds", "load_seconds", "sum")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """pool.jsonl (60 rows) and test.jsonl (20 rows)."""
    write(tmp_path / "pool.jsonl", tiny.sentences(60))
    write(tmp_path / "test.jsonl", tiny.sentences(20, seed=1))
    return tmp_path


def settings(files: Path, model: str, **changes: Any) -> RunConfig:
    values = {
        "task": "sentiment",
        "data": str(files / "pool.jsonl"),
        "test": str(files / "test.jsonl"),
        "model": model,
        "out": str(files / "run"),
        "initial": 6,
        "query_size": 4,
        "rounds": 2,
        "training": {"mode": "full", "min_steps": 3, "epochs": 1, "learning_rate": 1e-3},
    }
    return RunConfig.load(flags={**values, **changes})


def run(files: Path, model: str, **changes: Any) -> Result:
    return Session(settings(files, model, **changes)).run()


def report_of(files: Path) -> str:
    return (files / "run" / "report.html").read_text()


def timeless(folder: Path) -> list[dict[str, Any]]:
    """The ledger's events without the clock's numbers."""
    lines = (folder / "ledger.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in TIMES} for line in lines]


def test_a_run_leaves_what_it_promises(files: Path, model_folder: str) -> None:
    result = run(files, model_folder)
    assert [point["labels"] for point in result.curve] == [6, 10, 14]
    assert len(result.labels) == 14
    assert result.stopped == "all 2 rounds are done"
    names = {path.name for path in result.folder.iterdir()}
    expected = {"config.yaml", "ledger.jsonl", "metrics.csv", "queries.csv", "report.html", "model", "rejected.csv"}
    assert expected <= names
    assert "checkpoints" not in names
    header = (result.folder / "metrics.csv").read_text().splitlines()[0]
    seconds = "train_seconds,pool_seconds,choose_seconds,eval_seconds,encode_seconds,load_seconds"
    assert header == f"round,labels,accuracy,macro_f1,{seconds}"
    assert result.model_dir is not None
    model = AutoModelForSequenceClassification.from_pretrained(result.model_dir)
    assert model.config.id2label == {0: "negative", 1: "positive"}
    AutoTokenizer.from_pretrained(result.model_dir)
    truth = {row["id"]: row["label"] for row in tiny.sentences(60)}
    assert all(truth[id] == label for id, label in result.labels.items())
    state = read_state(result.folder)
    assert [query.strategy for query in state.queries] == ["kmeans", "margin", "margin"]


@pytest.mark.long
def test_a_run_can_be_repeated_to_the_letter(files: Path, model_folder: str) -> None:
    run(files, model_folder)
    run(files, model_folder, out=str(files / "again"))
    assert timeless(files / "run") == timeless(files / "again")
    run(files, model_folder, out=str(files / "other"), seed=1)
    assert timeless(files / "run")[2:] != timeless(files / "other")[2:]


def test_a_run_of_words_that_the_tokenizer_does_not_know_says_so_and_goes_on(files: Path, model_folder: str) -> None:
    rows = [{**row, "text": f"{row['text']} {'wurde gut gespielt ' * 2}"} for row in tiny.sentences(60)]
    write(files / "pool.jsonl", rows)
    run(files, model_folder, rounds=0)
    state = read_state(files / "run")  # the ledger begins with its settings, whatever there is to say
    assert len([note for note in state.notes if "does not know" in note]) == 1
    assert run(files, model_folder, rounds=1).stopped == "the one round is done"


@pytest.mark.long
def test_a_run_that_died_after_any_event_ends_as_if_it_had_not(
    files: Path, model_folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies the folder after every event, as a killed process would leave it, and goes on from the copies."""
    with monkeypatch.context() as patch:
        copies = copies_after_every_write(patch, files)
        run(files, model_folder, rounds=1)
    want = timeless(files / "run")
    assert [name for name, _ in copies] == [name for name, _ in groupby(event["event"] for event in want)]
    for name, folder in copies:
        path = folder / "ledger.jsonl"
        if name == "label":  # it died in the middle of the answers, which are written together
            path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))
        with path.open("a") as ledger:
            ledger.write('{"event": "label", "id": "torn')  # and in the middle of a line
        run(files, model_folder, rounds=1, out=str(folder))
        assert timeless(folder) == want, name


def test_without_a_test_set_an_audit_sample_measures_and_never_trains(files: Path, model_folder: str) -> None:
    result = run(files, model_folder, test=None, audit=10, budget=24, rounds=None)
    state = read_state(result.folder)
    assert state.audit is not None and len(state.audit) == 10
    assert not set(state.audit) & set(state.training_ids)
    assert state.spent == 24 and [point["labels"] for point in result.curve] == [6, 10, 14]
    assert all(point["on"] == "audit" and point["size"] == 10 for point in result.curve)
    low, high = result.curve[-1]["intervals"]["accuracy"]
    assert low <= result.curve[-1]["values"]["accuracy"] <= high


def test_a_target_stops_the_run_and_says_whose_labels_it_read(files: Path, model_folder: str) -> None:
    result = run(files, model_folder, target="accuracy=0.01")
    assert len(result.curve) == 1 and "reached the target" in str(result.stopped)
    events = timeless(result.folder)
    assert events[-1]["event"] == "stopped" and events[-1]["read_test"] is True
    write(files / "validation.jsonl", tiny.sentences(10, seed=3))
    other = run(
        files,
        model_folder,
        target="accuracy=0.01",
        validation=str(files / "validation.jsonl"),
        out=str(files / "validated"),
    )
    state = read_state(other.folder)
    assert "reached the target" in str(state.stopped) and not state.read_test


def test_labels_the_team_already_has_train_and_cost_nothing(files: Path, model_folder: str) -> None:
    write(files / "labeled.jsonl", tiny.sentences(8, seed=4))
    result = run(files, model_folder, labeled=str(files / "labeled.jsonl"), initial=None, budget=8, rounds=None)
    assert [point["labels"] for point in result.curve] == [8, 12, 16]
    assert len(result.labels) == 8


def test_answers_may_lie_in_a_file_of_their_own(files: Path, model_folder: str) -> None:
    rows = tiny.sentences(60)
    write(files / "pool.jsonl", [{"id": row["id"], "text": row["text"]} for row in rows])
    write(files / "answers.jsonl", [{"id": row["id"], "label": row["label"]} for row in rows[:40]])
    result = run(files, model_folder, answers=str(files / "answers.jsonl"))
    state = read_state(result.folder)
    assert state.pool is not None and state.pool.rows == 40 and sum(state.pool.rejected.values()) == 20
    assert set(result.labels) <= {row["id"] for row in rows[:40]}


def test_a_budget_above_the_pool_is_capped_and_said(files: Path, model_folder: str) -> None:
    result = run(files, model_folder, budget=500, rounds=None, query_size=40)
    assert len(result.labels) == 60
    assert any("capped" in note for note in read_state(result.folder).notes)
    with pytest.raises(UserError, match="--strict"):
        run(files, model_folder, budget=500, rounds=None, strict=True, out=str(files / "strict"))


class Slow(Oracle):
    """Answers two questions a call, and refuses one example for good."""

    def open(self, setting: Setting) -> None:
        self.answers = setting.answers

    def label(self, queries: Sequence[Query]) -> Iterator[Label | Skip]:
        for number, query in enumerate(queries[:2]):
            yield Skip(query.id, "unreadable") if number else Label(query.id, self.answers[query.id])


def test_a_slow_oracle_pauses_the_run_and_nothing_is_asked_twice(files: Path, model_folder: str) -> None:
    asked: list[str] = []

    class Counting(Slow):
        def label(self, queries: Sequence[Query]) -> Iterator[Label | Skip]:
            for answer in super().label(queries):
                asked.append(answer.id)
                yield answer

    config = settings(files, model_folder, rounds=1, labels=["negative", "positive"])
    results = [Session(config, oracle=Counting()).run()]
    while results[-1].stopped is None:
        results.append(Session(config, oracle=Counting()).run())
    assert len(results) == 4  # two answers a call: the third ends round 0 and begins round 1
    assert results[0].pending and results[0].model_dir is None
    assert len(asked) == len(set(asked)) == 10
    state = read_state(files / "run")
    assert len(state.answers) == 5 and len(state.skipped) == 5


def test_a_collapsed_training_is_tried_again_with_another_seed(files: Path, model_folder: str) -> None:
    # A learning rate of next to nothing leaves the random model's one answer to everything.
    recipe = {"mode": "full", "min_steps": 1, "epochs": 0.1, "learning_rate": 1e-12}
    result = run(files, model_folder, rounds=0, training=recipe, initial=12)
    point = result.curve[0]
    answers = {row["predicted"] for row in point["breakdown"]}
    if 20 in answers:  # one class got all 20 predictions
        assert point["attempts"] == 2
        assert any("collapsed" in note for note in read_state(result.folder).notes)


@pytest.mark.long
def test_warm_start_goes_on_from_the_last_weights(files: Path, model_folder: str) -> None:
    recipe = {"mode": "full", "min_steps": 3, "epochs": 1, "learning_rate": 1e-3, "warm_start": True}
    warm = run(files, model_folder, training=recipe)
    fresh = run(files, model_folder, out=str(files / "fresh"))
    assert warm.curve[0]["loss"] == fresh.curve[0]["loss"]
    assert warm.curve[2]["loss"] != fresh.curve[2]["loss"]


def test_two_runs_with_the_default_folder_do_not_mix(
    files: Path, model_folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    first = run(files, model_folder, out=None, rounds=0)
    second = run(files, model_folder, out=None, rounds=0)
    assert [first.folder, second.folder] == [Path("runs/sentiment-1"), Path("runs/sentiment-2")]


def test_the_public_function_is_the_same_path(files: Path, model_folder: str) -> None:
    result = dal_nlp.run(settings(files, model_folder, rounds=0), quiet=True)
    assert result.stopped and (result.folder / "report.html").is_file()


@pytest.mark.long
def test_test_labels_do_not_reach_selection(files: Path, model_folder: str) -> None:
    first = run(files, model_folder)
    rows = tiny.sentences(20, seed=1)
    flipped = [{**row, "label": "negative" if row["label"] == "positive" else "positive"} for row in rows]
    write(files / "test.jsonl", flipped)
    second = run(files, model_folder, out=str(files / "flipped"))
    assert [query.ids for query in read_state(first.folder).queries] == [
        query.ids for query in read_state(second.folder).queries
    ]
    assert np.allclose(
        [p["values"]["accuracy"] for p in first.curve], [1 - p["values"]["accuracy"] for p in second.curve]
    )


def test_encoding_and_loading_have_times_of_their_own(
    files: Path, model_folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that only encoding moves, by a thousand seconds each time: no other time may contain any of it."""
    from dal_nlp.learners.feature_cache import Features

    now, encode = [0.0], Features._fill

    def slow(*given: Any) -> None:
        now[0] += 1000
        encode(*given)

    monkeypatch.setattr(Features, "_fill", slow)
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    chosen = {"strategy": "margin", "initial_strategy": "random", "training": {"mode": "head"}}
    run(files, model_folder, rounds=1, cache=str(files / "cache"), **chosen)
    state = read_state(files / "run")
    steps: list[Any] = [*state.queries, *state.metrics]
    assert sum(step.encode_seconds for step in steps) == now[0] >= 2000  # the pool, and the test set
    times = ("train_seconds", "eval_seconds", "pool_seconds", "choose_seconds", "load_seconds")
    assert {getattr(step, name, 0.0) for step in steps for name in times} == {0.0}
    assert report_of(files).count("encoding") and rounds_table(state)[0][-1] == "encode"


class Marking(Classification):
    """Points at the first letter of a text, and at its last word where the answer is "positive"."""

    def mark(self, example: Any, target: Any) -> list[tuple[int, int]]:
        text = self.show(example)
        return [(0, 1), *([(text.rindex(" ") + 1, len(text))] if target == "positive" else [])]


def test_what_the_model_itself_would_answer_is_written_beside_the_questions(files: Path, model_folder: str) -> None:
    import torch

    changes = {"task": "tests.session.test_loop:Marking"}
    first = run(files, model_folder, rounds=1, **changes)
    model = AutoModelForSequenceClassification.from_pretrained(first.model_dir).eval()
    tokenizer = AutoTokenizer.from_pretrained(first.model_dir)
    run(files, model_folder, rounds=2, **changes)  # its last question is chosen with that model
    queries = read_state(files / "run").queries
    assert [len(query.predictions) for query in queries] == [0, 4, 4]
    for guess, text in zip(queries[2].predictions, queries[2].texts, strict=True):
        with torch.inference_mode():
            probabilities = model(**tokenizer(text, return_tensors="pt")).logits[0].softmax(-1)
        target = model.config.id2label[int(probabilities.argmax())]
        assert guess["target"] == target
        assert guess["confidence"] == pytest.approx(float(probabilities.max()), abs=1e-5)
        last = [[text.rindex(" ") + 1, len(text)]] if target == "positive" else []
        assert guess["marks"] == [[0, 1], *last]
    page = (files / "run" / "report.html").read_text()
    assert page.count("<mark>") == sum(len(guess["marks"]) for query in queries for guess in query.predictions)
    with (files / "run" / "queries.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["model_answer"] == row["confidence"] == "" for row in rows] == [True] * 6 + [False] * 8


def test_the_models_own_answers_count_as_time_on_the_pool(
    files: Path, model_folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dal_nlp.models.pool import Pool

    asked: list[int] = []
    predict = Pool.predict

    def noting(self: Pool) -> Any:
        before = self.seconds
        answers = predict(self)
        if self._source is not None:  # a part of the pool: what was asked
            asked.append(len(self))
            assert before < self.seconds <= self._source[0].seconds
        return answers

    monkeypatch.setattr(Pool, "predict", noting)
    result = run(files, model_folder, strategy="random")
    assert asked == [4, 4]
    assert [query.pool_seconds > 0 for query in read_state(result.folder).queries] == [True] * 3
