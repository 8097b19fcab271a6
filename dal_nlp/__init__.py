"""Deep active learning for Hugging Face models: fewer labels for the same quality.

The public names are loaded when they are first used, so that importing a part of the package stays cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dal_nlp.learners.registration import register

if TYPE_CHECKING:
    from dal_nlp.annotation.oracle import Label, Oracle, Origin, Query, Setting, Skip
    from dal_nlp.core.errors import Unsupported, UserError
    from dal_nlp.core.task import Task
    from dal_nlp.models.pool import Pool
    from dal_nlp.session.config import RunConfig
    from dal_nlp.session.loop import Result, Session, run
    from dal_nlp.strategies.base import Selection, Strategy
    from dal_nlp.workflows.select import Picked, select

__version__ = "0.1.0"

_PLACES = {
    "RunConfig": "dal_nlp.session.config",
    "UserError": "dal_nlp.core.errors",
    "Unsupported": "dal_nlp.core.errors",
    "Label": "dal_nlp.annotation.oracle",
    "Oracle": "dal_nlp.annotation.oracle",
    "Origin": "dal_nlp.annotation.oracle",
    "Query": "dal_nlp.annotation.oracle",
    "Setting": "dal_nlp.annotation.oracle",
    "Skip": "dal_nlp.annotation.oracle",
    "Pool": "dal_nlp.models.pool",
    "run": "dal_nlp.session.loop",
    "Picked": "dal_nlp.workflows.select",
    "select": "dal_nlp.workflows.select",
    "Result": "dal_nlp.session.loop",
    "Session": "dal_nlp.session.loop",
    "Selection": "dal_nlp.strategies.base",
    "Strategy": "dal_nlp.strategies.base",
    "Task": "dal_nlp.core.task",
}

__all__ = [
    "Label",
    "Oracle",
    "Origin",
    "Picked",
    "Pool",
    "Query",
    "Result",
    "RunConfig",
    "Selection",
    "Session",
    "Setting",
    "Skip",
    "Strategy",
    "Task",
    "Unsupported",
    "UserError",
    "run",
    "select",
]

register()


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'dal_nlp' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
