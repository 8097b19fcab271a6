"""``training.start``: all weights are trained at the end from the last layer on, more gently, or from nothing."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForSequenceClassification

from dal_nlp import RunConfig, Session
from dal_nlp.learners.learner import FullLearner
from dal_nlp.learners.tuned_head import GENTLE
from dal_nlp.ledger.ledger import read_state
from dal_nlp.session.result import Result
from dal_nlp.workflows.predict import predict
from tests import head_runs

STILL = {"mode": "head", "min_steps": 1, "epochs": 1e-9, "learning_rate": 1e-12, "weight_decay": 0}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """pool.jsonl (60 rows), test.jsonl (30 rows) and a model."""
    return head_runs.write_files(tmp_path, pool=60, test=30)


def run(files: Path, name: str, **training: Any) -> Result:
    values = {
        **head_runs.values(files, name),
        "initial": 20,
        "rounds": 0,
        "finish": "full-always",
        "training": {**STILL, **training},
    }
    return Session(RunConfig.load(flags=values)).run()


@pytest.mark.long
def test_it_begins_with_what_the_last_layer_answers(files: Path) -> None:
    from_head = run(files, "head", start="head")
    assert from_head.finished is not None
    assert from_head.finished["values"]["accuracy"] == pytest.approx(from_head.curve[-1]["values"]["accuracy"])
    rows = [row.answer for row in predict(files / "head", str(files / "test.jsonl"))]
    saved = AutoModelForSequenceClassification.from_pretrained(files / "head" / "model", trust_remote_code=False)
    assert type(saved).__name__ == "HeadModel" and all(row is not None for row in rows)
    other = run(files, "pretrained", start="pretrained")
    kind = type(AutoModelForSequenceClassification.from_pretrained(files / "pretrained" / "model")).__name__
    assert other.finished is not None and kind == "BertForSequenceClassification"


@pytest.mark.long
def test_all_weights_are_trained_and_more_gently(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = []
    fit = FullLearner.fit

    def noting(self: FullLearner, *args: Any) -> Any:
        rates.append(self._config.training.learning_rate)
        return fit(self, *args)

    monkeypatch.setattr(FullLearner, "fit", noting)
    run(files, "run", start="head", learning_rate=0.01, min_steps=5, epochs=1)
    assert set(rates) == {GENTLE * 0.01}
    tuned = AutoModelForSequenceClassification.from_pretrained(files / "run" / "model").base
    before = AutoModelForSequenceClassification.from_pretrained(files / "model").base_model
    moved = [
        not one.equal(two) for one, two in zip(tuned.encoder.parameters(), before.encoder.parameters(), strict=True)
    ]
    assert all(moved)


def test_texts_with_a_label_begin_with_the_layer(files: Path) -> None:
    assert RunConfig.load(flags={"task": "sentiment", "data": "pool.csv"}).training.start == "head"
    assert RunConfig.load(flags={"task": "multilabel", "data": "pool.csv"}).training.start == "pretrained"


@pytest.mark.long
def test_a_run_that_is_finished_again_is_the_same(files: Path) -> None:
    once = run(files, "once", start="head", learning_rate=0.01)
    again = run(files, "once", start="head", learning_rate=0.01)
    run(files, "once", start="pretrained", learning_rate=0.01)  # a setting of the end, which may change
    assert once.finished == again.finished and read_state(files / "once").finished is not None
