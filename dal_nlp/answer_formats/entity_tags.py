"""Tags in the cells of tables: a list, or with blanks or commas between, and what they say of a text."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from dal_nlp.data.entities import answer_of, runs_of_spans, spans_of, split_blanks, split_words
from dal_nlp.readers.entities.tags import OUTSIDE, TaggedSpan, decode_tags, split_tag, usual_tags
from dal_nlp.readers.literals import literal


def tags_of_text(cell: str, text: str) -> list[Any] | None:
    """Return the tags in a cell of a table: a list, or with blanks or commas between; None for anything else."""
    listed = literal(cell)
    if isinstance(listed, list):
        return listed
    parts = re.split(r"[\s,]+", cell.strip())
    several = len(parts) > 1 or len(text.split()) == 1
    if several and all(split_tag(part)[0] for part in parts):
        return parts
    bare = OUTSIDE in parts and len(parts) in (len(text.split()), len(split_words(text)[0])) and "[" not in cell
    return parts if bare and "".join(parts) != "".join(text.split()) else None


def runs_of_tags(tags: Sequence[str], fields: Mapping[str, Any]) -> list[TaggedSpan]:
    """Return the entities that tags say of a text: of its words, or of its parts between blanks, which they number.

    Raises:
        ValueError: They number neither, or say nothing.
    """
    text, words = fields["text"], len(fields["starts"])
    try:
        runs = decode_tags(usual_tags(tags)).runs
    except ValueError as error:
        raise ValueError(f"it {error}") from None
    if len(tags) == words:
        return runs
    starts, ends = split_blanks(text)
    if len(tags) != len(starts):
        raise ValueError(f"it has {len(tags)} tags for {words} words: give each word one")
    return runs_of_spans(spans_of(answer_of(runs, {"text": text, "starts": starts, "ends": ends})), fields)
