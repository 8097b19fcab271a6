"""Texts on a terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dal_nlp.core.text import harmless, lines, with_offsets

BIDI = "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@given(st.text())
def test_nothing_moves_the_cursor_or_turns_letters_round(text: str) -> None:
    shown = harmless(text)
    assert not set(shown) & set(BIDI)
    assert not [c for c in shown if unicodedata.category(c) == "Cc" and c != "\n"]


@pytest.mark.parametrize("text", ["déjà vu", "שלום", "日本", "👩‍💻", "two\nlines"])
def test_letters_of_all_scripts_stay(text: str) -> None:
    assert harmless(text) == text


@given(st.text(alphabet="ab c\n"), st.integers(1, 9))
def test_offsets_are_those_of_the_text(text: str, width: int) -> None:
    found = list(lines(text, width))
    assert all(text.startswith(line, offset) and len(line.rstrip()) <= width for offset, line in found)
    assert "".join(line for _, line in found) == text.replace("\n", "")


def test_the_offset_stands_before_each_line() -> None:
    assert with_offsets("a film\nof the plot", 12) == " 0 | a film\n 7 | of the \n14 | plot"
