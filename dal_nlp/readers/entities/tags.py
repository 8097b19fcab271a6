"""Tags of words: BIO, BIOES, BILOU, IOB1 and IO, and the runs of words that they mean."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

OUTSIDE = "O"
#: The label of tags that are B and I alone, as where a file knows one kind of entity.
UNNAMED = "entity"
#: The prefixes that open an entity, those behind which it ends, and all.
BEGIN, END = frozenset("BSU"), frozenset("ELSU")
PREFIXES = frozenset("BIESLUM")
#: Blanks between a prefix and its label.
_APART = re.compile(r"^([BIESLUMbi])\s*([-_])\s*(?=\S)")


class TaggedSpan(NamedTuple):
    """Words first to last - 1 of a text, which are one entity."""

    first: int
    last: int
    label: str


@dataclass(frozen=True)
class Decoded:
    """What the tags of a text say.

    Attributes:
        runs: The entities in their order.
        begun: How many of them a B- or S- opens that does not stand right behind an entity of the same label; in IOB1
            and IO there are none.
        mended: How many an I- or E- opens: right in IOB1 and IO, and a broken sequence elsewhere.
    """

    runs: list[TaggedSpan]
    begun: int
    mended: int


def split_tag(tag: str) -> tuple[str, str]:
    """Return the prefix and the label of a tag: ("B", "PER"), ("", "PER") of a bare label, ("O", "") of no entity."""
    if tag == OUTSIDE:
        return OUTSIDE, ""
    if len(tag) > 2 and tag[0] in PREFIXES and tag[1] in "-_":
        return tag[0], tag[2:]
    return "", tag


def usual_tags(tags: Sequence[str]) -> list[str]:
    """Return a text's tags with capital prefixes, and with the label ``UNNAMED`` where there are prefixes alone.

    Raises:
        ValueError: One says nothing, or a label has no prefix where another of the text has one.
    """
    clean_tags = [_APART.sub(r"\1\2", tag.strip()) for tag in tags]
    # e-mail alone is a label
    if any(tag in ("o", "b", "i") or tag[:2] in ("b-", "i-", "b_", "i_") for tag in clean_tags):
        clean_tags = [_with_capital(tag) for tag in clean_tags]
    inner_tags = set(clean_tags) - {OUTSIDE}
    if {"B", "I"} & inner_tags and inner_tags <= PREFIXES:
        clean_tags = [tag if tag == OUTSIDE else f"{tag}-{UNNAMED}" for tag in clean_tags]
    prefixed = next((tag for tag in clean_tags if split_tag(tag)[0] not in ("", OUTSIDE)), "")
    for tag in clean_tags:
        prefix, label = split_tag(tag)
        if not any(map(str.isalnum, tag)) or (tag[0] in PREFIXES and tag[1:] in ("-", "_")):
            raise ValueError(f"has {tag!r} for a tag: write O where there is no entity, or B- and I- with a label")
        if prefixed and not prefix and label:
            mend = "write O where there is no entity, and B- or I- before each label"
            raise ValueError(f"has the tags {prefixed!r} and {tag!r}: {mend}")
    return clean_tags


def _with_capital(tag: str) -> str:
    capital = tag[:1].upper()
    alone = tag[1:2] in ("", "-", "_")
    return capital + tag[1:] if alone and (capital in PREFIXES or tag == "o") else tag


def decode_tags(tags: Sequence[str]) -> Decoded:
    """Return the entities of a text by the usual rule: a tag inside an entity opens one where there is none to go on.

    The prefixes are B (begin), I or M (inside), E or L (end), S or U (single). A label without a prefix goes on with
    the entity before it, if that is of the same label.
    """
    if all(tag == OUTSIDE for tag in tags):  # most texts, and this is asked of all texts in each round
        return Decoded([], 0, 0)
    runs: list[TaggedSpan] = []
    begun = mended = 0
    first, label = -1, ""  # of the entity that is open
    for position, tag in enumerate([*tags, OUTSIDE]):
        prefix, new_label = split_tag(tag)
        goes_on = first >= 0 and new_label == label and prefix not in BEGIN and prefix != OUTSIDE
        if first >= 0 and not goes_on:
            runs.append(TaggedSpan(first, position, label))
        if prefix == OUTSIDE:
            first, label = -1, ""
            continue
        if not goes_on:
            behind = bool(runs) and runs[-1].last == position and runs[-1].label == new_label
            begun += prefix in BEGIN and not behind
            mended += prefix not in BEGIN and prefix != ""
            first, label = position, new_label
        if prefix in END:
            runs.append(TaggedSpan(first, position + 1, label))
            first, label = -1, ""
    return Decoded(runs, begun, mended)


def encode_tags(runs: Sequence[TaggedSpan], words: int) -> list[str]:
    """Return entities as BIO tags of so many words."""
    tags = [OUTSIDE] * words
    for first, last, label in runs:
        tags[first] = f"B-{label}"
        tags[first + 1 : last] = [f"I-{label}"] * (last - first - 1)
    return tags
