"""Rows with references, what people type, and what is measured of summaries."""

from typing import Any

import numpy as np
import pytest

from dal_nlp.core.caches import InMemory
from dal_nlp.core.errors import EmptyRow, RowError, Unsupported, UserError
from dal_nlp.models.pool import fetch
from dal_nlp.session.config import RunConfig
from dal_nlp.tasks.summarization import Summarization
from dal_nlp.tasks.text_checks import soundness
from tests import tiny, tiny_summaries

# --- rows and answers ---------------------------------------------------------------------------------------------


def test_rows_are_read_with_one_or_several_references() -> None:
    task = Summarization()
    assert task.read({"document": "a plot"}) == {"document": "a plot"}
    with pytest.raises(EmptyRow):
        task.read({"document": " \n"})
    assert task.read_target({"summary": " short "}) == "short"
    assert task.read_target({"references": ["one", "two", "one", ""]}) == ["one", "two"]
    assert task.read_target({"references": ["one"]}) == "one"
    for empty in (None, "", "  ", float("nan"), [], [None, " "]):
        assert task.read_target({"summary": empty}) is None
    for wrong in ({"text": "one"}, [["one"]]):
        with pytest.raises(RowError):
            task.read_target({"summary": wrong})
    assert task.read_target({"references": '["one", "two"]'}) == ["one", "two"]  # a table has lists as JSON
    assert task.read_target({"summary": "[sic] one"}) == "[sic] one"
    assert task.read_target({"summary": "[1, 2]"}) == "[1, 2]"
    with pytest.raises(RowError, match=r"holds a list where a text is expected|holds an object where"):
        task.read({"document": ["a", "b"]})
    assert Summarization(label_column="subject").answer_column(["references"]) == "subject"
    assert task.answer_column(["document", "references"]) == "references"
    assert task.answer_column(["document", "summary", "references"]) == "summary"


def test_answers_are_texts_with_words_in_them() -> None:
    task = Summarization()
    task.check("short", {})
    task.check(["one", "two"], {})
    for wrong in ("", " ", [], ["one", ""], None, 3, {"text": "one"}):
        with pytest.raises(ValueError, match="neither a text"):
            task.check(wrong, {})
    assert task.answer_format.parse_answer(" short ", {}) == "short"
    with pytest.raises(ValueError, match="a text is missing"):
        task.answer_format.parse_answer(" ", {})


def test_what_is_cut_is_counted_and_said() -> None:
    task = tiny_summaries.summary_task(max_length=10, max_new_tokens=4)
    rows = [
        {"id": "a", "document": "good " * 9, "summary": "good bad"},
        {"id": "b", "document": "good " * 8, "summary": "good bad plot it"},
    ]
    data = tiny_summaries.encoded_documents(rows, task)
    assert data["whole"] == [11, 10]  # [CLS] and [SEP] are two of the ten
    assert data["long"] == [False, True]  # [SEP] is one of the four
    assert [len(ids) for ids in data["input_ids"]] == [10, 10]
    first, second = task.remarks({"pool": data})
    assert first.startswith("1 of 2 documents (pool) are longer than 10 tokens, the longest 11, and are cut")
    assert second.startswith("50.0 % of the references (pool) are longer than 4 tokens")


def test_references_that_rouge_would_not_see_are_said() -> None:
    rows = [
        {"id": "a", "document": "good", "summary": "хороший фильм"},
        {"id": "b", "document": "bad", "summary": "ok"},
    ]
    (remark,) = (task := tiny_summaries.summary_task()).remarks({"pool": tiny_summaries.encoded_documents(rows, task)})
    assert remark.startswith("50.0 % of the references (pool) have no word of Latin letters")
    task = tiny_summaries.summary_task(rouge="words")
    assert not task.remarks({"pool": tiny_summaries.encoded_documents(rows, task)})
    assert task.evaluate(["хороший фильм"], ["хороший фильм"])["rouge1"] == 1


def test_the_prefix_is_read_by_the_model_and_not_by_people() -> None:
    task = tiny_summaries.summary_task(prefix="film ")
    (row,) = fetch(tiny_summaries.encoded_documents([{"id": "a", "document": "good", "summary": "bad"}], task), [0])
    assert tiny.tokenizer().convert_ids_to_tokens(row["input_ids"]) == ["[CLS]", "film", "good", "[SEP]"]
    assert task.show(row) == "good"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text_column": ["a", "b"]}, "one column"),
        ({"labels": ["a", "b"]}, "--labels is for classification"),
        ({"training": {"class_weights": "balanced"}}, "class_weights is for classes"),
        ({"task_options": {"num_beam": 2}}, "no option 'num_beam'.*num_beams"),
    ],
)
def test_settings_of_other_tasks_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Summarization.from_config(RunConfig(task="summarization", data="pool.jsonl", **changes))


# --- measures -----------------------------------------------------------------------------------------------------


def test_the_best_reference_counts_and_tokens_are_counted() -> None:
    task = tiny_summaries.summary_task()
    values = task.evaluate(["good plot", "bad"], [["it was", "good plot"], "bad"])
    assert list(values) == list(Summarization.metrics)
    assert values["rouge1"] == values["rougeLsum"] == 1
    assert values["gen_tokens"] == 1.5
    low, high = task.intervals(["good", "bad"], ["good", "plot"], np.random.default_rng(0))["rouge1"]
    assert low == 0
    assert high == 1


def test_broken_texts_are_counted() -> None:
    task = tiny_summaries.summary_task()
    texts = ["good plot", "", "it is so it is so it is so", "bad", "bad"]
    rows = task.breakdown(texts, ["good plot", "bad", "plot", "bad", "good"])
    counts = {"sound": 1, "empty": 1, "repeats itself": 1, "same as for another document": 2}
    assert {row["kind of text"]: row["count"] for row in rows} == counts
    assert [row["rouge1"] for row in rows] == [1, 0, 0, 0.5]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("the cat sat on the mat and the cat sat down", "sound"),
        ("no no no no", "sound"),
        ("no no no no no", "repeats itself"),
        ("好好好好好好", "repeats itself"),
        ("It is so. it is so. It is so. It is so.", "repeats itself"),
    ],
)
def test_what_counts_as_broken(text: str, kind: str) -> None:
    assert soundness([text, "another"]) == [kind, "sound"]


def test_classes_have_no_weights_and_other_tasks_write_nothing() -> None:
    with pytest.raises(Unsupported):
        Summarization().weights(["a"])
    for task in (tiny.task(), tiny.qa_task()):
        with pytest.raises(Unsupported):
            task.write(tiny.classifier(), task.collate, InMemory(), "")  # type: ignore[arg-type]
