"""Label Studio's tasks, results and labelling interface for our tasks, as its JSON has them.

Its offsets count characters, as ours do. Other tools that write its format count UTF-16 units, as JavaScript does: of
the two the one is read that finds the text of the span.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from dal_nlp.core.targets import Target
from dal_nlp.core.task import Example, Task

#: Names of the control that answers and of the one that says "no answer" (as ``tasks/qa.py`` calls it); of the text
#: that is answered about.
ANSWER, NONE, ABOUT = "answer", "none", "about"
SPAN = "answer"  # the one kind of span
OURS = "dal_nlp_"  # begins the name of what is ours in the data of a task
ID = f"{OURS}id"  # of our example
TIMES = f"{OURS}times"  # how often the question is put: more than once where an answer was removed

Result = dict[str, Any]


def interface(task: Task) -> str:
    """Return the labelling interface of a task, as XML."""
    *above, last = field_names(task)
    shown = [f'  <Text name="text{i}" value="${name}"/>' for i, name in enumerate(above)]
    text = f'  <Text name="{ABOUT}" value="${last}"/>'
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
    return {ID: str(example["id"]), **dict(zip(field_names(task), task.texts(example), strict=True))}


def field_names(task: Task) -> list[str]:
    """Return what the texts are called in the data of a task: as their columns are, unless Label Studio reads more.

    It refuses or misreads a name such as "a.b" or "x[0]", and ours must stay ours.
    """
    return [
        name if re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII) and not name.startswith(OURS) else f"{OURS}text{i}"
        for i, name in enumerate(task.columns())
    ]


def results(task: Task, target: Target, example: Example) -> list[Result]:
    """Return a target as the results of an annotation or a prediction."""
    if task.asks == "label":
        return [_result("choices", ANSWER, {"choices": [target]})]
    if task.asks == "text":
        return [_result("textarea", ANSWER, {"text": [target] if isinstance(target, str) else list(target)})]
    if not target["text"]:
        return [_result("choices", NONE, {"choices": list(task.labels)})]
    spans = zip(target["text"], target["answer_start"], strict=True)
    return [
        _result("labels", ANSWER, {"start": start, "end": start + len(text), "text": text, "labels": [SPAN]})
        for text, start in spans
    ]


def predictions(task: Task, guess: Mapping[str, Any] | None, example: Example, model: str) -> list[Result]:
    """Return what ``State.suggestion`` found as the predictions of a task, by the name of a model."""
    if not guess:
        return []
    result = results(task, guess["target"], example)
    return [{"model_version": model, "score": guess["confidence"], "result": result}]


def _result(kind: str, name: str, value: dict[str, Any]) -> Result:
    return {"from_name": name, "to_name": ABOUT, "type": kind, "value": value}


def read_results(task: Task, found: Sequence[Mapping[str, Any]], example: Example, control: str = ANSWER) -> str:
    """Return the results of an annotation as a person would type the answer; "" where there is none.

    ``control`` is what the interface calls the one that answers.

    Raises:
        ValueError: They hold something else than the interface asks for.
    """
    if not all(isinstance(result, Mapping) for result in found):
        raise ValueError("it holds something that is no result of Label Studio: export the task again")
    values = [(str(result.get("from_name")), result.get("value")) for result in found]
    mine = [value for name, value in values if name == control and isinstance(value, Mapping)]
    if task.asks == "span":
        return _read_spans(task, mine, [name for name, _ in values], example)
    texts = [text for value in mine for text in _listed(value.get("choices" if task.asks == "label" else "text"))]
    if task.asks == "label":
        if len(texts) > 1:
            raise ValueError("it has several labels: choose one")
        return str(texts[0]) if texts else ""
    return task.spell(texts[0] if len(texts) == 1 else texts, example) if texts else ""


def _read_spans(task: Task, values: Sequence[Mapping[str, Any]], names: Sequence[str], example: Example) -> str:
    if not values:
        return task.labels[0] if NONE in names and task.labels else ""
    context = task.texts(example)[-1]
    found = [_place(context, value) for value in values]
    texts = [context[start:end] for start, end in found]
    return task.spell({"text": texts, "answer_start": [start for start, _ in found]}, example)


def _place(context: str, value: Mapping[str, Any]) -> tuple[int, int]:
    """Return where a span begins and ends, in characters."""
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


def _listed(texts: Any) -> Sequence[str]:
    """Return the texts of a control: Label Studio writes a single one without a list in places."""
    found = [texts] if isinstance(texts, str) else texts or []
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise ValueError("it holds something that is no text: answer it again")
    return found


def key(item: Mapping[str, Any]) -> tuple[str, str]:
    """Return which question a task puts, "" where it is not ours, and the how manieth time it is put."""
    data = item["data"] if isinstance(item["data"], Mapping) else {}
    return str(data.get(ID, "")), str(data.get(TIMES, 1))


def is_blank(interface: str) -> bool:
    """Tell whether a labelling interface is none yet."""
    return parts(interface) <= parts("<View/>")


def parts(interface: str) -> set[tuple[str, ...]]:
    """Return the elements of a labelling interface by what makes answers fit; {} for a text that is no XML."""
    try:
        root = ElementTree.fromstring(interface)
    except ElementTree.ParseError:
        return set()
    return {(element.tag, *(element.get(name, "") for name in ("name", "toName", "value"))) for element in root.iter()}
