"""Where answers are that come without a place."""

import random
from collections import Counter

import pytest

from dal_nlp.span_witnesses.location import NEAR, locate, meant, nearest
from dal_nlp.tasks.squad_metrics import normalise_answer


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


def agreement(part: str, raw: str) -> float:
    """Token F1 in which a word counts its letters."""
    left, right = (Counter(normalise_answer(text).split()) for text in (part, raw))
    shared, both = (sum(map(len, words.elements())) for words in (left & right, left + right))
    return 2 * shared / both if both else 0.0


def test_the_nearest_part_is_the_best_of_all_parts() -> None:
    rng, found = random.Random(0), 0
    said = ["five", "solo", "tackles,", "The", "U.S.", "a", "Levi's", "-", "in"]
    for _ in range(300):
        context = " ".join(rng.choices(said, k=rng.randint(1, 12)))
        raw = " ".join(rng.choices(["five", "tackles", "solo", "levis", "us", "Rome", "the"], k=rng.randint(1, 4)))
        words = context.split(" ")
        parts = [" ".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1)]
        best, taken = max(agreement(part, raw) for part in parts), nearest(raw, context)
        if taken is None:
            assert best < NEAR
        else:
            found += 1
            (text,), (start,) = taken["text"], taken["answer_start"]
            assert context[start : start + len(text)] == text
            assert agreement(text, raw) == best >= NEAR
    assert 50 < found < 250


@pytest.mark.parametrize(
    ("raw", "context"),
    [
        ("thirteen", "It is 13."),
        ("", "It is 13."),
        ("the", "It is the 13."),
        ("in 1999", "It was in 1998."),
        ("of Spain", "It is one of them."),
        ("no answer", "No, not that."),  # what a reader says of a question without one
    ],
)
def test_a_part_far_from_the_answer_is_none(raw: str, context: str) -> None:
    assert nearest(raw, context) is None


def test_what_is_said_in_another_order_is_near() -> None:
    taken = nearest("5 solo tackles", "He had five tackles, solo ones.")
    assert taken == {"text": ["tackles, solo"], "answer_start": [12]}
    assert nearest("of Spain", "One of the kings of old Spain") == {"text": ["Spain"], "answer_start": [24]}
