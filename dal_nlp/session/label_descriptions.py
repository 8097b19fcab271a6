"""Descriptions of labels: in the label set of a configuration, or in a file of their own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from dal_nlp.core.config import Settings
from dal_nlp.core.errors import ConfigError, nearest
from dal_nlp.core.text import split_names


def with_descriptions(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of a configuration whose ``labels`` are names, with what describes them under ``descriptions``.

    What is said of a label is a sentence or several, or a mapping: ``about`` is these, and ``examples`` and ``color``
    go to ``label_details``.

    Raises:
        UserError: A label is described that is not in the label set.
    """
    labels, described = values.get("labels"), values.get("descriptions")
    if isinstance(labels, Mapping):
        texts = {str(name): text for name, text in labels.items() if text}
        names = [str(name) for name in labels]
        return with_descriptions({**values, "labels": names, "descriptions": described or texts or None})
    details = values.get("label_details")
    known = details is None or isinstance(details, Mapping)  # else its type is what is refused
    if known and isinstance(described, Mapping) and any(isinstance(entry, Mapping) for entry in described.values()):
        return with_descriptions({**values, **_parted(described, details or {})})
    if isinstance(labels, str | list):
        named = split_names(labels) if isinstance(labels, str) else [str(part).strip() for part in labels]
        for by_label in (described, details):
            _check(by_label if isinstance(by_label, Mapping) else {}, named)
    return dict(values)


def _parted(described: Mapping[str, Any], details: Mapping[str, Any]) -> dict[str, Any]:
    """Return descriptions, and apart from them what else is said of labels that have several keys."""
    texts, more = dict[str, Any](), dict(details)
    for name, entry in described.items():
        if not isinstance(entry, Mapping):
            texts[name] = entry
            continue
        if entry.get("about"):
            texts[name] = entry["about"]
        rest = {key: value for key, value in entry.items() if key != "about"}
        if rest:
            more[name] = rest
    return {"descriptions": texts or None, "label_details": more}


def check_described(config: Settings, labels: list[str]) -> None:
    """Raise ``UserError`` where a run describes what is none of its labels, which the data may have shown."""
    for by_label in (config.descriptions or {}, config.label_details):
        _check(by_label, labels)


def _check(described: Mapping[str, Any], labels: list[str]) -> None:
    for name in described:
        if str(name).strip() not in labels:  # YAML reads numbers, and "no"
            close = nearest(str(name), labels)
            raise ConfigError(
                f"A description is of {name!r}{close}, which is none of the labels: {', '.join(labels)}. Correct it, "
                "or name all labels with --labels."
            )


def read_descriptions(file: Path) -> dict[str, Any]:
    """Return the descriptions of a file by label (YAML), each as in ``with_descriptions``.

    Raises:
        UserError: There is no such file, or it holds something else.
    """
    try:
        loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no file {file} with descriptions of the labels: correct --describe.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid YAML: {' '.join(str(error).split())}.") from None
    entries = loaded.values() if isinstance(loaded, Mapping) else [None]
    if not all(isinstance(one, str | list | Mapping) and one for one in entries):
        raise ConfigError(f"{file} must hold a line `label: one to three sentences` for each label.")
    return {str(name).strip(): text for name, text in loaded.items()}


def read_guidelines(file: Path) -> str:
    """Return the guidelines of a file.

    Raises:
        UserError: There is no such file, it is no UTF-8, or it is empty.
    """
    try:
        text = file.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{file} cannot be read as guidelines ({reason}): correct --guidelines.") from None
    if not text:
        raise ConfigError(f"{file} is empty: write the guidelines there, or leave --guidelines out.")
    return text
