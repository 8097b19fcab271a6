"""All weights, and adapters, that learn in every round from labels and from what machines say of other texts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from numpy.typing import NDArray

from dal_nlp import RunConfig
from dal_nlp.core.errors import UserError
from dal_nlp.core.progress import Console
from dal_nlp.learners.learner import FullLearner
from dal_nlp.learners.soft_labels import LABEL_WEIGHT
from dal_nlp.ledger.ledger import read_state
from dal_nlp.models.pool import fetch
from dal_nlp.models.trainer import SHARES, Fit
from dal_nlp.session.loop import Session
from dal_nlp.session.result import Result
from dal_nlp.workflows.predict import predict
from tests import tiny
from tests.signals.witness_runs import settings, weights

POOL = tiny.sentences(80)
#: By round.
Trained = dict[int, tuple[list[dict[str, Any]], NDArray[np.float64]]]
OTHER = {"negative": "positive", "positive": "negative"}


def configured(files: Path, *signals: str, mode: str = "full", name: str = "run", **changes: Any) -> RunConfig:
    training = {"mode": mode, "min_steps": 4, "epochs": 1, "soft_labels": 30, **changes.pop("training", {})}
    given = {"rounds": 2, "strategy": "margin", "draws": {"kind": "fixed"}, "out": str(files / name), **changes}
    return settings(files, *signals, training=training, **given)


def run(files: Path, *signals: str, **changes: Any) -> Result:
    return Session(configured(files, *signals, **changes)).run()


def model(folder: Path) -> bytes:
    return (folder / "model" / "model.safetensors").read_bytes()


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Trained:
    """The examples of each round, and their weights; a second attempt has those of the first."""
    found: Trained = {}
    before = FullLearner.fit

    def noting(self: FullLearner, round: int, examples: Dataset, weights: NDArray[np.float64], *rest: Any) -> Fit:
        found[round] = (fetch(examples, range(len(examples))), weights)
        return before(self, round, examples, weights, *rest)

    monkeypatch.setattr(FullLearner, "fit", noting)
    return found


@pytest.mark.long
@pytest.mark.parametrize("mode", ["full", "lora"])
def test_every_round_learns_from_labels_and_from_texts_that_nobody_is_asked_about(
    files: Path, mode: str, trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    if mode == "lora":
        pytest.importorskip("peft")
    changes = {"audit": 8, "budget": 26, "test": None}
    result = Session(configured(files, "right.jsonl", mode=mode, **changes), progress=Console()).run()
    state, asked = read_state(result.folder), set[str]()
    right = {row["id"]: row["label"] for row in POOL}
    for round, (rows, counts) in trained.items():
        asked |= set(state.queries[round].ids)
        labeled = [row["id"] for row in rows if row["target"] is not None]
        taught = [row for row in rows if row["target"] is None]
        assert set(labeled) == asked and len(taught) == 30
        assert not {row["id"] for row in taught} & {*asked, *(state.audit or [])}
        assert [["negative", "positive"][int(np.argmax(row[SHARES]))] for row in taught] == [
            right[row["id"]] for row in taught
        ]
        assert counts[: len(labeled)].tolist() == [LABEL_WEIGHT] * len(labeled)
        assert counts[len(labeled) :] == pytest.approx([max(row[SHARES]) for row in taught])
    assert len(trained) == 3 and [event.learner["soft_labels"] for event in state.metrics] == [30] * 3
    assert all(of["file:right.jsonl"] > 2 for of in weights(result.folder))
    assert capsys.readouterr().err.count("Beside the labels 30 texts of the pool train, by what signals say") == 3
    assert "trained on 30 texts of the pool" in (result.folder / "report.html").read_text()
    assert "what machines say of them: 30" in (result.folder / "model" / "README.md").read_text()


def test_texts_without_an_answer_do_not_train(files: Path, trained: Trained) -> None:
    known = [{"id": row["id"], "label": row["label"], "confidence": 0.9} for row in POOL[:20]]
    tiny.write(files / "some.jsonl", known)
    run(files, "some.jsonl", rounds=0)
    rows, _ = trained[0]
    taught = {row["id"] for row in rows if row["target"] is None}
    assert taught and taught <= {row["id"] for row in known}


def test_labels_turn_a_machine_around_that_is_always_wrong(files: Path, trained: Trained) -> None:
    said = [{"text": row["text"], "label": OTHER[row["label"]], "confidence": 0.9} for row in POOL]
    tiny.write(files / "wrong.jsonl", said)
    state = read_state(run(files, "wrong.jsonl", initial=40, rounds=0).folder)
    rows, _ = trained[0]
    if "file:wrong.jsonl" in state.metrics[0].learner["off"]:
        assert all(row["target"] is not None for row in rows)
        return
    right = {row["id"]: row["label"] for row in POOL}
    taught = [row for row in rows if row["target"] is None]
    assert all(["negative", "positive"][int(np.argmax(row[SHARES]))] == right[row["id"]] for row in taught)


@pytest.mark.long
def test_it_changes_the_model_and_none_are_what_labels_alone_give(files: Path) -> None:
    alone, none = run(files, name="alone"), run(files, "right.jsonl", name="none", training={"soft_labels": 0})
    taught = run(files, "right.jsonl", name="taught")
    assert model(alone.folder) == model(none.folder) != model(taught.folder)


@pytest.mark.long
@pytest.mark.parametrize("at", ["save", "fit"])
def test_a_killed_run_ends_as_one_that_was_not(files: Path, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    whole, before = run(files, "right.jsonl", name="whole"), getattr(FullLearner, at)

    def killed(self: FullLearner, round: int, *rest: Any) -> Any:
        if round == 1:
            raise KeyboardInterrupt
        return before(self, round, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(FullLearner, at, killed)
        with pytest.raises(KeyboardInterrupt):
            run(files, "right.jsonl", name="killed")
    again = run(files, "right.jsonl", name="killed")
    assert [point["values"] for point in again.curve] == [point["values"] for point in whole.curve]
    assert model(again.folder) == model(whole.folder)


@pytest.mark.long
def test_an_active_audit_is_drawn_by_a_model_of_labels_alone(files: Path, trained: Trained) -> None:
    changes = {"audit": 8, "audit_design": "active", "budget": 26, "test": None}
    state = read_state(run(files, "right.jsonl", **changes).folder)
    assert all(row["target"] is not None for row in trained[0][0]) and len(trained[1][0]) == 12 + 30
    assert not {row["id"] for rows, _ in trained.values() for row in rows} & set(state.audit or [])


def test_what_a_model_that_reads_texts_alone_has_no_place_for_is_refused(files: Path) -> None:
    for changes, said in (
        ({"keep_witness": True}, "--keep-witness"),
        ({"pseudo_labels": "ceal"}, "--pseudo-labels"),
        ({"strategy": "disagreement"}, "--train head"),
        ({"task": "multilabel", "label_column": "label"}, "one label"),
    ):
        with pytest.raises(UserError, match=said):
            run(files, "right.jsonl", name="refused", **changes)
    run(files, "right.jsonl", rounds=0)
    with pytest.raises(UserError, match="hears no signal"):
        list(predict(files / "run", str(files / "test.jsonl"), keep_witness=True))
