"""What a text, a label and an id are."""

import json
import math
import unicodedata
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dal_nlp.core.errors import RowError
from dal_nlp.readers.literals import literal, load_json
from dal_nlp.readers.values import (
    alike,
    canonical_id,
    canonical_label,
    id_of,
    is_missing,
    is_rewritten_id,
    is_spreadsheet_error,
    label_of,
    spells_nothing,
    text_of,
)

SAME = [
    ["1", 1, 1.0, "1.0", "1.000", " 1 ", Decimal("1"), Decimal("1.0"), b"1", [1], "['1']", "[1]", "\u200b1"],
    ["-1", -1, -1.0, "-1.0"],
    ["0", 0, 0.0, -0.0, "-0.0"],
    ["true", True, "True", "TRUE", "true", [True], b"true"],
    ["false", False, "False", "FALSE"],
    ["caf\u00e9", "cafe\u0301", "\u2066caf\u00e9\u2069", "caf\u00e9\u00a0", "ca\u00adf\u00e9"],
    ["very good", "very\u00a0good", "very\u3000good", ["very good"], '["very good"]', "('very good',)"],
    ["good", "good", "go\u200cod", "\ufeffgood", "['good']"],
    ["0.5", 0.5, "0.5", Decimal("0.5")],
]


@pytest.mark.parametrize("spellings", SAME, ids=lambda spellings: spellings[0])
def test_labels_that_mean_the_same_are_one(spellings):
    assert {label_of(value) for value in spellings} == {spellings[0]}


@pytest.mark.parametrize(
    "labels",
    [
        ["01", "1"],
        ["00", "01", "10"],
        ["1.0", "1.1", "1.10"],
        ["Positive", "positive"],
        ["\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u062e"],
        ["\U0001f468\u200d\U0001f469", "\U0001f468\U0001f469"],
        ["NA", "nan", "None", "NULL"],
        ["a [b]", "[a, b"],
    ],
)
def test_labels_that_differ_stay_apart(labels):
    assert len({label_of(label) for label in labels}) == len(labels)


@pytest.mark.parametrize(
    "value", [None, math.nan, "", " \u00a0", "\u200b", [], [None], "[]", b"", Decimal("nan"), "\ufeff"]
)
def test_a_missing_label_is_none(value):
    assert label_of(value) is None


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        (["a", "b"], "2 labels"),
        ("['a', 'b']", "2 labels"),
        ({"a": 1}, "an object"),
        (b"\xff\xfe", "no UTF-8"),
        ("a\ud800", "surrogate"),
        (math.inf, "infinite"),
    ],
)
def test_what_is_no_label_is_refused(value, wrong):
    with pytest.raises(RowError, match=wrong):
        label_of(value)


def test_a_number_of_any_length_is_refused_with_a_sentence():
    with pytest.raises(RowError, match="digits"):
        label_of(10**5000)


def test_class_numbers_stand_for_their_names():
    names = ["neg", "pos"]
    assert [label_of(value, names) for value in (0, "1", 1.0, "1.0", "neg", -1, "-1", None)] == (
        ["neg", "pos", "pos", "pos", "neg", None, None, None]
    )
    stars = ["1", "2", "3"]
    assert [label_of(value, stars) for value in (1, "3", "0")] == ["1", "3", "1"]
    with pytest.raises(RowError, match="class number 2"):
        label_of(2, names)


@given(st.text())
def test_the_canonical_form_of_a_label_is_its_own(label):
    once = canonical_label(label)
    assert canonical_label(once) == once
    assert unicodedata.is_normalized("NFC", once)


@given(st.text(min_size=1))
def test_a_text_stays_as_it_is(text):
    assert text_of(text) == (None if is_missing(text) else text)


@pytest.mark.parametrize("value", [["a"], {"en": "a"}, True, ("a",), {1}, b"\xff", "\udc00", object()])
def test_what_is_no_text_is_refused(value):
    with pytest.raises(RowError):
        text_of(value)


def test_missing_texts_and_numbers():
    assert [text_of(value) for value in (None, math.nan, "  ", b" ")] == [None] * 4
    assert [text_of(value) for value in (5, 5.0, 2.5, b"caf\xc3\xa9")] == ["5", "5", "2.5", "caf\u00e9"]


def test_ids():
    assert [id_of(value) for value in (1, 1.0, "1.0", " a ", None, math.nan, "", b"x")] == (
        ["1", "1", "1.0", " a ", None, None, None, "x"]
    )
    assert {canonical_id(id) for id in ("7", "7.0", " 7 ", "\ufeff7")} == {"7"}
    assert canonical_id("007") == "007"
    assert is_rewritten_id("1.29442E+18") and is_rewritten_id("1,2E+18") and not is_rewritten_id("1294421")
    for value in (True, ["a"], {}):
        with pytest.raises(RowError, match="id"):
            id_of(value)


def test_spellings():
    assert alike("Positive") == alike("positive ") and alike("01") == alike("1.0") == "1" and alike("a") != alike("b")
    assert alike("\uff21") == alike("a")
    assert all(map(spells_nothing, ["NA", "nan", "None", "null", "#N/A", "<NA>"])) and not spells_nothing("nano")
    assert is_spreadsheet_error("#NAME?") and is_spreadsheet_error(" #WERT! ") and not is_spreadsheet_error("#nlp")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("['a', \"b\"]", ["a", "b"]),
        ("['a' 'b']", ["a", "b"]),
        ("['a'\n 'b\\n']", ["a", "b\n"]),
        (
            "{'text': array(['Oslo'], dtype=object), 'answer_start': array([3], dtype=int32)}",
            {"text": ["Oslo"], "answer_start": [3]},
        ),
        ("{'text': ['a', nan]}", {"text": ["a", None]}),
        ('{"a": [1]}', {"a": [1]}),
        ("[a, b]", "[a, b]"),
        ("[1] a foot note", "[1] a foot note"),
        ("[" * 5000, "[" * 5000),
        ("[__import__('os').getcwd()]", "[__import__('os').getcwd()]"),
        ("['open", "['open"),
        ("plain", "plain"),
    ],
)
def test_lists_in_a_cell(text, value):
    assert literal(text) == value


@given(
    st.recursive(
        st.none() | st.text() | st.integers() | st.booleans(),
        lambda part: st.lists(part) | st.dictionaries(st.text(), part),
        max_leaves=8,
    )
)
def test_what_python_and_json_print_is_read_back(value):
    if isinstance(value, list | dict):
        assert literal(json.dumps(value)) == value
        assert literal(repr(value)) == value


def test_json_of_any_size():
    assert load_json("[1" + "0" * 5000 + "]") == ["1" + "0" * 5000]
    for broken in ("[" * 100_000, "[1"):
        with pytest.raises(ValueError):
            load_json(broken)
