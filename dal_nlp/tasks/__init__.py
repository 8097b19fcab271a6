"""The tasks by name."""

from collections.abc import Mapping

from dal_nlp.core.config import RunConfig
from dal_nlp.core.plugins import import_class
from dal_nlp.core.task import Task
from dal_nlp.tasks.classification import Classification
from dal_nlp.tasks.qa import ExtractiveQA
from dal_nlp.tasks.summarization import Summarization

TASKS: Mapping[str, type[Task]] = {
    "sentiment": Classification,
    "classification": Classification,
    "qa": ExtractiveQA,
    "summarization": Summarization,
}


def task_class(name: str) -> type[Task]:
    """Return the class of a task by its name in the table or as ``module:Class``; raises ``UserError``."""
    return import_class("task", name, TASKS)


def make_task(config: RunConfig) -> Task:
    """Build the task of a run."""
    return task_class(config.task).from_config(config)
