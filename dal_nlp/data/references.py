"""References: one text, or several, that somebody wrote for a document."""

import json
from typing import Any

from dal_nlp.core.errors import RowError
from dal_nlp.core.targets import Target


def references(target: Any) -> list[Any]:
    """Return the references in a target, or in a cell of a file: a text is one."""
    if target is None:
        return []
    return list(target) if isinstance(target, list | tuple) else [target]


def read_references(value: Any) -> Target | None:
    """Return the references in a cell: a text, a list of several different ones, or None where there is none.

    A text that is a list in JSON, as tables have it, is a list.

    Raises:
        RowError: It is something else.
    """
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = _listed(value)
    found = references(value)
    if isinstance(value, dict | set) or any(isinstance(text, dict | list | set) for text in found):
        raise RowError("holds a text that is neither one nor a list of texts: correct it")
    given = [str(text).strip() for text in found if text is not None and text == text]  # NaN is an empty cell
    texts = list(dict.fromkeys(text for text in given if text))
    if len(texts) > 1:
        return texts
    return texts[0] if texts else None


def _listed(text: str) -> Any:
    """Return the list that a text is in JSON, or the text where it is none: it may begin with a bracket."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    strings = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return value if strings else text
