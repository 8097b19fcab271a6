"""``--pseudo-labels distil``: the layer of the labels chooses, and from 50 labels on a student of it answers."""

from pathlib import Path
from typing import Any

import pytest

from dal_nlp import RunConfig, Session, UserError
from dal_nlp.learners.head_checkpoint import read_layer
from dal_nlp.ledger.ledger import read_state
from dal_nlp.report.model_card import answered_by
from dal_nlp.signals.witness import KEPT, read_kept
from dal_nlp.workflows.predict import predict
from tests import head_runs


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """pool.jsonl (120 rows), test.jsonl (40 rows) and a model."""
    return head_runs.write_files(tmp_path, pool=120, test=40)


def run(files: Path, name: str, **changes: Any) -> Path:
    values = {
        **head_runs.values(files, name),
        "initial": 20,
        "query_size": 20,
        "rounds": 2,
        "strategy": "margin",
        "training": {"mode": "head"},
        "head": {"validate_from": 0},
    }
    Session(RunConfig.load(flags={**values, **changes})).run()
    return files / name


@pytest.mark.long
def test_the_layer_chooses_and_its_student_answers_from_fifty_labels_on(files: Path) -> None:
    plain, distilled = run(files, "plain"), run(files, "distilled", pseudo_labels="distil")
    without, state = read_state(plain), read_state(distilled)
    assert [query.ids for query in state.queries] == [query.ids for query in without.queries]
    assert [event.learner["distilled"] for event in state.metrics] == [False, False, True]
    assert [event.values for event in state.metrics[:2]] == [event.values for event in without.metrics[:2]]
    layer = read_layer(plain / "model")
    assert read_layer(distilled / "model", KEPT).weight.equal(layer.weight)
    student = read_layer(distilled / "model")
    assert not student.weight.equal(layer.weight)
    pooled = predict(distilled, str(files / "pool.jsonl"))
    other = predict(plain, str(files / "pool.jsonl"))
    agree = sum(one.answer.target == two.answer.target for one, two in zip(pooled, other, strict=True))
    assert agree >= 100  # it was fitted to these answers
    assert any("self-distillation" in line for line in answered_by(state))
    assert not any("self-distillation" in line for line in answered_by(without))


def test_from_when_on_is_a_setting(files: Path) -> None:
    early = run(files, "early", rounds=0, pseudo_labels={"policy": "distil", "distil_from": 20})
    assert read_state(early).metrics[0].learner["distilled"]
    late = run(files, "late", rounds=0, pseudo_labels={"policy": "distil", "distil_from": 21})
    assert read_layer(late / "model").weight.equal(read_kept(late / "model").layer.weight)


@pytest.mark.long
def test_a_continued_run_is_an_undisturbed_one(files: Path) -> None:
    whole = run(files, "whole", pseudo_labels="distil")
    run(files, "parts", pseudo_labels="distil", rounds=1)
    parts = run(files, "parts", pseudo_labels="distil")
    assert read_layer(parts / "model").weight.equal(read_layer(whole / "model").weight)
    assert [query.ids for query in read_state(parts).queries] == [query.ids for query in read_state(whole).queries]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training": {"mode": "full"}}, "--pseudo-labels distil"),
        ({"task": "multilabel", "label_column": "label"}, "one label"),
    ],
)
def test_what_has_no_student_is_refused(files: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(files, "refused", pseudo_labels="distil", **changes)


def test_no_machine_is_there_to_be_asked(files: Path) -> None:
    folder = run(files, "run", rounds=0, pseudo_labels="distil")
    with pytest.raises(UserError, match="hears no signal"):
        list(predict(folder, str(files / "test.jsonl"), keep_witness=True))
