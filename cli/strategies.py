"""``dal-nlp strategies``: the table of strategies, from their docstrings."""

import ast
import inspect
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from dal_nlp_cli.command import Debug
from dal_nlp_cli.terminal import say, table

_SECTIONS = ("Reads", "Cost", "Tasks")


def strategies(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One strategy, in full.", show_default=False)
    ] = None,
    debug: Debug = False,
) -> None:
    """List the strategies: what they do, read and cost, and for which tasks; or explain one."""
    from dal_nlp.core.plugins import built_in
    from dal_nlp.strategies import ALIASES, STRATEGIES, make_strategy
    from dal_nlp.strategies.pseudo_labels import PSEUDO_LABELS

    policies = {key: PSEUDO_LABELS[alias["pseudo_labels"]["policy"]] for key, alias in ALIASES.items()}
    known = {**STRATEGIES, **policies}
    if name is not None:
        explain(name, built_in(known[name]) if name in known else type(make_strategy(name, {})))
        return
    table(("strategy", "what it does"), [(key, _cell(*summary(docstring(place)))) for key, place in known.items()])
    say("`dal-nlp strategies NAME` tells all about one: formula, options, paper.")


def _cell(idea: str, *sections: str) -> str:
    """Put a strategy into two lines, which five columns of a narrow screen would spread over ten."""
    facts = [f"{name.lower()}: {text}" for name, text in zip(_SECTIONS, sections, strict=True)]
    return f"{idea}\n{' · '.join(facts)}"


def docstring(place: str) -> str:
    """Return the docstring of the class at ``module:Class``, read off the source: importing them all takes seconds."""
    module, _, name = place.partition(":")
    spec = find_spec(module)
    assert spec is not None and spec.origin is not None  # the tables name modules of this package
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    (node,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    return ast.get_docstring(node) or ""


def summary(text: str) -> list[str]:
    """Return how a strategy's idea and its sections Reads, Cost and Tasks begin; "" for one that is missing.

    Args:
        text: The strategy's docstring.
    """
    idea = re.split(r"\n\s*\n|\n(?=\w+:)", text)[0]
    found = {name: re.search(rf"^{name}:(.*(?:\n[ ]+\S.*)*)", text, re.MULTILINE) for name in _SECTIONS}
    parts = [idea, *(match[1] if match else "" for match in found.values())]
    # Second thoughts come after the first stop; those inside a formula's brackets, or before a small letter, are none.
    stop = re.compile(r";(?![^()]*\))|\.(?:\s+(?=[A-Z])|$)")
    first = [stop.split(" ".join(part.split()))[0] for part in parts]
    return [part.replace("``", "") for part in first]


def explain(name: str, cls: type) -> None:
    """Print the whole docstring of a strategy and its options."""
    from dataclasses import fields, is_dataclass

    say(f"{name}\n\n{inspect.getdoc(cls) or 'It has no docstring.'}")
    options: list[str] = (
        [f"    --set strategy_options.{f.name}={f.default}" for f in fields(cls)] if is_dataclass(cls) else []
    )
    if options:
        say("\n".join(["", "Options:", *options]))
