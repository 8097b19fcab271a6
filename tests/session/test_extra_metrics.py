"""Metrics beside a task's own: those of the package, a folder that ``evaluate.load`` reads, and a class of a user's."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import evaluate
import numpy as np
import pytest
from datasets import Features, Value

from dal_nlp import RunConfig, Session, UserError
from dal_nlp.core.plugins import trust_all, trust_only
from dal_nlp.ledger.ledger import read_state
from dal_nlp.report import summary
from dal_nlp.session.loop import Result
from dal_nlp.tasks import load_metrics, read_metric
from dal_nlp.tasks.classification import Classification
from dal_nlp.tasks.hf_metrics import InMemory, values_of
from dal_nlp.tasks.qa import ExtractiveQA
from dal_nlp.tasks.summarization import Summarization
from tests import tiny
from tests.tiny import write

#: A module as one writes it for the library: class numbers, an argument, several results.
MODULE = """
import datasets
import evaluate

class Hits(evaluate.Metric):
    def _info(self):
        features = datasets.Features({"predictions": datasets.Value("int32"), "references": datasets.Value("int32")})
        return evaluate.MetricInfo(description="", citation="", inputs_description="", features=features)

    def _compute(self, predictions, references, times=1):
        hits = [float(a == b) for a, b in zip(predictions, references)]
        return {"hits": times * sum(hits), "accuracy": hits, "names": "yes", "last_class": max(references)}
"""
NEGATIVE, POSITIVE = "negative", "positive"
LABELS = [NEGATIVE, POSITIVE]


class Negatives(InMemory):
    """The share of predictions that are negative, which is not defined where all are."""

    columns = Features({"predictions": Value("string"), "references": Value("string")})
    meaning = "predictions, references: labels"

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        share = predictions.count(NEGATIVE) / len(predictions)
        return {"negatives": share if share < 1 else np.nan}


class Broken(Negatives):
    """A metric that takes three classes."""

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        raise ValueError("three classes\nare needed")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A folder ``hits`` with a module; nothing is copied to the user's own caches."""
    monkeypatch.setattr(evaluate.config, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    (tmp_path / "hits").mkdir()
    (tmp_path / "hits" / "hits.py").write_text(MODULE)
    yield str(tmp_path / "hits")
    trust_all()


def run(tmp_path: Path, model: str, metrics: list[str], **changes: Any) -> Result:
    write(tmp_path / "pool.jsonl", tiny.sentences(40))
    write(tmp_path / "test.jsonl", tiny.sentences(20, seed=1))
    values = {
        "task": "sentiment",
        "data": str(tmp_path / "pool.jsonl"),
        "test": str(tmp_path / "test.jsonl"),
        "model": model,
        "out": str(tmp_path / "run"),
        "initial": 6,
        "query_size": 4,
        "rounds": 1,
        "metrics": metrics,
        "training": {"mode": "full", "min_steps": 2, "epochs": 1},
    }
    return Session(RunConfig.load(flags={**values, **changes})).run()


@pytest.mark.pictures
def test_a_run_has_columns_and_curves_of_metrics_that_were_added(
    tmp_path: Path, model_folder: str, folder: str
) -> None:
    metrics = [f"{folder}(times=5)", f"{__name__}:Negatives"]
    result = run(tmp_path, model_folder, metrics, target={"hits": 1000.0})
    with (result.folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = ["accuracy", "macro_f1", "hits", "hits_accuracy", "last_class", "negatives"]
    assert list(rows[0])[2:8] == names
    for row, point in zip(rows, result.curve, strict=True):
        assert list(point["values"]) == names and point["added"] == names[2:]
        assert float(row["hits"]) == pytest.approx(100 * float(row["accuracy"]))  # 5 times the hits of 20
        assert float(row["hits_accuracy"]) == pytest.approx(float(row["accuracy"]))
    state = read_state(result.folder)
    assert state is not None
    assert any("gives more than numbers, which is left out: names" in note for note in state.notes)
    header, _ = summary.rounds_table(state)
    assert header[5:9] == names[2:]
    report = (result.folder / "report.html").read_text()
    for name in ("hits", "negatives"):
        assert f">{name}</text>" in report


def test_a_name_that_can_not_be_loaded_or_computed_is_said_before_anybody_answers(
    tmp_path: Path, model_folder: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate.config, "HF_EVALUATE_OFFLINE", True)
    for name, said in (
        (str(tmp_path / "nowhere"), "There is no metric .*: give a folder"),
        (f"{__name__}:Broken", r"cannot be computed here \(ValueError: three classes are needed\)"),
        (f"{__name__}:Session", "is no metric: derive the class from evaluate.Metric"),
        (f"{folder}(thymes=2)", "thymes"),
        ("accuracy(2)", "ARGUMENT=VALUE"),
    ):
        with pytest.raises(UserError, match=said):
            run(tmp_path, model_folder, [name])
    with pytest.raises(UserError, match=r"--target hit is no metric of this run .did you mean 'hits'"):
        run(tmp_path, model_folder, [folder], target={"hit": 0.5})
    assert not (tmp_path / "run").exists()


def test_code_that_was_not_named_in_the_command_does_not_run(folder: str) -> None:
    trust_only(["run", "--config", "theirs.yaml"])
    with pytest.raises(UserError, match="give --trust"):
        load_metrics([folder])
    trust_only(["--metric", f"{folder}(times=2)"])
    assert [metric.arguments for metric in load_metrics([f"{folder}(times=2)"])] == [{"times": 2}]


def test_what_is_not_defined_is_no_number(folder: str) -> None:
    task = Classification(labels=LABELS)
    (metric,) = load_metrics([f"{__name__}:Negatives"])
    assert np.isnan(metric.compute(task, [NEGATIVE] * 2, LABELS)[0]["negatives"])
    assert metric.compute(task, LABELS, LABELS)[0] == {"negatives": 0.5}


def test_the_metrics_of_the_package_come_through_the_same_door() -> None:
    task = Classification(labels=LABELS)
    columns, _ = values_of(load_metrics(["accuracy", "macro_f1"]), task, LABELS, [NEGATIVE] * 2)
    assert columns == {"accuracy_accuracy": 0.5, "macro_f1_macro_f1": pytest.approx(1 / 3)}
    answers = [{"text": ["the cat"], "answer_start": [0]}, {"text": [], "answer_start": []}]
    columns, _ = values_of(load_metrics(["squad_v2"]), ExtractiveQA(), [answers[1], answers[1]], answers)
    assert (columns["exact"], columns["HasAns_exact"], columns["NoAns_exact"]) == (50, 0, 100)
    columns, _ = values_of(load_metrics(["squad"]), ExtractiveQA(), answers[:1], answers[:1])
    assert columns == {"squad_exact_match": 100, "squad_f1": 100}
    (rouge,) = load_metrics(["rouge(tokenizer=words)"])
    numbers, _ = rouge.compute(Summarization(), ["a cat"], ["a cat"])
    assert numbers["rouge1"] == 1


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("f1", "f1", {}),
        (" f1 ( average = macro, zero_division=0 )", "f1", {"average": "macro", "zero_division": 0}),
        ("mine:Metric(on=true)", "mine:Metric", {"on": True}),
    ],
)
def test_a_name_is_read_with_its_arguments(text: str, name: str, arguments: dict[str, Any]) -> None:
    assert read_metric(text) == (name, arguments)
