"""Rows find their examples: by id, checked by text, and by text where an id is of no use."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dal_nlp.joins import row_matching
from dal_nlp.joins.row_matching import RowMatcher, texts_in
from dal_nlp.readers.values import same_text
from tests import tiny

POOL = {
    "1294030472427835393": "the soup was bland",
    "00049": "a day to forget",
    "7": "-1 of 5 stars,\r\nreally",
    "=1+1": "@anna likes it",
}


def matcher(pool: Mapping[str, str] = POOL) -> RowMatcher:
    def example(id: str) -> dict[str, Any]:
        return {"id": id, "text": pool[id], "pair": None}

    return RowMatcher(tiny.task(), pool.keys(), pool, example)


@pytest.mark.parametrize(
    ("id", "text", "expected"),
    [
        ("7", "-1 of 5 stars,\r\nreally", ("7", False)),
        ("7", "'-1 of 5 stars,\nreally ", ("7", False)),  # inert, and with the blanks of a spreadsheet
        ("7.0", None, ("7", False)),
        (" 7 ", None, ("7", False)),
        ("'=1+1", "'@anna likes it", ("=1+1", False)),
        ("1.29403E+18", "the soup was bland", ("1294030472427835393", True)),
        ("1,29E+18", "the soup was bland", ("1294030472427835393", True)),
        ("1294030472427830000", "the soup was bland", ("1294030472427835393", True)),
        ("49", "a day to forget", ("00049", True)),
        ("", "a day  to forget", ("00049", True)),
    ],
)
def test_however_a_table_has_written_it(id: str, text: str | None, expected: tuple[str, bool]) -> None:
    assert matcher().match(id, {} if text is None else {"text": text}) == expected


@pytest.mark.parametrize(
    ("id", "text", "part"),
    [
        ("7", "the soup was bland", "'7' is the id of another text: 'the soup was bland' is in the row, and '-1 of 5"),
        ("s0-999", "the soup was bland", "'s0-999' was not asked about"),  # no table makes that of the id
        ("8", "the soup was bland", "'8' was not asked about"),
        ("1.29403E+18", None, "a spreadsheet has rounded it: keep the texts"),
        ("", "never heard", "its text was not asked about in round-000"),
        ("", None, "neither an id nor a text"),
    ],
)
def test_what_is_another_example_or_none(id: str, text: str | None, part: str) -> None:
    with pytest.raises(ValueError) as caught:
        matcher().match(id, {} if text is None else {"text": text}, " in round-000")
    assert part in str(caught.value)


def test_a_file_with_ids_of_another_program_is_joined_by_its_texts() -> None:
    assert matcher().match("900", {"text": "the soup was bland"}, foreign=True) == ("1294030472427835393", True)


def test_half_of_a_pair_or_question_is_checked_and_does_not_find() -> None:
    of = tiny.qa_task(unanswerable=True)
    example = {"id": "q1", "question": "who came", "context": "anna came"}
    found = RowMatcher(of, ["q1"], {"q1": of.show(example)}, lambda id: example)
    whole = {"question": "who came", "context": "anna came"}
    assert found.match("q1", {"question": "who came"}) == ("q1", False)
    assert found.match("", whole) == ("q1", True)
    with pytest.raises(ValueError, match="was not asked about"):
        found.match("", {"context": "anna came"})
    with pytest.raises(ValueError, match="is the id of another text"):
        found.match("q1", {**whole, "context": "ben came"})


def test_many_unknown_ids_are_not_compared_with_all_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    monkeypatch.setattr(row_matching, "nearest", lambda id, known: compared.append(id) or "")
    one = matcher()
    for n in range(1000):
        with pytest.raises(ValueError, match="was not asked about"):
            one.match(f"foreign {n}", {})
    assert len(compared) == 20


def test_the_text_that_a_spreadsheet_has_cut_off_is_the_same() -> None:
    long = "word " * 8000
    assert same_text(long, long[:32_767]) and not same_text(long, long[:300])
    assert not same_text("good film", "good films") and same_text("cafe\u0301 1", "café\u00a01")


def test_a_text_column_that_is_called_as_one_of_a_sheet() -> None:
    assert texts_in({"answer (text)": "a", "answer": "positive"}, ["answer"]) == {"answer": "a"}
    assert texts_in({"answer": "a", "label": "positive"}, ["answer"]) == {"answer": "a"}
    assert texts_in({"text": "#NAME?", "pair": None}, ["text", "pair"]) == {}
    assert texts_in({"dal_nlp_text0": "a"}, ["first text"], ["dal_nlp_text0"]) == {"first text": "a"}


@given(st.text(min_size=1))
def test_every_text_is_the_same_as_what_it_was(text: str) -> None:
    from dal_nlp.readers.spreadsheets import inert

    assert same_text(text, inert(text)) and same_text(text, text.replace("\n", "\r\n"))
