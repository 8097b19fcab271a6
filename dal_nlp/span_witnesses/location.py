"""Where a context holds an answer that was written down without its place."""

import re
import string
from collections import Counter

from dal_nlp.core.targets import Target
from dal_nlp.data.answer_spans import places_of
from dal_nlp.tasks.squad_metrics import normalise_answer

#: What a machine says where the context holds no answer.
NONE = ("unanswerable", "no answer", "not answerable")
_ARTICLES = ("a ", "an ", "the ")
#: Least token F1 of what is taken for an answer that the context does not hold word for word.
NEAR = 0.5
_WORD = re.compile(r"\w+(?:[^\w\s]+\w+)*")


def locate(text: str, context: str) -> list[tuple[int, int]]:
    """Return all places [start, end) of a text in a context, as whole words: letter by letter, else as SQuAD compares.

    That is in small letters and without punctuation, and without an article in front. Where there are no blanks around
    words, as in Chinese, parts of words are found at last.
    """
    text = text.strip()
    exact = [(start, start + len(text)) for start in places_of(text, context)] if text else []
    whole = [place for place in exact if _is_whole(context, *place)]
    return whole or _normalised(text, context) or exact


def _is_whole(context: str, start: int, end: int) -> bool:
    before, behind = context[start - 1 : start], context[end : end + 1]
    inside_left = before.isalnum() and context[start].isalnum()
    return not inside_left and not (behind.isalnum() and context[end - 1].isalnum())


def _normalised(text: str, context: str) -> list[tuple[int, int]]:
    wanted = _plain(text)[0].strip()
    wanted = next((wanted[len(one) :] for one in _ARTICLES if wanted.startswith(one)), wanted)
    if not wanted:
        return []
    whole, origin = _plain(context)
    starts = places_of(f" {wanted} ", f" {whole} ")
    return [(origin[at], origin[at + len(wanted) - 1] + 1) for at in starts]


def _plain(text: str) -> tuple[str, list[int]]:
    """Return a text in small letters, without ASCII punctuation, with single blanks, and where each character was."""
    letters, origin = list[str](), list[int]()
    for place, letter in enumerate(text):
        plain = " " if letter.isspace() else "" if letter in string.punctuation else letter.lower()
        if plain != " " or (letters and letters[-1] != " "):
            letters += plain
            origin += [place] * len(plain)
    return "".join(letters), origin


def meant(raw: str, context: str, unanswerable: bool) -> Target | None:
    """Return all answers that a reply means, with their places; None where the context does not hold it."""
    if unanswerable and _plain(raw)[0].strip() in NONE:
        return {"text": [], "answer_start": []}
    found = locate(raw, context)
    if not found:
        return None
    return {"text": [context[start:end] for start, end in found], "answer_start": [start for start, _ in found]}


def nearest(raw: str, context: str) -> Target | None:
    """Return the part of a context that agrees best with an answer by token F1, as SQuAD is scored.

    Of equal ones the first and shortest. None where no part reaches ``NEAR``: language models write "thirteen" for
    "13", which has no place, but also "5 solo tackles" where the context says "five tackles, solo".
    """
    wanted = Counter(normalise_answer(raw).split())
    size = wanted.total()
    places = [(found.start(), found.end(), normalise_answer(found.group())) for found in _WORD.finditer(context)]
    words = [place for place in places if place[2]]  # no part begins or ends with an article
    best, span = 0.0, (0, 0)
    for first, (start, _, _) in enumerate(words):
        left, shared = wanted.copy(), 0
        # A part of more than 3 times the answer's words has an F1 below 1/2.
        for length, (_, end, word) in enumerate(words[first : first + 3 * size], start=1):
            if left[word] > 0:
                left[word] -= 1
                shared += 1
            f1 = 2 * shared / (length + size)
            if f1 > best:
                best, span = f1, (start, end)
    if best < NEAR:
        return None
    return {"text": [context[span[0] : span[1]]], "answer_start": [span[0]]}
