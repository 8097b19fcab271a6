"""Where answers are that come without a place."""

import random

import pytest

from dal_nlp.span_witnesses.location import NEAR, locate, meant, nearest
from dal_nlp.tasks.squad_metrics import token_f1


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


def test_the_nearest_part_is_the_best_of_all_parts() -> None:
    rng, found = random.Random(0), 0
    for _ in range(300):
        context = " ".join(
            rng.choices(["five", "solo", "tackles,", "The", "U.S.", "a", "Levi's", "-", "in"], k=rng.randint(1, 12))
        )
        raw = " ".join(rng.choices(["five", "tackles", "solo", "levis", "us", "Rome", "the"], k=rng.randint(1, 4)))
        words = context.split(" ")
        parts = [" ".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1)]
        best = max(token_f1(part, raw) for part in parts) if raw.strip("the ") else 0.0
        taken = nearest(raw, context)
        if best < NEAR:
            assert taken is None
        else:
            found += 1
            (text,), (start,) = taken["text"], taken["answer_start"]
            assert context[start : start + len(text)] == text and token_f1(text, raw) == best
    assert 50 < found < 250


def test_a_part_far_from_the_answer_is_none() -> None:
    assert nearest("thirteen", "It is 13.") is None and nearest("", "It is 13.") is None
    assert nearest("5 solo tackles", "He had five tackles, solo ones.") == {
        "text": ["tackles, solo"],
        "answer_start": [12],
    }
