"""What people type, for every task: what is taken, what is refused, and that an answer survives being written."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dal_nlp.annotation import Label, Origin, Skip
from dal_nlp.annotation.parsing import LONGEST_ANSWER, read_answer, write_answer
from dal_nlp.core.task import Task
from dal_nlp.ledger.events import LabelEvent, SkipEvent
from dal_nlp.readers.values import is_spreadsheet_error
from tests import tiny, tiny_summaries

CONTEXT = {"id": "1", "question": "what", "context": "skip the plot of the film: 1914-18, no answer, 3:a é"}
TEXT = {"id": "1", "text": "a film", "pair": None}
DOCUMENT = {"id": "1", "document": "a film"}


def label(target: object) -> LabelEvent:
    return LabelEvent(id="q", target=target)


def target(task: Task, text: str, example: dict[str, str | None]) -> object:
    answer = read_answer(task, text, example, None)
    assert isinstance(answer, Label)
    return answer.target


@pytest.mark.parametrize("text", ["positive", " POSITIVE\r\n", "Positive"])
def test_labels_are_taken_whatever_their_capitals(text: str) -> None:
    assert target(tiny.task(), text, TEXT) == "positive"


def test_capitals_tell_labels_apart_where_they_have_to() -> None:
    of = tiny.task()
    of.labels = ["us", "US"]
    assert target(of, "US", TEXT) == "US"
    with pytest.raises(ValueError, match="none of the labels"):
        read_answer(of, "Us", TEXT, None)


def test_the_nearest_label_is_named_and_a_long_answer_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="did you mean 'positive'"):
        read_answer(tiny.task(), "positiv", TEXT, None)
    with pytest.raises(ValueError, match="none of the labels") as error:
        read_answer(tiny.task(), "x" * 50_000, TEXT, None)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize("word", ["skip", "Skip ", "unsure"])
def test_refusals_are_answers_unless_they_are_labels(word: str) -> None:
    assert isinstance(read_answer(tiny.qa_task(), word, CONTEXT, None), Skip)
    of = tiny.task()
    of.labels = ["skip", "unsure"]
    assert target(of, word, TEXT) == word.strip().lower()
    of.labels = ["Skip", "Unsure"]
    assert target(of, word, TEXT) == word.strip().capitalize()
    assert of.answer_format.sheet_hint() == "Skip, Unsure"
    of.labels = ["Yes", "Unsure"]
    assert of.answer_format.sheet_hint() == "Yes, Unsure, skip"
    assert isinstance(read_answer(of, "SKIP", TEXT, None), Skip)


@pytest.mark.parametrize("text", ["a" * (LONGEST_ANSWER + 1), "\ud800"])
def test_what_cannot_be_kept_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"characters, more than|surrogate"):
        read_answer(tiny_summaries.summary_task(), text, DOCUMENT, None)


@pytest.mark.parametrize(("by", "note"), [("\udc80", ""), ("anna", "\ud800")])
def test_names_and_notes_that_cannot_be_kept_are_refused(by: str, note: str) -> None:
    with pytest.raises(ValueError, match="surrogate"):
        read_answer(tiny.task(), "positive", TEXT, Origin(by, "", "test", note=note))


def test_half_a_pair_that_json_spells_out_is_refused() -> None:
    with pytest.raises(ValueError, match="half a surrogate pair"):
        read_answer(tiny_summaries.summary_task(), '["a \\ud800"]', DOCUMENT, None)


@pytest.mark.parametrize(
    ("text", "texts", "starts"),
    [
        ("plot", ["plot"], [9]),
        ("17:the film", ["the film"], [17]),
        ("0-4", ["skip"], [0]),
        ("1914-18", ["1914-18"], [27]),  # it is in the text, so it is no pair of offsets
        ("No Answer", [], []),
        ('{"text": ["the", "film"], "answer_start": [5, 21]}', ["the", "film"], [5, 21]),
    ],
)
def test_ways_to_say_which_span(text: str, texts: list[str], starts: list[int]) -> None:
    assert target(tiny.qa_task(unanswerable=True), text, CONTEXT) == {"text": texts, "answer_start": starts}


def test_no_answer_is_words_like_others_where_every_question_has_one() -> None:
    assert target(tiny.qa_task(), "no answer", CONTEXT) == {"text": ["no answer"], "answer_start": [36]}


@pytest.mark.parametrize("text", ["the", "nowhere", "90-99", "9-9", '{"text": ["film"], "answer_start": [1]}'])
def test_spans_that_are_not_one_place_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_answer(tiny.qa_task(unanswerable=True), text, CONTEXT, None)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(CONTEXT["context"]) - 1), st.integers(1, 12))
def test_every_span_survives_being_written_and_typed(start: int, length: int) -> None:
    text = CONTEXT["context"][start : start + length]
    kept = {"text": [text], "answer_start": [start]}
    of = tiny.qa_task(unanswerable=True)
    if text.strip():
        assert target(of, write_answer(of, label(kept), CONTEXT), CONTEXT) == kept


@pytest.mark.long
@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=3))
def test_every_summary_survives_being_written_and_typed(texts: list[str]) -> None:
    said = (text.strip() for text in texts if text.isprintable())
    clean = list(dict.fromkeys(text for text in said if text and not is_spreadsheet_error(text)))  # which is no answer
    of = tiny_summaries.summary_task()
    for kept in [*clean, "skip", '["a"]', "[1, 2]", *([clean] if len(clean) > 1 else [])]:
        assert target(of, write_answer(of, label(kept), DOCUMENT), DOCUMENT) == kept


def test_several_answers_are_written_as_json() -> None:
    of = tiny.qa_task(unanswerable=True)
    kept = {"text": ["the", "film"], "answer_start": [5, 21]}
    assert json.loads(write_answer(of, label(kept), CONTEXT)) == kept
    assert write_answer(of, SkipEvent(id="q", reason="the annotator was unsure"), CONTEXT) == "unsure"
