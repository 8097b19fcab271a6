"""Rows with entities, in whatever form a tool has written them, as rows with one column of texts and one of answers."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from dal_nlp.core.errors import DataError
from dal_nlp.readers.entities.tags import split_tag
from dal_nlp.readers.exports import Row, mapped, task_data
from dal_nlp.readers.reading import Reading, Source
from dal_nlp.readers.values import is_missing

#: What the columns are called in Hugging Face's data sets, and what they are looked for as where these are not there.
WORDS, TAGS = "tokens", "ner_tags"
TEXTS = (WORDS, "words", "text", "sentence")
ANSWERS = (TAGS, "tags", "labels", "label", "entities", "spans", "ents", "ner")


def entity_source(source: Source, text: str, label: str, reading: Reading) -> Source:
    """Return a source whose rows have the columns ``text`` and ``label``, if it has them in any form.

    Args:
        source: As it was opened.
        text: The column of the words or the text; ``WORDS`` stands for any of ``TEXTS``.
        label: The column of the tags or spans; ``TAGS`` stands for any of ``ANSWERS``.
        reading: Takes remarks on what was done.
    """
    there = set(source.columns)
    if {"data", "annotations"} <= there:
        reading.remark(f"{source.name} is an export of Label Studio: its marked parts were read as entities.")
        return mapped(source, label, lambda row: _studio_rows(row, text, label, source.name), ("data", "annotations"))
    text_from = text if text in there or text != WORDS else next((name for name in TEXTS if name in there), text)
    beside = "text" if text == text_from == WORDS and "text" in there else ""  # Prodigy's rows may have both, or a text
    label_from = label if label in there or label != TAGS else _answers_of(source) or label
    judged = "answer" in there and label_from != "answer"
    if not source.is_open and text_from not in there:
        _refuse_words_in_rows(source)
    if (text_from, label_from) == (text, label) and not judged and not beside:
        return source
    for name, column in ((text, text_from), (label, label_from)):
        if name != column:
            reading.remark(f"{source.name} has no column {name!r}, and {column!r} was read for it.")

    def plain(row: Row) -> Sequence[Row]:
        plain_row = dict(row)
        if text_from in row and not _has_places(
            row.get(text)
        ):  # a row of a table has all columns, one of JSON lines those that are written
            plain_row[text] = row[text_from]
        if beside and is_missing(plain_row.get(text)) and not is_missing(row.get(beside)):
            plain_row[text] = row[beside]
            reading.remark(f"{source.name}: rows without {text!r} were read from {beside!r}.")
        if label_from in row or label_from in there:
            answered = not judged or row.get("answer") in ("accept", None)
            plain_row[label] = row.get(label_from) if answered else None
            if not answered:
                reading.remark(f"{source.name}: rows that were rejected or ignored were read as unlabeled.")
            if row.get("answer") == "accept" and label_from == "spans" not in row:
                plain_row[label] = []  # Prodigy writes no spans where none was marked
        return [plain_row]

    plain_rows = mapped(source, label, plain, (text_from, label_from, WORDS, "answer", *([beside] if beside else [])))
    if text_from in there:
        plain_rows.columns = list(dict.fromkeys([*plain_rows.columns, text]))
    return plain_rows


def _answers_of(source: Source) -> str | None:
    """Return the column of the answers by its usual names, None where there is none."""
    there = [name for name in ANSWERS if name in source.columns]
    if len(there) < 2:
        return there[0] if there else None
    return filled_column(there, [row for chunk in islice(source.chunks(there), 1) for _, row in chunk.rows()])


def filled_column(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the first of several columns that says anything in some row; the first one where none does."""

    def says(cell: Any) -> bool:
        return not is_missing(cell) and cell not in ([], "[]")

    return next((name for name in names if any(says(row.get(name)) for row in rows)), names[0])


def with_text(row: Mapping[str, Any], text: str) -> Mapping[str, Any]:
    """Return a row whose column ``text`` holds its text where it has one under another usual name.

    Prodigy has both, and under ``tokens`` the words as places in the text.
    """
    cell = row.get(text)
    if isinstance(cell, str) or (isinstance(cell, list) and not any(isinstance(one, Mapping) for one in cell)):
        return row
    content = next((row[name] for name in TEXTS if isinstance(row.get(name), str)), None)
    return row if content is None else {**row, text: content}


def joined(row: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Return a row whose words, if it has a list of them, are one text with blanks between."""
    words = row.get(text)
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        return dict(row)
    return {**row, text: " ".join(words)}


def _refuse_words_in_rows(source: Source) -> None:
    """Raise for a table whose rows are words, which a name of a column would not help."""
    names = [name.casefold() for name in source.columns]
    if names and (split_tag(source.columns[-1])[0] or names[0] in ("#", "1") or names[0].startswith("# ")):
        raise DataError(
            f"{source.name} has a word and its tag in every line, and no names of columns: give it the ending .conll."
        )
    if {"word", "token"} & set(names):
        raise DataError(
            f"{source.name} has a word in every row ({', '.join(source.columns)}), and a row has to be a text: write "
            "all words and tags of a text into one row, as lists (tokens, ner_tags), or write the file as CoNLL."
        )


def _has_places(cell: Any) -> bool:
    """Tell whether a cell is a list of objects, as Prodigy writes the words of a text."""
    return isinstance(cell, list) and any(isinstance(one, Mapping) for one in cell)


def _studio_rows(row: Row, text: str, label: str, name: str) -> list[Row]:
    """Return a row for each annotation of a task that was not cancelled, or one without an answer."""
    data = task_data(row)
    if text not in data:
        texts = [key for key, value in data.items() if isinstance(value, str) and key not in ("id", "dal_nlp_id")]
        if len(texts) != 1:
            raise DataError(
                f"{name} is an export of Label Studio with {', '.join(map(repr, data)) or 'nothing'} in its tasks: "
                "name the text with --text-column."
            )
        data[text] = data[texts[0]]
    annotations = [one for one in row.get("annotations") or [] if isinstance(one, Mapping)]
    answers = [_spans(one.get("result")) for one in annotations if not one.get("was_cancelled")]
    return [{**data, label: answer} for answer in answers] or [{**data, label: None}]


def _spans(results: Any) -> list[Any]:
    """Return the values of an annotation that mark a part of a text."""
    values = [one.get("value") for one in results or [] if isinstance(one, Mapping)]
    return [value for value in values if isinstance(value, Mapping) and "start" in value]
