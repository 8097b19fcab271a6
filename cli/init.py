"""``dal-nlp init``: a configuration file with every key, its default and what it means."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dal_nlp.core.errors import UserError
from dal_nlp_cli.command import Debug
from dal_nlp_cli.terminal import say

if TYPE_CHECKING:
    from dal_nlp.core.config import Section

_COMMENT_COLUMN = 32


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")] = Path("dal-nlp.yaml"),
    task: Annotated[str, typer.Option(metavar="NAME", help="The task whose recipe is shown.")] = "sentiment",
    debug: Debug = False,
) -> None:
    """Write a commented configuration file for `dal-nlp run --config FILE`."""
    text = template(task, file)
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise UserError(f"{file} is there already: remove it, or name another file.") from None
    except OSError as error:
        raise UserError(f"{file} cannot be written ({error.strerror}): name another file.") from None
    say(f"{file} is written: fill it in, then `dal-nlp check --config {file}`.")


def template(task: str, file: Path) -> str:
    """Return the file's text; it loads as the defaults of the task.

    Keys that the recipe of a task sets stay comments, so that the recipe counts, also after the task was changed.
    """
    from dal_nlp.core.config import merge
    from dal_nlp.session.config import RunConfig, layers_of
    from dal_nlp.tasks import recipe_of

    lines = [
        f"# Settings of a run: dal-nlp run --config {file}",
        "# Flags of the command win over this file. Lines that begin with # hold what the recipe of the task says:",
        "# remove the # (of the section's name too) to change them.",
        "",
        *_lines(RunConfig, {"task": task}, merge(*layers_of(recipe_of(task), {}))),
    ]
    return "\n".join(lines) + "\n"


def _lines(
    section: "type[Section]", values: Mapping[str, Any], by_recipe: Mapping[str, Any], indent: str = ""
) -> Iterator[str]:
    """Yield the lines of a section; ``values`` replace defaults, keys of ``by_recipe`` are commented out."""
    import yaml

    from dal_nlp.core.config import Section

    for name, field in section.model_fields.items():
        if isinstance(field.default, Section):
            body = list(_lines(type(field.default), {}, by_recipe.get(name, {}), f"{indent}  "))
            mark = "# " if all(line.startswith("#") for line in body) else ""
            yield f"{mark}{indent}{name}:"
            yield from body
        else:
            value = by_recipe.get(name, values.get(name, field.default))
            mark = "# " if name in by_recipe else ""
            shown = yaml.safe_dump({name: value}, default_flow_style=True, width=math.inf).strip()[1:-1]
            yield f"{mark}{indent}{shown}".ljust(_COMMENT_COLUMN) + f"  # {field.description}"
