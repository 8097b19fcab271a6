"""Answers to questions as they are typed, found and shown, and what of them a model can give."""

from typing import Any

import pytest
import torch

from dal_nlp.core import categoricals
from dal_nlp.core.errors import EmptyRow, UserError
from dal_nlp.models.pool import fetch
from dal_nlp.session.config import RunConfig
from dal_nlp.tasks import qa
from dal_nlp.tasks.questions.spans import NO_ANSWER, gold, said
from tests import tiny
from tests.tasks.test_qa import forward


@pytest.mark.parametrize(
    ("answer", "target"),
    [
        ("plot", {"text": ["plot"], "answer_start": [4]}),
        ("9:the", {"text": ["the"], "answer_start": [9]}),
        ("", NO_ANSWER),
    ],
)
def test_a_typed_answer_is_found(answer: str, target: object) -> None:
    of = tiny.qa_task(unanswerable=True)
    assert of.answer_format.parse_answer(answer, {"context": "the plot the film"}) == target


@pytest.mark.parametrize(
    ("answer", "reason"),
    [("the", "2 times: write which one, such as 0:the, 9:the"), ("actor", "does not hold"), ("", "missing")],
)
def test_a_typed_answer_that_means_nothing_is_refused(answer: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        tiny.qa_task().answer_format.parse_answer(answer, {"context": "the plot the film"})


def test_what_is_shown_is_marked_where_the_answer_is() -> None:
    of, example = tiny.qa_task(), {"question": "what was it", "context": "it was the plot"}
    target = {"text": ["the plot", "plot"], "answer_start": [7, 11]}
    assert [of.show(example)[a:b] for a, b in of.mark(example, target)] == ["the plot", "plot"]
    assert of.mark(example, NO_ANSWER) == []
    assert of.details(target) == {"start": "7", "end": "15"}


@pytest.mark.parametrize("row", [{"question": " ", "context": "a"}, {"question": "a", "context": None}])
def test_a_row_with_nothing_to_read_is_dropped(row: dict[str, object]) -> None:
    with pytest.raises(EmptyRow):
        tiny.qa_task().read(row)


def test_the_group_is_the_context_or_a_column() -> None:
    rows = [{"question": q, "context": "the film", "title": t} for q, t in (("a", "x"), ("b", "y"))]
    same = [tiny.qa_task().read(row)["group"] for row in rows]
    assert same[0] == same[1]
    by_title = qa.ExtractiveQA(qa.QAOptions(group_column="title"))
    assert [by_title.read(row)["group"] for row in rows] == ["x", "y"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"text_column": ["question"]}, "wants the columns of the question and of the context"),
        ({"labels": ["a", "b"]}, "--labels is for classification"),
        ({"task_options": {"doc_strid": 3}}, "no option 'doc_strid' .did you mean 'doc_stride'"),
        ({"task_options": {"longest_answer": 0}}, "is not right"),
    ],
)
def test_settings_that_do_not_fit_are_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        qa.ExtractiveQA.from_config(RunConfig(task="qa", data="pool.json", **change))


def test_one_token_and_unknown_words_can_be_asked_about() -> None:
    row = {"id": "x", "question": "is it?", "context": "zzz", "answers": {"text": ["zzz"], "answer_start": [0]}}
    of, f = forward([row])
    (prediction,) = of.predict(f.categoricals, f.batch, f.examples)
    assert prediction.target == {"text": ["zzz"], "answer_start": [0]}
    assert prediction.confidence == pytest.approx(1)
    assert categoricals.entropy(f.categoricals).item() == 0


KINDS = ["wordpiece", "bytes", "trimmed bytes", "metaspace"]
TRICKY = [
    ("the film was good", "film"),
    ("the film was good", " film "),  # blanks that an annotator has dragged along
    ("caf\u00e9 au lait", "caf\u00e9"),
    ("un cafe\u0301 noir", "cafe\u0301"),  # the accent is a character of its own
    ("so \U0001f600 good", "\U0001f600"),
    ("\ufb01ne plot", "\ufb01ne"),  # a ligature that NFKC takes apart
    ("\u5f71\u7247 good", "\u5f71\u7247"),
    ("\u05d4\u05e1\u05e8\u05d8 good", "\u05d4\u05e1\u05e8\u05d8"),
    ("it  was\t bad", "was"),
    ("good", "good"),
    ("the superb plot.", "plot"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("context", "answer"), TRICKY)
def test_a_gold_answer_is_one_that_the_model_can_give(kind: str, context: str, answer: str) -> None:
    """Whatever a tokenizer does to blanks, accents and rare characters: the gold outcome reads as the answer."""
    of = qa.ExtractiveQA(qa.QAOptions(longest_answer=30), max_length=64, tokenizer=tiny.characters(kind))
    target = {"text": [answer], "answer_start": [context.index(answer)]}
    row = {"id": "x", "question": "what", "context": context, "answers": target}
    (example,) = fetch(tiny.encoded_questions([row], of), [0])
    assert of.trainable(example)
    ((w, column),) = gold(example, of.longest_answer, of.unanswerable)
    read = said(example, column * example["rows"] + w, of.longest_answer)
    assert read == {"text": [answer.strip()], "answer_start": [context.index(answer.strip())]}


@pytest.mark.parametrize("kind", KINDS)
def test_no_answer_is_blank(kind: str) -> None:
    of = qa.ExtractiveQA(qa.QAOptions(longest_answer=3), max_length=64, tokenizer=tiny.characters(kind))
    row = {"id": "x", "question": "what", "context": "  a   b \n c ", "answers": None}
    (example,) = fetch(tiny.encoded_questions([row], of), [0])
    batch = of.collate([example])
    c = of.categoricals(torch.zeros(1, len(example["input_ids"][0]), 2), batch)
    possible = (c.log_probs > -torch.inf).nonzero()[:, 1].tolist()
    texts = [said(example, column, of.longest_answer)["text"][0] for column in possible]
    assert texts and all(texts)
