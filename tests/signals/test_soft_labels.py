"""All weights trained at the end of a run with machines: on labels, and on what layer and machines say of the pool."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from dal_nlp.core.progress import Console
from dal_nlp.learners.learner import FullLearner
from dal_nlp.ledger.ledger import read_state
from dal_nlp.models.pool import fetch
from dal_nlp.models.trainer import SHARES, Fit
from dal_nlp.session.loop import Session
from dal_nlp.session.result import Result
from dal_nlp.signals.learner import WitnessLearner
from tests import tiny
from tests.signals.witness_runs import run, settings

POOL = tiny.sentences(80)
RECIPE = {"mode": "head", "start": "head", "min_steps": 4, "epochs": 1, "learning_rate": 0.01}


def finish(files: Path, *signals: str, name: str = "run", **changes: Any) -> Result:
    training = {**RECIPE, **changes.pop("training", {})}
    given = {"rounds": 0, "finish": "full-always", "training": training, "out": str(files / name), **changes}
    return run(files, *signals, **given)


def weights(folder: Path) -> bytes:
    return (folder / "model" / "model.safetensors").read_bytes()


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Dataset]:
    """What all weights were trained on, fit by fit."""
    found, before = [], FullLearner.fit

    def noting(self: FullLearner, round: int, examples: Dataset, *rest: Any) -> Fit:
        found.append(examples)
        return before(self, round, examples, *rest)

    monkeypatch.setattr(FullLearner, "fit", noting)
    return found


def test_texts_of_the_pool_train_beside_the_labels(
    files: Path, trained: list[Dataset], capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"rounds": 0, "finish": "full-always", "training": {**RECIPE, "soft_labels": 50}, "audit": 9, "test": None}
    Session(settings(files, "right.jsonl", budget=15, **given), progress=Console()).run()
    state, (examples,) = read_state(files / "run"), trained
    assert state.finished is not None and state.finished.soft_labels == 50 and state.finished.labels == 6
    rows = fetch(examples, range(len(examples)))
    taught = [row for row in rows if row["target"] is None]
    assert len(rows) == 56 and len(taught) == 50
    assert not {row["id"] for row in taught} & {*state.training_ids, *(state.audit or [])}
    assert all(0.5 <= max(row[SHARES]) < 1 and sum(row[SHARES]) == pytest.approx(1) for row in taught)
    assert "50 texts of the pool" in capsys.readouterr().err
    assert "6 labels and what layer and signals say of 50 texts" in (files / "run" / "report.html").read_text()
    assert "say of them: 50" in (files / "run" / "model" / "README.md").read_text()


@pytest.mark.long
def test_what_is_taught_is_what_the_machine_says_of_each_text_and_no_student_knows(
    files: Path, trained: list[Dataset]
) -> None:
    labels = ["negative", "positive"]
    said = {row["id"]: labels[(labels.index(row["label"]) + (at % 6 == 0)) % 2] for at, row in enumerate(POOL)}
    tiny.write(files / "odd.jsonl", [{"id": id, "label": label, "confidence": 0.9} for id, label in said.items()])
    taught = finish(files, "odd.jsonl,mean=4")
    rows = [row for row in fetch(trained[0], range(len(trained[0]))) if row["target"] is None]
    assert len(rows) == 74 and all(labels[int(np.argmax(row[SHARES]))] == said[row["id"]] for row in rows)
    alone = finish(files, "odd.jsonl,mean=4", name="alone", training={"soft_labels": 0})
    assert alone.finished is not None and alone.finished["soft_labels"] == 0
    assert weights(alone.folder) != weights(taught.folder)


def test_texts_that_no_machine_has_answered_do_not_train(
    files: Path, trained: list[Dataset], capsys: pytest.CaptureFixture[str]
) -> None:
    known = [{"id": row["id"], "label": row["label"], "confidence": 0.9} for row in POOL[:30]]
    tiny.write(files / "some.jsonl", known)
    given = {"rounds": 0, "finish": "full-always", "training": {**RECIPE, "soft_labels": 50}}
    Session(settings(files, "some.jsonl,mean=4", **given), progress=Console()).run()
    taught = [row["id"] for row in fetch(trained[0], range(len(trained[0]))) if row["target"] is None]
    assert taught and set(taught) <= {row["id"] for row in known}
    assert f"Signals that count have answered only {len(taught)} of the 74 texts" in capsys.readouterr().err


@pytest.mark.long
def test_without_machines_nothing_changes(files: Path, trained: list[Dataset]) -> None:
    first = finish(files, name="first")
    second = finish(files, name="second", training={"soft_labels": 0})
    assert weights(first.folder) == weights(second.folder)
    assert all(SHARES not in examples.column_names for examples in trained)
    assert first.finished is not None and first.finished["soft_labels"] == 0


@pytest.mark.parametrize(("weights", "teaches"), [([0.0, 0.4], True), ([0.0, 0.0], False), ([], False)])
def test_machines_that_do_not_count_teach_nothing(weights: list[float], teaches: bool) -> None:
    learner: Any = SimpleNamespace(choosing=lambda _: "layer", _kept_layer=lambda _: SimpleNamespace(weights=weights))
    assert WitnessLearner.teacher(learner, 0) == ("layer" if teaches else None)


@pytest.mark.long
def test_a_run_that_was_killed_while_all_weights_trained_ends_as_one_that_was_not(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = finish(files, "right.jsonl", name="whole")
    with monkeypatch.context() as patch:
        patch.setattr(FullLearner, "save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            finish(files, "right.jsonl", name="killed")
    again = finish(files, "right.jsonl", name="killed")
    assert again.finished is not None and whole.finished is not None
    assert again.finished["values"] == whole.finished["values"] and again.finished["soft_labels"] == 74
    assert weights(again.folder) == weights(whole.folder)
