"""References: one text, or several, that somebody wrote for a document."""

from typing import Any

from dal_nlp.core.errors import RowError
from dal_nlp.core.targets import Target
from dal_nlp.readers.literals import literal
from dal_nlp.readers.values import is_spreadsheet_error, kind, text_of


def references(target: Any) -> list[Any]:
    """Return the references in a target, or in a cell of a file: a text is one."""
    if target is None:
        return []
    return list(target) if isinstance(target, list | tuple) else [target]


def read_references(value: Any) -> Target | None:
    """Return the references in a cell: a text, a list of several different ones, or None where there is none.

    A text that is a list of texts in JSON or Python, as tables have it, is a list; the error of a formula is none.

    Raises:
        RowError: It is something else.
    """
    if isinstance(value, str) and value.lstrip().startswith(("[", "(")):
        listed = literal(value)
        value = listed if isinstance(listed, list | tuple) and all(isinstance(text, str) for text in listed) else value
    try:
        items = [text_of(text) for text in references(value)]
    except RowError:
        if all(isinstance(text, str) for text in references(value)):
            raise  # a text that cannot be kept
        raise RowError(f"holds {kind(value)} that is neither a text nor a list of texts: correct it") from None
    stripped = [text.strip() for text in items if text is not None and not is_spreadsheet_error(text)]
    texts = list(dict.fromkeys(stripped))
    if len(texts) > 1:
        return texts
    return texts[0] if texts else None
