"""ROUGE against the library's own scorer, and sentences by hand."""

import subprocess
import sys
import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer

from dal_nlp.core.text import is_word, words
from dal_nlp.tasks.rouge import MEASURES, rouge, sentences

#: Words with endings that stemming cuts off, capitals, digits, punctuation, other scripts, ends of sentences and lines.
VOCABULARY = [
    *("The", "cats", "Cat", "running", "runner", "ran", "it", "happily", "happy", "3.5", "don't", "well-known", "É"),
    *("sat.", "No.", "Dr.", "why?", '"Go!"', "...", "\n", "\r\n", "東京です。", "हिन्दी", "nations", "national", "_x_"),
]


def some_texts(seed: int, n: int, longest: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(VOCABULARY, rng.integers(longest + 1))) for _ in range(n)]


class Words(Tokenizer):  # type: ignore[misc]
    def tokenize(self, text: str) -> list[str]:
        return [token for token in words(text) if is_word(token)]


def library(predictions: Sequence[str], references: Sequence[Sequence[str]], tokenizer: str) -> dict[str, list[float]]:
    """The scores of the library's own scorer, its sentences a line each."""
    english = tokenizer == "english"
    scorer = RougeScorer(list(MEASURES), use_stemmer=english, tokenizer=None if english else Words())
    scores = [
        scorer.score_multi(["\n".join(sentences(text)) for text in known], "\n".join(sentences(prediction)))
        for prediction, known in zip(predictions, references, strict=True)
    ]
    return {measure: [score[measure].fmeasure for score in scores] for measure in MEASURES}


@pytest.mark.parametrize("tokenizer", ["english", "words"])
@pytest.mark.parametrize("most", [1, 3])
def test_equal_to_the_library(tokenizer: str, most: int) -> None:
    rng = np.random.default_rng(most)
    predictions = some_texts(most, 80, 25)
    references = [some_texts(int(rng.integers(10**6)), int(rng.integers(1, most + 1)), 25) for _ in predictions]
    found = rouge(predictions, references, tokenizer)
    assert found == library(predictions, references, tokenizer)
    assert list(found) == ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    assert len({value for values in found.values() for value in values}) > 50  # and not because all are 0 or 1


def test_by_hand() -> None:
    prediction, known = "The cat ran. A dog sat.", "A dog sits. The cats ran home."
    found = rouge([prediction], [[known]], "words")
    # the, cat, ran, a, dog, sat against a, dog, sits, the, cats, ran, home
    assert found["rouge1"] == [pytest.approx(2 * 4 / 13)]
    assert found["rouge2"] == [pytest.approx(2 * 1 / 11)]  # a dog; "ran a" of the first goes over a full stop
    assert found["rougeL"] == [pytest.approx(2 * 2 / 13)]  # the ... ran, or a dog
    assert found["rougeLsum"] == [pytest.approx(2 * 4 / 13)]  # both, as the order of sentences does not matter
    assert rouge([prediction], [[known]], "english")["rouge1"] == [pytest.approx(2 * 5 / 13)]  # cats is cat, sat is sat


def test_each_measure_takes_the_reference_that_suits_it_best() -> None:
    prediction, jumbled, part = "a b c d", "d c b a", "a b x y z"
    found = rouge([prediction], [[part, jumbled]], "words")
    assert found["rouge1"] == rouge([prediction], [[jumbled]], "words")["rouge1"] == [1.0]
    assert found["rouge2"] == rouge([prediction], [[part]], "words")["rouge2"] == [pytest.approx(2 / 7)]


@pytest.mark.parametrize("tokenizer", ["english", "words"])
@pytest.mark.parametrize(("prediction", "known"), [("", "a cat"), ("a cat", ""), ("", ""), ("?!", "?!"), ("\n", " ")])
def test_without_words_there_is_nothing_in_common(tokenizer: str, prediction: str, known: str) -> None:
    assert rouge([prediction], [[known]], tokenizer) == {measure: [0.0] for measure in MEASURES}


def test_scores_are_floats_and_none_for_no_texts() -> None:
    assert rouge([], []) == {measure: [] for measure in MEASURES}
    found = rouge(["", "a cat"], [["a cat"], ["a cat"]])
    assert all([type(value) for value in values] == [float, float] for values in found.values())
    assert [values[1] for values in found.values()] == [1.0] * 4


def test_other_scripts_need_their_words() -> None:
    text = ["これは東京です。猫がいます。", "это большой кот", "यह हिन्दी है"]
    assert rouge(text, [[one] for one in text], "english")["rouge1"] == [0.0] * 3
    assert rouge(text, [[one] for one in text], "words") == {measure: [1.0] * 3 for measure in MEASURES}
    # a character each: 3 of 4 and of 3
    assert rouge(["東京都で"], [["京都で"]], "words")["rougeL"] == [pytest.approx(6 / 7)]


def test_errors() -> None:
    with pytest.raises(ValueError, match="text 1 has no reference"):
        rouge(["a", "b"], [["a"], []])
    with pytest.raises(ValueError, match=r"shorter|longer"):
        rouge(["a", "b"], [["a"]])
    with pytest.raises(ValueError, match="no tokenizer 'french', only 'english' and 'words'"):
        rouge(["a"], [["a"]], "french")  # type: ignore[arg-type]


@pytest.mark.long
def test_the_library_is_imported_when_asked_for_and_leaves_logging_alone() -> None:
    code = """
import logging, sys
from dal_nlp.tasks.metrics import rouge
assert not {"rouge_score", "nltk", "absl"} & set(sys.modules)
assert rouge(["stories"], [["story"]])["rouge1"] == [1.0]
assert "rouge_score" in sys.modules and not logging.getLogger().handlers
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "marked",  # with | where a sentence begins
    [
        "",
        "no mark",
        "He came.| She left!| Why?| Nobody knows…| Now it ends.",
        "What?!| No!!| Well...| Yes",
        # quotes and brackets
        '"I know."| She left.| He said “stop!”| <<Fine.>>| (So it was.)| That [1].| She said "yes".| «Non.»| End.',
        "Er sagte „Nein.“| Dann ging er.",
        # it goes on in lower case
        '"Why?" he asked.| "Go!" she said.| Well... maybe approx. five (est. four) men.',
        "he came.| she left.| mr. x is approx. five.",
        # abbreviations
        "Mr. Smith met Dr. Jones vs. Prof. Lee (cf. Mrs. Hall) at St. Ives.| Then he left.",
        "See e.g. Paris, i.e. France, the U.S. Army and J. R. R. Tolkien.| Then go.",
        "It is No. 5 of Fig. 3 in vol. 7, Jan. 9.| Did he?| No.| He was in Fig.| Then not.",
        "It was etc.| Then Acme Inc.| Then nothing.",
        "Is it plan B?| No (see J.)| It was in Jan...| 9 of them.",
        "Paris, Rome, etc., Then Acme Inc.: Nothing; Ltd.; More.",
        # no blank, no end
        "It cost $3.50 at example.com, see node.js v1.2.3.| So.it goes.| Yes!no",
        "In 1999.| Then 2000 came.| 5 men.",
        "1. Buy milk.| 2. Go home.| (3) ! End.",
        # lines
        "A title\n|A text.| Two\r\n|Three\n|\n|Four",
        "a\u2028|B",
        # other scripts
        "他走了。|“你好。”|他说\uff01|真的吗\uff1f\uff01|是",
        "「行く。」|と言った。|\uff08終わり。\uff09|iPhoneです。|iPhone",
        "यह है।| वह है।| ok",
        "هل هذا؟| نعم.| لا\u06d4| نعم",
        "Он ушёл.| Она нет.",
    ],
)
def test_sentences(marked: str) -> None:
    assert sentences(marked.replace("|", "")) == [piece.strip() for piece in marked.split("|") if piece.strip()]


@settings(deadline=None)
@given(st.one_of(st.text(), st.lists(st.sampled_from([*VOCABULARY, " ", ". ", '"', "a"])).map("".join)))
def test_sentences_lose_nothing_and_break_no_word(text: str) -> None:
    found = sentences(text)
    assert all(sentence and sentence == " ".join(sentence.split()) for sentence in found)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert words("\n".join(found)) == words(text)


def test_sentences_take_linear_time() -> None:
    started = time.process_time()
    for piece in ("!", ".*", '."', "! ", "a. ", "a.", "。", "。”"):
        assert sentences(piece * 20_000)
    assert time.process_time() - started < 10  # a second; minutes if each mark were to look at all others
