r"""Entities marked in a text as people write them, as in ``I live in [New York](location)``.

A backslash makes a plain character of what follows it: of ``[``, ``]``, ``(``, ``)`` and of itself. Only brackets that
would read as a mark need one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dal_nlp.data.entities import NOTHING, Span

NONE = "none"  # what is written where there is no entity
_NONE = frozenset({"", NONE, "no entities", NOTHING})
_ENTITY = re.compile(r"\[((?:\\.|[^\[\]\\])+)\]\(((?:\\.|[^()\\])+)\)", re.DOTALL)
_ESCAPED = re.compile(r"\\([\[\]()\\])")
_BETWEEN = re.compile(r"[\s,;|]*")
_SHOWN = 20  # characters around the place of a fault


@dataclass(frozen=True)
class _Marked:
    """A marked part of what was typed.

    Attributes:
        place: Its first character in what was typed, from 1.
        text: What is marked.
        label: As it is written.
        first: How many characters that are no blanks lie before it, marks and labels not counted.
    """

    place: int
    text: str
    label: str
    first: int


def write_markup(text: str, spans: Sequence[Span]) -> str:
    """Return a text with its entities marked, or ``none`` where there are none."""
    if not spans:
        return NONE
    parts, position = [], 0
    for start, end, label in spans:
        parts += [_escape(text[position:start]), f"[{_escape(text[start:end])}]({_escape(label, '()')})"]
        position = end
    return "".join([*parts, _escape(text[position:])])


def read_markup(typed: str, fields: Mapping[str, Any]) -> list[Span]:
    """Return the entities that are marked in what was typed: the whole text with marks, or the entities alone.

    Blanks do not count in the comparison with the text. Of entities alone each must be there once.

    Raises:
        ValueError: With the place of the fault in what was typed.
    """
    if typed.strip().casefold() in _NONE:
        return []
    plain, marked, between = _taken_apart(typed)
    text = fields["text"]
    places = [position for position, character in enumerate(text) if not character.isspace()]
    wanted = "".join(text[position] for position in places)
    letters = "".join(character for character, _ in plain)
    if letters == wanted:
        return [
            Span(places[one.first], places[one.first + len("".join(one.text.split())) - 1] + 1, one.label)
            for one in marked
        ]
    if marked and _BETWEEN.fullmatch(between):
        return [_found(one, fields) for one in marked]
    raise ValueError(_difference(plain, text, places, typed))


def _taken_apart(typed: str) -> tuple[list[tuple[str, int]], list[_Marked], str]:
    """Return the characters that are no blanks with their places, the marked parts, and what lies between these."""
    plain: list[tuple[str, int]] = []
    marked: list[_Marked] = []
    between: list[str] = []

    def take(part: str, offset: int) -> None:
        last = 0
        for match in _ESCAPED.finditer(part):
            plain.extend((c, offset + last + i) for i, c in enumerate(part[last : match.start()]) if not c.isspace())
            plain.append((match[1], offset + match.start()))
            last = match.end()
        plain.extend((c, offset + last + i) for i, c in enumerate(part[last:]) if not c.isspace())

    last = 0
    for match in _ENTITY.finditer(typed):
        if _escaped_at(typed, match.start()):
            continue
        between.append(typed[last : match.start()])
        take(between[-1], last)
        text, label = (_ESCAPED.sub(r"\1", part).strip() for part in match.groups())
        if not text or not label:
            raise ValueError(f"character {match.start() + 1}: a mark needs words and a label, [words](label)")
        marked.append(_Marked(match.start() + 1, text, label, len(plain)))
        take(match[1], match.start(1))
        last = match.end()
    between.append(typed[last:])
    take(between[-1], last)
    return plain, marked, "".join(between)


def _escaped_at(typed: str, position: int) -> bool:
    """Tell whether an odd number of backslashes stands before a place."""
    before = typed[:position]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1


def _found(one: _Marked, fields: Mapping[str, Any]) -> Span:
    """Return where a marked part is in the text; raises ``ValueError`` where it is not there once, in whole words."""
    starts, ends = set(fields["starts"]), set(fields["ends"])
    pattern = r"\s+".join(map(re.escape, one.text.split()))
    there = list(re.finditer(f"(?=({pattern}))", fields["text"]))  # also such as overlap
    places = [match.span(1) for match in there if match.start(1) in starts and match.end(1) in ends]
    if there and not places:
        raise ValueError(f"character {one.place}: {one.text!r} cuts a word of the text: mark whole words")
    if not places:
        raise ValueError(f"character {one.place}: the text does not hold the words {one.text!r}: copy them from it")
    if len(places) > 1:
        raise ValueError(
            f"character {one.place}: the text holds {one.text!r} {len(places)} times: copy the whole text and mark "
            "those that you mean"
        )
    return Span(*places[0], one.label)


def _difference(plain: Sequence[tuple[str, int]], text: str, places: Sequence[int], typed: str) -> str:
    """Say where what was typed is first another text than the one that is shown."""
    same = next((i for i, (c, _) in enumerate(plain) if i >= len(places) or c != text[places[i]]), len(plain))
    expected = text[places[same] : places[same] + _SHOWN] if same < len(places) else ""
    if same == len(plain):
        return f"character {len(typed) + 1}: the text goes on with {expected!r}: write all of it, or the entities alone"
    position = plain[same][1]
    read = typed[position : position + _SHOWN]
    goes_on = f"where the text has {expected!r}" if expected else "behind the end of the text"
    mend = "an entity is written [words](label)" if read[0] in "[]()" else "copy the text, or write the entities alone"
    return f"character {position + 1}: {read!r} stands {goes_on}: {mend}"


def _escape(text: str, brackets: str = "[]") -> str:
    return "".join(f"\\{character}" if character in brackets or character == "\\" else character for character in text)
