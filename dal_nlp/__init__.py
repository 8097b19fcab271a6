"""Deep active learning for Hugging Face models: fewer labels for the same quality.

The public names are loaded when they are first used, so that importing a part of the package stays cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dal_nlp.registration import register

if TYPE_CHECKING:
    from dal_nlp.config import RunConfig
    from dal_nlp.errors import Unsupported, UserError
    from dal_nlp.oracles.base import Label, Oracle, Origin, Query, Setting, Skip
    from dal_nlp.pool import Pool
    from dal_nlp.selecting import Picked, select
    from dal_nlp.session import Result, Session, run
    from dal_nlp.strategies.base import Selection, Strategy
    from dal_nlp.tasks.base import Task

__version__ = "0.1.0"

_PLACES = {
    "RunConfig": "dal_nlp.config",
    "UserError": "dal_nlp.errors",
    "Unsupported": "dal_nlp.errors",
    "Label": "dal_nlp.oracles.base",
    "Oracle": "dal_nlp.oracles.base",
    "Origin": "dal_nlp.oracles.base",
    "Query": "dal_nlp.oracles.base",
    "Setting": "dal_nlp.oracles.base",
    "Skip": "dal_nlp.oracles.base",
    "Pool": "dal_nlp.pool",
    "run": "dal_nlp.session",
    "Picked": "dal_nlp.selecting",
    "select": "dal_nlp.selecting",
    "Result": "dal_nlp.session",
    "Session": "dal_nlp.session",
    "Selection": "dal_nlp.strategies.base",
    "Strategy": "dal_nlp.strategies.base",
    "Task": "dal_nlp.tasks.base",
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
