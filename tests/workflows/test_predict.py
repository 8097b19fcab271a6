"""Predictions of a run's model, against the model loaded by hand."""

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from dal_nlp.core.errors import UserError
from dal_nlp.ledger.ledger import Ledger
from dal_nlp.tasks.classification import Classification
from dal_nlp.workflows import predict as prediction
from dal_nlp.workflows.autolabel import plan
from dal_nlp.workflows.predict import PredictedRow, model_folder, predict
from tests import tiny, tiny_entities
from tests.head_runs import bought
from tests.ledgers import event
from tests.tiny import write

CONFIG = {"task": "classification", "data": "pool.csv", "strategy": "elsewhere:Gone", "oracle": "elsewhere:Gone"}
LABELS = ["positive", "neutral", "negative"]  # as a run has them that met a new label later on


def save_classifier(folder: Path, seed: int = 0) -> None:
    model = tiny.classifier(labels=3, seed=seed)
    model.config.id2label = dict(enumerate(LABELS))
    model.config.label2id = {label: i for i, label in enumerate(LABELS)}
    model.save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with a model of three labels."""
    return save_run(tmp_path / "run", "classification")


def by_hand(folder: Path, text: str) -> tuple[str, float]:
    """The most likely label and its probability, of one text alone."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        logits = model(**AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")).logits[0]
    best = int(logits.argmax())
    return model.config.id2label[best], float(logits.softmax(-1)[best])


@pytest.mark.parametrize("chunk", [2, 100])
def test_same_as_by_hand_in_the_order_of_the_file(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(prediction, "CHUNK", chunk)
    rows: list[dict[str, Any]] = [{key: row[key] for key in ("id", "text")} for row in tiny.sentences(7)]
    rows.insert(3, {"id": "empty", "text": "  "})
    found = list(predict(run, write(tmp_path / "new.jsonl", rows)))
    assert [row[0] for row in found] == [row["id"] for row in rows]
    assert found[3] == PredictedRow("empty", "", None, {})
    for (_, text, answer, *_), row in zip(found, rows, strict=True):
        if answer is not None:
            target, confidence = by_hand(run / "model", row["text"])
            assert text == row["text"]
            assert answer.target == target
            assert answer.confidence == pytest.approx(confidence, abs=1e-5)


def test_labels_are_not_read_and_ids_are_made_where_there_are_none(run: Path, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"text": "a good film", "label": ["x", "y"]}, {"text": "a bad film", "label": None}]
    found = list(predict(run, write(tmp_path / "new.jsonl", rows)))
    assert len({row.id for row in found}) == 2
    assert all(row.id for row in found)


class Detailed(Classification):
    """Says how long a label is."""

    def details(self, target: str | None) -> dict[str, str]:
        return {"letters": "" if target is None else str(len(target)), "case": ""}


def save_run(folder: Path, task: str) -> Path:
    with Ledger(folder) as ledger:
        ledger.append(event("config", {"config": CONFIG | {"task": task}, "digests": {}, "labels": LABELS}))
    save_classifier(folder / "model")
    return folder


def test_every_row_has_the_details_of_its_answer(tmp_path: Path) -> None:
    folder = save_run(tmp_path / "detailed", "tests.workflows.test_predict:Detailed")
    rows: list[dict[str, Any]] = [{"text": " "}, *({"text": row["text"]} for row in tiny.sentences(5))]
    empty, *found = predict(folder, write(tmp_path / "new.jsonl", rows))
    assert empty.details == {"letters": "", "case": ""}
    for row in found:
        assert row.answer is not None
        assert row.details == {"letters": str(len(row.answer.target)), "case": ""}


def test_the_model_of_the_last_round(run: Path, tmp_path: Path) -> None:
    assert model_folder(run) == run / "model"
    for name in ("round-9", "round-10", "round-11.part"):
        (run / "checkpoints" / name).mkdir(parents=True)
    assert model_folder(run) == run / "checkpoints" / "round-10"


def test_mistakes_are_found_before_the_model_is_loaded(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a run folder"):
        predict(tmp_path, "new.jsonl")
    with pytest.raises(UserError, match="no column 'text'"):
        predict(run, write(tmp_path / "new.jsonl", [{"sentence": "a film"}]))
    shutil.rmtree(run / "model")
    with pytest.raises(UserError, match="has no model yet"):
        predict(run, write(tmp_path / "new.jsonl", [{"text": "a film"}]))


def test_a_model_that_lacks_a_weight_is_refused_by_its_name(run: Path, tmp_path: Path) -> None:
    file = run / "model" / "model.safetensors"
    tensors = load_file(file)
    del tensors["bert.encoder.layer.0.attention.self.query.weight"]
    save_file(tensors, file, {"format": "pt"})
    rows = write(tmp_path / "new.jsonl", [{"id": "a", "text": "a good film"}])
    with pytest.raises(UserError, match=r"1 are missing .*layer\.0\.attention\.self\.query\.weight"):
        list(predict(run, rows))


class Reads:
    """Counts the texts that reach a model."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.texts = list[str]()
        pool = prediction.TrainedRun.pool

        def counting(run: prediction.TrainedRun, model: Any, examples: Sequence[Mapping[str, Any]]) -> Any:
            self.texts += [run.task.show(example) for example in examples]
            return pool(run, model, examples)

        monkeypatch.setattr(prediction.TrainedRun, "pool", counting)


def test_a_text_is_read_once_however_far_its_repeats_stand_apart(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction, "CHUNK", 5)
    rows = [{key: row[key] for key in ("id", "text")} for row in tiny.sentences(12)]
    rows += [{**row, "id": f"again {row['id']}"} for row in rows]
    reads = Reads(monkeypatch)
    found = list(predict(run, write(tmp_path / "new.jsonl", rows)))
    assert sorted(reads.texts) == sorted({row["text"] for row in rows})
    assert [row.id for row in found] == [row["id"] for row in rows]
    assert [row.answer for row in found[:12]] == [row.answer for row in found[12:]]
    for row in found[:3]:
        assert row.answer is not None and row.answer.target == by_hand(run / "model", row.text)[0]


@pytest.mark.long
@pytest.mark.parametrize("task", ["sentiment", "multilabel", "ner"])
def test_autolabel_reads_a_text_once(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many: Any = {"sentiment": tiny.sentences, "multilabel": tiny.several_labels, "ner": tiny_entities.tagged}[task]
    folder = bought(tmp_path, many, task=task)
    new = many(15, seed=5)
    source = write(tmp_path / "new.jsonl", [*new, *({**row, "id": f"again {i}"} for i, row in enumerate(new))])
    validation = write(tmp_path / "known.jsonl", many(10, seed=3))
    reads = Reads(monkeypatch)
    found = plan(folder, source, 0.5, validation=None if task == "ner" else validation)
    assert len(found.rows) == 30
    assert max(Counter(reads.texts[-len({row.text for row in found.rows}) :]).values()) == 1
    assert len(reads.texts) <= 10 + len({row.text for row in found.rows})
    first, again = found.rows[:15], found.rows[15:]
    assert [(row.answer, row.confidence) for row in first] == [(row.answer, row.confidence) for row in again]


@pytest.mark.long
def test_encodings_are_taken_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = bought(tmp_path, tiny.sentences, task="sentiment")
    source = write(tmp_path / "new.jsonl", tiny.sentences(20, seed=5))
    first = list(predict(folder, source))

    def refuse(*_: object) -> None:
        raise AssertionError("the encoder was loaded")

    monkeypatch.setattr("dal_nlp.learners.feature_cache.load_encoder", refuse)
    assert list(predict(folder, source)) == first
    with pytest.raises(AssertionError, match="the encoder was loaded"):
        list(predict(folder, write(tmp_path / "other.jsonl", tiny.sentences(25, seed=6))))
