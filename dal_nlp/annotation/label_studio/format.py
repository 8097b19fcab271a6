"""Label Studio's tasks, results and labeling interface for our tasks, as its JSON has them.

What answers look like there is told by the answer format of the task.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from dal_nlp.answer_formats.studio import ABOUT, ANSWER, quoted
from dal_nlp.core.answer_format import StudioResult
from dal_nlp.core.targets import Target
from dal_nlp.core.task import Example, Task
from dal_nlp.joins.tool_rows import OURS, STUDIO_ID, field_names

#: In the data of a task: how often the question is put, which is more than once where an answer was removed.
TIMES = f"{OURS}times"


def interface(task: Task, context: Sequence[str] = ()) -> str:
    """Return the labeling interface of a task, as XML; what ``context`` names is shown above the texts."""
    *above, last = field_names(task)
    beside = [
        f'  <Header size="5" value={quoted(column)}/>\n  <Text name="context{i}" value="${_context_name(i)}"/>'
        for i, column in enumerate(context)
    ]
    shown = [f'  <Text name="text{i}" value="${name}"/>' for i, name in enumerate(above)]
    text = f'<Text name="{ABOUT}" value="${last}"/>'
    controls = [f"  {line}" for line in task.answer_format.studio_controls(text)]
    return "\n".join(["<View>", *beside, *shown, *controls, "</View>"]) + "\n"


def data(task: Task, example: Example, context: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what a task of Label Studio shows of an example, with our id, and what stands beside its texts."""
    beside = {_context_name(i): text for i, text in enumerate((context or {}).values())}
    return {STUDIO_ID: str(example["id"]), **beside, **dict(zip(field_names(task), task.texts(example), strict=True))}


def _context_name(i: int) -> str:
    return f"{OURS}context{i}"


def results(task: Task, target: Target, example: Example) -> list[StudioResult]:
    """Return a target as the results of an annotation or a prediction."""
    return task.answer_format.studio_results(target)


def predictions(task: Task, suggested: Mapping[str, Any] | None, example: Example, model: str) -> list[StudioResult]:
    """Return what ``State.suggestion`` found as the predictions of a task, by the name of a model."""
    if not suggested:
        return []
    result = results(task, suggested["target"], example)
    return [{"model_version": model, "score": suggested["confidence"], "result": result}]


def read_results(
    task: Task, studio_results: Sequence[Mapping[str, Any]], example: Example, control: str = ANSWER
) -> str:
    """Return the results of an annotation as a person would type the answer; "" where there is none.

    ``control`` is what the interface calls the one that answers.

    Raises:
        ValueError: They hold something else than the interface asks for.
    """
    if not all(isinstance(result, Mapping) for result in studio_results):
        raise ValueError("it holds something that is no result of Label Studio: export the task again")
    return task.answer_format.read_studio_results(studio_results, example, control)


def key(item: Mapping[str, Any]) -> tuple[str, str]:
    """Return which question a task puts, "" where it is not ours, and which time it is put."""
    data = item["data"] if isinstance(item["data"], Mapping) else {}
    return str(data.get(STUDIO_ID, "")), str(data.get(TIMES, 1))


def is_blank(interface: str) -> bool:
    """Tell whether a labeling interface is none yet."""
    return parts(interface) <= parts("<View/>")


def parts(interface: str) -> set[tuple[str, ...]]:
    """Return the elements of a labeling interface by what makes answers fit; {} for a text that is no XML."""
    try:
        root = ElementTree.fromstring(interface)
    except ElementTree.ParseError:
        return set()
    return {(element.tag, *(element.get(name, "") for name in ("name", "toName", "value"))) for element in root.iter()}
