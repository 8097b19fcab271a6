"""YAML of a user as plain JSON values: bounded in size, and every mistake in it one sentence."""

import math
import os
import stat
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from dal_nlp.core.errors import DataError, UserError, check_letters

#: Bytes of the largest file, and values that it may hold once its aliases are written out.
LARGEST, MOST_VALUES = 10_000_000, 100_000
#: Brackets within brackets.
DEEPEST = 100

_EXAMPLE = "`dal-nlp init` writes an example"


class _Loader(yaml.SafeLoader):
    """YAML without dates, which stay text, as JSON has none; it gives up early on what no configuration is."""

    _values = 0

    def fetch_flow_collection_start(self, kind: Any) -> None:
        """Take a bracket; for many within each other PyYAML would take the square of their number in time."""
        if self.flow_level >= DEEPEST:
            raise RecursionError
        super().fetch_flow_collection_start(kind)

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Read a value."""
        self._values += 1
        if self._values > MOST_VALUES:
            raise _TooMany
        return super().compose_node(parent, index)


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_text(path: Path) -> str:
    """Return the text of a configuration file.

    Raises:
        UserError: It is missing, no ordinary file, too large, or not UTF-8.
    """
    try:
        # A pipe that nobody fills opens too.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                kind = "a folder" if stat.S_ISDIR(os.fstat(file.fileno()).st_mode) else "no ordinary file"
                raise DataError(f"{path} is {kind}, not a configuration file: give the file itself.")
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise DataError(f"There is no configuration file {path}; `dal-nlp init` writes one.") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder, not a configuration file: give the file itself.") from None
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"The configuration file {str(path)[:200]!r} cannot be read ({reason}).") from None
    if len(data) > LARGEST:
        raise DataError(f"{path} has more than {LARGEST:,} bytes, which is no configuration: {_EXAMPLE}.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not valid YAML ({error}): save it as UTF-8.") from None


def parse(text: str, place: str) -> Any:
    """Return YAML as plain values: None, bool, int, float, str, and lists and dicts of them with text for keys.

    Args:
        text: One document.
        place: Where it is from, for messages, such as a file's name.

    Raises:
        UserError: It is no YAML, holds what JSON cannot hold, or too much once its aliases are written out.
    """
    loader: yaml.SafeLoader | None = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if _count(node, {}, set()) > MOST_VALUES:
            raise _TooMany
        value = loader.construct_document(node)
        _check_plain(value, place, "")
    except UserError:
        raise
    except _TooMany:
        raise DataError(
            f"{place} holds more than {MOST_VALUES:,} values, which is no configuration: {_EXAMPLE}."
        ) from None
    except RecursionError:
        raise DataError(f"{place} is not valid YAML: it is nested too deeply.") from None
    except _Circular:
        raise DataError(f"{place} is not valid YAML: an alias stands within what it is an alias of.") from None
    except (yaml.YAMLError, ValueError) as error:
        message = " ".join(str(error).split())[:300].rstrip(".")
        raise DataError(f"{place} is not valid YAML: {message}.") from None
    except (KeyError, AttributeError, TypeError, OverflowError):  # what PyYAML's readers of numbers and dates come to
        raise DataError(f"{place} is not valid YAML: a value does not fit the tag before it.") from None
    finally:
        if loader is not None:
            loader.dispose()
    return value


class _TooMany(Exception):
    """A text holds more values than any configuration."""


class _Circular(Exception):
    """A value holds itself."""


def _count(node: yaml.Node, known: dict[int, int], within: set[int]) -> int:
    """Return how many values a node stands for where every alias is written out; each node is looked at once."""
    if id(node) in within:
        raise _Circular
    if id(node) not in known:
        within.add(id(node))
        inside = node.value if isinstance(node, yaml.CollectionNode) else []
        parts = [part for pair in inside for part in pair] if isinstance(node, yaml.MappingNode) else inside
        known[id(node)] = 1 + sum(_count(part, known, within) for part in parts)
        within.discard(id(node))
    return known[id(node)]


def _check_plain(value: Any, place: str, key: str) -> None:
    """Raise ``UserError`` for what JSON cannot hold."""
    if isinstance(value, dict):
        for name, inside in value.items():
            _check_key(name, place)
            _check_plain(inside, place, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for inside in value:
            _check_plain(inside, place, key)
    elif isinstance(value, float) and not math.isfinite(value):
        raise DataError(f"{place} holds {value} at {key!r}: write a finite number.")
    elif not isinstance(value, str | int | float | None):
        raise DataError(f"{place} holds a value of the kind {type(value).__name__} at {key!r}: write it in quotes.")
    elif isinstance(value, str):
        check_letters(value, place, key)


def _check_key(name: Hashable, place: str) -> None:
    if not isinstance(name, str):
        raise DataError(f"{place} has the key {name!r}, which YAML does not read as text: write it in quotes.")
    check_letters(name, place, name)
