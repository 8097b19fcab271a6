"""Names that stand for classes: an entry of a table, or ``module:Class`` of the user's own."""

import importlib
import os
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from dal_nlp.core.errors import UserError, nearest, unknown

T = TypeVar("T")


def check_name(kind: str, name: str, table: Mapping[str, str]) -> None:
    """Check the name of a class without importing it; raises ``UserError`` where there is none.

    Args:
        kind: What the class is, for the message.
        name: An entry of the table, or ``module:Class``.
        table: ``module:Class`` by name.
    """
    if name not in table and ":" not in name:
        raise unknown(kind, name, table)


def import_class(kind: str, name: str, table: Mapping[str, str]) -> type[Any]:
    """Return the class that ``name`` stands for, an entry of a table of ``module:Class`` or such a place itself.

    Raises:
        UserError: The name is in no table (the nearest one is given), or the module or class cannot be found.
    """
    check_name(kind, name, table)
    if name in table:
        module_name, _, class_name = table[name].partition(":")
        built_in: type[Any] = vars(importlib.import_module(module_name))[class_name]
        return built_in
    module_name, _, class_name = name.partition(":")
    if os.getcwd() not in sys.path:  # a user's module lies beside the script or the command, as with `python -m`
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UserError(f"The {kind} {name!r} cannot be imported: {error}.") from None
    found = vars(module).get(class_name)
    if not isinstance(found, type):
        names = [key for key, value in vars(module).items() if isinstance(value, type)]
        raise UserError(f"Module {module_name!r} has no class {class_name!r}{nearest(class_name, names)}.")
    return found


def construct(kind: str, cls: type[T], options: Mapping[str, Any]) -> T:
    """Build ``cls`` from options by name; a dataclass's fields give them their types.

    Raises:
        UserError: An option that the class does not have, or a value of the wrong type.
    """
    if not options:
        return cls()
    known = [field.name for field in fields(cls)] if is_dataclass(cls) else []
    for name in options:
        if name not in known:
            raise UserError(f"The {kind} {cls.__name__} has no option {name!r}{nearest(name, known)}.")
    try:
        built: T = TypeAdapter(cls).validate_python(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{kind} option {first['loc'][0]} = {first['input']!r} is not right: {first['msg']}.") from None
    return built
