"""Targets: the answers to examples, as JSON values of a task's own kind."""

import json
from operator import index
from typing import Any

#: A JSON value. People read a text as it is, and of an object what it holds under "text" (see ``readable``).
Target = Any

#: What people read where a list of labels is empty.
NO_LABEL = "none"


def readable(target: Target) -> str:
    """Return what people read of a target: of an object its "text", a list of which is several ways to say it.

    Of a list of labels these, with ``|`` between.
    """
    if isinstance(target, list) and all(isinstance(part, str) for part in target):
        return " | ".join(target) or NO_LABEL
    texts = target.get("text") if isinstance(target, dict) else target
    if isinstance(texts, list):
        return " | ".join(dict.fromkeys(map(str, texts))) or "no answer"
    return texts if isinstance(texts, str) else json.dumps(target, ensure_ascii=False)


def decode(text: str | None) -> Target | None:
    """Return the target that a dataset's ``target`` column holds as JSON text."""
    return None if text is None else json.loads(text)


def encode_target(target: Target) -> str:
    """Return a target as the JSON text of a dataset's ``target`` column."""
    return json.dumps(target, ensure_ascii=False, sort_keys=True)


def class_number(answer: Any) -> int | None:
    """Return a class number of any whole kind (numpy's and torch's too), None for what is none."""
    try:
        return None if isinstance(answer, bool) else index(answer)
    except TypeError:
        return None
