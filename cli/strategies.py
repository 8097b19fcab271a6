"""``dal-nlp strategies``: the table of strategies, from their docstrings."""

import ast
import inspect
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from dal_nlp_cli import completion
from dal_nlp_cli.command import Debug
from dal_nlp_cli.terminal import say, table

_SECTIONS = ("Reads", "Cost", "Tasks")
#: Families of strategies, by words that stand in what one reads.
FAMILIES = {
    ("nothing",): "neither model nor text",
    ("embedding", "log_probs"): "unsure and unlike each other",
    ("embedding", "samples"): "unsure and unlike each other",
    ("embedding", "loss"): "unsure and unlike each other",
    ("embedding",): "unlike each other",
    ("token_losses",): "unlike each other",
    ("gradient",): "what would change the model",
    ("draws",): "what several readings of a text disagree about",
    ("two_views",): "what several readings of a text disagree about",
    ("samples",): "what several readings of a text disagree about",
    (): "what the model is unsure of",
}


def strategies(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="One strategy, in full.", show_default=False, autocompletion=completion.strategies
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """List the strategies by families, and where to start; or explain one."""
    from dal_nlp.core.config import merge
    from dal_nlp.core.plugins import built_in
    from dal_nlp.session.config import layers_of
    from dal_nlp.strategies import ALIASES, STRATEGIES, make_strategy
    from dal_nlp.strategies.pseudo_labels import PSEUDO_LABELS

    policies = {key: PSEUDO_LABELS[alias["pseudo_labels"]["policy"]] for key, alias in ALIASES.items()}
    known = {**STRATEGIES, **policies}
    if name is not None:
        # Of the package's own ones the text comes first: their classes take seconds to import.
        if name in known:
            say(f"{name}\n\n{docstring(known[name])}")
            explain(name, built_in(known[name]))
        else:
            cls = type(make_strategy(name, {}))
            say(f"{name}\n\n{inspect.getdoc(cls) or 'It has no docstring.'}")
            explain(name, cls)
        return
    usual, several = (merge(*layers_of(task, {}))["strategy"] for task in ("classification", "multilabel"))
    entities = merge(*layers_of("ner", {"training": {"mode": "head"}})[:2])["strategy"]
    say(
        f"Start here: {usual}, the default of --train head ({several} for several labels a text, {entities} for "
        "entities); margin for all else (one pass, every task). Compare with random: `dal-nlp compare`."
    )
    summaries = {key: summary(docstring(class_path)) for key, class_path in known.items()}
    width = max(map(len, summaries))
    for title in dict.fromkeys(reversed(FAMILIES.values())):
        say(f"\n{title[:1].upper()}{title[1:]}:")
        table(
            ("", ""),
            [(key.ljust(width), _row(*parts)) for key, parts in summaries.items() if family(parts[1]) == title],
        )
    say("`dal-nlp strategies NAME` tells all about one: formula, source, what it needs, options, an example.")


def family(reads: str) -> str:
    """Return the family of a strategy by what it reads: the first of ``FAMILIES`` whose words are all there."""
    return next(title for words, title in FAMILIES.items() if all(word in reads for word in words))


def _row(idea: str, reads: str, cost: str, tasks: str) -> str:
    """Return a strategy's idea in words, without its formula, and its tasks where these are not all."""
    words, colon, rest = idea.partition(": ")
    text = words if len(words.split()) > 3 else f"{words}{colon}{rest}"
    return text if tasks.startswith("all") else f"{text} [{tasks.split(':')[0]}]"


def docstring(class_path: str) -> str:
    """Return the docstring of the class at ``module:Class``, read off the source: importing them all takes seconds."""
    module, _, name = class_path.partition(":")
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
    matches = {name: re.search(rf"^{name}:(.*(?:\n[ ]+\S.*)*)", text, re.MULTILINE) for name in _SECTIONS}
    parts = [idea, *(match[1] if match else "" for match in matches.values())]
    # Second thoughts come after the first stop; those inside a formula's brackets, or before a small letter, are none.
    stop = re.compile(r";(?![^()]*\))|\.(?:\s+(?=[A-Z])|$)")
    first = [stop.split(" ".join(part.split()))[0] for part in parts]
    return [part.replace("``", "") for part in first]


def explain(name: str, cls: type) -> None:
    """Print what a strategy needs, its options, and an example."""
    from dataclasses import fields, is_dataclass

    if needs := sorted(getattr(cls, "requires", ())):
        say(f"\nNeeds: {', '.join(needs)}.")
    options: list[str] = (
        [f"    --set strategy_options.{f.name}={f.default}" for f in fields(cls)] if is_dataclass(cls) else []
    )
    if options:
        say("\n".join(["", "Options:", *options]))
    say(f"\nExample:\n    dal-nlp run --task TASK --data FILE --strategy {name}")
