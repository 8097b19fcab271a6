"""Deep active learning for Hugging Face models: choose what to label next, ask for it, train, and show what it saved.

The public names are loaded when they are first used, so that ``import dal_nlp`` and the commands that train nothing
wait for no torch.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from dal_nlp.learners.registration import register as _register

if _TYPE_CHECKING:
    from dal_nlp.annotation.oracle import Label, Oracle, Origin, Query, Setting, Skip
    from dal_nlp.core.errors import (
        BrokenModelError,
        ConfigError,
        DalNlpError,
        DataError,
        ModelError,
        RunFolderError,
        Unsupported,
        UserError,
    )
    from dal_nlp.core.task import Task
    from dal_nlp.models.pool import Pool
    from dal_nlp.session.config import RunConfig
    from dal_nlp.session.loop import Session, run
    from dal_nlp.session.result import Result
    from dal_nlp.strategies.base import Selection, Strategy
    from dal_nlp.workflows.async_session import AsyncSession
    from dal_nlp.workflows.select import Picked, select

__version__ = "0.2.0"

_PLACES = {
    "AsyncSession": "dal_nlp.workflows.async_session",
    "BrokenModelError": "dal_nlp.core.errors",
    "ConfigError": "dal_nlp.core.errors",
    "DalNlpError": "dal_nlp.core.errors",
    "DataError": "dal_nlp.core.errors",
    "Label": "dal_nlp.annotation.oracle",
    "ModelError": "dal_nlp.core.errors",
    "Oracle": "dal_nlp.annotation.oracle",
    "Origin": "dal_nlp.annotation.oracle",
    "Picked": "dal_nlp.workflows.select",
    "Pool": "dal_nlp.models.pool",
    "Query": "dal_nlp.annotation.oracle",
    "Result": "dal_nlp.session.result",
    "RunConfig": "dal_nlp.session.config",
    "RunFolderError": "dal_nlp.core.errors",
    "Selection": "dal_nlp.strategies.base",
    "Session": "dal_nlp.session.loop",
    "Setting": "dal_nlp.annotation.oracle",
    "Skip": "dal_nlp.annotation.oracle",
    "Strategy": "dal_nlp.strategies.base",
    "Task": "dal_nlp.core.task",
    "Unsupported": "dal_nlp.core.errors",
    "UserError": "dal_nlp.core.errors",
    "run": "dal_nlp.session.loop",
    "select": "dal_nlp.workflows.select",
}

__all__ = [
    "AsyncSession",
    "BrokenModelError",
    "ConfigError",
    "DalNlpError",
    "DataError",
    "Label",
    "ModelError",
    "Oracle",
    "Origin",
    "Picked",
    "Pool",
    "Query",
    "Result",
    "RunConfig",
    "RunFolderError",
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

_register()


def __getattr__(name: str) -> _Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'dal_nlp' has no attribute {name!r}")
    return getattr(_import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
