"""Where answers are that come without a place."""

import pytest

from dal_nlp.span_witnesses.location import locate, meant


@pytest.mark.parametrize(
    ("text", "context", "found"),
    [
        ("Rome", "Rome, not Romeo: Rome.", ["Rome", "Rome"]),
        ("the rome", "In ROME they say", ["ROME"]),
        ("U.S", "the U.S. army", ["U.S"]),
        ("us army", "the U.S. Army.", ["U.S. Army"]),
        ("9", "1998", ["9", "9"]),  # no blanks around it: as in Chinese
        ("Paris", "Rome", []),
        ("", "Rome", []),
        ("...", "Rome", []),
    ],
)
def test_an_answer_is_found_letter_by_letter_else_as_squad_compares(text: str, context: str, found: list[str]) -> None:
    assert [context[start:end] for start, end in locate(text, context)] == found


def test_no_answer_is_one_where_it_may_be() -> None:
    assert meant("Unanswerable.", "Rome", True) == {"text": [], "answer_start": []}
    assert meant("Unanswerable.", "Rome", False) is None
    assert meant("Rome", "In Rome", True) == {"text": ["Rome"], "answer_start": [3]}
