"""Names that stand for classes: an entry of a table, or ``module:Class`` of the user's own, which is code that runs.

A run folder or a configuration file from somebody else may name a ``module:Class`` that lies beside it (see
``docs/security.md``). The command line restricts trust to the words of its command; a script of one's own is trusted.
"""

import importlib
import inspect
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from dal_nlp.core.errors import ConfigError, UserError, nearest, unknown

T = TypeVar("T")


#: The names that may be found in the current folder; None for all.
_trusted: frozenset[str] | None = None


def trust_only(words: Iterable[str]) -> None:
    """Have modules of the current folder run only where one of the words that were typed names their class."""
    global _trusted
    _trusted = frozenset(part for word in words for part in re.split(r"[=,()\s]+", word))


def trust_all() -> None:
    """Have every module of the current folder run that is named anywhere."""
    global _trusted
    _trusted = None


def is_trusted(name: str) -> bool:
    """Tell whether ``module:Class`` may be found in the current folder; a prefix of a typed name is no part of it."""
    return _trusted is None or any(name in (word, word.partition(":")[2]) for word in _trusted)


def check_name(kind: str, name: str, table: Mapping[str, str]) -> None:
    """Check the name of a class without importing it; raises ``UserError`` where there is none.

    Args:
        kind: What the class is, for the message.
        name: An entry of the table, or ``module:Class``.
        table: ``module:Class`` by name.
    """
    if name not in table and ":" not in name:
        raise unknown(kind, name, table)


def import_class(kind: str, name: str, table: Mapping[str, str], base: str) -> type[Any]:
    """Return the class that ``name`` stands for.

    Args:
        kind: What such classes are, for messages.
        name: Of the table, or ``module:Class``.
        table: ``module:Class`` by name, of the package.
        base: What a class of the user's own must be derived from, as ``module:Class``; imported where there is one.

    Raises:
        UserError: The name is in no table (the nearest one is given), the module or class cannot be found or is not
            trusted, or the class is none of its kind.
    """
    check_name(kind, name, table)
    if name in table:
        return built_in(table[name])
    module_name, _, class_name = name.partition(":")
    module = _import_module(kind, name, module_name)
    cls = vars(module).get(class_name)
    if not isinstance(cls, type):
        names = [key for key, value in vars(module).items() if isinstance(value, type)]
        raise ConfigError(f"Module {module_name!r} has no class {class_name!r}{nearest(class_name, names)}.")
    if built_in(base) not in cls.__mro__:
        raise ConfigError(f"{name} is no {kind}: derive the class from {base.replace(':', '.')}.")
    if inspect.isabstract(cls):
        missing = ", ".join(f"{method}()" for method in sorted(vars(cls)["__abstractmethods__"]))
        raise ConfigError(f"{name} is an unfinished {kind}: write {missing}.")
    return cls


def built_in(reference: str) -> type[Any]:
    """Return a class of the package by its ``module:Class``."""
    module_name, _, class_name = reference.partition(":")
    built_in: type[Any] = vars(importlib.import_module(module_name))[class_name]
    return built_in


def _import_module(kind: str, name: str, module_name: str) -> Any:
    """Return a module by its name; one of the current folder only where ``name`` is trusted."""
    trusted = is_trusted(name)
    try:
        if trusted:
            if os.getcwd() not in sys.path:  # a user's module lies beside the script or the command
                sys.path.insert(0, os.getcwd())
            return importlib.import_module(module_name)
        with _elsewhere():
            return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        own = error.name is not None and (module_name == error.name or module_name.startswith(f"{error.name}."))
        if own and not trusted:
            raise ConfigError(
                f"The {kind} {name!r} was not named in this command, and its module is not installed: if you trust "
                "the code that lies here, give --trust."
            ) from None
        raise ConfigError(f"The {kind} {name!r} cannot be imported: {error}.") from error
    except Exception as error:  # it is the user's code that runs
        message = " ".join(f"{type(error).__name__}: {error}".split())[:300].rstrip(".")
        raise ConfigError(f"The {kind} {name!r} cannot be imported ({message}).") from error


@contextmanager
def _elsewhere() -> Iterator[None]:
    """Find no module in the current folder, unless PYTHONPATH names it."""
    before = list(sys.path)
    if not sys.flags.safe_path and before and os.path.realpath(before[0] or ".") == os.path.realpath("."):
        sys.path.pop(0)  # what `python -m` puts there
    try:
        yield
    finally:
        sys.path[:] = before


def construct(kind: str, cls: type[T], options: Mapping[str, Any]) -> T:
    """Build ``cls`` from options by name; a dataclass's fields give them their types.

    Raises:
        UserError: An option that the class does not have, one that it lacks, or a value of the wrong type.
    """
    if not options:
        try:
            inspect.signature(cls).bind()
        except TypeError as error:
            raise ConfigError(f"The {kind} {cls.__name__} cannot be built without options: {error}.") from None
        return cls()
    from pydantic import TypeAdapter, ValidationError  # takes longer to import than a command may take to say its help

    known = [field.name for field in fields(cls)] if is_dataclass(cls) else []
    for name in options:
        if name not in known:
            raise ConfigError(f"The {kind} {cls.__name__} has no option {name!r}{nearest(name, known)}.")
    try:
        built: T = TypeAdapter(cls).validate_python(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        option = ".".join(map(str, first["loc"])) or ", ".join(options)
        value = repr(first["input"])[:100]
        raise ConfigError(f"{kind} option {option} = {value} is not right: {first['msg']}.") from None
    return built


def split_spec(spec: str) -> tuple[str, str, dict[str, str]]:
    """Read "KIND:TARGET,KEY=VALUE" as (kind, target, options); raises ``UserError`` for what cannot be read so."""
    kind, colon, rest = spec.partition(":")
    target, *parts = rest.split(",")
    options = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals:
            raise UserError(f"--signal {spec!r}: {part!r} is no KEY=VALUE; a path with a comma has to be renamed.")
        options[key.strip()] = value.strip()
    if not colon or not target.strip():
        raise UserError(f"--signal {spec!r} is not KIND:TARGET, such as file:llm.csv.")
    return kind, target.strip(), options
