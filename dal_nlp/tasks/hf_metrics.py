"""The measures behind the interface of ``evaluate.Metric``, and the door through which ``--metric`` finds others.

Those of the package need no network and leave no files.

Importing this takes seconds, because ``evaluate`` does: ask ``dal_nlp.tasks.metrics`` for the classes when they are
needed.
"""

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import evaluate
import numpy as np
from datasets import Features, List, Value

from dal_nlp.core.errors import ConfigError, nearest
from dal_nlp.core.plugins import construct, import_class, is_trusted
from dal_nlp.core.targets import Target
from dal_nlp.core.task import Task
from dal_nlp.tasks import METRICS, read_metric
from dal_nlp.tasks.metrics import Statistic, accuracy, macro_f1
from dal_nlp.tasks.rouge import Tokenizer, rouge
from dal_nlp.tasks.squad_metrics import answer_scores, exact_match, normalise_answer, token_f1

_ANSWERS = {"id": Value("string"), "answers": {"text": List(Value("string")), "answer_start": List(Value("int64"))}}
_ANSWERS_DOC = """
predictions: [{"id": ..., "prediction_text": ...}]
references: [{"id": ..., "answers": {"text": [...], "answer_start": [...]}}]
"""


class InMemory(evaluate.Metric):  # type: ignore[misc]
    """A measure that is computed in memory.

    Attributes:
        columns: Types of predictions and references.
        meaning: What these are, in words.
    """

    columns: ClassVar[Features]
    meaning: ClassVar[str]

    def __init__(self) -> None:
        super().__init__(keep_in_memory=True)

    def _build_data_dir(self) -> str:
        # The base class would create a folder in a cache that all processes share, and never use it.
        return ""

    def _info(self) -> Any:
        return evaluate.MetricInfo(
            description=type(self).__doc__, citation="", inputs_description=self.meaning, features=self.columns
        )


class LabelMetric(InMemory):
    """A measure of two lists of label strings."""

    columns = Features({"predictions": Value("string"), "references": Value("string")})
    meaning = "predictions, references: label strings"
    statistic: Statistic
    result: str

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        return {self.result: type(self).statistic(predictions, references)}


class Accuracy(LabelMetric):
    """The share of predictions that equal their reference: ``compute`` returns {"accuracy": share}."""

    statistic = staticmethod(accuracy)
    result = "accuracy"


class MacroF1(LabelMetric):
    """The mean of the classes' F1 scores, see ``metrics.macro_f1``: ``compute`` returns {"macro_f1": mean}."""

    statistic = staticmethod(macro_f1)
    result = "macro_f1"


class Rouge(InMemory):
    """Means of ROUGE's F1 scores, see ``rouge.rouge``: "rouge1", "rouge2", "rougeL" and "rougeLsum", between 0 and 1.

    ``compute`` takes the argument ``tokenizer``, "english" or "words". It raises ``ValueError`` where a text has no
    reference.
    """

    columns = Features({"predictions": Value("string"), "references": List(Value("string"))})
    meaning = "predictions: texts; references: for each of them a list of texts, of which the best counts"

    def _compute(
        self, predictions: list[str], references: list[list[str]], tokenizer: Tokenizer = "english"
    ) -> dict[str, float]:
        scores = rouge(predictions, references, tokenizer)
        return {measure: math.fsum(of) / len(of) for measure, of in scores.items()}


class Squad(InMemory):
    """Exact match and token F1 of SQuAD 1.1: ``compute`` returns {"exact_match", "f1"}, both in percent.

    As its script has it, an answer of which normalisation leaves nothing counts, and shares no word with anything.
    ``compute`` raises ``ValueError`` where the ids are not the same, or a question has no answer.
    """

    columns = Features(
        {"predictions": {"id": Value("string"), "prediction_text": Value("string")}, "references": _ANSWERS}
    )
    meaning = _ANSWERS_DOC

    def _compute(self, predictions: list[dict[str, Any]], references: list[dict[str, Any]]) -> dict[str, float]:
        exact, f1 = [], []
        for prediction, reference in _matched(predictions, references):
            text, golds = prediction["prediction_text"], reference["answers"]["text"]
            if not golds:
                raise ValueError(f"the question {reference['id']!r} has no answer, which SQuAD 1.1 does not know")
            exact.append(exact_match(text, golds))
            f1.append(max(token_f1(text, gold) for gold in golds) if normalise_answer(text) else 0.0)
        return {"exact_match": 100 * sum(exact) / len(exact), "f1": 100 * sum(f1) / len(f1)}


class SquadV2(InMemory):
    """Exact match and token F1 of SQuAD 2.0, in percent, of all questions and of those with and without an answer.

    ``compute`` returns {"exact", "f1", "total"}, and as far as there are such questions {"HasAns_exact", "HasAns_f1",
    "HasAns_total"} and {"NoAns_exact", "NoAns_f1", "NoAns_total"}. It raises ``ValueError`` where the ids are not the
    same.

    Unless a prediction has None as its ``no_answer_probability``, one above ``no_answer_threshold`` (an argument of
    ``compute``; 1.0 keeps all texts) means no answer, and there are {"best_exact", "best_exact_thresh", "best_f1",
    "best_f1_thresh"}: what the best of all thresholds would give. That one is found on the references themselves, so
    it is not what a user can expect.
    """

    columns = Features(
        {
            "predictions": {
                "id": Value("string"),
                "prediction_text": Value("string"),
                "no_answer_probability": Value("float64"),
            },
            "references": _ANSWERS,
        }
    )
    meaning = _ANSWERS_DOC.replace("...}]", '..., "no_answer_probability": ...}]', 1)

    def _compute(
        self,
        predictions: list[dict[str, Any]],
        references: list[dict[str, Any]],
        no_answer_threshold: float = 1.0,
    ) -> dict[str, float]:
        pairs = _matched(predictions, references)
        texts = [prediction["prediction_text"] for prediction, _ in pairs]
        scores = answer_scores([{"text": [text]} for text in texts], [reference["answers"] for _, reference in pairs])
        raw = dict(zip(("exact", "f1"), map(np.array, scores), strict=True))
        answerable = np.array([bool(reference["answers"]["text"]) for _, reference in pairs])
        chances = [prediction["no_answer_probability"] for prediction, _ in pairs]
        if None in chances:
            return _percentages(raw, answerable)
        chance, silent = np.array(chances), np.array([not text for text in texts])
        final = {name: np.where(chance > no_answer_threshold, ~answerable, of) for name, of in raw.items()}
        results = _percentages(final, answerable)
        for name, of in raw.items():
            best, threshold = _best_over_thresholds(of, chance, answerable, silent)
            results |= {f"best_{name}": best, f"best_{name}_thresh": threshold}
        return results


def _matched(
    predictions: list[dict[str, Any]], references: list[dict[str, Any]]
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return each prediction with the reference of its id."""
    by_id = {reference["id"]: reference for reference in references}
    if len(by_id) < len(references) or by_id.keys() != {prediction["id"] for prediction in predictions}:
        raise ValueError("predictions and references do not have the same ids, each of them once")
    return [(prediction, by_id[prediction["id"]]) for prediction in predictions]


def _percentages(scores: Mapping[str, Any], answerable: Any) -> dict[str, float]:
    """Return the means of scores (N,), of all questions and of the two kinds."""
    results: dict[str, float] = {}
    for kind, rows in (("", answerable | True), ("HasAns_", answerable), ("NoAns_", ~answerable)):
        if rows.any():
            results |= {f"{kind}{name}": float(100 * np.sum(of[rows]) / np.sum(rows)) for name, of in scores.items()}
            results[f"{kind}total"] = int(rows.sum())
    return results


def _best_over_thresholds(scores: Any, chance: Any, answerable: Any, silent: Any) -> tuple[float, float]:
    """Return the best mean in percent, and the first threshold that gives it.

    As the script has it, questions come in one at a time in the order of their chance of no answer, equal chances too;
    an answer to a question without one costs a point whatever it says, and 0.0 stands for answering none.
    """
    order = np.argsort(chance, kind="stable")
    gains = np.where(answerable, scores, np.where(silent, 0.0, -1.0))[order]
    totals = np.cumsum([np.count_nonzero(~answerable), *gains])
    best = int(np.argmax(totals))
    return float(100 * totals[best] / len(scores)), float(chance[order[best - 1]]) if best else 0.0


@dataclass(frozen=True)
class ExtraMetric:
    """A metric that is measured beside those of the task.

    Attributes:
        name: As it was given.
        metric: What computes it.
        arguments: Of its ``compute``.
    """

    name: str
    metric: Any
    arguments: Mapping[str, Any]

    def compute(
        self, task: Task, predictions: Sequence[Target], targets: Sequence[Target]
    ) -> tuple[dict[str, float], list[str]]:
        """Return its numbers by name, and the names of what it gave beside numbers.

        A number that is not defined is NaN; of a number for each example the mean is taken.

        Raises:
            UserError: It cannot be computed of these, with what it said; or it gave no number.
        """
        predicted, wanted = task.metric_inputs(predictions, targets)
        formats = self.metric.features if isinstance(self.metric.features, list) else [self.metric.features]
        try:
            results = self.metric.compute(
                predictions=_suited(predicted, [each.get("predictions") for each in formats], task.labels),
                references=_suited(wanted, [each.get("references") for each in formats], task.labels),
                **self.arguments,
            )
        except Exception as error:  # it is somebody else's code that runs
            raise ConfigError(f"--metric {self.name} cannot be computed here ({_said(error)}).") from error
        numbers, rest = {}, []
        for name, result in (results or {}).items():
            try:
                number = np.asarray(result, dtype=np.float64)
            except (TypeError, ValueError):
                rest.append(str(name))
                continue
            if number.shape in ((), (len(targets),)):
                numbers[str(name)] = float(number.mean())
            else:
                rest.append(str(name))
        if not numbers:
            raise ConfigError(f"--metric {self.name} gives no number: choose one that does.")
        return numbers, rest


def _suited(values: Sequence[Any], features: Sequence[Any], labels: Sequence[str]) -> list[Any]:
    """Return values as all of the features have them.

    Labels become class numbers, single references come out of their lists, and keys that are not wanted are left out.
    """
    if all(isinstance(feature, dict) for feature in features):
        return [{name: value[name] for name in features[0]} for value in values]
    if not all(isinstance(feature, Value) for feature in features):
        return list(values)
    if all(feature.dtype.startswith(("int", "uint")) for feature in features) and set(map(str, values)) <= set(labels):
        return [labels.index(value) for value in values]
    if all(isinstance(value, list) and len(value) == 1 for value in values):
        return [value[0] for value in values]
    return list(values)


def load_metric(text: str) -> ExtraMetric:
    """Load a metric of the package, a ``module:Class`` derived from ``evaluate.Metric``, or what ``evaluate`` finds.

    Args:
        text: Its name, or its folder, with arguments in brackets where there are any.

    Raises:
        UserError: There is none, it is not trusted, or it cannot be loaded.
    """
    name, arguments = read_metric(text)
    if name in METRICS or (":" in name and not os.path.exists(name)):
        metric: Any = construct("metric", import_class("metric", name, METRICS, "evaluate:Metric"), {})
        metric.keep_in_memory = True
        return ExtraMetric(text, metric, arguments)
    if not is_trusted(name):
        raise ConfigError(
            f"The metric {name!r} was not named in this command, and is code that runs: if you trust it, give --trust."
        )
    try:
        metric = evaluate.load(name, keep_in_memory=True)
    except Exception as error:  # of the Hub, the file system, or the module itself
        raise ConfigError(
            f"There is no metric {name!r}{nearest(name, METRICS)} of the package ({', '.join(METRICS)}), and evaluate "
            f"cannot load it ({_said(error)}): give a folder that holds it, or the name of one on the Hub."
        ) from error
    return ExtraMetric(text, metric, arguments)


def _said(error: Exception) -> str:
    """Return what an error of somebody else's code says, on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300].rstrip(".")


def values_of(
    extra: Sequence[ExtraMetric], task: Task, predictions: Sequence[Target], targets: Sequence[Target]
) -> tuple[dict[str, float], list[str]]:
    """Return the columns of metrics beside a task's own, and in sentences what is left out.

    A name that the task, or a metric before, has already gets its metric's in front.
    """
    columns: dict[str, float] = {}
    remarks = []
    for metric in extra:
        numbers, rest = metric.compute(task, predictions, targets)
        short = re.sub(r".*[/:]|\(.*", "", read_metric(metric.name)[0].rstrip("/")).removesuffix(".py")
        for name, number in numbers.items():
            columns[f"{short}_{name}" if name in (*task.metrics, *columns) else name] = number
        if rest:
            remarks.append(f"--metric {metric.name} gives more than numbers, which is left out: {', '.join(rest)}.")
    return columns, remarks
