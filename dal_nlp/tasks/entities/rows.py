"""Rows with entities: the words of a row, and what its answer says of them."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dal_nlp.answer_formats.entity_markup import read_markup
from dal_nlp.answer_formats.studio import place_of
from dal_nlp.core.errors import EmptyRow, RowError, UserError
from dal_nlp.core.text import counted
from dal_nlp.data.entities import Span, join_words, runs_of_spans, split_words
from dal_nlp.data.hashing import hash64
from dal_nlp.readers.entities.tags import OUTSIDE, PREFIXES, UNNAMED, Run, decode_tags, split_tag, usual_tags
from dal_nlp.readers.literals import literal
from dal_nlp.readers.values import is_missing, read_text

#: Where a span begins and ends, and its label, as tools call them.
_STARTS, _ENDS = ("start", "start_offset", "begin"), ("end", "end_offset", "stop")
_LABELS = ("label", "labels", "type", "entity", "entity_group", "tag")
#: A number in quotes that may stand for a tag; Python reads no numerals of thousands of digits.
_NUMERAL = re.compile(r"-?\d{1,18}")
#: What files write for O, and tags with the prefix behind or with another sign.
_NOTHING = frozenset({"none", "null", "nil", "out", "outside"})
_BEHIND = re.compile(r"(.+)[-_]([BISU])", re.IGNORECASE)
_OTHER_SIGN = re.compile(r"([BI])[:./|](\S.*)", re.IGNORECASE)


@dataclass
class Mended:
    """What was read in another way than it stands there; a row that is read again counts once.

    Attributes:
        begun: Entities that a B- opens, by row.
        inside: Entities that an I- or E- opens, by row.
        unnamed: Rows whose tags are B and I alone.
        bare: Rows by the labels that stand there without a prefix.
        prefixed: Rows with tags that have one.
    """

    begun: dict[int, int] = field(default_factory=dict)
    inside: dict[int, int] = field(default_factory=dict)
    unnamed: set[int] = field(default_factory=set)
    bare: dict[str, set[int]] = field(default_factory=dict)
    prefixed: set[int] = field(default_factory=set)

    def saw(self, tags: Sequence[str], row: int) -> None:
        """Take the tags of a row as they are decoded."""
        for prefix, label in map(split_tag, set(tags)):
            if prefix == "":
                self.bare.setdefault(label, set()).add(row)
            elif prefix != OUTSIDE:
                self.prefixed.add(row)

    def remarks(self) -> list[str]:
        """Return what should be known of it, in sentences."""
        mended = sum(self.inside.values())
        said = [f"Tags without a label (B, I) were read as entities of the label {UNNAMED!r}."] if self.unnamed else []
        if self.bare and self.prefixed:
            bare = counted(len(set().union(*self.bare.values())), "text")
            listed = ", ".join(map(repr, sorted(self.bare)[:5])) + (", …" if len(self.bare) > 5 else "")
            said.append(
                f"Tags without a prefix were read as labels in {bare} ({listed}), beside "
                f"{counted(len(self.prefixed), 'text')} with prefixes (B-, I-)."
            )
        if not mended:
            return said
        if not any(self.begun.values()):
            scheme = "The tags are IOB1 or IO: an entity begins with I-, and with B- only right behind another one."
            return [*said, scheme]
        rows = sum(map(bool, self.inside.values()))
        return [
            *said,
            f"Tags that do not follow from the one before were mended in {rows:,} texts: {mended:,} times an I- "
            "without an entity to go on opens one.",
        ]


def read_words(row: Mapping[str, Any], column: str) -> dict[str, Any]:
    """Return {"text", "starts", "ends", "tokenized"} of a row whose cell is a list of words or a text.

    A text whose row has ``tokens`` with places, as Prodigy writes them, has these words; another one is split at
    blanks and signs.

    Raises:
        RowError: The cell is neither; ``EmptyRow`` where there is nothing to read.
    """
    cell = row.get(column)
    if isinstance(cell, str) and (
        cell.lstrip().startswith(('["', "['")) or cell.strip() == "[]"
    ):  # as JSON, Python or NumPy write a list
        written = literal(cell)
        cell = written if isinstance(written, list) else cell
    if not isinstance(cell, list):
        text = read_text(row, column)
        starts, ends = _places(row.get("tokens"), text) or split_words(text)
        if not starts:
            raise EmptyRow(f"column {column!r} holds no word")
        return {"text": text, "starts": starts, "ends": ends, "tokenized": False}
    words = [str(word) if isinstance(word, int | float) else word for word in cell]
    if not all(isinstance(word, str) for word in words):
        raise RowError(f"has a list in column {column!r} that holds something else than words: give words as texts")
    if all(is_missing(word) for word in words):
        raise EmptyRow(f"column {column!r} holds no word")
    text, starts, ends = join_words(words)
    return {"text": text, "starts": starts, "ends": ends, "tokenized": True}


def _places(tokens: Any, text: str) -> tuple[list[int], list[int]] | None:
    """Return where words begin and end by a list of objects that say so, None where there is none."""
    if not isinstance(tokens, list) or not tokens or not all(isinstance(token, Mapping) for token in tokens):
        return None
    starts, ends = ([token.get(name) for token in tokens] for name in ("start", "end"))
    flat = [place for pair in zip(starts, ends, strict=True) for place in pair]
    if (
        not all(type(place) is int for place in flat)
        or flat != sorted(flat)
        or not 0 <= flat[0] <= flat[-1] <= len(text)
    ):
        raise RowError("has tokens whose places are not one behind the other in the text: leave them out")
    return starts, ends


def read_runs(cell: Any, fields: Mapping[str, Any], names: Sequence[str], mended: Mended) -> list[Run] | None:
    """Return the entities that an answer says, None where there is no answer.

    Args:
        cell: Tags, one for each word; spans as objects or [start, end, label]; an object with "entities" or "spans";
            a text with marked entities; or one of these as JSON text.
        fields: Of the row; see ``read_words``.
        names: The tags that numbers stand for.
        mended: Takes what is not as it should be.

    Raises:
        RowError: With the reason.
    """
    if is_missing(cell):
        return None
    if isinstance(cell, str):
        cell = _of_text(cell, fields)
    if isinstance(cell, Mapping):
        cell = next((cell[name] for name in ("tags", "entities", "spans") if name in cell), cell)
    if isinstance(cell, Mapping):
        cell = _of_lists(cell)
    if not isinstance(cell, list):
        raise RowError("has an answer that is neither a list of tags nor one of marked parts")
    if cell and not any(isinstance(part, Mapping | list | tuple) for part in cell):
        return _of_tags(cell, fields, names, mended)
    try:
        return runs_of_spans(_spans(cell, fields["text"]), fields)
    except RowError:
        raise
    except ValueError as error:
        places = ", and places count the characters of its words with a blank between" if fields["tokenized"] else ""
        raise RowError(f"has an answer that does not fit its text: {error}{places}") from None


def _of_lists(cell: Mapping[str, Any]) -> Any:
    """Return an object of lists, as datasets makes one of a list of objects, as that; anything else as it is."""
    places = [_first(cell, names) for names in (_STARTS, _ENDS, _LABELS)]
    if not all(isinstance(listed, list) for listed in places) or len(set(map(len, places))) > 1:
        return cell
    return [list(part) for part in zip(*places, strict=True)]


def _of_text(cell: str, fields: Mapping[str, Any]) -> Any:
    """Return the tags or spans in a cell of a table."""
    listed = literal(cell)
    if isinstance(listed, list | Mapping):
        return listed
    parts = re.split(r"[\s,]+", cell.strip())
    if (len(parts) > 1 or len(fields["starts"]) == 1) and all(split_tag(part)[0] for part in parts):
        return parts
    try:
        return [list(span) for span in read_markup(cell, fields)]
    except ValueError as error:
        raise RowError(f"has an answer that cannot be read: {error}") from None


def _of_tags(cell: list[Any], fields: Mapping[str, Any], names: Sequence[str], mended: Mended) -> list[Run]:
    words = len(fields["starts"])
    if len(cell) != words:
        raise RowError(f"has {len(cell)} tags for {words} words: give each word one")
    written = [_tag(tag, word, names) for word, tag in enumerate(cell)]
    try:
        tags = usual_tags(written)
    except ValueError as error:
        raise RowError(str(error)) from None
    decoded = decode_tags(tags)
    row = hash64(fields["text"])
    if any(run.label == UNNAMED for run in decoded.runs) and not any(UNNAMED in tag for tag in written):
        mended.unnamed.add(row)
    mended.saw(tags, row)
    mended.begun[row], mended.inside[row] = decoded.begun, decoded.mended
    return decoded.runs


def _tag(tag: Any, word: int, names: Sequence[str]) -> str:
    """Return a tag as text; a number, also one in quotes, stands for one of ``names``."""
    if isinstance(tag, str) and not tag.strip().lstrip("-").isdecimal():
        return tag
    if is_missing(tag):
        raise RowError(f"has no tag for word {word + 1}: give each word one, or leave the answer of the row empty")
    if isinstance(tag, str):
        tag = int(tag) if _NUMERAL.fullmatch(tag.strip()) else tag
    number = _whole(tag)
    if number is None:
        raise RowError(f"has {repr(tag)[:60]} for a tag: write O, or B- and I- with a label")
    if number < 0:
        raise RowError(f"has the number {number} for a tag, which stands for none: give each word one")
    if number >= len(names):
        there = f", and task_options.tags has {len(names)} names" if names else ""
        raise RowError(
            f"has the number {number} for a tag{there}: name the tags that numbers stand for with --set "
            "task_options.tags=[O,B-PER,I-PER]"
        )
    return names[number]


def _whole(number: Any) -> int | None:
    """Return a whole number, also one that is written as 1.0; None for anything else."""
    if type(number) is float and number.is_integer():
        return int(number)
    return number if type(number) is int else None


def _spans(cell: list[Any], text: str) -> Iterator[Span]:
    """Yield the marked parts in a list of objects or triples.

    Raises:
        RowError: One has no place or not one label; ``ValueError`` where its text is not at its place.
    """
    for one in cell:
        if isinstance(one, Mapping):
            start, end, label = (_first(one, names) for names in (_STARTS, _ENDS, _LABELS))
        elif isinstance(one, list | tuple) and len(one) == 3:
            start, end, label = one
        else:
            raise RowError("has a marked part without start, end and label")
        first, last = _whole(start), _whole(end)
        if first is None or last is None:
            raise RowError(f"has a marked part whose start and end are no numbers ({start!r}, {end!r})")
        if isinstance(label, list) and len(label) == 1:
            label = label[0]
        if not isinstance(label, str) or is_missing(label):
            said = "without a label" if is_missing(label) else f"whose label is {label!r} and not the name of one"
            raise RowError(f"has a marked part at {first} to {last} {said}")
        if label.strip() == OUTSIDE:
            raise RowError(
                f"has a marked part at {first} to {last} with the label O, which says that there is no entity"
            )
        if isinstance(one, Mapping) and isinstance(one.get("text"), str):
            try:
                first, last = place_of(text, {"start": first, "end": last, "text": one["text"]})
            except ValueError:
                raise ValueError(
                    f"{one['text'][:60]!r} is not at its place, {first} to {last}, where the text has "
                    f"{text[max(first, 0) : max(last, 0)][:60]!r}"
                ) from None
        yield Span(first, last, label.strip())


def _first(one: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((one[name] for name in names if one.get(name) is not None), None)


def check_no_tags(labels: Sequence[str], bare: Collection[str]) -> None:
    """Raise ``UserError`` for labels that look like tags.

    Args:
        labels: All that there are.
        bare: Those that stand somewhere as tags without a prefix.
    """
    pairs = [label for label in labels if label.endswith("-B") and f"{label[:-1]}I" in labels]
    for label in [*pairs, *sorted({*labels} & {*bare})]:
        mend = _mend_of(label, labels)
        if mend:
            raise UserError(
                f"The label {label!r} looks like a tag: write {mend}, or name all labels with --labels if it is one."
            )


def _mend_of(label: str, labels: Sequence[str]) -> str:
    """Return how a tag should be written that was read as a label, "" where it may well be one."""
    if label.casefold() in _NOTHING:
        return "O where there is no entity"
    if behind := _BEHIND.fullmatch(label):
        return f"{behind[2].upper()}-{behind[1]}, the prefix before the label"
    if other := _OTHER_SIGN.fullmatch(label):
        return f"{other[1].upper()}-{other[2]}, with a hyphen"
    prefix, rest = label[:1].upper(), label[2:]
    if prefix in PREFIXES and label[1:2] in ("-", "_") and rest in labels:
        return f"{prefix}-{rest}, the prefix as a capital"
    if label.upper() in PREFIXES and UNNAMED in labels:
        return f"{prefix}-{UNNAMED}, and so with the other tags"
    return ""
