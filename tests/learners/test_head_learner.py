"""Rounds with a frozen encoder: numbers of the whole model, resuming, sharing, refusals, and what is left behind."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertForSequenceClassification

from dal_nlp import Label, Oracle, Query, Session, UserError
from dal_nlp.annotation import Setting
from dal_nlp.core.config import ScoringConfig
from dal_nlp.core.progress import Silent
from dal_nlp.learners.feature_cache import Features
from dal_nlp.learners.head_checkpoint import HEAD, load_whole
from dal_nlp.ledger.ledger import Ledger, read_state
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import Pool
from dal_nlp.pretrained.head_model import HeadModel
from dal_nlp.report import files as report
from dal_nlp.session.context import Context
from dal_nlp.strategies import bayesian, probes
from dal_nlp.tasks.classification import Classification
from dal_nlp.workflows.dry_run import dry_run
from dal_nlp.workflows.predict import predict
from tests import head_runs, tiny
from tests.head_runs import run, settings
from tests.ledgers import copies_after_every_write
from tests.session.test_loop import timeless, write


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """pool.jsonl (60 rows), test.jsonl (20 rows) and the model, which has a masked-LM head."""
    return head_runs.write_files(tmp_path, pool=60, test=20)


def forbid(patch: pytest.MonkeyPatch, place: type, name: str) -> None:
    def refuse(*args: Any) -> None:
        raise AssertionError(f"{name} was called")

    patch.setattr(place, name, refuse)


def test_a_run_leaves_what_it_promises(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reports = []
    write_all = report.write_all
    monkeypatch.setattr(report, "write_all", lambda *args: (reports.append(1), write_all(*args)))
    result = run(files)
    assert [point["labels"] for point in result.curve] == [6, 10, 14]
    assert result.finished is None and len(reports) == 1
    names = {path.name for path in result.folder.iterdir()}
    assert {"ledger.jsonl", "metrics.csv", "queries.csv", "report.html", "model"} <= names
    assert not names & {"checkpoints", "finish"}
    assert (result.folder / "model" / HEAD).stat().st_size < 1000
    assert read_state(result.folder).config["draws"]["kind"] == "head"  # type: ignore[index]


@pytest.mark.long
def test_what_is_measured_is_what_the_whole_model_gives(files: Path) -> None:
    config = settings(files, strategy="bald", rounds=1)
    Session(config).run()
    with Ledger(files / "run") as ledger:
        work = Context(config, files / "run", ledger, None, None, None, None, Silent())
        rows = work.candidates(1)
        ours = work.pool(rows, 2)
        tokens = work.corpus.encoded(work.task).remove_columns("target")
        model = load_whole(config.model, files / "run" / "model", work.task, config)
        draws = make_draws(config.draws, config.seed, 2)
        whole = Pool(tokens, model, work.task, draws, ScoringConfig(batch_size=7), rows=rows)
        dense = (probes.class_log_probs, probes.embedding, probes.lower_embedding, probes.draw_log_probs)
        scores = (probes.entropy, probes.margin, bayesian.bald)
        for probe in (*dense, *scores):
            (mine,), (want,) = ours.collect(probe), whole.collect(probe)
            assert np.allclose(mine, want, atol=5e-3), probe  # the cache is in half precision
        (mine,), (want,) = ours.collect(probes.gradient), whole.collect(probes.gradient)
        assert np.allclose(mine.sq_dists(3), want.sq_dists(3), rtol=5e-2, atol=5e-2)
        assert [p.target for p in ours.predict()] == [p.target for p in whole.predict()]


@pytest.mark.long
@pytest.mark.parametrize("initial", ["kmeans", "alps"])
def test_the_first_choice_is_that_of_the_whole_model(files: Path, initial: str) -> None:
    run(files, initial_strategy=initial, rounds=0)
    run(files, initial_strategy=initial, rounds=0, mode="full", out=str(files / "full"))
    assert read_state(files / "run").queries[0].ids == read_state(files / "full").queries[0].ids


@pytest.mark.long
def test_the_same_run_again_chooses_the_same_and_runs_no_encoder(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(files, strategy="badge")
    forbid(monkeypatch, Features, "_load")
    forbid(monkeypatch, Classification, "load")
    run(files, strategy="badge", out=str(files / "again"))
    assert timeless(files / "run")[1:] == timeless(files / "again")[1:]
    run(files, strategy="entropy", out=str(files / "other"), seed=1)
    assert timeless(files / "run")[2:] != timeless(files / "other")[2:]


@pytest.mark.long
@pytest.mark.parametrize("changes", [{"strategy": "learning_loss"}, {"finish": "full"}])
def test_a_run_that_died_after_any_event_ends_as_if_it_had_not(
    files: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    with monkeypatch.context() as patch:
        copies = copies_after_every_write(patch, files)
        run(files, rounds=1, **changes)
    want = timeless(files / "run")
    last = {event: number for number, (event, _) in enumerate(copies)}
    for number in sorted({3, last["query"], last["label"], *range(last["metrics"] - 1, len(copies))}):
        run(files, rounds=1, out=str(copies[number][1]), **changes)
        assert timeless(copies[number][1]) == want, copies[number][0]
        assert (copies[number][1] / "model" / "config.json").is_file()


@pytest.mark.long
def test_more_rounds_go_on_from_what_a_finished_run_left(files: Path) -> None:
    run(files, rounds=1, budget=10)
    result = run(files, rounds=2, budget=14)
    straight = run(files, rounds=2, budget=14, out=str(files / "straight"))
    assert result.labels == straight.labels
    assert [p["values"] for p in result.curve] == [p["values"] for p in straight.curve]


@pytest.mark.long
def test_new_labels_are_classes_without_an_example(files: Path) -> None:
    run(files, rounds=1)
    more = [{**row, "label": "aaa neutral"} for row in tiny.sentences(12, seed=5)]
    write(files / "pool.jsonl", tiny.sentences(60) + more)
    result = run(files, rounds=4, query_size=20)
    model = AutoModelForSequenceClassification.from_pretrained(result.model_dir)
    assert model.config.id2label == {0: "negative", 1: "positive", 2: "aaa neutral"}
    assert "aaa neutral" in result.labels.values()


@pytest.mark.long
def test_the_model_loads_with_plain_transformers_in_whichever_order(files: Path) -> None:
    result = run(files)
    rows = list(predict(result.folder, str(files / "test.jsonl")))
    expected = [[row.answer.target, row.answer.confidence] for row in rows if row.answer]
    assert result.curve[-1]["values"]["accuracy"] == np.mean(
        [row["label"] == given for row, (given, _) in zip(tiny.sentences(20, seed=1), expected, strict=True)]
    )
    for first, then in (("transformers", "dal_nlp"), ("dal_nlp", "transformers")):
        script = f"""
import {first}
import {then}
import json, sys, torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
model = AutoModelForSequenceClassification.from_pretrained(sys.argv[1])
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
texts = [json.loads(line)["text"] for line in open(sys.argv[2])]
with torch.inference_mode():
    p = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits.softmax(-1)
print(json.dumps([[model.config.id2label[int(row.argmax())], float(row.max())] for row in p]))
"""
        words = [sys.executable, "-c", script, str(result.model_dir), str(files / "test.jsonl")]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        given = json.loads(done.stdout.splitlines()[-1])
        assert [label for label, _ in given] == [label for label, _ in expected]
        assert np.allclose(
            [p for _, p in given], [p for _, p in expected], atol=1e-3
        )  # those of the cache are in half precision


def test_the_package_alone_imports_neither_torch_nor_transformers() -> None:
    script = "import sys, dal_nlp; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "set()", done.stderr


class Unanswered(Oracle):
    """Answers the first round only."""

    from_file = True

    def open(self, setting: Setting) -> None:
        self.answers = setting.answers

    def label(self, queries: Sequence[Query]) -> Iterator[Label]:
        for query in queries if len(queries) == 6 else ():
            yield Label(query.id, self.answers[query.id])


def test_a_run_that_waits_for_answers_can_predict(files: Path) -> None:
    result = Session(settings(files), oracle=Unanswered()).run()
    assert len(result.pending) == 4
    assert [path.name for path in (files / "run" / "checkpoints").iterdir()] == ["round-0"]
    assert not (files / "run" / "checkpoints" / "round-0" / "model.safetensors").exists()
    rows = list(predict(files / "run", str(files / "test.jsonl")))
    hits = [
        row["label"] == r.answer.target for row, r in zip(tiny.sentences(20, seed=1), rows, strict=True) if r.answer
    ]
    assert np.mean(hits) == result.curve[0]["values"]["accuracy"]


@pytest.mark.long
def test_finish_full_leaves_an_ordinary_classifier_and_measures_it_apart(files: Path) -> None:
    plain = run(files, out=str(files / "plain"))
    result = run(files, finish="full", training={"mode": "head", "min_steps": 3, "epochs": 1, "start": "pretrained"})
    assert [p["values"] for p in result.curve] == [p["values"] for p in plain.curve]
    assert result.finished is not None and result.finished["labels"] == 14 and result.finished["steps"] == 3
    model = AutoModelForSequenceClassification.from_pretrained(result.model_dir)
    assert type(model) is BertForSequenceClassification
    tokenizer = AutoTokenizer.from_pretrained(result.model_dir)
    rows = tiny.sentences(20, seed=1)
    with torch.inference_mode():
        logits = model(**tokenizer([row["text"] for row in rows], padding=True, return_tensors="pt")).logits
    hits = [model.config.id2label[int(i)] == row["label"] for i, row in zip(logits.argmax(-1), rows, strict=True)]
    assert result.finished["values"]["accuracy"] == np.mean(hits)
    assert "All weights were trained once at the end" in (result.folder / "report.html").read_text()
    assert not (result.folder / "finish").exists()
    on = run(files, finish="full", rounds=3, budget=18)
    straight = run(files, finish="full", rounds=3, budget=18, out=str(files / "straight"))
    assert on.labels == straight.labels and on.finished is not None and straight.finished is not None
    assert on.finished["values"] == straight.finished["values"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"draws": {"kind": "fixed"}}, "draws.kind fixed has nothing to draw"),
        ({"draws": {"kind": "full"}}, "draws.kind full has nothing to draw"),
        ({"training": {"mode": "head", "warm_start": True}}, "leave training.warm_start out"),
        ({"strategy": "alps"}, "use --initial-strategy alps"),
        ({"strategy": "bleuvar"}, "needs generated texts"),
        ({"training": {"mode": "full"}, "finish": "full"}, "after rounds of --train head"),
        ({"training": {"mode": "heads"}}, "training.mode"),
    ],
)
def test_what_cannot_work_is_refused_before_a_model_is_loaded(
    files: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], named: str
) -> None:
    forbid(monkeypatch, Classification, "load")
    forbid(monkeypatch, Features, "_load")
    with pytest.raises(UserError, match=named):
        run(files, **changes)


def test_tasks_whose_output_layer_reads_every_token_are_refused(files: Path) -> None:
    tiny.write(files / "qa.jsonl", tiny.questions(20))
    changes = {"task": "qa", "data": str(files / "qa.jsonl"), "test": None, "text_column": None}
    with pytest.raises(UserError, match="has no such layer: use --train full"):
        run(files, **changes)


def test_the_mode_is_part_of_what_identifies_a_run(files: Path) -> None:
    run(files, rounds=0)
    with pytest.raises(UserError, match=r"training.mode was 'head' and is 'full'"):
        run(files, rounds=0, mode="full")


def test_draws_are_those_of_the_head_and_it_is_said(files: Path) -> None:
    run(files, strategy="bald", rounds=1)
    assert any("draws are those of the output layer" in note for note in read_state(files / "run").notes)


@pytest.mark.long
def test_pseudo_labels_train_with_their_weight(files: Path) -> None:
    result = run(files, pseudo_labels={"policy": "ceal", "threshold": 1.0, "decay": 0.0, "weight": 0.5})
    assert read_state(result.folder).pseudo
    assert result.curve[1]["loss"] != run(files, out=str(files / "none")).curve[1]["loss"]


@pytest.mark.long
def test_check_looks_at_a_few_texts_only(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dal_nlp.learners.head_learner.SAMPLE", 10)
    write(files / "pool.jsonl", tiny.sentences(300))
    seen = []
    encode = Features._encode

    def counting(self: Features, encoder: Any, tokens: Any, rows: Any) -> Any:
        seen.append(len(rows))
        return encode(self, encoder, tokens, rows)

    monkeypatch.setattr(Features, "_encode", counting)
    said = str(dry_run(settings(files)))
    assert sum(seen) < 120 and "66 parameters to train" in said and "optimizer steps" not in said


@pytest.mark.long
@pytest.mark.parametrize("content", [b"", b"\0" * 300, b"cut"], ids=["empty", "garbage", "cut"])
def test_a_damaged_layer_is_named_and_the_same_run_makes_it_again(files: Path, content: bytes) -> None:
    folder = run(files).folder
    whole = (folder / "model" / HEAD).read_bytes()
    (folder / "model" / HEAD).write_bytes(whole[: len(whole) // 2] if content == b"cut" else content)
    with pytest.raises(UserError, match=rf"{HEAD} is damaged .*the same `dal-nlp run` makes it again"):
        next(iter(predict(folder, str(files / "test.jsonl"))))
    run(files)
    assert (folder / "model" / HEAD).read_bytes() == whole


def test_saving_and_loading_gives_the_same_logits(tmp_path: Path) -> None:
    base = tiny.classifier().bert
    head = torch.nn.Linear(16, 2)
    model = HeadModel.of(base, head, ["a", "b"])
    model.save_pretrained(tmp_path)
    again = HeadModel.from_pretrained(tmp_path)
    inputs = tiny.tokenizer()(["the film was good", "bad"], padding=True, return_tensors="pt")
    with torch.inference_mode():
        assert torch.allclose(model(**inputs).logits, again(**inputs).logits)
        loss = again(**inputs, labels=torch.tensor([0, 1])).loss
    assert loss is not None and loss > 0 and again.config.id2label == {0: "a", 1: "b"}


def test_where_no_model_is_wanted_the_layer_stays_alone(files: Path) -> None:
    result = run(files, whole=False)
    names = {path.name for path in (result.folder / "model").iterdir()}
    assert names == {HEAD, "fit.json", "README.md"}
    rows = list(predict(result.folder, str(files / "test.jsonl")))
    assert len(rows) == 20 and all(row.answer is not None for row in rows)
    again = run(files, whole=False, rounds=3)  # it goes on from the layer
    assert [point["labels"] for point in again.curve] == [6, 10, 14, 18]


@pytest.mark.long
def test_full_training_at_the_end_is_kept_only_where_the_audit_finds_it_better(files: Path) -> None:
    broken = {
        "mode": "head",
        "min_steps": 1,
        "epochs": 1e-3,
        "learning_rate": 1e-9,
        "start": "pretrained",
    }  # an output layer at random
    result = run(files, test=None, audit=20, rounds=1, finish="full", training=broken)
    finished = read_state(result.folder).finished
    assert finished is not None and finished.judged == "audit" and len(finished.difference) == 3
    assert finished.kept == (finished.difference[0] > 0)
    names = {path.name for path in (result.folder / "model").iterdir()}
    kind = json.loads((result.folder / "model" / "config.json").read_text())["model_type"]
    assert HEAD in names and (kind == "bert") == finished.kept
    assert ("It is kept" if finished.kept else "The model of the last round is kept") in report.finished_line(
        read_state(result.folder)
    )
    always = run(files, test=None, audit=20, rounds=1, finish="full-always", training=broken, out=str(files / "always"))
    assert json.loads((always.folder / "model" / "config.json").read_text())["model_type"] == "bert"
