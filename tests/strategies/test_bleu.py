"""BLEU against nltk and against its definition; the tokens it is made of."""

import unicodedata
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from dal_nlp.core.text import is_word, words
from dal_nlp.strategies.bleu import bleu_variance, pairwise_bleu
from tests.reference import bleu as reference

SMOOTHING = SmoothingFunction().method1

#: Few different tokens, so that long n-grams are shared and repeated.
TOKENS = st.lists(st.sampled_from("abc"), max_size=9)


def nltk_bleu(hypothesis: Sequence[str], of: Sequence[str]) -> float:
    return float(sentence_bleu([of], hypothesis, smoothing_function=SMOOTHING))


def some_texts(seed: int, n: int, longest: int, different: int) -> list[list[str]]:
    rng = np.random.default_rng(seed)
    return [[f"w{i}" for i in rng.integers(different, size=rng.integers(longest + 1))] for _ in range(n)]


@pytest.mark.parametrize(("longest", "different"), [(5, 2), (5, 6), (12, 4), (40, 5), (40, 60)])
def test_equal_to_nltk_for_every_pair(longest: int, different: int) -> None:
    texts = [*some_texts(longest + different, 30, longest, different), [], ["w0"], ["w0", "w1"], ["w0", "w1", "w0"]]
    scores = pairwise_bleu(texts)
    assert scores.shape == (34, 34) and scores.dtype == np.float64
    for i, hypothesis in enumerate(texts):
        for j, of in enumerate(texts):
            if hypothesis or of:  # of two empty texts nltk has 0
                assert scores[i, j] == pytest.approx(nltk_bleu(hypothesis, of), abs=1e-9)
                assert scores[i, j] == pytest.approx(reference.bleu(hypothesis, of), abs=1e-9)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 30])
def test_a_text_against_itself(n: int) -> None:
    text = [f"w{i}" for i in range(n)]
    ((score,),) = pairwise_bleu([text])
    assert score == (1.0 if n >= 4 else pytest.approx(0.1 ** ((4 - n) / 4)))
    assert score == pytest.approx(nltk_bleu(text, text))


def test_by_hand() -> None:
    scores = pairwise_bleu([words("the cat sat down"), words("the cat sat on the mat")])
    # 3 of 4 words, 2 of 3 pairs, 1 of 2 triples, none of 1; too short by 2 of 4
    assert scores[0, 1] == pytest.approx((3 / 4 * 2 / 3 * 1 / 2 * 0.1) ** 0.25 * np.exp(-1 / 2))
    # "the" counts once of twice: 3 of 6, 2 of 5, 1 of 4, none of 3; longer costs nothing
    assert scores[1, 0] == pytest.approx((3 / 6 * 2 / 5 * 1 / 4 * 0.1 / 3) ** 0.25)


def test_empty_texts_are_equal_to_each_other_alone() -> None:
    word = ["w"]
    assert pairwise_bleu([[], word, []]).tolist() == [[1, 0, 1], [0, pytest.approx(0.1**0.75), 0], [1, 0, 1]]
    assert pairwise_bleu([[], []]).tolist() == [[1, 1], [1, 1]]
    assert pairwise_bleu([]).shape == (0, 0)
    assert bleu_variance(["", " \n"]) == 0.0
    assert bleu_variance(["", "a cat"]) == 1.0


@settings(deadline=None)
@given(st.lists(TOKENS, max_size=6))
def test_what_holds_for_all_texts(texts: list[list[str]]) -> None:
    scores = pairwise_bleu(texts)
    assert ((scores >= 0) & (scores <= 1)).all()
    wanted = [[reference.bleu(a, b) for b in texts] for a in texts]
    assert scores == pytest.approx(np.array(wanted).reshape(scores.shape))
    order = np.arange(len(texts))[::-1]
    assert np.array_equal(pairwise_bleu(texts[::-1]), scores[np.ix_(order, order)])


@settings(deadline=None)
@given(st.lists(TOKENS, min_size=2, max_size=6))
def test_bleu_variance(texts: list[list[str]]) -> None:
    found = bleu_variance([" ".join(text).upper() for text in texts])
    assert found == pytest.approx(reference.bleu_variance(texts))
    assert 0 <= found <= 1


def test_bleu_variance_of_equal_and_of_unlike_texts() -> None:
    assert bleu_variance(["The cat sat down."] * 4) == 0.0
    assert bleu_variance(["Meeting"] * 10) == 0.0  # though BLEU has it at 0.18 against itself
    assert bleu_variance(["the cat", "a dog", "one bird"]) == 1.0
    # one of the three pairs is of equal texts
    assert bleu_variance(["the cat sat down", "The cat sat  down", "a dog"]) == pytest.approx(2 / 3)


@pytest.mark.parametrize("texts", [[], ["alone"]])
def test_bleu_variance_needs_two(texts: list[str]) -> None:
    with pytest.raises(ValueError, match=f"{len(texts)} is not enough"):
        bleu_variance(texts)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("The CAT sat.", "the cat sat ."),
        ("Don't pay 3.5%, #Person1#!", "don ' t pay 3 . 5 % , # person1 # !"),
        ("a_b  \t c\u3000d\x00e", "a _ b c d e"),
        ("हिन्दी में", "हिन्दी में"),  # vowel signs and viramas belong to the words
        ("한국어 문장", "한국어 문장"),
        ("東京タワーへ2km。", "東 京 タ ワ ー へ 2km 。"),
        ("ดี ລາວ", "ด ี ລ າ ວ"),
        ("cafe\u0301 CAFÉ", "café café"),  # two ways to write it
        ("ক\u200dখ so\u00adft", "কখ soft"),  # joiners and soft hyphens
        ("\u26a0\ufe0f \U0001f469\u200d\U0001f4bb", "\u26a0 \U0001f469 \U0001f4bb"),
        ("m² ½", "m² ½"),
        (" \n", ""),
    ],
)
def test_words(text: str, wanted: str) -> None:
    assert words(text) == wanted.split()


@settings(deadline=None)
@given(st.text())
def test_words_of_any_text(text: str) -> None:
    tokens = words(text)
    assert all(token and not any(map(str.isspace, token)) for token in tokens)
    assert all(len(token) == 1 for token in tokens if not is_word(token))
    # nothing that is seen is lost
    categories = [unicodedata.category(character)[0] for character in "".join(tokens)]
    normal = unicodedata.normalize("NFC", text).lower()
    seen = [character for character in normal if unicodedata.category(character)[0] in "LN"]
    assert [c for c, kind in zip("".join(tokens), categories, strict=True) if kind in "LN"] == seen


def test_what_is_a_word() -> None:
    assert [token for token in words("A_b, 3.5 \u26a0 東。") if is_word(token)] == ["a", "b", "3", "5", "東"]
