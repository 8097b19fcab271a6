"""Lists and objects that a cell holds as text, in JSON or as Python and NumPy print them."""

import ast
import json
import re
import tokenize
from io import StringIO
from typing import Any

#: Brackets within brackets; an interpreter's stack ends somewhere beyond.
_DEEPEST = 100
_ADJACENT = (tokenize.STRING, tokenize.NUMBER)


def load_json(text: str) -> Any:
    """Return what a JSON text stands for; an integer longer than Python converts is a text of its digits.

    Raises:
        ValueError: It is broken, or nested too deeply; the message says which.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError:  # an integer of more than 4,300 digits
        return json.loads(text, parse_int=_integer)


def literal(text: str) -> Any:
    """Return the list, tuple or mapping that a text is in JSON or in Python, the text itself where it is neither.

    A set is a list, and so are NumPy's ``array([...], dtype=object)`` and its lists
    without commas, as pandas writes them.
    """
    stripped = text.strip()
    if not stripped.startswith(("[", "{", "(")) or _depth(stripped) > _DEEPEST:
        return text
    try:
        return load_json(stripped)
    except ValueError:
        pass
    try:
        value = ast.literal_eval(_Arrays().visit(ast.parse(_with_commas(stripped), mode="eval")))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError, tokenize.TokenError):
        return text
    return (
        sorted(value, key=str) if isinstance(value, set) else value if isinstance(value, list | tuple | dict) else text
    )


class _Arrays(ast.NodeTransformer):
    """Puts the list of ``array(LIST, ...)`` in its place, None for ``nan``."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "array" and node.args:
            return self.visit(node.args[0])  # type: ignore[no-any-return]
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Constant(None) if node.id in ("nan", "NaN", "null") else node


def _with_commas(text: str) -> str:
    """Put commas between the entries of a list as NumPy prints it, which Python would join to one text."""
    parts: list[str] = []
    last = tokenize.OP
    for token in tokenize.generate_tokens(StringIO(text).readline):
        if token.type in (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER):
            continue
        if token.type in _ADJACENT and last in _ADJACENT:
            parts.append(",")
        parts.append(token.string)
        last = token.type
    return " ".join(parts)


def _depth(text: str) -> int:
    """Return how many brackets are open at once at most; those in quotes count too, which is on the safe side."""
    depth = deepest = 0
    for bracket in re.findall(r"[\[\](){}]", text):
        depth += 1 if bracket in "[({" else -1
        deepest = max(deepest, depth)
    return deepest


def _integer(digits: str) -> int | str:
    try:
        return int(digits)
    except ValueError:
        return digits
