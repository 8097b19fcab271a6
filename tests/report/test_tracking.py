"""What trackers are told of a run, through accelerate."""

import json
import shutil
import sqlite3
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import pytest
from accelerate.tracking import TensorBoardTracker

from dal_nlp import RunConfig, Session, UserError
from dal_nlp.ledger.events import MetricsEvent
from dal_nlp.report.tracking import Tracking, check_tracker, scalars, settings
from tests import tiny
from tests.learners.test_lora_learner import written
from tests.ledgers import copies_after_every_write
from tests.session.test_loop import write

event_files = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write(tmp_path / "validation.jsonl", tiny.sentences(20, seed=2))
    return written(tmp_path)


def config(files: Path, **changes: Any) -> RunConfig:
    values = {
        "task": "sentiment",
        "data": str(files / "pool.jsonl"),
        "test": str(files / "test.jsonl"),
        "validation": str(files / "validation.jsonl"),
        "model": str(files / "model"),
        "out": str(files / "run"),
        "initial": 6,
        "query_size": 4,
        "rounds": 2,
        "training": {"mode": "head"},
        "cache": str(files / "cache"),
        "track": "tensorboard",
    }
    return RunConfig.load(flags={**values, **changes})


def points(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Step and value of every scalar in a folder of TensorBoard."""
    read = event_files.EventAccumulator(str(folder / "tracking" / "dal-nlp"))
    read.Reload()
    return {tag: [(point.step, point.value) for point in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


@pytest.mark.long
def test_every_round_is_a_step_at_its_labels(files: Path) -> None:
    result = Session(config(files)).run()
    found = points(files / "run")
    assert [step for step, _ in found["test/accuracy"]] == [6, 10, 14]
    for tag, name in (("test/accuracy", "values"), ("validation/accuracy", "validation")):
        assert [value for _, value in found[tag]] == pytest.approx([point[name]["accuracy"] for point in result.curve])
    assert {"train/loss", "seconds/train", "seconds/eval"} <= found.keys()
    assert list((files / "run" / "tracking" / "dal-nlp").rglob("hparams.yml"))


def test_a_run_that_goes_on_tells_what_a_crash_kept_back(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        copies = copies_after_every_write(patch, files)
        Session(config(files)).run()
    folder = [copy for event, copy in copies if event == "metrics"][1]
    shutil.rmtree(folder / "tracking")
    Session(config(files, out=str(folder))).run()
    assert [step for step, _ in points(folder)["test/accuracy"]] == [6, 10, 14]


@pytest.mark.parametrize("fails", [False, True])
def test_trackers_are_closed_however_a_run_ends(files: Path, monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    closed: list[TensorBoardTracker] = []
    monkeypatch.setattr(TensorBoardTracker, "finish", lambda tracker: closed.append(tracker))
    with (
        pytest.raises(ZeroDivisionError) if fails else nullcontext(),
        Tracking("tensorboard", files, config(files), []),
    ):
        assert not closed
        1 / int(not fails)
    assert len(closed) == 1


def test_without_a_tracker_nothing_is_written(files: Path) -> None:
    Session(config(files, track=None)).run()
    assert not (files / "run" / "tracking").exists()


def test_an_unknown_or_missing_tracker_is_said_before_anything_is_loaded(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"knows no tracker 'board'.* tensorboard"):
        Session(config(files, track="board")).run()
    monkeypatch.setattr("accelerate.tracking._available_trackers", [])
    with pytest.raises(UserError, match="pip install comet-ml"):
        check_tracker("comet_ml")
    assert not (files / "run" / "model").exists()


def test_settings_are_flat_and_of_kinds_that_trackers_take(files: Path) -> None:
    flat = settings(config(files))
    assert flat["training.mode"] == "head" and flat["text_column"] == '["text"]' and flat["target"] == "null"
    assert all(isinstance(value, str | int | float) for value in flat.values())


def told(labels: int) -> MetricsEvent:
    values = {"accuracy": 0.5, "f1(average=macro)": 0.25}
    return MetricsEvent(round=0, labels=labels, on="test", values=values, loss=0.1, steps=4)


def test_names_have_no_sign_that_a_tracker_refuses() -> None:
    assert {"test/accuracy", "test/f1_average_macro", "train/loss"} <= scalars(told(3)).keys()


@pytest.mark.filterwarnings("ignore")
def test_mlflow_keeps_every_round(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    store = f"sqlite:///{files / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    with Tracking("mlflow", files, config(files), [told(3)]) as tracking:
        tracking.log(told(5))
    client = mlflow.MlflowClient(store)
    (run,) = client.search_runs([client.get_experiment_by_name("dal-nlp").experiment_id])
    history = client.get_metric_history(run.info.run_id, "test/f1_average_macro")
    assert [(point.step, point.value) for point in history] == [(3, 0.25), (5, 0.25)]
    assert run.info.status == "FINISHED"


@pytest.mark.filterwarnings("ignore")
def test_trackio_keeps_every_round(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(files / "trackio"))  # read when trackio is imported
    pytest.importorskip("trackio")
    with Tracking("trackio", files, config(files), [told(3)]) as tracking:
        tracking.log(told(5))
    with closing(sqlite3.connect(files / "trackio" / "dal-nlp.db")) as kept:
        points = kept.execute("select step, metrics from metrics order by step").fetchall()
    assert [(step, json.loads(values)["test/f1_average_macro"]) for step, values in points] == [(3, 0.25), (5, 0.25)]


def test_scores_on_validation_are_told_once() -> None:
    values = {"accuracy": 0.5}
    event = MetricsEvent(round=0, labels=3, on="validation", values=values, validation=values, loss=0.1, steps=4)
    told = scalars(event)
    assert told["validation/accuracy"] == 0.5 and not [tag for tag in told if tag.startswith("test")]
