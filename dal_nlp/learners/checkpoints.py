"""The files of a model in a folder: whether they are there and can be read."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import nn
from transformers import PreTrainedTokenizerFast

from dal_nlp.core.task import Task

#: Where the parts of a model are listed that is too large for one file.
INDEX = "model.safetensors.index.json"


def damage(folder: Path, needed: Iterable[str]) -> str:
    """Return what is wrong with the files of a model, "" where nothing is.

    The beginning of each file of weights is read, which says how long the file has to be; so one that was cut off, or
    is empty, is found without reading it whole.

    Args:
        folder: Of the model.
        needed: Patterns of names; there has to be a file for each.
    """
    from safetensors import SafetensorError, safe_open

    for pattern in needed:
        if not any(folder.glob(pattern)):
            return f"it has no {pattern}"
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="numpy"):
                pass
        except (SafetensorError, OSError) as error:
            return f"{path.name} cannot be read: {error}"
    for name in ("config.json", INDEX):
        if (folder / name).is_file() and not isinstance(read_json(folder / name), dict):
            return f"{name} cannot be read"
    listed = read_json(folder / INDEX)
    parts = set(listed.get("weight_map", {}).values()) if isinstance(listed, dict) else set()
    return next((f"it has no {part}" for part in sorted(parts) if not (folder / part).is_file()), "")


def read_json(path: Path) -> object:
    """Return what a JSON file holds, None where it is not there or cannot be read."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def fitted_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a task has left in a model's configuration, of all that it holds; see ``Task.calibrate``."""
    own = {name: value for name, value in config.items() if name.startswith("dal_nlp_") or name == "problem_type"}
    return {name: value for name, value in own.items() if value is not None}


def write_model(model: nn.Module, task: Task, folder: Path) -> None:
    """Write a model and its tokenizer, for ``from_pretrained``."""
    model.save_pretrained(folder, safe_serialization=True)  # type: ignore[operator]
    if isinstance(task.tokenizer, PreTrainedTokenizerFast):  # what it was last called with is no part of it
        task.tokenizer.backend_tokenizer.no_truncation()
        task.tokenizer.backend_tokenizer.no_padding()
    task.tokenizer.save_pretrained(folder)
