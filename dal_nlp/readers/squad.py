"""The nested json of SQuAD, as published: articles -> paragraphs -> questions, flattened to one row a question."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from dal_nlp.core.errors import UserError, nearest

_SHAPES = {
    "article": '{"title": "...", "paragraphs": [...]}',
    "paragraph": '{"context": "...", "qas": [...]}',
    "question": '{"id": "...", "question": "...", "answers": [...]}',
    "answer": '{"text": "...", "answer_start": 0}',
}


def is_nested(rows: Sequence[Any]) -> bool:
    """Tell whether the objects of a json file are articles, be it with one level or another broken."""
    return any(
        isinstance(paragraph, dict) and ("context" in paragraph or "qas" in paragraph)
        for article in rows
        if isinstance(article, dict) and isinstance(article.get("paragraphs"), list)
        for paragraph in article["paragraphs"]
    )


def flatten(source: str, articles: Sequence[Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (running number of the question from 1, row) in the order of the file.

    A row has ``title``, ``context``, ``question``, ``answers`` ({"text": [...], "answer_start": [...]}, one entry an
    annotator; None for a question that has no answers key) and, where the question has one, ``id``. A question that is
    ``is_impossible`` has empty lists; its ``plausible_answers`` are wrong by intent and left out.

    Raises:
        UserError: Something is missing or of a wrong type, with the place.
    """
    number = 0
    for article in _nodes(source, "article", articles):
        for paragraph in article.children("paragraphs", "paragraph"):
            context = paragraph.part("context", str)
            for question in paragraph.children("qas", "question"):
                number += 1
                row = {"id": question.value["id"]} if "id" in question.value else {}
                row |= {"title": article.value.get("title"), "context": context}
                yield number, row | {"question": question.part("question", str), "answers": _answers(question)}


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
        raise UserError(f"{self.place} has no {wrong}: write it as {_SHAPES[self.kind]}.")

    def children(self, key: str, kind: str) -> Iterator["_Node"]:
        """Yield the objects of a list under a key."""
        return _nodes(self.place, kind, self.part(key, list))


def _nodes(within: str, kind: str, objects: Sequence[Any]) -> Iterator[_Node]:
    for number, value in enumerate(objects, start=1):
        place = f"{within}, {kind} {number}"
        if not isinstance(value, dict):
            raise UserError(f"{place} is no JSON object: write it as {_SHAPES[kind]}.")
        yield _Node(kind, place, value)


def _answers(question: _Node) -> dict[str, list[Any]] | None:
    if question.value.get("is_impossible") is True:
        return {"text": [], "answer_start": []}
    if question.value.get("answers") is None:
        return None
    answers = list(question.children("answers", "answer"))
    starts = [answer.value.get("answer_start") for answer in answers]
    return {"text": [answer.part("text", str) for answer in answers], "answer_start": starts}
