"""ROUGE: how many words and sequences of words a written summary shares with the known ones (Lin, 2004).

The counting is that of the library rouge-score, which takes seconds to import, so this happens with the first summary.
Ours is where a sentence ends, as ROUGE-Lsum needs it (the library's own way wants data from the network), and what a
word is in languages other than English.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, Literal

from dal_nlp.core.text import is_word, words

Tokenizer = Literal["english", "words"]

MEASURES = ("rouge1", "rouge2", "rougeL", "rougeLsum")

_WORD, _LETTER = re.compile(r"\w"), re.compile(r"[^\W\d_]")
# . ! ? and an ellipsis, and the Arabic and Indic ones, at the end of a word. What punctuation follows belongs to the
# sentence too, as a bracket or a quote does, unless it is of the kind that goes on.
_MARKS = r".!?…؟।\u06d4"
_END = re.compile(rf"(?<![{_MARKS}])[{_MARKS}]++[^\w{_MARKS},;:\u2013—-]*+\Z")
# The full stop, exclamation and question mark of Chinese and Japanese, and what closes there, need no blank.
_END_ANYWHERE = re.compile(r"[。｡\uff01\uff1f]++[\"'”\u2019)\]」』】》〉\uff09\uff3d]*+")
_LETTERS_AND_DOTS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
# After these and a full stop comes what they belong to. Others ("etc.", "Inc.") end a sentence as often as not.
_TITLES = "mr mrs ms messrs dr prof rev hon gen col capt lt sgt sen rep gov pres st mt ft ph.d"
_BEFORE_ANYTHING = {*_TITLES.split(), "vs", "cf", "viz", "al", "ca", "approx"}
_MONTHS = "jan feb mar apr jun jul aug sep sept oct nov dec"
_BEFORE_NUMBERS = {*_MONTHS.split(), "no", "nos", "nr", "fig", "figs", "eq", "pp", "vol", "ch", "sec", "art"}


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, words one blank apart.

    A sentence ends with its line, at a full stop, question or exclamation mark or ellipsis (and the quotes or brackets
    that close there) before a blank, and at the Chinese and Japanese forms of these without one. It goes on

    * where the next word starts in lower case, unless the whole text is in lower case: most abbreviations and
      hesitations are known by that ("approx. five", '"Why?" he asked.'),
    * after single letters, each with its full stop ("J. Smith", "e.g.", "U.S."), after titles and their like
      ("Dr.", "vs."), and before a number after "No.", "Fig." or a month,
    * while it has no letter ("1. Buy milk.").

    So it ends too late now and then ("at 5 p.m. He left."), where a split after every full stop would often be wrong.
    """
    in_lower_case = text == text.lower()
    lines = _END_ANYWHERE.sub("\\g<0>\n", text).splitlines()
    return [sentence for line in lines for sentence in _in_line(line.split(), in_lower_case)]


def _in_line(pieces: list[str], in_lower_case: bool) -> list[str]:
    """Return the sentences of a line that was split at its blanks."""
    texts, start, has_letter = [], 0, False
    for last, (piece, following) in enumerate(pairwise([*pieces, ""])):
        has_letter = has_letter or _LETTER.search(piece) is not None
        if has_letter and _ends(piece, following, in_lower_case):
            texts.append(" ".join(pieces[start : last + 1]))
            start, has_letter = last + 1, False
    return [*texts, " ".join(pieces[start:])] if start < len(pieces) else texts


def _ends(piece: str, following: str, in_lower_case: bool) -> bool:
    """Return whether a sentence ends with a piece, by its mark, what stands before that, and the piece that follows."""
    mark = _END.search(piece)
    if mark is None:
        return False
    word_after = _WORD.search(following)
    first = word_after[0] if word_after else ""
    if first.islower() and not in_lower_case:
        return False
    if mark[0] != ".":
        return True
    word = re.sub(r"^\W+", "", piece[: mark.start()]).lower()
    abbreviated = _LETTERS_AND_DOTS.fullmatch(word) or word in _BEFORE_ANYTHING
    return not abbreviated and not (first.isdigit() and word in _BEFORE_NUMBERS)


def rouge(
    predictions: Sequence[str], references: Sequence[Sequence[str]], tokenizer: Tokenizer = "english"
) -> dict[str, list[float]]:
    """Return the F1 scores of ROUGE-1, -2, -L and -Lsum (Lin, 2004, sections 2 and 3) of N texts, as rouge-score does.

    Of several references the one with the highest F1 counts, for each measure on its own. A text in which there is no
    word (no pair of words, for ROUGE-2) has 0 against anything, also against another such text.

    Args:
        predictions: N texts.
        references: N lists of one or more texts.
        tokenizer: "english" takes a to z and digits in lower case, and cuts longer words to their stems (Porter, 1980);
            "words" takes the words of any script as ``bleu.words`` has them, without punctuation.

    Returns:
        {"rouge1", "rouge2", "rougeL", "rougeLsum"}, each with N numbers in [0, 1].

    Raises:
        ValueError: A text has no reference, the two differ in length, or there is no such tokenizer.
    """
    scorer, scores = _scorer(tokenizer), []
    for row, (prediction, known) in enumerate(zip(predictions, references, strict=True)):
        if not known:
            raise ValueError(f"text {row} has no reference")
        # The library takes lines for sentences; to its other measures a line break is a blank.
        scores.append(scorer.score_multi([_lines(text) for text in known], _lines(prediction)))
    return {measure: [float(score[measure].fmeasure) for score in scores] for measure in MEASURES}


def _lines(text: str) -> str:
    return "\n".join(sentences(text))


@cache
def _scorer(tokenizer: str) -> Any:
    """Return a RougeScorer. Given a tokenizer it does not log, which would set up the logging of the whole process."""
    if tokenizer not in _TOKENIZERS:
        raise ValueError(f"there is no tokenizer {tokenizer!r}, only {' and '.join(map(repr, _TOKENIZERS))}")
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(MEASURES, tokenizer=SimpleNamespace(tokenize=_TOKENIZERS[tokenizer]()))


def _english() -> Callable[[str], list[str]]:
    """Return the library's tokenizer with a memory of words: it finds the stem of a word anew each time."""
    from rouge_score.tokenizers import DefaultTokenizer

    # A blank always ends a word, so what stands between blanks can be tokenized on its own.
    remembered = lru_cache(maxsize=100_000)(DefaultTokenizer(use_stemmer=True).tokenize)
    return lambda text: [token for piece in text.split() for token in remembered(piece)]


def _any_script() -> Callable[[str], list[str]]:
    return lambda text: [token for token in words(text) if is_word(token)]


_TOKENIZERS: Mapping[str, Callable[[], Callable[[str], list[str]]]] = {"english": _english, "words": _any_script}
