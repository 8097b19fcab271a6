"""What the answer formats tell sheets, the terminal, the page, Label Studio and files."""

from typing import Any

import pytest

from dal_nlp.answer_formats.label import LabelFormat
from dal_nlp.answer_formats.span import SpanFormat
from dal_nlp.answer_formats.studio import ANSWER, place_of, texts_of
from dal_nlp.answer_formats.text import TextFormat
from dal_nlp.core.answer_format import AgreementMeasure, AnswerFormat, TerminalPrompt

SAME = AgreementMeasure("the same", lambda first, second: float(first == second))
CONTEXT = {"id": "1", "question": "what", "context": "the plot of the film"}
SPAN = {"text": ["plot"], "answer_start": [4]}
NOTHING: dict[str, list[Any]] = {"text": [], "answer_start": []}
LABEL, MARK, OPTIONAL, WRITTEN = (
    LabelFormat(["bad", "good"], SAME),
    SpanFormat(SAME),
    SpanFormat(SAME, "no answer"),
    TextFormat(SAME),
)


def test_numbers_stand_for_choices_where_there_are_some() -> None:
    one = TerminalPrompt("", {"1": "bad", "2": "good"})
    assert [one.answer(typed) for typed in ("2", " 1 ", "good", "3")] == ["good", "bad", "good", "3"]
    several = TerminalPrompt("", {"1": "bad", "2": "good"}, separator=",")
    assert several.answer("2, bad,3") == "good, bad, 3"
    assert TerminalPrompt("").answer("1, 2") == "1, 2"


FIRST = "in the head of the csv (label 0, label 1, label 2 ...)"


def test_labels_are_chosen_by_keys_in_a_terminal_however_many_there_are() -> None:
    many = LabelFormat([f"label {i}" for i in range(12)], SAME)
    for kind in (LABEL, many):
        assert kind.terminal(by_key=True).by_key and not kind.terminal(by_key=False).by_key
    assert many.terminal(by_key=True).numbers["12"] == "label 11"
    assert not many.widget().data["by_key"]
    assert MARK.terminal(by_key=True).offsets and not MARK.terminal(by_key=True).by_key


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        (LABEL, "bad, good, skip or unsure"),
        (LabelFormat([f"label {i}" for i in range(12)], SAME), f"one of the 12 labels {FIRST}, skip or unsure"),
        (MARK, "skip and unsure are answers too"),
        (WRITTEN, "skip and unsure are answers too"),
    ],
)
def test_hints_in_sheets(kind: AnswerFormat, hint: str) -> None:
    assert kind.sheet_hint() == hint


def test_what_is_chosen_and_what_is_a_class() -> None:
    assert [list(kind.choices) for kind in (LABEL, MARK, OPTIONAL, WRITTEN)] == [["bad", "good"], [], ["no answer"], []]
    assert [list(kind.classes) for kind in (LABEL, MARK, OPTIONAL, WRITTEN)] == [["bad", "good"], [], [], []]
    assert LABEL.labels_of("bad") == ["bad"] and OPTIONAL.labels_of(NOTHING) == ()


def test_widgets() -> None:
    named = {kind.widget().name: kind.widget() for kind in (LABEL, OPTIONAL, WRITTEN)}
    assert set(named) == {"label", "span", "text"}
    assert [name for name, widget in named.items() if widget.drafted] == ["text"]
    assert named["span"].data["labels"] == [["1", "no answer"]] and named["text"].data["title"] == "Your summary"
    assert MARK.widget().data["labels"] == []
    assert OPTIONAL.shown_value(SPAN) == {"start": 4, "end": 8} and OPTIONAL.shown_value(NOTHING) == {}


def test_no_answer_is_a_choice_only_where_there_may_be_none() -> None:
    assert OPTIONAL.parse_answer("No Answer", CONTEXT) == NOTHING == OPTIONAL.parse_answer(" ", CONTEXT)
    with pytest.raises(ValueError, match="does not hold"):
        MARK.parse_answer("no answer", CONTEXT)
    results = OPTIONAL.studio_results(NOTHING)
    assert OPTIONAL.read_studio_results(results, CONTEXT, ANSWER) == "no answer"
    assert OPTIONAL.read_studio_results([], CONTEXT, ANSWER) == ""
    assert not any("none" in line for line in MARK.studio_controls(""))


def test_results_of_label_studio_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="several labels"):
        results = [{"from_name": ANSWER, "value": {"choices": ["bad", "good"]}}]
        LABEL.read_studio_results(results, {}, ANSWER)
    with pytest.raises(ValueError, match="no text"):
        texts_of([{"text": [1]}], "text")
    with pytest.raises(ValueError, match="without a place"):
        place_of("a film", {"start": True, "end": 2})
    assert LABEL.read_studio_results([{"from_name": "other", "value": {"choices": ["bad"]}}], {}, ANSWER) == ""


def test_cells_and_their_types() -> None:
    from datasets import Value

    assert (LABEL.cell("bad", {}), LABEL.feature()) == ("bad", Value("string"))
    assert OPTIONAL.cell(SPAN, CONTEXT) == SPAN and set(OPTIONAL.feature()) == {"text", "answer_start"}
    assert WRITTEN.cell(["one", "two"], {}) == '["one", "two"]'
