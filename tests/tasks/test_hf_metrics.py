"""SQuAD's two measures and ROUGE behind the interface of ``evaluate``, the former against the official scripts'."""

import socket
from pathlib import Path
from typing import Any

import pytest

from dal_nlp.tasks import metrics


def said(*texts: str, chances: Any = None) -> list[dict[str, Any]]:
    """Predictions for the questions 0, 1, ..."""
    predictions: list[dict[str, Any]] = [{"id": str(i), "prediction_text": text} for i, text in enumerate(texts)]
    for prediction, chance in zip(predictions, chances or [], strict=False):
        prediction["no_answer_probability"] = chance
    return predictions


def known(*answers: list[str]) -> list[dict[str, Any]]:
    """References for the questions 0, 1, ..."""
    return [{"id": str(i), "answers": {"text": a, "answer_start": [0] * len(a)}} for i, a in enumerate(answers)]


#: The examples of the cards of evaluate's own "squad" and "squad_v2", with the results that stand there.
PUBLISHED = [
    (["1976"], [["1976"]], 100.0),
    (["1999"], [["1976"]], 0.0),
    (
        ["1976", "Beyonce", "climate change"],
        [["1976"], ["Beyoncé and Bruno Mars"], ["climate change"]],
        66.66666666666667,
    ),
]


@pytest.mark.parametrize(("texts", "answers", "wanted"), PUBLISHED)
def test_published_examples(texts: list[str], answers: list[list[str]], wanted: float) -> None:
    results = metrics.Squad().compute(predictions=said(*texts), references=known(*answers))
    assert results == {"exact_match": wanted, "f1": wanted}
    results = metrics.SquadV2().compute(
        predictions=said(*texts, chances=[0.0] * len(texts)), references=known(*answers)
    )
    kinds = {f"{kind}{name}": wanted for kind in ("", "HasAns_", "best_") for name in ("exact", "f1")}
    counts = {"total": len(texts), "HasAns_total": len(texts)}
    assert results == {**kinds, **counts, "best_exact_thresh": 0.0, "best_f1_thresh": 0.0}


#: Questions 0-3 with answers, by one or more annotators, 4-6 without.
ANSWERS = [["the Main Building"], ["May 3", "3 May 1999", "May"], ["24\u201310"], ["The", "a cat"], [], [], []]
TEXTS = ["Main building", "on 3 May", "24", "", "", "a", "nobody knows"]


def test_squad_1_by_hand() -> None:
    results = metrics.Squad().compute(predictions=said(*TEXTS[:4]), references=known(*ANSWERS[:4]))
    # EM: 1, 0, 0, and "" is "The" without its article. F1: 1, of "on 3 may" with "may 3" 4/5, 0, and 0 without words.
    assert results == {"exact_match": 50.0, "f1": pytest.approx(100 * (1 + 0.8) / 4)}


#: By hand as above; "" no longer counts as "The" beside "a cat", and "a" is as good as no answer.
V2 = {
    "exact": 100 * 3 / 7,
    "f1": 100 * 3.8 / 7,
    "total": 7,
    "HasAns_exact": 25.0,
    "HasAns_f1": 100 * 1.8 / 4,
    "HasAns_total": 4,
    "NoAns_exact": 100 * 2 / 3,
    "NoAns_f1": 100 * 2 / 3,
    "NoAns_total": 3,
}


def test_squad_2_by_hand() -> None:
    texts = said(*TEXTS, chances=[None] * 7)
    results = metrics.SquadV2().compute(predictions=texts, references=known(*ANSWERS))
    assert results == pytest.approx(V2)
    assert list(results) == list(V2)
    results = metrics.SquadV2().compute(predictions=texts[4:], references=known(*ANSWERS)[4:])
    assert not any(name.startswith("HasAns") for name in results)


def test_squad_2_with_probabilities() -> None:
    chances = [0.1, 0.2, 0.6, 0.3, 0.05, 0.7, 0.25]
    texts, wanted = said(*TEXTS, chances=chances), known(*ANSWERS)
    results = metrics.SquadV2().compute(predictions=texts, references=wanted)
    # Up from answering none (3 right): question 0 adds 1, question 1 adds 0 or 0.8, the rest add nothing or take away.
    best = {"best_exact": 400 / 7, "best_exact_thresh": 0.1, "best_f1": 480 / 7, "best_f1_thresh": 0.2}
    assert results == pytest.approx({**V2, **best})
    # Above 0.2 there is no answer: two of the four are left, and all three of the others are right.
    results = metrics.SquadV2().compute(predictions=texts, references=wanted, no_answer_threshold=0.2)
    assert results == pytest.approx(
        {
            **{"exact": 400 / 7, "f1": 480 / 7, "total": 7, "HasAns_exact": 25.0, "HasAns_f1": 45.0},
            **{"HasAns_total": 4, "NoAns_exact": 100.0, "NoAns_f1": 100.0, "NoAns_total": 3, **best},
        }
    )


def test_equal_probabilities_come_in_the_order_of_the_predictions() -> None:
    # Of the equal ones 30 are right and 30 wrong; the others, below and above, say nothing and are right anyway.
    texts = said(*["cat"] * 30, *["dog"] * 30, *[""] * 20, chances=[0.5] * 60 + [0.4, 0.6] * 10)
    wanted = known(*[["cat"]] * 30, *[[]] * 50)
    for predictions, best, threshold in ((texts, 100.0, 0.5), (texts[::-1], 62.5, 0.0)):  # wrong ones first: no gain
        results = metrics.SquadV2().compute(predictions=predictions, references=wanted)
        assert (results["best_exact"], results["best_exact_thresh"]) == (best, threshold)


def test_order_and_batches_do_not_matter_and_no_files_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import evaluate

    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", str(tmp_path / "cache"))
    metric, texts, wanted = metrics.SquadV2(), said(*TEXTS, chances=[None] * 7), known(*ANSWERS)
    assert isinstance(metric, evaluate.Metric) and isinstance(metrics.Squad(), evaluate.Metric)
    metric.add_batch(predictions=texts[:0:-1], references=wanted[:6])
    metric.add(prediction=texts[0], reference=wanted[6])
    assert metric.compute() == pytest.approx(V2)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("metric", ["Squad", "SquadV2"])
@pytest.mark.parametrize("ids", [["0", "2"], ["0", "0"]])
def test_ids_must_be_the_same(metric: str, ids: list[str]) -> None:
    predictions = [{**one, "id": id} for one, id in zip(said("a", "b", chances=[0, 0]), ids, strict=True)]
    if metric == "Squad":
        predictions = [{name: one[name] for name in ("id", "prediction_text")} for one in predictions]
    made = {"Squad": metrics.Squad, "SquadV2": metrics.SquadV2}[metric]()
    with pytest.raises(ValueError, match="do not have the same ids"):
        made.compute(predictions=predictions, references=known(["a"], ["b"]))


def test_squad_1_has_no_questions_without_answers() -> None:
    with pytest.raises(ValueError, match="question '1' has no answer"):
        metrics.Squad().compute(predictions=said("a", "b"), references=known(["a"], []))


SUMMARIES = ["the black cat", "A dog sat.\nIt ran.", "nothing"]
KNOWN = [["a cat", "the cat"], ["It runs. A dog was sitting."], ["something", "anything else"]]


def test_rouge_is_the_mean_of_the_texts_in_batches_without_network_and_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import evaluate

    def no_network(*_: object) -> None:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    metric = metrics.Rouge()
    assert isinstance(metric, evaluate.Metric)
    metric.add_batch(predictions=SUMMARIES[:2], references=KNOWN[:2])
    metric.add(prediction=SUMMARIES[2], reference=KNOWN[2])
    results = metric.compute()
    # By hand: words 2 of 3 and 2, then a, dog, it of 5 and 6 (runs is run, not ran), and none of the third.
    assert results["rouge1"] == pytest.approx((4 / 5 + 6 / 11 + 0) / 3)
    assert results["rouge2"] == pytest.approx((0 + 2 / 9 + 0) / 3)  # a dog
    assert results["rougeL"] == pytest.approx((4 / 5 + 4 / 11 + 0) / 3)  # a dog
    assert results["rougeLsum"] == pytest.approx((4 / 5 + 6 / 11 + 0) / 3)  # and it, in a sentence of its own
    assert list(results) == ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    assert not list(tmp_path.iterdir())


def test_rouge_of_words_in_other_scripts() -> None:
    given = {"predictions": ["\u732b\u304c\u3044\u308b"], "references": [["\u732b\u304c\u3044\u305f"]]}
    assert metrics.Rouge().compute(**given)["rouge1"] == 0.0
    assert metrics.Rouge().compute(**given, tokenizer="words")["rouge1"] == pytest.approx(3 / 4)


def test_rouge_needs_references() -> None:
    with pytest.raises(ValueError, match="text 1 has no reference"):
        metrics.Rouge().compute(predictions=["a", "b"], references=[["a"], []])
