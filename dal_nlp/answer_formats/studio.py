"""Label Studio's controls and results, as the answer formats use them.

Its offsets count characters, as ours do. Other tools that write its format count UTF-16 units, as JavaScript does: of
the two the one is read that finds the text of the span.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dal_nlp.core.answer_format import StudioResult
from dal_nlp.readers.exports import NO_ANSWER, OUR_CONTROL, plain_value

#: Names of the control that answers and of the one with answers beside it ("no answer"); of the text that is answered
#: about.
ANSWER, NONE, ABOUT = OUR_CONTROL, NO_ANSWER, "about"


def quoted(text: str) -> str:
    """Return a text as the value of an attribute of XML, in quotation marks."""
    from xml.sax.saxutils import quoteattr  # it imports ssl, a fifth of what a command takes to start

    return quoteattr(text)


def choice_tags(labels: Sequence[str]) -> str:
    """Return the tags of labels inside a ``Choices``."""
    return "".join(f"<Choice value={quoted(label)}/>" for label in labels)


def result(kind: str, name: str, value: dict[str, Any]) -> StudioResult:
    """Return one result of a control."""
    return {"from_name": name, "to_name": ABOUT, "type": kind, "value": value}


def values_of(results: Sequence[Mapping[str, Any]], control: str) -> list[Mapping[str, Any]]:
    """Return what one control gave."""
    values = [each.get("value") for each in results if str(each.get("from_name")) == control]
    return [plain_value(value) for value in values if isinstance(value, Mapping)]


def texts_of(values: Sequence[Mapping[str, Any]], kind: str) -> list[str]:
    """Return all texts in the values of a control; Label Studio writes a single one without a list in places.

    Raises:
        ValueError: They hold something else.
    """
    all_texts: list[str] = []
    for content in (value.get(kind) for value in values):
        texts = [content] if isinstance(content, str) else content or []
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ValueError("it holds something that is no text: answer it again")
        all_texts += texts
    return all_texts


def place_of(context: str, value: Mapping[str, Any]) -> tuple[int, int]:
    """Return where a span begins and ends, in characters; raises ``ValueError`` where its text is not there."""
    start, end, text = value.get("start"), value.get("end"), value.get("text")
    units = len(context.encode("utf-16-le")) // 2
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= units:
        raise ValueError("it has a span without a place in the context")
    for first, last in ((start, end), (_characters(context, start), _characters(context, end))):
        # Some versions write a line break in the text of a span as a backslash and an n.
        if last <= len(context) and text in (None, context[first:last], context[first:last].replace("\n", "\\n")):
            return first, last
    raise ValueError("it has a span whose text is not at its place in the context: export the task again")


def _characters(text: str, units: int) -> int:
    """Return how many characters the first UTF-16 units of a text are."""
    return len(text.encode("utf-16-le")[: 2 * units].decode("utf-16-le", "replace"))
