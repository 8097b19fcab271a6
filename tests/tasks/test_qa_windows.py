"""Contexts in windows: nothing is lost, every span counts once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dal_nlp.core.errors import UserError
from dal_nlp.tasks.questions.windows import cut, nearest_ends
from tests import tiny
from tests.reference import qa as reference

WORDS = [*tiny.NEUTRAL, *tiny.POSITIVE, *tiny.NEGATIVE]
TOKENIZER = tiny.tokenizer()


def context(n: int) -> str:
    return " ".join(WORDS[i % len(WORDS)] for i in range(n))


@pytest.mark.parametrize("n", [1, 2, 14, 15, 16, 40, 200])
def test_windows_hold_the_whole_context_in_order(n: int) -> None:
    text = context(n)
    windows = cut(TOKENIZER, "was it good", text, 20, 5, 1)
    words = text.split()
    assert [text[a:b] for a, b in zip(windows.starts, windows.ends, strict=True)] == words
    for w, ids in enumerate(windows.inputs["input_ids"]):
        assert len(ids) <= 20
        inside = ids[windows.first[w] : windows.first[w] + windows.count[w]]
        assert TOKENIZER.convert_ids_to_tokens(inside) == words[windows.shift[w] : windows.shift[w] + windows.count[w]]
        assert ids[windows.null[w]] == TOKENIZER.cls_token_id
    assert windows.shift[-1] + windows.count[-1] == n
    overlaps = windows.shift[:-1] + windows.count[:-1] - windows.shift[1:]
    assert (overlaps == 5).all()


def test_a_long_question_is_cut_to_half_of_the_window() -> None:
    windows = cut(TOKENIZER, context(50), context(30), 20, 5, 1)
    assert windows.first[0] == 1 + 10 + 1
    assert windows.shift[-1] + windows.count[-1] == 30


@pytest.mark.parametrize("longest", [1, 4, 9, 16])
def test_every_answer_that_may_be_given_lies_in_a_window(longest: int) -> None:
    windows = cut(TOKENIZER, "was it good", context(60), 20, 1, longest)
    room = int(windows.count[0])
    for i in range(60):
        for j in range(i, min(i + min(longest, room), 60)):
            assert reference.owner(windows.shift, windows.count, i, j) is not None


def test_a_tokenizer_that_cuts_on_the_left_is_refused() -> None:
    other = tiny.tokenizer()
    other.truncation_side = "left"
    with pytest.raises(UserError, match="cuts texts on the left"):
        cut(other, "was it good", context(30), 20, 5, 1)


def test_no_room_is_said() -> None:
    with pytest.raises(UserError, match="leaves no room"):
        cut(TOKENIZER, context(50), "good", 5, 2, 1)


def test_a_context_without_tokens_is_said() -> None:
    with pytest.raises(UserError, match="has no tokens"):
        cut(TOKENIZER, "was it good", " \n", 20, 5, 1)


@given(
    length=st.integers(1, 12),
    overlap=st.integers(0, 11),
    windows=st.integers(1, 6),
    last=st.integers(1, 12),
)
@settings(deadline=None)
def test_every_span_counts_in_the_window_with_the_most_context(
    length: int, overlap: int, windows: int, last: int
) -> None:
    overlap = min(overlap, length - 1)
    shift = np.arange(windows) * (length - overlap)
    count = np.full(windows, length)
    count[-1] = min(length, max(last, overlap + 1))
    reach = nearest_ends(shift, count)
    for i in range(int(shift[-1] + count[-1])):
        for j in range(i, int(shift[-1] + count[-1])):
            found = [
                w
                for w in range(windows)
                if shift[w] <= i and j < shift[w] + count[w] and reach[w][i - shift[w]] <= j - i
            ]
            want = reference.owner(shift, count, i, j)
            assert found == ([] if want is None else [want])
