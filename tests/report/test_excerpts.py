"""What of a text is shown, and where the highlights are."""

from itertools import pairwise

import numpy as np
import pytest

from dal_nlp.report.excerpts import BEGINNING, LONGEST, excerpt


def brute_force(text: str, marks: list[list[int]]) -> str:
    """Every highlighted character, one at a time; dots for the others."""
    hit = [any(start <= i < end for start, end in marks) for i in range(len(text))]
    return "".join(character if marked else "." for character, marked in zip(text, hit, strict=True))


def shown(pieces: list[tuple[str, bool]]) -> str:
    return "".join(part if marked else "." * len(part) for part, marked in pieces)


def test_pieces_are_the_text_and_its_marks_to_the_character() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        text = "".join(rng.choice(list("ab<\n👩é"), int(rng.integers(1, 12))))
        marks = [sorted(rng.integers(-2, 15, 2).tolist()) for _ in range(int(rng.integers(0, 4)))]
        pieces, want = excerpt(text, marks), brute_force(text, marks)
        assert "".join(part for part, _ in pieces) == text
        assert shown(pieces) == want
        assert all(part for part, _ in pieces)
        assert all(a[1] != b[1] for a, b in pairwise(pieces))


def test_a_text_of_the_longest_length_is_whole() -> None:
    text = "x" * (LONGEST - 1) + "y"
    assert excerpt(text, [[LONGEST - 1, LONGEST]]) == [("x" * (LONGEST - 1), False), ("y", True)]


@pytest.mark.parametrize("place", [0, 5, 700, 1400, 3000, 5987])
def test_a_long_text_shows_its_first_line_and_what_is_around_the_first_mark(place: int) -> None:
    question = "Who was it?\n\n"
    body = "".join(f"{i:04} " for i in range(1200))
    start = len(question) + place
    pieces = excerpt(question + body, [[start, start + 9], [len(question) + 5990, len(question) + 5995]])
    text = "".join(part for part, _ in pieces)
    assert text.startswith(question)
    assert LONGEST <= len(text) <= LONGEST + 10
    (at,) = [i for i, (part, marked) in enumerate(pieces) if marked and part.startswith(body[place : place + 9])]
    before, after = body[:place], body[place + 9 :]
    if place > 200:
        assert before.endswith("".join(part for part, _ in pieces[:at])[-200:])
    following = "".join(part for part, _ in pieces[at:])[9:]
    if place < 5000:
        assert after.startswith(following[:500]) and text.endswith(" ...")
    else:
        assert following == after
    assert ("..." in text.removeprefix(question)[:4]) == (place >= 1400)


def test_a_long_text_without_a_short_first_line_shows_its_first_characters() -> None:
    text = "word " * 2000
    pieces = excerpt(text, [[6000, 6004]])
    whole = "".join(part for part, _ in pieces)
    assert whole.startswith(f"{text[:BEGINNING]} ... ") and len(whole) <= LONGEST + 10
    assert [part for part, marked in pieces if marked] == [text[6000:6004]]


def test_a_mark_longer_than_what_is_shown_is_shown_from_its_start() -> None:
    text = "a" * 3000 + "b" * 4000
    pieces = excerpt(text, [[3000, 7000]])
    assert pieces[2][1] and pieces[2][0] == "b" * (LONGEST - BEGINNING)
    assert pieces[-1] == (" ...", False)


def test_line_breaks_alone_take_no_room() -> None:
    text = "a\n" + "\n" * 3000 + "b"
    assert ("b", True) in excerpt(text, [[len(text) - 1, len(text)]])
