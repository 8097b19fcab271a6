"""The nested json of SQuAD, as published: articles -> paragraphs -> questions, flattened to one row a question."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from dal_nlp.core.errors import DataError, nearest
from dal_nlp.readers.values import is_true

_SHAPES = {
    "article": '{"title": "...", "paragraphs": [...]}',
    "paragraph": '{"context": "...", "qas": [...]}',
    "question": '{"id": "...", "question": "...", "answers": [...]}',
    "answer": '{"text": "...", "answer_start": 0}',
}


def is_nested(rows: Sequence[Any]) -> bool:
    """Tell whether the objects of a json file are articles or paragraphs, be it with one level or another broken."""
    objects = [row for row in rows if isinstance(row, dict)]
    articles = [row["paragraphs"] for row in objects if isinstance(row.get("paragraphs"), list)]
    within = any(
        isinstance(part, dict) and ("context" in part or "qas" in part) for parts in articles for part in parts
    )
    return within or any(_is_paragraph(row) for row in objects)


def _is_paragraph(row: dict[str, Any]) -> bool:
    """Tell whether an object is a paragraph that stands in the place of an article."""
    return "paragraphs" not in row and isinstance(row.get("qas"), list)


def flatten(source: str, articles: Sequence[Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (running number of the question from 1, row) in the order of the file.

    A row has ``title``, ``context``, ``question``, ``answers`` ({"text": [...], "answer_start": [...]}, one entry an
    annotator; None for a question that has no answers key) and, where the question has one, ``id``. A question that is
    ``is_impossible`` has empty lists; its ``plausible_answers`` are wrong by intent and left out. Paragraphs may stand
    in the place of articles.

    Raises:
        UserError: Something is missing or of a wrong type, with the place.
    """
    number = 0
    for title, paragraph in _all_paragraphs(source, articles):
        context = paragraph.part("context", str)
        for question in paragraph.children("qas", "question"):
            number += 1
            row = {"id": question.value["id"]} if "id" in question.value else {}
            row |= {"title": title, "context": context}
            yield number, row | {"question": question.part("question", str), "answers": _answers(question)}


def _all_paragraphs(source: str, articles: Sequence[Any]) -> Iterator[tuple[Any, "_Node"]]:
    """Yield the paragraphs, each with the title of its article."""
    alone = any(isinstance(row, dict) and _is_paragraph(row) for row in articles)
    for node in _nodes(source, "paragraph" if alone else "article", articles):
        if alone:
            yield node.value.get("title"), node
        else:
            for paragraph in node.children("paragraphs", "paragraph"):
                yield node.value.get("title"), paragraph


class _Node(NamedTuple):
    """An object of the file."""

    kind: str
    place: str
    value: dict[str, Any]

    def part(self, key: str, type: type) -> Any:
        """Return what is under a key; raises ``UserError`` where that is not there or of another type."""
        if key not in self.value:
            wrong = f"{key!r}{nearest(key, self.value)}"
        elif not isinstance(self.value[key], type):
            wrong = f"{'list' if type is list else 'text'} under {key!r}"
        else:
            return self.value[key]
        raise DataError(f"{self.place} has no {wrong}: write it as {_SHAPES[self.kind]}.")

    def children(self, key: str, kind: str) -> Iterator["_Node"]:
        """Yield the objects of a list under a key."""
        return _nodes(self.place, kind, self.part(key, list))


def _nodes(within: str, kind: str, objects: Sequence[Any]) -> Iterator[_Node]:
    for number, value in enumerate(objects, start=1):
        place = f"{within}, {kind} {number}"
        if not isinstance(value, dict):
            raise DataError(f"{place} is no JSON object: write it as {_SHAPES[kind]}.")
        yield _Node(kind, place, value)


def _answers(question: _Node) -> Any:
    """Return the answers of a question as {"text": [...], "answer_start": [...]}; a list of plain texts stays one."""
    value = question.value.get("answers")
    if is_true(question.value.get("is_impossible")):
        return {"text": [], "answer_start": []}
    if value is None or (isinstance(value, list) and value and all(isinstance(answer, str) for answer in value)):
        return value
    answers = list(question.children("answers", "answer"))
    starts = [answer.value.get("answer_start") for answer in answers]
    return {"text": [answer.part("text", str) for answer in answers], "answer_start": starts}
