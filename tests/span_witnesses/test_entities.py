"""Machines that list entities: the algebra of words against enumeration, files of lists, and runs that hear them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dal_nlp import RunConfig, Session, UserError
from dal_nlp.core.categoricals import Categoricals
from dal_nlp.core.task import Batch
from dal_nlp.ledger.ledger import read_state
from dal_nlp.session.result import Result
from dal_nlp.signals.base import LabelSet, MachineAnswer, Making
from dal_nlp.span_witnesses.entities import EntityFile, entity_columns
from dal_nlp.span_witnesses.weights import READERS
from dal_nlp.tasks.entities import heard
from dal_nlp.tasks.entities.metrics import counts
from dal_nlp.tasks.entities.tensors import word_categoricals
from dal_nlp.tasks.questions.heard import ODDS, PLACES, READER, WEIGHTS
from dal_nlp.workflows.predict import predict
from tests import tiny, tiny_entities
from tests.listening import Listening
from tests.tiny import write

TAGS = ["O", "B-bad", "I-bad", "B-good", "I-good"]


@pytest.mark.parametrize("own", READERS)
def test_at_each_weight_of_the_reader_the_likelihood_is_that_of_all_tags_of_all_words(own: float) -> None:
    rng = np.random.default_rng(0)
    scores = torch.from_numpy(rng.normal(0, 3, (2, 3, 5)))
    read = torch.tensor([[True, True, True], [True, False, False]])
    said = torch.tensor([[[0, 0], [1, 2], [-1, 4]], [[3, -1], [-1, -1], [-1, -1]]])  # two machines
    labels = torch.tensor([[0, 1, 2], [4, -100, -100]])
    odds, weights = torch.tensor([[0.7, -0.4], [2.0, 0.0]]), np.array([0.9, 0.6])
    places = {"rows": torch.tensor([[0] * 3, [1] * 3]), "places": torch.arange(3).expand(2, 3), "read": read}
    batch = Batch({}, torch.tensor([0, 1]), 2, labels, extra={**places, PLACES: said, ODDS: odds})
    asked = heard.texts(Categoricals(scores.log_softmax(-1), read), batch, own, TAGS)
    batch.extra.update({WEIGHTS: torch.tensor(weights), READER: torch.tensor(own)})
    together = word_categoricals(scores, batch, TAGS).log_probs
    for text, words in enumerate((3, 1)):
        total = 0.0
        for word in range(words):
            mass = [np.exp(float(scores[text, word, tag])) ** own for tag in range(5)]
            for s in range(2):
                tag = int(said[text, word, s])
                if tag >= 0:
                    mass[tag] *= np.exp(weights[s] * (float(odds[text, s]) + np.log(4)))
            right = int(labels[text, word])
            total += np.log(mass[right] / sum(mass))
            assert together[text, word].exp().tolist() == pytest.approx([one / sum(mass) for one in mass], abs=1e-5)
        assert asked[text].log_likelihood(weights) == pytest.approx(total, abs=1e-5)
        given, wanted = ([TAGS[int(of)] for of in tags[text, :words]] for tags in (together.argmax(-1), labels))
        entities, _ = counts([{"tags": given}], [{"tags": wanted}], ["bad", "good"])
        hits, found, there = entities.sum((0, 2)).tolist()
        assert asked[text].agreement(weights) == (2 * hits, found + there)


def test_beside_a_reader_that_knows_nothing_a_tag_gets_the_confidence_of_its_text() -> None:
    odds = torch.tensor([[0.7]]).logit()
    extra = {PLACES: torch.tensor([[[2], [-1]]]), ODDS: odds, WEIGHTS: torch.ones(1), READER: torch.tensor(1.0)}
    shares = heard.add(torch.zeros(1, 2, 5), Batch({}, torch.tensor([0]), 1, extra=extra)).softmax(-1)
    assert shares[0, 0, 2].item() == pytest.approx(0.7, abs=1e-6) and shares[0, 1].tolist() == pytest.approx([0.2] * 5)


def test_lists_are_read_in_all_forms_and_what_does_not_fit_is_counted(tmp_path: Path) -> None:
    example = {"text": "Ada met Bob", "starts": [0, 4, 8], "ends": [3, 7, 11], "tokenized": False}
    rows: list[dict[str, Any]] = [
        {"id": "spans", "entities": [{"start": 0, "end": 3, "label": "person"}], "confidence": 0.9},
        {"id": "tags", "entities": ["B-person", "O", "B-dog"]},
        {"id": "nobody", "entities": []},
        {"id": "silent", "entities": None},
        {"id": "other", "entities": ["O"]},
        {"text": "Ada met Bob", "entities": '[[8, 11, "person"]]'},
    ]
    file = EntityFile(Making(write(tmp_path / "said.jsonl", rows), {}, LabelSet(["person"])))
    ids, seen = ["spans", "tags", "nobody", "silent", "other", "unknown"], Listening()
    said = list(file.answers(["x"] * 5 + ["Ada met Bob"], ids))
    assert said[3] == MachineAnswer(None)
    found = entity_columns(["person"], [example] * 6, {"file:said": said}, seen)
    assert [[entity or other for entity, other in zip(*of_text, strict=True)] for of_text in found[PLACES]] == [
        ["B-person", "O", "O"],
        ["B-person", "O", ""],
        ["O", "O", "O"],
        ["", "", ""],
        ["", "", ""],
        ["O", "O", "B-person"],
    ]
    assert found[PLACES][0] == [["B-person", "", ""], ["", "O", "O"]] and found[ODDS][0][1] == found[ODDS][0][0]
    assert found[ODDS][0][0] == pytest.approx(np.log(9)) and found[ODDS][1][0] == pytest.approx(np.log(4))
    assert any("1 answer about entities does not fit its text." in line for line in seen.said)
    assert any("1 marked part with a label that the run does not have (dog)" in line for line in seen.said)


def test_a_text_with_other_blanks_has_other_places(tmp_path: Path) -> None:
    rows = [{"text": "Ada  met Bob", "entities": '[[9, 12, "person"]]'}, {"id": "a", "text": " Ada", "entities": []}]
    file = EntityFile(Making(write(tmp_path / "said.jsonl", rows), {}, LabelSet(["person"])))
    said = [one.log_probs is not None for one in file.answers(["Ada met Bob", "Ada  met Bob", "Ada"], ["x", "y", "a"])]
    assert said == [False, True, True]


def answers(folder: Path, right: bool = True) -> str:
    """A file with the entities of every text of pool and test set, or with wrong ones."""
    rows = [*tiny_entities.tagged(40), *tiny_entities.tagged(20, seed=1)]
    said = [row["ner_tags"] if right else ["B-bad" if tag == "O" else "O" for tag in row["ner_tags"]] for row in rows]
    table = [{"id": row["id"], "entities": tags, "confidence": 0.9} for row, tags in zip(rows, said, strict=True)]
    return f"file:{write(folder / f'said-{right}.jsonl', table)}"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny.save_model(tmp_path_factory.mktemp("model"))


def given(folder: Path, model: str) -> dict[str, Any]:
    """The settings of a run on texts with entities."""
    return {
        "task": "ner",
        "data": write(folder / "pool.jsonl", tiny_entities.tagged(40)),
        "test": write(folder / "test.jsonl", tiny_entities.tagged(20, seed=1)),
        "model": model,
        "out": str(folder / "run"),
        "training": {"mode": "head"},
        "draws": {"kind": "head"},
        "cache": str(folder / "cache"),
        "initial": 8,
        "query_size": 4,
        "rounds": 1,
        "max_length": 32,
        "keep_witness": True,
    }


def run(folder: Path, model: str, *signals: str, progress: Any = None, **changes: Any) -> Result:
    config = RunConfig.load(flags={**given(folder, model), "signals": list(signals), **changes})
    return Session(config, progress=progress).run()


@pytest.mark.long
def test_a_run_knows_from_the_start_which_entities_a_machine_lists_and_so_does_prediction(
    tmp_path: Path, model: str
) -> None:
    result = run(tmp_path, model, answers(tmp_path))
    first, last = result.curve
    assert first["start"]["values"]["f1"] > 0.9 and last["values"]["f1"] > 0.9
    assert last["beside"]["people"]["values"]["f1"] < first["start"]["values"]["f1"]
    assert last["learner"]["judged"] == 12 and not last["learner"]["off"] and last["learner"]["reader"] in READERS
    page = (result.folder / "report.html").read_text()
    assert "answered 40 texts of the pool" in page and "own scores count" in page
    assert "in no entity has weight" in page and len(last["learner"]["signals"]) == 2
    truth = {row["id"]: row["ner_tags"] for row in tiny_entities.tagged(20, seed=1)}

    def share(**changes: Any) -> float:
        rows = list(predict(result.folder, str(tmp_path / "test.jsonl"), **changes))
        return float(np.mean([row.answer is not None and row.answer.target["tags"] == truth[row.id] for row in rows]))

    assert share() > 0.8 and share(keep_witness=False) < share()


def test_without_keep_witness_what_is_measured_is_the_layer_alone(tmp_path: Path, model: str) -> None:
    heard_by = run(tmp_path, model, answers(tmp_path), keep_witness=False, out=str(tmp_path / "a"), rounds=0)
    alone = run(tmp_path, model, keep_witness=False, out=str(tmp_path / "b"), rounds=0)
    assert heard_by.curve[0]["values"] == alone.curve[0]["values"]


@pytest.mark.long
def test_a_machine_that_is_wrong_does_not_count(tmp_path: Path, model: str) -> None:
    result = run(tmp_path, model, answers(tmp_path, right=False), initial=20, rounds=0)
    point = result.curve[-1]
    assert point["values"]["f1"] >= point["beside"]["people"]["values"]["f1"] - 0.05
    assert next(iter(point["learner"]["signals"].values())) < 0.2


@pytest.mark.long
def test_going_on_gives_what_one_run_gives_and_asks_nothing_twice(tmp_path: Path, model: str) -> None:
    signal, curves = answers(tmp_path), []
    for name, steps in (("one", [2]), ("two", [1, 2])):
        for rounds in steps:
            result = run(tmp_path, model, signal, out=str(tmp_path / name), rounds=rounds)
        curves.append([(point["values"], point["learner"]) for point in result.curve])
        lines = (result.folder / "ledger.jsonl").read_text().splitlines()
        asked = [event for event in map(json.loads, lines) if event.get("event") == "signal"]
        assert sum(len(event["answers"]) for event in asked) == 60
    assert curves[0] == curves[1]


def test_weights_are_fitted_to_texts_that_their_layers_have_not_seen(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dal_nlp.span_witnesses.learner import EntityWitnessLearner

    trained, judged = list[set[str]](), list[set[str]]()
    learn, said = EntityWitnessLearner._learn, EntityWitnessLearner._said

    def learns(me: EntityWitnessLearner, round: int, data: Any, *rest: Any) -> Any:
        trained.append(set(data["id"]))
        return learn(me, round, data, *rest)

    def judges(me: EntityWitnessLearner, reader: Any, data: Any) -> Any:
        judged.append(set(data["id"]))
        return said(me, reader, data)

    monkeypatch.setattr(EntityWitnessLearner, "_learn", learns)
    monkeypatch.setattr(EntityWitnessLearner, "_said", judges)
    run(tmp_path, model, answers(tmp_path), rounds=0)
    one, two, last = trained
    assert one == last - judged[0] and two == last - judged[1] and judged[0] | judged[1] == last


def test_other_machines_and_other_ways_to_train_are_refused(tmp_path: Path, model: str) -> None:
    with pytest.raises(UserError, match="file, llm"):
        run(tmp_path, model, "run:elsewhere")
    with pytest.raises(UserError, match="--train head"):
        run(tmp_path, model, answers(tmp_path), training={"mode": "full"}, draws={"kind": "fixed"})


def test_answers_are_in_the_ledger_as_they_came(tmp_path: Path, model: str) -> None:
    result = run(tmp_path, model, answers(tmp_path), rounds=0)
    said = read_state(result.folder).signals
    assert {place for _, place in said} == {"pool", "test"}
