"""The help of the flags that are settings: what ``Settings`` says of them, and what the recipes of the tasks set."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from dal_nlp_cli.command import Command


class SettingsCommand(Command):
    """A command whose flags without a help of their own are settings; these are loaded when it shows its help."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # of click, see ``Command``
        """Write the help."""
        for parameter in self.params:
            option: Any = parameter
            option.help = option.help or help_of(str(option.name))
        super().format_help(ctx, formatter)


def help_of(name: str) -> str:
    """Return the help of a flag: what its setting is, and what holds without it."""
    from dal_nlp.core.config import OF_FLAGS, Settings

    path = OF_FLAGS.get(name, name).split(".")
    section: Any = Settings
    for key in path[:-1]:
        section = type(section.model_fields[key].default)
    field = section.model_fields[path[-1]]
    text, _, unset = str(field.description).partition("; null: ")
    plain = "that of --config" if field.is_required() else unset or _written(field.default)
    return f"{text[:1].upper()}{text[1:]}. Default: {_default(path, plain)}."


def _default(path: list[str], plain: str) -> str:
    """Return what holds without a flag, first for the first task, then where it differs for others."""
    tasks: dict[str, list[str]] = {}
    for task, recipe in _recipes().items():
        value: Any = recipe
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        tasks.setdefault(plain if value is None else _written(value), []).append(task)
    first, *others = tasks
    return ", ".join([first, *(f"in {' and '.join(tasks[value])} {value}" for value in others)])


@cache
def _recipes() -> dict[str, Mapping[str, Any]]:
    """Return what each task sets, by the name of its recipe."""
    from dal_nlp.core.config import merge
    from dal_nlp.session.config import layers_of
    from dal_nlp.tasks import TASKS, recipe_of

    return {name: merge(*layers_of(name, {})) for name in dict.fromkeys(map(recipe_of, TASKS))}


def _written(value: object) -> str:
    """Return a value as people read it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ",".join(map(str, value)) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None or value == {} else str(value)
