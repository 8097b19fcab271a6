"""The tasks and the metrics by name."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dal_nlp.core.config import Settings
from dal_nlp.core.errors import ConfigError
from dal_nlp.core.plugins import import_class
from dal_nlp.core.text import split_names
from dal_nlp.readers import yaml_text

if TYPE_CHECKING:
    from dal_nlp.core.task import Task
    from dal_nlp.tasks.hf_metrics import ExtraMetric

TASKS: Mapping[str, str] = {
    "sentiment": "dal_nlp.tasks.classification:Classification",
    "classification": "dal_nlp.tasks.classification:Classification",
    "multilabel": "dal_nlp.tasks.multilabel.multilabel:MultiLabel",
    "qa": "dal_nlp.tasks.qa:ExtractiveQA",
    "summarization": "dal_nlp.tasks.summarization:Summarization",
    "ner": "dal_nlp.tasks.entities.ner:NER",
}


#: The metrics that need no network, for ``--metric``.
METRICS: Mapping[str, str] = {
    "accuracy": "dal_nlp.tasks.hf_metrics:Accuracy",
    "macro_f1": "dal_nlp.tasks.hf_metrics:MacroF1",
    "rouge": "dal_nlp.tasks.hf_metrics:Rouge",
    "squad": "dal_nlp.tasks.hf_metrics:Squad",
    "squad_v2": "dal_nlp.tasks.hf_metrics:SquadV2",
}


def read_metric(text: str) -> tuple[str, dict[str, Any]]:
    """Return the name of a metric and its arguments, of "f1" or "f1(average=macro)"; raises ``UserError``."""
    match = re.fullmatch(r"\s*([^()]+?)\s*(?:\((.*)\))?\s*", text, re.DOTALL)
    if match is None:
        raise ConfigError(
            f"--metric {text!r} cannot be read: write NAME or NAME(ARGUMENT=VALUE), as f1(average=macro)."
        )
    arguments: dict[str, Any] = {}
    for part in split_names(match[2] or ""):
        name, equals, value = part.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ConfigError(f"--metric {text!r} has {part!r} where ARGUMENT=VALUE belongs, such as average=macro.")
        arguments[name.strip()] = yaml_text.parse(value.strip(), f"--metric {text}")
    return match[1], arguments


def load_metrics(names: Sequence[str]) -> "list[ExtraMetric]":
    """Load metrics by their names, with arguments; raises ``UserError``. The library behind them takes seconds."""
    if not names:
        return []
    from dal_nlp.tasks.hf_metrics import load_metric

    return [load_metric(name) for name in names]


def task_class(name: str) -> "type[Task]":
    """Return the class of a task by its name in the table or as ``module:Class``; raises ``UserError``."""
    cls: type[Task] = import_class("task", name, TASKS, "dal_nlp.core.task:Task")
    return cls


def recipe_of(name: str) -> str:
    """Return the name of a task's recipe in ``configs/``; raises ``UserError`` for an unknown task.

    A task of the table has a recipe of its module's name, so that a configuration loads no task.
    """
    if name in TASKS:
        return TASKS[name].partition(":")[0].rpartition(".")[2]
    return task_class(name).recipe


def make_task(config: Settings) -> "Task":
    """Build the task of a run; until the pool has said where texts are cut, that is where the task usually does."""
    cls = task_class(config.task)
    if config.max_length == "pool":
        config = config.model_copy(update={"max_length": cls.usual_length})
    return cls.from_config(config)


def made_again(task: "Task", config: Settings) -> "Task":
    """Build the task of a run again by settings that have become known, with the labels and the tokenizer it has."""
    made = make_task(config)
    made.labels, made.tokenizer = task.labels, task.tokenizer
    return made
