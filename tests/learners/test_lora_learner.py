"""Adapters: what is trained, that checkpoints are whole, draws by their dropout, and a merged model at the end."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertForSequenceClassification

from dal_nlp import RunConfig, Session, UserError
from dal_nlp.core.progress import Silent
from dal_nlp.ledger.ledger import Ledger, read_state
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.session.context import Context
from dal_nlp.strategies import bayesian
from tests import tiny
from tests.ledgers import copies_after_every_write
from tests.session.test_loop import timeless, write


@pytest.fixture
def files(tmp_path: Path) -> Path:
    pytest.importorskip("peft")
    return written(tmp_path)


def written(folder: Path) -> Path:
    """pool.jsonl, test.jsonl and a model without dropout of its own."""
    write(folder / "pool.jsonl", tiny.sentences(60))
    write(folder / "test.jsonl", tiny.sentences(20, seed=1))
    tiny.save_model(folder / "model", dropout=0.0)
    return folder


def settings(files: Path, **changes: Any) -> RunConfig:
    values = {
        "task": "sentiment",
        "data": str(files / "pool.jsonl"),
        "test": str(files / "test.jsonl"),
        "model": str(files / "model"),
        "out": str(files / "run"),
        "initial": 6,
        "query_size": 4,
        "rounds": 1,
        "training": {"mode": "lora", "min_steps": 4, "epochs": 1},
    }
    return RunConfig.load(flags={**values, **changes})


@pytest.mark.long
def test_the_base_stays_and_the_model_is_an_ordinary_one(files: Path) -> None:
    result = Session(settings(files)).run()
    model = AutoModelForSequenceClassification.from_pretrained(result.model_dir)
    assert type(model) is BertForSequenceClassification
    start = tiny.classifier(dropout=0.0).state_dict()
    moved = {name for name, value in model.bert.state_dict().items() if not torch.equal(value, start[f"bert.{name}"])}
    assert moved and all(name.endswith("weight") and ("dense" in name or "self" in name) for name in moved)
    tokenizer = AutoTokenizer.from_pretrained(result.model_dir)
    rows = tiny.sentences(20, seed=1)
    with torch.inference_mode():
        logits = model(**tokenizer([row["text"] for row in rows], padding=True, return_tensors="pt")).logits
    hits = [model.config.id2label[int(i)] == row["label"] for i, row in zip(logits.argmax(-1), rows, strict=True)]
    assert result.curve[-1]["values"]["accuracy"] == np.mean(hits)
    assert settings(files).training.learning_rate == 1e-3


@pytest.mark.long
def test_a_run_that_died_after_any_event_ends_as_if_it_had_not(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = settings(files, strategy="bald")
    with monkeypatch.context() as patch:
        copies = copies_after_every_write(patch, files)
        Session(config).run()
    last = {event: number for number, (event, _) in enumerate(copies)}
    for number in (last["query"], last["label"], last["metrics"] - 1, last["metrics"]):
        Session(settings(files, strategy="bald", out=str(copies[number][1]))).run()
        assert timeless(copies[number][1]) == timeless(files / "run")


@pytest.mark.long
def test_the_adapters_dropout_serves_for_draws(files: Path) -> None:
    config = settings(files, strategy="bald", max_length=64)
    Session(config).run()
    assert [query.strategy for query in read_state(files / "run").queries] == ["kmeans", "bald"]
    with Ledger(files / "run") as ledger:
        work = Context(config, files / "run", ledger, None, None, None, None, Silent())
        pool = work.pool(work.candidates(2), 2)
        (bald,) = pool.collect(bayesian.bald)
    assert bald.max() > 1e-6 and make_draws(config.draws, 0, 0).consistent


@pytest.mark.long
def test_new_labels_keep_what_was_learnt(files: Path) -> None:
    Session(settings(files)).run()
    more = [{**row, "label": "aaa neutral"} for row in tiny.sentences(12, seed=5)]
    write(files / "pool.jsonl", tiny.sentences(60) + more)
    result = Session(settings(files, rounds=2, query_size=20)).run()
    assert len(result.curve) == 3
    model = AutoModelForSequenceClassification.from_pretrained(result.model_dir)
    assert model.config.id2label == {0: "negative", 1: "positive", 2: "aaa neutral"}


def test_without_peft_it_is_said_before_a_model_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(UserError, match=r"pip install 'dal-nlp\[lora\]'"):
        Session(settings(written(tmp_path))).run()
