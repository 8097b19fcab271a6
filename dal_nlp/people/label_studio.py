"""Label Studio's tasks, results and labelling interface for our tasks, as its JSON has them.

Its offsets count UTF-16 units, as JavaScript does; ours count characters.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from dal_nlp.ledger import Target
from dal_nlp.tasks.base import Example, Task

#: Names of the control that answers and of the one that says "no answer" (as ``tasks/qa.py`` calls it); of the text
#: that is answered about.
ANSWER, NONE, ABOUT = "answer", "none", "about"
SPAN = "answer"  # the one kind of span
ID = "dal_nlp_id"  # of our example in the data of a task

Result = dict[str, Any]


def interface(task: Task) -> str:
    """Return the labelling interface of a task, as XML."""
    *above, last = task.columns()
    shown = [f'  <Text name="text{i}" value={quoteattr(f"${name}")}/>' for i, name in enumerate(above)]
    text = f'  <Text name="{ABOUT}" value={quoteattr(f"${last}")}/>'
    choices = "".join(f"<Choice value={quoteattr(label)}/>" for label in task.labels)
    none = f'  <Choices name="{NONE}" toName="{ABOUT}">{choices}</Choices>' if task.labels else ""
    lines = {
        "label": [text, f'  <Choices name="{ANSWER}" toName="{ABOUT}" choice="single-radio">{choices}</Choices>'],
        "span": [f'  <Labels name="{ANSWER}" toName="{ABOUT}"><Label value="{SPAN}"/></Labels>', text, none],
        "text": [text, f'  <TextArea name="{ANSWER}" toName="{ABOUT}" maxSubmissions="1" editable="true"/>'],
    }
    return "\n".join(["<View>", *shown, *filter(None, lines[task.asks]), "</View>"]) + "\n"


def data(task: Task, example: Example) -> dict[str, str]:
    """Return what a task of Label Studio shows of an example, with our id."""
    return {ID: str(example["id"]), **dict(zip(task.columns(), task.texts(example), strict=True))}


def results(task: Task, target: Target, example: Example) -> list[Result]:
    """Return a target as the results of an annotation or a prediction."""
    if task.asks == "label":
        return [_result("choices", ANSWER, {"choices": [target]})]
    if task.asks == "text":
        return [_result("textarea", ANSWER, {"text": [target] if isinstance(target, str) else list(target)})]
    if not target["text"]:
        return [_result("choices", NONE, {"choices": list(task.labels)})]
    context = task.texts(example)[-1]
    return [
        _result(
            "labels",
            ANSWER,
            {
                "start": _units(context, start),
                "end": _units(context, start + len(text)),
                "text": text,
                "labels": [SPAN],
            },
        )
        for text, start in zip(target["text"], target["answer_start"], strict=True)
    ]


def _result(kind: str, name: str, value: dict[str, Any]) -> Result:
    return {"from_name": name, "to_name": ABOUT, "type": kind, "value": value}


def read_results(task: Task, found: Sequence[Mapping[str, Any]], example: Example) -> str:
    """Return the results of an annotation as a person would type the answer; "" where there is none.

    Raises:
        ValueError: They hold something else than the interface asks for.
    """
    values = [(str(result.get("from_name")), result.get("value")) for result in found]
    mine = [value for name, value in values if name == ANSWER and isinstance(value, Mapping)]
    if task.asks == "span":
        return _read_spans(task, mine, [name for name, _ in values], example)
    texts = [text for value in mine for text in value.get("choices" if task.asks == "label" else "text", [])]
    if task.asks == "label":
        if len(texts) > 1:
            raise ValueError("it has several labels: choose one")
        return str(texts[0]) if texts else ""
    return task.spell(texts[0] if len(texts) == 1 else texts, example) if texts else ""


def _read_spans(task: Task, values: Sequence[Mapping[str, Any]], names: Sequence[str], example: Example) -> str:
    if not values:
        return task.labels[0] if NONE in names and task.labels else ""
    context = task.texts(example)[-1]
    encoded = context.encode("utf-16-le")
    texts, starts = [], []
    for value in values:
        start, end = value.get("start"), value.get("end")
        if not isinstance(start, int) or not isinstance(end, int) or not 0 <= start < end <= len(encoded) // 2:
            raise ValueError("it has a span without a place in the context")
        before = encoded[: 2 * start].decode("utf-16-le", "replace")
        texts.append(encoded[2 * start : 2 * end].decode("utf-16-le", "replace"))
        starts.append(len(before))
    return task.spell({"text": texts, "answer_start": starts}, example)


def _units(text: str, characters: int) -> int:
    """Return how many UTF-16 units the first characters of a text are."""
    return len(text[:characters].encode("utf-16-le")) // 2
