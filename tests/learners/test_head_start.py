"""What a head on a frozen encoder starts from, and which layers it reads how strongly."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dal_nlp import Session, UserError
from dal_nlp.core.progress import Console
from dal_nlp.learners.cross_validation import fit_with
from dal_nlp.learners.head_checkpoint import read_layer
from dal_nlp.learners.linear import Linear
from dal_nlp.ledger.events import ConfigEvent, Event
from dal_nlp.ledger.ledger import read_state
from dal_nlp.pretrained.head_model import HeadModel
from dal_nlp.workflows.predict import predict
from tests import head_runs, tiny
from tests.head_runs import run, settings
from tests.ledgers import change, copies_after_every_write
from tests.session.test_loop import timeless

DESCRIBED = {"negative": "A bad awful film. It was poor and dull.", "positive": ["good great fine", "lovely bright"]}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """pool.jsonl (60 rows), test.jsonl (20 rows) and the model, which has a masked-LM head."""
    return head_runs.write_files(tmp_path, pool=60, test=20)


def test_descriptions_answer_before_any_label_and_their_weight_is_in_the_ledger(files: Path) -> None:
    result = run(files, descriptions=DESCRIBED, head={"layers": "top-half"})
    state = read_state(result.folder)
    assert len(state.queries[0].predictions) == 6  # what it would have answered in round 0
    start, first = state.metrics[0].start, state.metrics[0].learner
    assert start is not None
    assert start["values"].keys() == state.metrics[0].values.keys() and state.metrics[1].start is None
    assert first["layers"] == [50, 75, 100] and np.isfinite(first["signals"]["descriptions"])
    layer = read_layer(result.folder / "model")
    assert layer.depths == (50, 75, 100) and layer.weight.shape == (2, 48)
    rows = list(predict(result.folder, str(files / "test.jsonl")))
    hits = [
        row["label"] == r.answer.target for row, r in zip(tiny.sentences(20, seed=1), rows, strict=True) if r.answer
    ]
    assert np.mean(hits) == result.curve[-1]["values"]["accuracy"]


def test_a_description_of_no_label_is_refused_where_the_data_shows_the_labels(files: Path) -> None:
    wrong = {"negatve": DESCRIBED["negative"], "positive": DESCRIBED["positive"]}
    with pytest.raises(UserError, match=r"of 'negatve' \(did you mean 'negative'\?\), which is none of the labels"):
        run(files, descriptions=wrong)


@pytest.mark.long
def test_a_run_with_descriptions_that_died_after_any_event_ends_as_if_it_had_not(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where cross-validation chooses layers and strength, which it does from some labels on.

    Here it chooses by the chance of its folds, and never the rule for fewer labels: on so few it would choose that one,
    and nobody would see that it had not been asked.
    """
    own = {"descriptions": DESCRIBED, "head": {"validate_from": 10}, "rounds": 2, "strategy": "variance_reduction"}
    choices: list[int] = []

    def by_chance(
        candidates: Any, x: Any, y: Any, weights: Any, classes: int, offsets: Any, rng: Any, *rest: Any
    ) -> Any:
        choices.append(len(y))
        return candidates[1 + int(rng.integers(len(candidates) - 1))]

    monkeypatch.setattr("dal_nlp.learners.head_learner.choose_setting", by_chance)
    with monkeypatch.context() as patch:
        copies = copies_after_every_write(patch, tmp_path)
        whole = run(files, **own)
    assert all(event.learner["signals"]["descriptions"] for event in read_state(whole.folder).metrics)
    assert choices == [10, 14]
    want = timeless(whole.folder)
    for name, folder in copies:
        if name in ("query", "metrics"):
            run(files, out=str(folder), **own)
            assert timeless(folder) == want, name


def test_without_a_prior_nothing_is_known_at_the_start(files: Path) -> None:
    result = run(files, descriptions=DESCRIBED, head={"prior": "none"})
    state = read_state(result.folder)
    assert not state.queries[0].predictions and state.metrics[0].start is None
    assert state.metrics[0].learner["signals"] == {}


def test_names_that_the_tokenizer_does_not_know_are_no_prior_and_it_is_said(files: Path) -> None:
    assert any("say nothing to the encoder" in note for note in read_state(run(files, rounds=0).folder).notes)


@pytest.mark.long
def test_that_names_stand_for_descriptions_is_said_once_with_what_to_do(files: Path) -> None:
    names = {"negative": "bad", "positive": "good"}  # words that the tokenizer knows
    for file, rows in (("pool.jsonl", tiny.sentences(60)), ("test.jsonl", tiny.sentences(20, seed=1))):
        tiny.write(files / file, [{**row, "label": names[row["label"]]} for row in rows])
    by_names = run(files, rounds=0)
    run(files, rounds=1)
    described = run(files, rounds=0, descriptions={"bad": "poor", "good": "fine"}, out=str(files / "described"))
    said = [[note for note in read_state(one.folder).notes if "names" in note] for one in (by_names, described)]
    assert len(said[0]) == 1 and "stand for descriptions" in said[0][0] and "--describe FILE" in said[0][0]
    assert not said[1]


def test_a_run_whose_first_batch_was_chosen_by_what_was_the_default_then_goes_on(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(files, descriptions=DESCRIBED, initial_strategy="kmeans", rounds=0, budget=6)
    began = read_state(files / "run")
    with pytest.raises(UserError, match="initial_strategy was 'kmeans' and is 'random'"):
        run(files, descriptions=DESCRIBED, initial_strategy="random", rounds=1, budget=10)
    further = settings(files, descriptions=DESCRIBED, rounds=1, budget=10)  # names none: the default is another one now
    result = Session(further, progress=Console()).run()
    assert "This run has its first batch by kmeans, as it began, and keeps that" in capsys.readouterr().err
    state = read_state(files / "run")
    assert state.queries[0] == began.queries[0] and len(result.labels) == 10
    assert state.config is not None and state.config["initial_strategy"] == "kmeans"


def test_the_same_command_finds_a_run_whose_first_batch_was_chosen_so(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    waits = {"descriptions": DESCRIBED, "oracle": "file", "out": None}
    run(files, **waits, initial_strategy="kmeans")
    assert run(files, **waits).folder == Path("runs/sentiment-1")
    assert run(files, **waits, initial_strategy="random").folder == Path("runs/sentiment-2")


@pytest.mark.long
def test_a_run_of_an_earlier_version_goes_on_with_the_head_it_had(files: Path) -> None:
    first = {"layers": "last", "c": 0.13, "prior": "none", "validate_from": 0}
    run(files, rounds=1, budget=10, head=first)

    def as_it_was(events: list[Event]) -> list[Event]:
        return [
            replace(one, config=without_head(one.config)) if isinstance(one, ConfigEvent) else one for one in events
        ]

    def without_head(config: dict[str, Any]) -> dict[str, Any]:
        rest = {name: value for name, value in config.items() if name not in ("head", "descriptions")}
        return {**rest, "training": {**config["training"], "head_c": config["head"]["c"]}}

    change(files / "run", as_it_was)
    result = run(files, rounds=2, budget=14, head={"layers": [75, 100]})  # today's defaults
    straight = run(files, rounds=2, budget=14, head=first, out=str(files / "straight"))
    assert [point["values"] for point in result.curve] == [point["values"] for point in straight.curve]
    assert result.curve[-1]["learner"]["layers"] == [100]


def test_a_model_reads_the_layers_that_it_was_fitted_on(tmp_path: Path) -> None:
    base = tiny.classifier().bert
    model = HeadModel.of(base, torch.nn.Linear(32, 2), ["a", "b"], (50, 100))
    model.save_pretrained(tmp_path)
    again = HeadModel.from_pretrained(tmp_path)
    inputs = tiny.tokenizer()(["the film was good"], return_tensors="pt")
    with torch.inference_mode():
        states = base(**inputs, output_hidden_states=True).hidden_states
        want = model.classifier(torch.cat([states[1].mean(1), states[2].mean(1)], 1))
        assert torch.allclose(again(**inputs).logits, want, atol=1e-6)


@pytest.mark.long
def test_the_strength_of_labels_is_the_configured_one(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []

    def note(setting: Any, x: Any, y: Any, weights: Any, classes: int, offsets: Any, outputs: Any) -> Linear:
        counted.append((len(x), setting.c))
        return fit_with(setting, x, y, weights, classes, offsets, outputs)

    monkeypatch.setattr("dal_nlp.learners.head_learner.fit_with", note)
    run(files, head={"c": 0.5})
    assert [n for n, _ in counted] == [6, 10, 14]
    assert [c for _, c in counted] == [0.5] * 3


def test_from_so_many_labels_on_layers_are_chosen_by_cross_validation(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def last(candidates: Any, x: Any, *rest: Any) -> Any:
        asked.append(len(x))
        return candidates[-1]

    monkeypatch.setattr("dal_nlp.learners.head_learner.choose_setting", last)
    result = run(files, head={"validate_from": 10})
    assert asked == [10, 14]
    assert [point["learner"]["layers"] for point in result.curve] == [[75, 100], [100], [100]]
    weight = read_layer(result.folder / "model").weight
    assert not weight[:, :16].any() and weight[:, 16:].any()
