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
#: Least agreement, see ``nearest``, of what is taken for an answer that the context does not hold word for word.
NEAR = 0.6
_WORD = re.compile(r"\w+(?:[^\w\s]+\w+)*")


def locate(text: str, context: str) -> list[tuple[int, int]]:
    """Return all places [start, end) of a text in a context, as whole words: letter by letter, else as SQuAD compares.

    That is in small letters and without punctuation, and without an article in front. Where there are no blanks around
    words, as in Chinese, parts of words are found at last.
    """
    text = text.strip()
    exact = [(start, start + len(text)) for start in places_of(text, context)] if text else []
    whole = [span for span in exact if _is_whole(context, *span)]
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
    for index, letter in enumerate(text):
        plain = " " if letter.isspace() else "" if letter in string.punctuation else letter.lower()
        if plain != " " or (letters and letters[-1] != " "):
            letters += plain
            origin += [index] * len(plain)
    return "".join(letters), origin


def meant(raw: str, context: str, unanswerable: bool) -> Target | None:
    """Return all answers that a reply means, with their places; None where the context does not hold it."""
    if _plain(raw)[0].strip() in NONE:
        return {"text": [], "answer_start": []} if unanswerable else None
    spans = locate(raw, context)
    if not spans:
        return None
    return {"text": [context[start:end] for start, end in spans], "answer_start": [start for start, _ in spans]}


def nearest(raw: str, context: str) -> Target | None:
    """Return the part of a context that agrees best with an answer: by token F1, in which a word counts its letters.

    So "of" does not stand for "of Spain", as it would in the F1 of SQuAD. Of equal parts the first and shortest; None
    where none reaches ``NEAR``. Language models write "thirteen" for "13", which has no place, but also "5 solo
    tackles" where the context says "five tackles, solo".
    """
    wanted = Counter(normalise_answer(raw).split())
    if _plain(raw)[0].strip() in NONE or not wanted:
        return None
    size, best, span = sum(map(len, wanted.elements())), 0.0, (0, 0)
    parts = [(match.start(), match.end(), normalise_answer(match.group())) for match in _WORD.finditer(context)]
    words = [part for part in parts if part[2]]  # no part begins or ends with an article
    for first, (start, _, _) in enumerate(words):
        left, shared, length = wanted.copy(), 0, 0
        for _, end, word in words[first:]:
            length += len(word)
            if 2 * size / (length + size) < NEAR:
                break  # not even with all that is wanted in it
            if left[word] > 0:
                left[word] -= 1
                shared += len(word)
            agreement = 2 * shared / (length + size)
            if agreement > best:
                best, span = agreement, (start, end)
    if best < NEAR:
        return None
    return {"text": [context[span[0] : span[1]]], "answer_start": [span[0]]}
