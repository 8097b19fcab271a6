"""Several labels a text from a file to predictions: the loop, both kinds of training, people, and what is left."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline
from typer.testing import CliRunner

from dal_nlp import RunConfig, Session, Unsupported, UserError, select
from dal_nlp.annotation.answer_store import open_answer_store
from dal_nlp.annotation.exporting import export
from dal_nlp.core.rng import rng_for
from dal_nlp.core.targets import decode
from dal_nlp.learners.cross_validation import FOLDS, SEVERAL, deal, fit_with
from dal_nlp.learners.feature_cache import places_of
from dal_nlp.learners.head_checkpoint import read_layer
from dal_nlp.learners.head_learner import HeadLearner
from dal_nlp.learners.layers import side_by_side
from dal_nlp.learners.linear import Offset
from dal_nlp.learners.tuned_head import last_learner
from dal_nlp.ledger.ledger import read_state
from dal_nlp.measuring.scores import held_out_scores
from dal_nlp.session.loop import Result
from dal_nlp.tasks.multilabel.multilabel import THRESHOLDS
from dal_nlp.tasks.multilabel.thresholds import fit_thresholds
from dal_nlp.workflows.autolabel import plan
from dal_nlp.workflows.label_errors import find_suspects
from dal_nlp.workflows.predict import predict
from dal_nlp_cli.main import app
from tests import tiny
from tests.tiny import write
from tests.waiting_runs import fill, read_csv

METRICS = {"micro_f1", "macro_f1", "subset_accuracy"}


def settings(folder: Path, model: str, **changes: Any) -> dict[str, Any]:
    return {
        "task": "multilabel",
        "data": write(folder / "pool.jsonl", tiny.several_labels(60)),
        "test": write(folder / "test.jsonl", tiny.several_labels(20, seed=1)),
        "validation": write(folder / "validation.jsonl", tiny.several_labels(40, seed=2)),
        "model": model,
        "out": str(folder / "run"),
        "max_length": 24,
        "initial": 8,
        "query_size": 6,
        "rounds": 2,
        "cache": str(folder / "cache"),
        **changes,
    }


def run(folder: Path, model: str, **changes: Any) -> Result:
    return Session(RunConfig.load(flags=settings(folder, model, **changes))).run()


FULL = {"mode": "full", "min_steps": 20, "epochs": 1, "learning_rate": 1e-2}
LORA = {"mode": "lora", "min_steps": 4, "epochs": 1}


@pytest.mark.long
@pytest.mark.parametrize("training", [{"mode": "head"}, FULL, LORA], ids=["head", "full", "lora"])
def test_a_run_with_answers_of_the_file(tmp_path: Path, model_folder: str, training: dict[str, Any]) -> None:
    result = run(tmp_path, model_folder, training=training)
    state = read_state(result.folder)
    assert [event.labels for event in state.metrics] == [8, 14, 20]
    assert all(set(event.values) == METRICS == set(event.intervals) for event in state.metrics)
    assert [row["label"] for row in state.metrics[-1].breakdown] == ["anger", "fear", "joy"]
    assert any("fitted on the validation file" in note for note in state.notes)
    # The model that is left answers what predict answers, as a pipeline and from the command line.
    rows = tiny.several_labels(20, seed=1)
    ours = [row.answer for row in predict(result.folder, str(tmp_path / "test.jsonl"))]
    model: Any = AutoModelForSequenceClassification.from_pretrained(result.folder / "model").eval()
    assert model.config.problem_type == "multi_label_classification"
    tokenizer = AutoTokenizer.from_pretrained(result.folder / "model")
    said = pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None)([r["text"] for r in rows])
    thresholds = dict(zip(state.labels, model.config.to_dict()[THRESHOLDS], strict=True))
    theirs = [sorted(one["label"] for one in each if one["score"] > thresholds[one["label"]]) for each in said]
    assert theirs == [answer.target for answer in ours if answer is not None]
    assert CliRunner().invoke(app, ["predict", str(result.folder), str(tmp_path / "test.jsonl")]).exit_code == 0
    html = (result.folder / "report.html").read_text()
    assert "micro F1" in html and "anger" in html


def test_the_layer_learns_and_its_thresholds_outlive_the_process(tmp_path: Path, model_folder: str) -> None:
    result = run(tmp_path, model_folder, initial=40, rounds=0, whole=False)
    (event,) = read_state(result.folder).metrics
    assert event.values["micro_f1"] > 0.5
    model = next(iter([row for row in predict(result.folder, str(tmp_path / "test.jsonl"))]))
    kept = read_layer(result.folder / "model").settings
    assert model.answer is not None and len(kept[THRESHOLDS]) == 3 and kept[THRESHOLDS] != [0.5] * 3


@pytest.mark.long
@pytest.mark.parametrize("training", [{"mode": "head"}, FULL, LORA], ids=["head", "full", "lora"])
def test_a_resumed_run_is_the_undisturbed_one(tmp_path: Path, model_folder: str, training: dict[str, Any]) -> None:
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole = run(tmp_path / "whole", model_folder, training=training)
    run(tmp_path / "parts", model_folder, training=training, rounds=1)
    parts = run(tmp_path / "parts", model_folder, training=training)
    assert whole.labels == parts.labels
    one, other = (read_state(result.folder) for result in (whole, parts))
    assert [event.values for event in one.metrics] == [event.values for event in other.metrics]
    assert [query.scores for query in one.queries] == [query.scores for query in other.queries]


def test_people_answer_in_sheets_and_what_they_said_is_exported(tmp_path: Path, model_folder: str) -> None:
    flags = {"oracle": "file", "rounds": 1, "initial": 4, "query_size": 4}
    (missing, *_) = run(tmp_path, model_folder, **flags).remarks
    assert "several labels as a|b, none for no label" in missing
    sheet = tmp_path / "run" / "queries" / "round-000.csv"
    ids = [row["id"] for row in read_csv(sheet)]
    fill(sheet, dict(zip(ids, ["joy|Anger", "none", "fear, joy", "hope"], strict=True)))
    assert "'hope' is none of the labels anger, fear, joy" in run(tmp_path, model_folder, **flags).remarks[0]
    fill(sheet, dict(zip(ids, ["joy|Anger", "none", "fear, joy", "joy"], strict=True)))
    result = run(tmp_path, model_folder, **flags)
    wanted = dict(zip(ids, [["anger", "joy"], [], ["fear", "joy"], ["joy"]], strict=True))
    assert result.labels == wanted and len(result.curve) == 1
    with open_answer_store(tmp_path / "run") as store:
        for kind, name in (("jsonl", "out.jsonl"), ("csv", "out.csv")):
            assert export(store, kind, "labels", tmp_path / name) == 4
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert {line["id"]: line["labels"] for line in lines} == wanted
    assert {row["id"]: json.loads(row["labels"]) for row in read_csv(tmp_path / "out.csv")} == wanted


def test_columns_of_ones_and_zeros_and_flags(tmp_path: Path, model_folder: str) -> None:
    names = ["anger", "fear", "joy"]
    for name, seed, n in (("pool", 0, 30), ("test", 1, 12)):
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, ["id", "text", *names])
            writer.writeheader()
            for row in tiny.several_labels(n, seed):
                bits = {label: int(label in row["labels"]) for label in names}
                writer.writerow({"id": row["id"], "text": row["text"], **bits})
    command = [
        "run",
        "--task",
        "multilabel",
        "--data",
        str(tmp_path / "pool.csv"),
        "--test",
        str(tmp_path / "test.csv"),
    ]
    command += ["--label-columns", "joy,anger,fear", "--model", model_folder, "--out", str(tmp_path / "run"), "--quiet"]
    command += ["--initial", "8", "--rounds", "0", "--cache", str(tmp_path / "cache"), "--set", "max_length=24"]
    found = CliRunner().invoke(app, command)
    assert found.exit_code == 0, found.output
    state = read_state(tmp_path / "run")
    assert state.labels == ["joy", "anger", "fear"]
    gold = {row["id"]: row["labels"] for row in tiny.several_labels(30)}
    assert state.answers == {id: gold[id] for id in state.answers} and len(state.answers) == 8
    said = "fitted on the labels that train, each text by a layer that was fitted to others, from ten labels on"
    assert any(said in note for note in state.notes)


def test_a_strategy_of_one_softmax_is_refused_with_those_that_fit(tmp_path: Path, model_folder: str) -> None:
    with pytest.raises(Unsupported, match=r"'batchbald' needs shared outcomes.*these fit: .*mmu_lci"):
        run(tmp_path, model_folder, strategy="batchbald")


@pytest.mark.long
def test_what_is_promised_is_promised_for_each_label(tmp_path: Path, model_folder: str) -> None:
    def told(n: int, seed: int) -> list[dict[str, Any]]:
        """Rows whose words tell their label."""
        rows = [row for row in tiny.several_labels(n, seed) if row["labels"]]
        return [{**row, "labels": [label for label in row["labels"] if label != "fear"]} for row in rows]

    files = {"data": told(90, 0), "validation": told(300, 5), "test": told(30, 1), "new": told(80, 7)}
    paths = {name: write(tmp_path / f"told-{name}.jsonl", rows) for name, rows in files.items()}
    new = paths.pop("new")
    folder = run(tmp_path, model_folder, **paths, initial=60, rounds=0, training={**FULL, "min_steps": 150}).folder
    found = plan(folder, new, 0.8)
    guaranteed = {label: it for label, it in found.by_label.items() if it is not None}
    assert set(found.by_label) == {"anger", "joy"} and guaranteed and found.measured == len(files["validation"])
    truth = {row["id"]: row["labels"] for row in files["new"]}
    sure = [row for row in found.rows if row.sure]
    given = [(label, label in truth[row.id]) for row in sure for label in row.answer.split("|")]
    assert sure and {label for label, _ in given} <= guaranteed.keys()
    assert np.mean([right for _, right in given]) > 0.75
    assert not any(row.sure for row in found.rows if row.answer == "none")
    done = CliRunner().invoke(app, ["autolabel", str(folder), new, "--precision", "0.8"])
    assert done.exit_code == 0 and "a threshold of its own" in " ".join(done.output.split())


def test_wrong_labels_are_suspects(tmp_path: Path, model_folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cleanlab")
    rows = tiny.several_labels(60)
    wrong = rows[0]
    wrong["labels"] = ["anger"] if "joy" in wrong["labels"] else ["joy"]
    flags = {"data": write(tmp_path / "wrong.jsonl", rows), "initial": 60, "rounds": 0}
    run(tmp_path, model_folder, **flags)
    from dal_nlp.core.progress import Silent

    texts = {row["id"]: row["text"].split() for row in rows}

    def embeddings(store: Any, ids: list[str], progress: Any) -> Any:
        words = [*tiny.POSITIVE, *tiny.NEGATIVE]
        return np.array([[texts[id].count(word) for word in words] for id in ids], dtype=np.float32)

    monkeypatch.setattr("dal_nlp.workflows.label_errors._embeddings", embeddings)  # a random encoder knows nothing
    with open_answer_store(tmp_path / "run") as store:
        found, count = find_suspects(store, Silent())
    assert count == 60 and wrong["id"] in [row["id"] for row in found]
    assert all(row["target"] == sorted(row["target"]) and 0 <= row["doubt"] <= 1 for row in found)
    done = CliRunner().invoke(app, ["suspects", str(tmp_path / "run"), "--quiet"])
    shown = {"|".join(row["target"]) or "none" for row in found}
    assert done.exit_code == 0 and all(label in done.output for label in shown)


def test_an_audit_sample_measures_and_is_judged(tmp_path: Path, model_folder: str) -> None:
    values = settings(tmp_path, model_folder, audit=16, rounds=1)
    folder = Session(RunConfig.load(flags={**values, "test": None, "validation": None})).run().folder
    state = read_state(folder)
    assert all(event.on == "audit" and set(event.powered) == METRICS for event in state.metrics)
    assert any("fitted on the labels that train" in note for note in state.notes)


def test_all_weights_fit_thresholds_to_the_audit_sample_and_say_so(tmp_path: Path, model_folder: str) -> None:
    values = settings(tmp_path, model_folder, audit=16, rounds=0, training=FULL)
    folder = Session(RunConfig.load(flags={**values, "test": None, "validation": None})).run().folder
    assert any("fitted on the audit sample, which measures too" in note for note in read_state(folder).notes)
    (tmp_path / "without").mkdir()
    values = settings(tmp_path / "without", model_folder, rounds=0, training=FULL, validation=None)
    folder = Session(RunConfig.load(flags=values)).run().folder
    assert any("labels are given are .5" in note for note in read_state(folder).notes)
    config: Any = AutoModelForSequenceClassification.from_pretrained(folder / "model").config
    assert config.to_dict().get(THRESHOLDS) is None


@pytest.mark.long
def test_nothing_of_a_layer_is_fitted_to_the_audit_sample(
    tmp_path: Path, model_folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With too few labels to hold any out, and where all weights train at the end and the audit says what is kept."""
    layers: list[Any] = []

    def watched(*given: Any) -> Any:
        layers.append(read_layer(given[-1]).settings.get(THRESHOLDS))
        return last_learner(*given)

    monkeypatch.setattr("dal_nlp.session.context.last_learner", watched)
    for name, initial in (("few", 5), ("enough", 20)):
        (tmp_path / name).mkdir()
        changes = {"initial": initial, "audit": 16, "rounds": 0, "finish": "full-always", "validation": None}
        values = settings(tmp_path / name, model_folder, test=None, training={"min_steps": 2, "epochs": 1}, **changes)
        folder = Session(RunConfig.load(flags=values)).run().folder
        config: Any = AutoModelForSequenceClassification.from_pretrained(folder / "model").config
        thresholds = config.to_dict()[THRESHOLDS]
        assert thresholds == layers[-1] and (thresholds is None) == (name == "few")
        (said,) = [note for note in read_state(folder).notes if "thresholds" in note]
        assert "from ten labels on, and .5 before; the model of --finish has those of the layer" in said


@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_a_layer_fits_thresholds_to_what_layers_fitted_to_other_labels_say(
    tmp_path: Path, model_folder: str, monkeypatch: pytest.MonkeyPatch, weights: str
) -> None:
    """Without any label beside those that train; each fold by the library's own optimiser, as the layer of all is."""
    seen: dict[str, Any] = {}
    whole = HeadLearner.held_out

    def watched(self: HeadLearner, examples: Any, done: Any = None, given: Any = None) -> Any:
        if done is not None:
            seen.update(learner=self, examples=examples, done=done, given=given)
        return whole(self, examples, done, given)

    monkeypatch.setattr(HeadLearner, "held_out", watched)
    values = settings(tmp_path, model_folder, validation=None, audit=8, initial=30, rounds=0)
    values |= {"head": {"validate_from": 20}, "training": {"class_weights": weights}}
    Session(RunConfig.load(flags=values)).run()
    learner, examples, done = seen["learner"], seen["examples"], seen["done"]
    layer = learner._layers[0]
    x = side_by_side(learner._features.rows(places_of(examples)), learner._depths)
    y = np.array([[label in decode(target) for label in ("anger", "fear", "joy")] for target in examples["target"]]) * 1
    assert len(y) == 30  # no audited text
    folds, of = deal(SEVERAL.strata(y), rng_for(0, len(y), "folds")), np.array(seen["given"])
    assert (len(set(of.tolist())) > 1) == (weights == "balanced")

    def by_hand(way: Any) -> Any:
        p = np.zeros(y.shape)
        for fold in range(FOLDS):
            inside, outside = folds != fold, folds == fold
            offsets = [Offset(signal.logits(x[inside]), signal.mean) for signal in learner._signals]
            fitted = fit_with(way, x[inside], y[inside], of[inside], 3, offsets, SEVERAL)
            betas = zip(fitted.offset_weights, learner._signals, strict=True)
            logits = x[outside] @ fitted.weight.T + fitted.bias + sum(b * s.logits(x[outside]) for b, s in betas)
            p[outside] = expit(logits)
        return p

    for way in learner._candidates():  # the fit's own strength and layers, whichever they are
        so = replace(done, notes={"c": way.c, "layers": [0] * way.layers})
        assert np.allclose(learner.held_out(examples, so, of)[0], by_hand(way), atol=1e-6)
    noted = done.notes["c"], len(done.notes["layers"])
    (way,) = [one for one in learner._candidates() if (one.c, one.layers) == noted]
    kept = read_layer(tmp_path / "run" / "model").settings[THRESHOLDS]
    assert kept == pytest.approx(fit_thresholds(by_hand(way), y), abs=1e-6)
    itself = expit(x @ layer.weight.numpy().T + layer.bias.numpy())
    assert kept != pytest.approx(fit_thresholds(itself, y), abs=1e-3)


def test_models_that_have_not_seen_their_examples_are_scored_by_text() -> None:
    p, y = np.array([[0.9, 0.2], [0.4, 0.1], [0.8, 0.7]]), np.array([[1, 0], [0, 0], [0, 1]])
    sure, right = held_out_scores(p, y)
    assert np.allclose(sure, [0.9 * 0.8, 0.6 * 0.9, 0.8 * 0.7]) and np.allclose(right, [1, 1, 2 / 3])
    assert [values.tolist() for values in held_out_scores(p, np.array([0, 1, 0]))] == [[0.9, 0.4, 0.8], [1, 0, 1]]


def test_there_is_no_demonstration(tmp_path: Path, model_folder: str) -> None:
    with pytest.raises(UserError, match="has no demonstration: give it texts with --data"):
        Session(RunConfig.load(flags={"task": "multilabel", "model": model_folder, "out": str(tmp_path / "run")})).run()


def test_select_inside_a_training_script() -> None:
    model: Any = tiny.classifier(3)
    model.config.id2label = {0: "anger", 1: "fear", 2: "joy"}
    model.config.problem_type = "multi_label_classification"
    texts = [row["text"] for row in tiny.several_labels(20)]
    chosen = select(model, tiny.tokenizer(), texts, 4, strategy="mmu_lci", task="multilabel", max_length=24)
    assert len(set(np.asarray(chosen.positions).tolist())) == 4
