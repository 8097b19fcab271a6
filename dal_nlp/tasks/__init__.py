"""The tasks by name."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dal_nlp.core.config import Settings
from dal_nlp.core.plugins import import_class

if TYPE_CHECKING:
    from dal_nlp.core.task import Task

TASKS: Mapping[str, str] = {
    "sentiment": "dal_nlp.tasks.classification:Classification",
    "classification": "dal_nlp.tasks.classification:Classification",
    "multilabel": "dal_nlp.tasks.multilabel.multilabel:MultiLabel",
    "qa": "dal_nlp.tasks.qa:ExtractiveQA",
    "summarization": "dal_nlp.tasks.summarization:Summarization",
}


def task_class(name: str) -> "type[Task]":
    """Return the class of a task by its name in the table or as ``module:Class``; raises ``UserError``."""
    found: type[Task] = import_class("task", name, TASKS, "dal_nlp.core.task:Task")
    return found


def recipe_of(name: str) -> str:
    """Return the name of a task's recipe in ``configs/``; raises ``UserError`` for an unknown task.

    A task of the table has a recipe of its module's name, so that a configuration loads no task.
    """
    if name in TASKS:
        return TASKS[name].partition(":")[0].rpartition(".")[2]
    return task_class(name).recipe


def make_task(config: Settings) -> "Task":
    """Build the task of a run."""
    return task_class(config.task).from_config(config)
