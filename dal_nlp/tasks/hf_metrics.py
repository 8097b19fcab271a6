"""The measures behind the interface of ``evaluate.Metric``; they need no network and leave no files.

Importing this takes seconds, because ``evaluate`` does: ask ``dal_nlp.tasks.metrics`` for the classes when they are
needed.
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import evaluate
import numpy as np
from datasets import Features, List, Value

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


METRICS: Mapping[str, type[InMemory]] = {
    metric.__name__: metric for metric in (Accuracy, MacroF1, Rouge, Squad, SquadV2)
}
