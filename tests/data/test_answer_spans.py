"""Answers as rows hold them -> checked spans; what is wrong with one that is not where it should be."""

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dal_nlp.core.errors import RowError, UnusableRow
from dal_nlp.data.answer_spans import read_answers
from dal_nlp.readers.values import is_missing

CONTEXT = "Zoë left Köln 🙂 in May. In May she reached Basel."
MAY = CONTEXT.index("May")
BASEL = CONTEXT.index("Basel")
NONE: dict[str, Any] = {"text": [], "answer_start": []}
NAN = float("nan")


def one(text: str, start: int) -> dict[str, Any]:
    return {"text": [text], "answer_start": [start]}


def read(value: Any, column: str = "answers", **others: Any) -> Any:
    return read_answers({column: value, **others}, column, CONTEXT)


def complaint(value: Any, **others: Any) -> str:
    with pytest.raises(RowError) as caught:
        read(value, **others)
    assert not isinstance(caught.value, UnusableRow)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("has ") and not message.endswith(".")
    return message


TWO = {"text": ["Basel", "May"], "answer_start": [BASEL, MAY]}


@pytest.mark.parametrize(
    "value",
    [
        TWO,
        {**TWO, "answer_start": [float(BASEL), str(MAY)]},
        {**TWO, "answer_start": [None, MAY]},
        [{"text": "Basel", "answer_start": BASEL}, {"text": "May", "answer_start": MAY}],
        [{"text": "Basel"}, {"text": "May", "answer_start": MAY}],
        json.dumps(TWO),
        " " + json.dumps([{"text": "Basel", "answer_start": None}, {"text": "May", "answer_start": MAY}]),
    ],
    ids=repr,
)
def test_forms_of_several_answers(value: Any) -> None:
    assert read(value) == TWO


@pytest.mark.parametrize(
    "row",
    [
        {"a": {"text": "Basel", "answer_start": BASEL}},
        {"a": {"text": "Basel"}},
        {"a": {"text": ["Basel"]}},
        {"a": '{"text": "Basel"}'},
        {"a": "Basel"},
        *(
            {"a": "Basel", "start": start}
            for start in (BASEL, float(BASEL), f"{BASEL}", f"{BASEL}.0", "", " ", None, NAN)
        ),
        {"a": "Basel", "answer_start": str(BASEL)},
        {"a": "Basel", "start": "", "answer_start": str(BASEL)},
        {"a": "Basel", "start": BASEL, "is_impossible": False},
        {"a": "Basel", "start": BASEL, "is_impossible": "false"},
    ],
    ids=repr,
)
def test_forms_of_one_answer(row: dict[str, Any]) -> None:
    answers = read_answers(row, "a", CONTEXT)
    assert answers == one("Basel", BASEL)
    assert type(answers["answer_start"][0]) is int


def test_annotators_who_agree_and_who_do_not_are_all_kept() -> None:
    several = {"text": ["May", "May", "in May"], "answer_start": [MAY, MAY, MAY - 3]}
    assert read(several) == several


def test_an_answer_may_look_like_json() -> None:
    for text in ("[1]", "{x}", "[sic", '{"a": 1}'):
        assert read_answers({"a": text}, "a", f"so {text} he wrote") == one(text, 3)


@pytest.mark.parametrize(
    "row",
    [
        {"a": NONE},
        {"a": []},
        {"a": "[]"},
        {"a": json.dumps(NONE)},
        {"a": {"text": []}},
        {"a": "", "start": "-1"},
        {"a": None, "start": -1},
        {"a": NAN, "answer_start": -1.0},
        {"a": {"text": "", "answer_start": -1}},
        {"a": {"text": [""], "answer_start": [-1]}},
        {"a": [{"text": None, "answer_start": -1}]},
        {"a": "{'text': array([], dtype=object), 'answer_start': array([], dtype=int32)}"},
        {"a": TWO, "is_impossible": "TRUE"},
        *(
            {"a": empty, "is_impossible": yes}
            for empty in (None, "", NAN)
            for yes in (True, 1, 1.0, "true", "True", "1")
        ),
        {"is_impossible": True},
        {"a": TWO, "is_impossible": True},
    ],
    ids=repr,
)
def test_no_answer(row: dict[str, Any]) -> None:
    assert read_answers(row, "a", CONTEXT) == NONE


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"a": None},
        {"a": NAN},
        {"a": " "},
        {"a": "", "start": ""},
        {"a": "", "start": 0},
        {"a": None, "is_impossible": False},
        {"a": "", "is_impossible": "False"},
        {"a": None, "is_impossible": None},
        {"a": {"text": None, "answer_start": None}},
        {"a": {"text": [" "], "answer_start": [0]}},
        {"a": [""]},
        {"a": "['']"},
    ],
    ids=repr,
)
def test_not_answered(row: dict[str, Any]) -> None:
    assert read_answers(row, "a", CONTEXT) is None


@pytest.mark.parametrize(
    ("text", "context", "times"),
    [
        ("Bonn", CONTEXT, "nowhere"),
        ("May", CONTEXT, "twice"),
        ("e", CONTEXT, "more than twice"),
        ("aa", "aaa", "twice"),
    ],
)
def test_a_missing_start_is_found_only_where_there_is_one_place(text: str, context: str, times: str) -> None:
    for row in ({"a": text}, {"a": {"text": [text, context[-2:]], "answer_start": [None, None]}}):
        with pytest.raises(UnusableRow) as caught:
            read_answers(row, "a", context)
        assert str(caught.value) == f"answer without a start that is {times} in its context"


IN_BYTES = len(CONTEXT[:BASEL].encode())
IN_UTF16 = len(CONTEXT[:BASEL].encode("utf-16-le")) // 2


@pytest.mark.parametrize(
    ("start", "why", "mend"),
    [
        (IN_BYTES, f"at {BASEL}, which is {IN_BYTES} in UTF-8 bytes)", "in characters, counted from 0"),
        # One character outside the basic plane: one more in UTF-16, and also one more from 1.
        (
            IN_UTF16,
            f"at {BASEL}, which is {IN_UTF16} in UTF-16 units, as JavaScript and Java count or counted from 1)",
            "in characters, counted from 0",
        ),
        (BASEL - 1, f"at {BASEL}, one character later)", "in characters, counted from 0"),
        (3, f"(the answer is at {BASEL}): correct the start", "or leave it empty to have the answer found"),
        (-1, f"negative start -1 for the answer 'Basel' (the answer is at {BASEL})", "leave it empty"),
        (500, f"behind the end of its context at {len(CONTEXT)} (the answer is at {BASEL})", "leave it empty"),
    ],
)
def test_where_a_wrong_start_comes_from(start: int, why: str, mend: str) -> None:
    message = complaint({"text": ["Basel"], "answer_start": [start]})
    assert "the answer 'Basel'" in message
    assert why in message
    assert message.endswith(mend) or mend in message.rpartition(": ")[2]


def test_utf16_apart_from_counting_from_1() -> None:
    context = "🙂🙂 then Basel"
    with pytest.raises(RowError, match=r"at 8, which is 10 in UTF-16 units, as JavaScript and Java count\): give"):
        read_answers({"a": "Basel", "start": 10}, "a", context)
    with pytest.raises(RowError, match=r"at 8, which is 9 counted from 1\): give starts in characters"):
        read_answers({"a": "Basel", "start": 9}, "a", context)
    with pytest.raises(RowError, match=r"at 8, which is 14 in UTF-8 bytes\): give starts in characters"):
        read_answers({"a": "Basel", "start": 14}, "a", context)


def test_what_was_found_instead_is_shown_and_cut() -> None:
    assert "has the answer 'Basel' at 0, where its context has 'Zoë l'" in complaint("Basel", start=0)
    long = "word " * 20
    with pytest.raises(RowError) as caught:
        read_answers({"a": long.strip(), "start": 2}, "a", f"xy {long}")
    assert f"has the answer '{long[:37]}...' at 2, where its context has ' {long[:36]}...'" in str(caught.value)


def test_an_answer_at_several_other_places() -> None:
    assert complaint("May", start=0).endswith(f"(the answer is at {MAY}, {CONTEXT.rindex('May')}): correct the start")
    with pytest.raises(RowError, match=r"\(the answer is at 0, 2, 4 and 2 more places\): correct the start$"):
        read_answers({"a": "x", "start": 10}, "a", "x x x x x. ")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Bonn", "the answer is nowhere in it"),
        ("basel", "in it only with other capitals"),
        ("Basel ", "in it only with other blanks"),
        ("May.\nIn", "in it only with other blanks"),
        (unicodedata.normalize("NFD", "Köln"), "in it only with other Unicode forms"),
        (" basel", "in it only with other capitals"),
        ("basel ", "in it only with other blanks, capitals or Unicode forms"),
    ],
)
def test_an_answer_that_is_not_in_the_context(text: str, why: str) -> None:
    message = complaint(text, start=BASEL)
    assert f"at {BASEL}, where its context has " in message
    assert message.endswith(f"({why}): copy the answer from the context") or why in message


@pytest.mark.parametrize(
    ("value", "others", "wrong"),
    [
        ({"text": ["May", "Basel"], "answer_start": [MAY]}, {}, "has 2 answers and 1 start in"),
        ({"text": ["May"], "answer_start": []}, {}, "has 1 answer and 0 starts"),
        ({"text": ["May"], "answer_start": MAY}, {}, "give every answer its start, or none of them"),
        ({"text": ["May", ""], "answer_start": [MAY, 0]}, {}, "has an empty text among the answers"),
        ([{"text": None, "answer_start": MAY}, {"text": "May", "answer_start": MAY}], {}, "has None among the answers"),
        ("May", {"start": 10**400}, "which is no whole number"),
        ({"text": [1976], "answer_start": [0]}, {}, "has 1976 among the answers"),
        ([["May"]], {}, "has a list of other things than answers"),
        ([{"start": 3}], {}, 'write it as {"text": [...], "answer_start": [...]}'),
        ({"answer": "May"}, {}, "which is no text"),
        (1976, {}, "has 1976 in column 'answers', which is no text"),
        ("{'text': ['May'], 'answer_start': [21}", {}, "has a broken list in column 'answers': write it as"),
        ("May", {"start": "soon"}, "has the start 'soon', which is no whole number"),
        ("May", {"start": 2.5}, "has the start 2.5, which is no whole number"),
        ("May", {"start": True}, "has the start True, which is no whole number"),
        ("May", {"start": [MAY]}, "which is no whole number: count the characters before the answer"),
        ("May", {"start": "inf"}, "has the start 'inf', which is no whole number"),
    ],
)
def test_answers_that_are_written_wrong(value: Any, others: dict[str, Any], wrong: str) -> None:
    assert wrong in complaint(value, **others)


@settings(deadline=None)
@given(st.text(min_size=1, max_size=30), st.data())
def test_every_span_is_read_back_and_no_other_start_passes(context: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(context) - 1))
    text = context[start : data.draw(st.integers(start + 1, len(context)))]
    other = data.draw(st.integers(-2, len(context) + 40))
    if is_missing(text):  # blanks and characters without a width
        return
    assert read_answers({"a": {"text": [text], "answer_start": [start]}}, "a", context) == one(text, start)
    if other < 0 or context[other : other + len(text)] != text:
        with pytest.raises(RowError, match="the answer"):
            read_answers({"a": {"text": [text], "answer_start": [other]}}, "a", context)


@pytest.mark.parametrize(
    ("typed", "part"),
    [
        ('"good day"', "\u201cgood\u00a0day\u201d"),
        ("GOOD DAY", "good\u00a0day"),
        ("home late.\nShe said", "home late.\r\nShe  said"),
        ("\ufb01ne", "fine"),
        ("it's", "It\u2019s"),
    ],
)
def test_what_typing_changes_does_not_hide_a_part(typed: str, part: str) -> None:
    from dal_nlp.data.answer_spans import parts_like

    context = f"Then: {part}; he left."
    assert [context[start:end] for start, end in parts_like(typed, context)] == [part]
    assert len(parts_like(typed, f"{context} {part}")) == 2
    assert parts_like("nowhere", context) == [] and parts_like(" ", context) == []
