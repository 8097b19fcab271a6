"""Rows with entities: the words of a row, and what its answer says of them."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from dal_nlp.answer_formats.entity_markup import read_markup
from dal_nlp.answer_formats.entity_spans import is_doubtful, likely_cause, of_lists, read_spans, whole
from dal_nlp.answer_formats.entity_tags import tags_of_text
from dal_nlp.core.errors import EmptyRow, RowError, UserError
from dal_nlp.data.entities import Span, join_words, runs_of_spans, split_blanks, split_words
from dal_nlp.data.hashing import hash64
from dal_nlp.readers.entities.tags import OUTSIDE, PREFIXES, UNNAMED, TaggedSpan, decode_tags, split_tag, usual_tags
from dal_nlp.readers.literals import literal
from dal_nlp.readers.values import is_missing, read_text
from dal_nlp.tasks.entities.mended import USUAL, Mended

#: A number in quotes that may stand for a tag; Python reads no numerals of thousands of digits.
_NUMERAL = re.compile(r"-?\d{1,18}")
#: What files write for O, and tags with the prefix behind or with another sign.
_NOTHING = frozenset({"none", "null", "nil", "out", "outside"})
_BEHIND = re.compile(r"(.+)[-_]([BISU])", re.IGNORECASE)
_OTHER_SIGN = re.compile(r"([BI])[:./|](\S.*)", re.IGNORECASE)


def read_words(
    row: Mapping[str, Any], column: str, answer: str = "", blanks: bool = False, mended: Mended | None = None
) -> dict[str, Any]:
    """Return {"text", "starts", "ends", "tokenized"} of a row whose cell is a list of words or a text.

    A text whose row has ``tokens`` with places, as Prodigy writes them, has these words; one with a tag for each part
    between blanks these parts; another one is split at blanks and signs.

    Args:
        row: Of a file.
        column: Of the words or the text.
        answer: The column of the tags or spans.
        blanks: Whether every text has the parts between blanks for words.
        mended: Takes the texts that were split at blanks for their tags.

    Raises:
        RowError: The cell is neither; ``EmptyRow`` where there is nothing to read.
    """
    cell = row.get(column)
    if isinstance(cell, str) and (
        cell.lstrip().startswith(('["', "['")) or cell.strip() == "[]"
    ):  # as JSON, Python or NumPy write a list
        parsed = literal(cell)
        cell = parsed if isinstance(parsed, list) else cell
    placed = isinstance(cell, list) and any(isinstance(one, Mapping) for one in cell)  # of Prodigy, beside a text
    if placed or not isinstance(cell, list):
        text = read_text(row, "text" if placed else column)
        starts, ends = _places(cell if placed else row.get("tokens"), text) or split_words(text)
        parts = split_blanks(text)
        if len(parts[0]) != len(starts) and (blanks or _number_of_tags(row.get(answer), text) == len(parts[0])):
            starts, ends = parts
            if mended is not None and not blanks:
                mended.at_blanks.add(hash64(text))
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


def _number_of_tags(cell: Any, text: str) -> int:
    """Return how many tags a cell holds, 0 where it is no list of tags."""
    listed = tags_of_text(cell, text) if isinstance(cell, str) else cell
    if not isinstance(listed, list) or any(isinstance(one, Mapping | list | tuple) for one in listed):
        return 0
    return len(listed)


def _places(tokens: Any, text: str) -> tuple[list[int], list[int]] | None:
    """Return where words begin and end by a list of objects that say so, None where there is none."""
    if not isinstance(tokens, list) or not tokens or not all(isinstance(token, Mapping) for token in tokens):
        return None
    starts, ends = ([token.get(name) for token in tokens] for name in ("start", "end"))
    flat = [position for pair in zip(starts, ends, strict=True) for position in pair]
    if (
        not all(type(position) is int for position in flat)
        or flat != sorted(flat)
        or not 0 <= flat[0] <= flat[-1] <= len(text)
    ):
        raise RowError("has tokens whose places are not one behind the other in the text: leave them out")
    return starts, ends


def read_runs(cell: Any, fields: Mapping[str, Any], names: Sequence[str], mended: Mended) -> list[TaggedSpan] | None:
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
        cell = of_lists(cell)
    if not isinstance(cell, list):
        raise RowError("has an answer that is neither a list of tags nor one of marked parts")
    if cell and not any(isinstance(part, Mapping | list | tuple) for part in cell):
        return _of_tags(cell, fields, names, mended)
    spans: list[Span] = []
    try:
        spans += read_spans(cell, fields["text"])
        runs = runs_of_spans(spans, fields)
    except RowError:
        raise
    except ValueError as error:
        cause = likely_cause(spans, fields)
        raise RowError(f"has an answer that does not fit its text: {error}{cause}") from None
    if fields["tokenized"] and spans:
        mended.placed.add(hash64(fields["text"]))
    if is_doubtful(cell, spans, fields["text"]):
        mended.counted.add(hash64(fields["text"]))
    return runs


def _of_text(cell: str, fields: Mapping[str, Any]) -> Any:
    """Return the tags or spans in a cell of a table."""
    listed = literal(cell)
    if isinstance(listed, list | Mapping):
        return listed
    tags = tags_of_text(cell, fields["text"])
    if tags is not None:
        return tags
    try:
        return [list(span) for span in read_markup(cell, fields)]
    except ValueError as error:
        raise RowError(f"has an answer that cannot be read: {error}") from None


def _of_tags(cell: list[Any], fields: Mapping[str, Any], names: Sequence[str], mended: Mended) -> list[TaggedSpan]:
    words = len(fields["starts"])
    if len(cell) != words:
        raise RowError(f"has {len(cell)} tags for {words} words: give each word one")
    raw_tags = [_tag(tag, word, names) for word, tag in enumerate(cell)]
    try:
        tags = usual_tags(raw_tags)
    except ValueError as error:
        raise RowError(str(error)) from None
    decoded = decode_tags(tags)
    row = hash64(fields["text"])
    if any(run.label == UNNAMED for run in decoded.runs) and not any(UNNAMED in tag for tag in raw_tags):
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
    number = whole(tag)
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


def _check_no_prefixes(labels: Sequence[str]) -> None:
    """Raise ``UserError`` for labels with prefixes: of marked parts, as tags have lost theirs.

    One alone may be a label (B-cell), but for those of usual models.
    """
    prefixed = [label for label in labels if split_tag(label)[0] not in ("", OUTSIDE)]
    whole_file = len(labels) > 1 and len(prefixed) == len(labels)
    for label in prefixed:
        prefix, name = split_tag(label)
        usual = prefix in "BI" and name.casefold() in USUAL
        if usual or whole_file or f"{'I' if prefix == 'B' else 'B'}{label[1:]}" in labels:
            raise UserError(
                f"The label {label!r} of marked parts looks like a tag: mark whole entities and call them {name!r} "
                "(pipelines of transformers do with aggregation_strategy='simple'), or name all labels with --labels "
                "if it is one."
            )


def check_no_tags(labels: Sequence[str], bare: Collection[str]) -> None:
    """Raise ``UserError`` for labels that look like tags.

    Args:
        labels: All that there are.
        bare: Those that stand somewhere as tags without a prefix.
    """
    _check_no_prefixes(labels)
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
