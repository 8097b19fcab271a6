"""Exact match and token F1 by hand, by brute force, and by what must hold whatever the texts are."""

import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dal_nlp.tasks.squad_metrics import answer_scores, best_threshold, exact_match, normalise_answer, token_f1
from tests.reference import answer_metrics as reference

#: Texts in which words, articles, punctuation and blanks meet often.
TEXTS = st.lists(
    st.sampled_from(["a", "The", "an", "cat", "CAT", "then", "é", "½", ",", ".", " ", "\t", "\xa0", "-"])
).map("".join)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("The Main Building", "main building"),
        ("  two\t words \n", "two words"),
        ("a the An THE", ""),
        ("anthem of the Netherlands", "anthem of netherlands"),
        ("U.S.", "us"),
        ("the-end", "theend"),  # the hyphen goes first, and there is no article then
        ("a.", ""),
        ("'A' team", "team"),
        ("A's", "as"),
        ("$26.8 billion", "268 billion"),
        ("24\u201310", "24\u201310"),  # the dash of SQuAD is not ASCII and stays
        ("“the” end", "“ ” end"),  # nor are these quotation marks, which leave blanks where the article was
        ("Beyoncé", "beyoncé"),
        ("İ", "i̇"),  # lower case may be longer
        ("!?", ""),
        ("", ""),
    ],
)
def test_normalisation(text: str, wanted: str) -> None:
    assert normalise_answer(text) == wanted


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        ("the cat", "a cat", 1.0),
        ("black cat", "cat", 2 / 3),
        ("cat cat dog", "cat dog dog", 2 / 3),  # one cat and one dog in common, 3 words in each
        ("cat cat dog", "cat cat", 4 / 5),  # a repeated word counts as often as it is in both
        ("New York City", "city of new york", 6 / 7),
        ("dog", "cat", 0.0),
        ("Beyonce", "Beyoncé and Bruno Mars", 0.0),
        ("", "", 1.0),
        ("the", "!", 1.0),  # nothing is left of either
        ("the", "cat", 0.0),
        ("cat", "", 0.0),
    ],
)
def test_token_f1(a: str, b: str, wanted: float) -> None:
    assert token_f1(a, b) == token_f1(b, a) == pytest.approx(wanted)


def test_exact_match_is_with_any_of_the_answers() -> None:
    assert exact_match("main building", ["Chapel", "The Main Building."]) == 1.0
    assert exact_match("building", ["Chapel", "The Main Building."]) == 0.0
    assert exact_match("", [""]) == exact_match("a", [""]) == 1.0
    assert exact_match("cat", []) == 0.0


def answers(*texts: str) -> dict[str, list[object]]:
    return {"text": list(texts), "answer_start": [0] * len(texts)}


@pytest.mark.parametrize(
    ("prediction", "target", "exact", "f1"),
    [
        (answers("Main Building"), answers("the Main Building", "Building"), 1.0, 1.0),
        (answers("big building"), answers("the Main Building", "Building"), 0.0, 2 / 3),  # the second suits it better
        (answers("Building", "Chapel"), answers("chapel"), 0.0, 0.0),  # only the first is said
        (answers(), answers(), 1.0, 1.0),
        (answers("the"), answers(), 1.0, 1.0),
        (answers("cat"), answers(), 0.0, 0.0),
        (answers(), answers("cat"), 0.0, 0.0),
        (answers(), answers("The", "cat"), 0.0, 0.0),  # "The" does not count beside another answer
        (answers(), answers("The", "!"), 1.0, 1.0),  # and stands for none where there is no other
    ],
)
def test_answer_scores(prediction: object, target: object, exact: float, f1: float) -> None:
    assert answer_scores([prediction], [target]) == ([exact], [pytest.approx(f1)])


def test_scores_stay_with_their_questions() -> None:
    said, known = [answers("cat"), answers(), answers("dog")], [answers("a cat"), answers("cat"), answers("hot dog")]
    assert answer_scores(said, known) == ([1.0, 0.0, 0.0], [1.0, 0.0, pytest.approx(2 / 3)])
    assert answer_scores([], []) == ([], [])
    with pytest.raises(ValueError, match="shorter"):
        answer_scores(said, known[:2])


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_what_holds_for_all_texts(a: str, b: str) -> None:
    normal = normalise_answer(a)
    assert normal == normal.strip().lower() and not set(normal) & set(string.punctuation)
    assert normalise_answer(normal) == normal
    assert not {"a", "an", "the"} & set(normal.split())
    f1 = token_f1(a, b)
    assert f1 == token_f1(b, a) == pytest.approx(reference.token_f1(normal.split(), normalise_answer(b).split()))
    assert 0 <= exact_match(a, [b]) <= f1 <= 1
    assert token_f1(a, a) == exact_match(a, [a]) == 1
    ((exact,), (best,)) = answer_scores([answers(a)], [answers(b, a)])
    assert exact == best == 1 or not normal


CASES = st.lists(
    st.tuples(
        st.one_of(st.integers(-4, 4).map(float), st.floats(-3, 3), st.sampled_from([np.inf, -np.inf])),
        st.sampled_from([0.0, 1 / 3, 0.5, 2 / 3, 1.0]),
        st.booleans(),
    )
)


@settings(deadline=None)
@given(CASES)
def test_the_best_threshold_is_that_of_trying_all(cases: list[tuple[float, float, bool]]) -> None:
    scores, f1, answerable = ([case[i] for case in cases] for i in range(3))
    found = best_threshold(scores, f1, answerable)
    assert np.isfinite(found)
    assert found == reference.best_threshold(scores, f1, answerable)


@pytest.mark.parametrize(
    ("scores", "f1", "answerable", "wanted"),
    [
        ([-2, 1, 3], [1, 1, 0], [True, True, False], 1.0),  # answer up to the second
        ([-2, 1, 3], [1, 1, 1], [True, True, True], 3.0),
        ([-2, 1, 3], [0, 0, 0], [False, False, False], -3.0),  # no answer to any of them
        ([-2, 1, 3], [1, 0, 0], [True, False, False], 0.0),  # anything from -2 to 1 does, and 0 lies between
        ([-5, -2, 3], [1, 0, 0], [True, False, False], -5.0),
        ([0, 0], [1, 0], [True, False], 0.0),  # equal scores are on one side: one is right either way
        ([5, 5], [1, 0], [True, False], 0.0),
        ([-2, 2], [0, 1], [False, True], 2.0),  # one right at 2 and at -3, none at 0
        ([-1, -0.5, 1], [1, 0, 1], [True, False, True], -1.0),  # two right at 1 too, which is as near to 0
        ([], [], [], 0.0),
        ([np.inf, -np.inf], [1, 1], [True, True], 0.0),
    ],
)
def test_best_threshold(scores: list[float], f1: list[float], answerable: list[bool], wanted: float) -> None:
    assert best_threshold(scores, f1, answerable) == reference.best_threshold(scores, f1, answerable)
    assert best_threshold(np.array(scores, np.float32), np.array(f1, np.float32), answerable) == wanted


def test_best_threshold_refuses_what_it_cannot_rank() -> None:
    for scores, f1 in (([np.nan], [1.0]), ([1.0], [np.nan])):
        with pytest.raises(ValueError, match="NaN"):
            best_threshold(scores, f1, [True])
    with pytest.raises(ValueError, match="do not belong together"):
        best_threshold([1.0, 2.0], [1.0], [True])
