"""Which labels are taken for which, and the wrong answers that a model is surest of."""

from collections import Counter

import numpy as np
from datasets import Dataset

from dal_nlp.core.batch import Prediction
from dal_nlp.measuring.mistakes import CHARACTERS, KEPT, mistakes
from tests import tiny, tiny_summaries


def test_counts_and_errors_are_those_of_counting_by_hand() -> None:
    rng, labels = np.random.default_rng(0), ["negative", "positive"]
    rows = [{"id": f"e{i}", "text": f"text {i} " + "x" * 400, "pair": None} for i in range(100)]
    targets = [labels[i] for i in rng.integers(2, size=100)]
    answers = [Prediction(labels[i], float(p)) for i, p in zip(rng.integers(2, size=100), rng.random(100), strict=True)]
    found = mistakes(tiny.task(), Dataset.from_list(rows), answers, targets)
    by_hand = Counter((target, answer.target) for target, answer in zip(targets, answers, strict=True))
    assert {(right, said): count for right, said, count in found["confusion"]} == dict(by_hand)
    wrong = [i for i in range(100) if answers[i].target != targets[i]]
    surest = sorted(wrong, key=lambda i: answers[i].confidence, reverse=True)[:KEPT]
    assert [row["id"] for row in found["errors"]] == [f"e{i}" for i in surest] and len(wrong) > KEPT
    first = found["errors"][0]
    assert first["target"] == targets[surest[0]] and first["prediction"] == answers[surest[0]].target
    assert first["confidence"] == answers[surest[0]].confidence and len(first["text"]) == CHARACTERS


def test_without_a_mistake_there_is_no_error_and_answers_in_words_have_neither() -> None:
    data = Dataset.from_list([{"id": "e", "text": "a film", "pair": None}])
    assert mistakes(tiny.task(), data, [Prediction("positive", 0.9)], ["positive"]) == {
        "errors": [],
        "confusion": [["positive", "positive", 1]],
    }
    assert mistakes(tiny_summaries.summary_task(), data, [Prediction("so", 0.9)], ["not so"]) == {}
    several = mistakes(tiny.multilabel_task(), data, [Prediction(["a"], 0.9)], [["b"]])
    assert several.keys() == {"errors"} and several["errors"][0]["target"] == ["b"]
