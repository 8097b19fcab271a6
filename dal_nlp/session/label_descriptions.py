"""Descriptions of labels: in the label set of a configuration, or in a file of their own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from dal_nlp.core.errors import ConfigError, nearest


def with_descriptions(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of a configuration whose ``labels`` are names, with what describes them under ``descriptions``.

    Raises:
        UserError: A label is described that is not in the label set.
    """
    labels, described = values.get("labels"), values.get("descriptions")
    if isinstance(labels, Mapping):
        texts = {str(name): text for name, text in labels.items() if text}
        names = [str(name) for name in labels]
        return with_descriptions({**values, "labels": names, "descriptions": described or texts or None})
    if isinstance(described, Mapping) and isinstance(labels, str | list):
        named = [part.strip() for part in labels.split(",")] if isinstance(labels, str) else labels
        check_described(described, named)
    return dict(values)


def check_described(described: Mapping[str, Any], labels: list[str]) -> None:
    """Raise ``UserError`` where something is described that is no label."""
    for name in described:
        if name not in labels:
            close = nearest(str(name), labels)
            raise ConfigError(f"A description is of {name!r}{close}, which is none of the labels: {', '.join(labels)}.")


def read_descriptions(file: Path) -> dict[str, str | list[str]]:
    """Return the descriptions of a file by label: ``label: text`` lines, or labels with lists of sentences (YAML).

    Raises:
        UserError: There is no such file, or it holds something else.
    """
    try:
        loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no file {file} with descriptions of the labels: correct --describe.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(loaded, Mapping) or not all(isinstance(text, str | list) and text for text in loaded.values()):
        raise ConfigError(f"{file} must hold a line `label: one to three sentences` for each label.")
    return {str(name): text for name, text in loaded.items()}
