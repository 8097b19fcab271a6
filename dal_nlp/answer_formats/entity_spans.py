"""Marked parts of a text in files: objects and triples, by the names that tools give to places and labels."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dal_nlp.answer_formats.studio import place_of
from dal_nlp.core.errors import RowError
from dal_nlp.data.entities import Span, runs_of_spans
from dal_nlp.readers.entities.tags import OUTSIDE
from dal_nlp.readers.values import is_missing

#: Where a part begins and ends, and its label, as tools call them.
_STARTS, _ENDS = ("start", "start_offset", "begin"), ("end", "end_offset", "stop")
_LABELS = ("label", "labels")
#: What else holds the label, where these are not there; ``entity`` holds the marked words too.
_OTHERS = ("type", "entity", "entity_group", "tag", "category")
#: And what does where ``entity`` has the words; these names, too, may have them instead.
_FURTHER, _WORDS = ("entity_type", "ent_type", "entity_label", "class", "value"), ("value", "word", "text")
#: The last character of those that UTF-16, in which JavaScript and Java count, writes as one unit.
_ONE_UNIT = "\uffff"


def read_spans(cell: Sequence[Any], text: str) -> Iterator[Span]:
    """Yield the marked parts in a list of objects or triples.

    Raises:
        RowError: One has no place or not one label; ``ValueError`` where its text is not at its place.
    """
    for one in cell:
        if isinstance(one, Mapping):
            start, end = (_first(one, names) for names in (_STARTS, _ENDS))
        elif isinstance(one, list | tuple) and len(one) == 3:
            start, end, _ = one
        else:
            raise RowError(
                f"has {str(one)[:60]!r} for a marked part: give start, end and label, as an object or a list of three"
            )
        first, last = whole(start), whole(end)
        if first is None or last is None:
            raise RowError(f"has a marked part whose start and end are no whole numbers ({start!r}, {end!r})")
        message = f"has a marked part at {first} to {last}"
        label = _label(one, text[max(first, 0) : max(last, 0)], message) if isinstance(one, Mapping) else one[2]
        if isinstance(label, list) and len(label) == 1:
            label = label[0]
        if not isinstance(label, str) or is_missing(label):
            detail = "without a label" if is_missing(label) else f"whose label is {label!r} and not the name of one"
            raise RowError(f"{message} {detail}")
        if label.strip() == OUTSIDE:
            raise RowError(f"{message} with the label O, which says that there is no entity")
        if has_text(one):
            try:
                first, last = place_of(text, {"start": first, "end": last, "text": one["text"]})
            except ValueError:
                raise ValueError(
                    f"{one['text'][:60]!r} is not at its place, {first} to {last}, where the text has "
                    f"{text[max(first, 0) : max(last, 0)][:60]!r}"
                ) from None
        yield Span(first, last, label.strip())


def has_text(one: Any) -> bool:
    """Tell whether a marked part says which words it marks, by which its place is checked."""
    return isinstance(one, Mapping) and isinstance(one.get("text"), str)


def _label(one: Mapping[str, Any], words: str, message: str) -> Any:
    """Return the label of an object; raises ``RowError`` where several columns may hold it and say different things."""
    label = _first(one, _LABELS)
    if label is not None:
        return label
    own = {name for name in ("entity", *_WORDS) if _is(one.get(name), words)}
    named = {name: one[name] for name in _OTHERS if one.get(name) is not None}
    if "entity" in own:
        others = {name: value for name, value in named.items() if name != "entity"}
        others = others or {name: one[name] for name in _FURTHER if one.get(name) is not None and name not in own}
        if not others and own == {"entity"} and one["entity"] == words:
            raise RowError(f"{message} whose 'entity' is its words {words[:60]!r}: call what is its label 'label'")
        named = others or named
    (name, label), *rest = named.items() or [("", None)]
    other = next((other for other in rest if other[1] != label), None)
    if other is not None:
        raise RowError(
            f"{message} with {label!r} for {name!r} and {other[1]!r} for {other[0]!r}: call the one that is its label "
            "'label'"
        )
    return label


def _is(cell: Any, words: str) -> bool:
    """Tell whether a cell holds the words that are marked."""
    return isinstance(cell, str) and cell.strip().casefold() == words.strip().casefold()


def of_lists(cell: Mapping[str, Any]) -> Any:
    """Return an object of lists, as datasets makes one of a list of objects, as that; anything else as it is."""
    lists = {name: value for name, value in cell.items() if isinstance(value, list)}
    if not lists or len(set(map(len, lists.values()))) > 1 or _first(lists, _STARTS) is None:
        return cell
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


def whole(number: Any) -> int | None:
    """Return a whole number, also one that is written as 1.0 or in quotes; None for anything else."""
    if type(number) is float and number.is_integer():
        return int(number)
    if isinstance(number, str) and number.isascii() and number.isdigit() and len(number) < 10:
        return int(number)
    return number if type(number) is int else None


def _first(one: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((one[name] for name in names if one.get(name) is not None), None)


def likely_cause(spans: Sequence[Span], fields: Mapping[str, Any]) -> str:
    """Return what may be wrong with places that do not fit a text, to go behind the fault; "" where nothing is known.

    Args:
        spans: All marked parts of the text.
        fields: Of the example.
    """
    text, words = fields["text"], len(fields["starts"])
    if fields["tokenized"]:
        counted = bool(spans) and all(0 <= span.start <= span.end <= words for span in spans)
        instead = " (if these count words, give tags in their place, one for each word)" * counted
        return f", and places count the characters of its words with a blank between{instead}"
    if _fits(spans, fields, _characters_of_units(text)):
        return (
            "; counted in UTF-16, as JavaScript and Java count, the places fit: count characters, or give each part "
            "its text"
        )
    if _fits(spans, fields, _characters_of_unix(text)):
        return "; the places fit where a line end is one character, and here it is two (\\r\\n): count both"
    return ""


def _fits(spans: Sequence[Span], fields: Mapping[str, Any], moved: Sequence[int]) -> bool:
    """Tell whether marked parts fit a text when place ``p`` is read as ``moved[p]``."""
    if len(moved) == len(fields["text"]) + 1 or not all(0 <= span.start < span.end < len(moved) for span in spans):
        return False
    try:
        runs_of_spans([Span(moved[start], moved[end], label) for start, end, label in spans], fields)
    except ValueError:
        return False
    return True


def _characters_of_units(text: str) -> list[int]:
    """Return the character at which each unit of UTF-16 begins, and where the text ends."""
    return [position for position, sign in enumerate(text) for _ in range(1 + (sign > _ONE_UNIT))] + [len(text)]


def _characters_of_unix(text: str) -> list[int]:
    """Return the places of the characters that are left where a line feed alone ends a line."""
    return [position for position in range(len(text)) if text[position : position + 2] != "\r\n"] + [len(text)]


def is_doubtful(cell: Sequence[Any], spans: Sequence[Span], text: str) -> bool:
    """Tell whether UTF-16 would place a marked part elsewhere that does not say which words it marks."""
    if text.isascii():
        return False
    pairs = zip(cell, spans, strict=True)
    return any(not has_text(one) and any(sign > _ONE_UNIT for sign in text[: span.end]) for one, span in pairs)
