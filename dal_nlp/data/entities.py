"""Entities in texts: the words of a text, and the answers that say which of them are entities.

An answer is {"tags": [...], "start": [...], "end": [...], "text": [...]}: a BIO tag for each word; of each entity its
first character and the one behind its last; and what people read, each entity with its label in brackets. There is one
answer for one meaning: all of it follows from the text and the runs of words that are entities.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from dal_nlp.core.targets import Target
from dal_nlp.readers.entities.tags import TaggedSpan, decode_tags, encode_tags

#: What people read where there is no entity.
NOTHING = "no entity"
#: Characters in a message.
_SHOWN = 60
#: Scripts that put no blanks between words; each of their characters counts as a word. First and last characters.
_UNSPACED = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x9FFF), (0xF900, 0xFAFF))


class Span(NamedTuple):
    """Characters start to end - 1 of a text, with the label that somebody gave them."""

    start: int
    end: int
    label: str


def split_words(text: str) -> tuple[list[int], list[int]]:
    """Return where the words of a text begin and end: runs of letters and digits, and every other character by itself.

    Marks and joiners belong to the character before them. Characters of scripts without blanks are words of their own.
    """
    starts: list[int] = []
    ends: list[int] = []
    grows = False  # whether a letter would go on with the last word
    for position, character in enumerate(text):
        kind = unicodedata.category(character)
        if character.isspace() or kind in ("Cc", "Zs", "Zl", "Zp"):
            grows = False
        elif kind[0] == "M" or kind == "Cf":
            if ends and ends[-1] == position:
                ends[-1] = position + 1
        else:
            letter = kind[0] in "LN" or character == "_"
            alone = not letter or any(low <= ord(character) <= high for low, high in _UNSPACED)
            if grows and not alone and ends[-1] == position:
                ends[-1] = position + 1
            else:
                starts.append(position)
                ends.append(position + 1)
            grows = not alone
    return starts, ends


def split_blanks(text: str) -> tuple[list[int], list[int]]:
    """Return where the parts of a text between blanks begin and end."""
    places = [match.span() for match in re.finditer(r"\S+", text)]
    return [start for start, _ in places], [end for _, end in places]


def join_words(words: Sequence[str]) -> tuple[str, list[int], list[int]]:
    """Return words with blanks between as a text, and where they begin and end in it."""
    starts, position = [], 0
    for word in words:
        starts.append(position)
        position += len(word) + 1
    return " ".join(words), starts, [start + len(word) for start, word in zip(starts, words, strict=True)]


def words_of(fields: Mapping[str, Any]) -> list[str]:
    """Return the words of an example."""
    return [fields["text"][start:end] for start, end in zip(fields["starts"], fields["ends"], strict=True)]


def answer_of(runs: Sequence[TaggedSpan], fields: Mapping[str, Any]) -> Target:
    """Return entities as an answer."""
    text, starts, ends = fields["text"], fields["starts"], fields["ends"]
    begin, end = [starts[run.first] for run in runs], [ends[run.last - 1] for run in runs]
    texts = [f"{text[i:j]} ({run.label})" for i, j, run in zip(begin, end, runs, strict=True)]
    return {"tags": encode_tags(runs, len(starts)), "start": begin, "end": end, "text": texts or [NOTHING]}


def runs_of(target: Target) -> list[TaggedSpan]:
    """Return the entities of an answer."""
    return decode_tags(target["tags"]).runs


def spans_of(target: Target) -> list[Span]:
    """Return the entities of an answer as characters of the text."""
    labels = [run.label for run in runs_of(target)]
    return [Span(*span) for span in zip(target["start"], target["end"], labels, strict=True)]


def runs_of_spans(spans: Iterable[Span], fields: Mapping[str, Any]) -> list[TaggedSpan]:
    """Return marked characters as runs of words, in the order of the text; blanks at their ends do not count.

    Raises:
        ValueError: A span lies outside of the text, holds no word, cuts one, or overlaps another.
    """
    text, starts, ends = fields["text"], fields["starts"], fields["ends"]
    runs = []
    for start, end, label in spans:
        if not 0 <= start < end <= len(text):
            raise ValueError(
                f"the entity {label} at {start} to {end} lies outside of the text of {len(text)} characters"
            )
        inside = [i for i, (first, last) in enumerate(zip(starts, ends, strict=True)) if first < end and last > start]
        if not inside:
            raise ValueError(f"the entity {label} at {start} to {end} holds no word")
        first, last = inside[0], inside[-1]
        for position in (first, last):
            if starts[position] < start or ends[position] > end:
                raise ValueError(
                    f"the entity {_short(text[start:end])!r} ({label}) at {start} to {end} cuts the word "
                    f"{_short(text[starts[position] : ends[position]])!r}: mark whole words"
                )
        runs.append(TaggedSpan(first, last + 1, label))
    runs.sort()
    for one, other in pairwise(runs):
        if one == other:
            raise ValueError(
                f"the entity {_short(text[starts[one.first] : ends[one.last - 1]])!r} ({one.label}) is marked twice: "
                "keep one of them"
            )
        if other.first < one.last:
            texts = [f"{_short(text[starts[run.first] : ends[run.last - 1]])!r} ({run.label})" for run in (one, other)]
            raise ValueError(f"the entities {texts[0]} and {texts[1]} overlap: keep one of them")
    return runs


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
