"""The flags of ``run`` and ``check``: one table, two commands.

A flag that is not given is None, so that the recipe and the configuration file under it count. What a setting is, and
what holds without it, stands in ``Settings`` and the recipes alone: ``flag_help`` reads it there for the help.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer

from dal_nlp_cli import completion
from dal_nlp_cli.command import Debug, Trust

if TYPE_CHECKING:
    from dal_nlp.session.config import RunConfig

#: Flags that are no keys of ``RunConfig``.
_OF_THE_COMMAND = (
    "config", "settings", "quiet", "trust", "debug", "train", "prior", "describe", "guidelines", "label_separator",
    "label_columns",
    "llm_prompt", "llm_examples", "llm_url", "llm_model", "llm_parallel", "llm_texts", "llm_budget",
    "llm_price_in", "llm_price_out", "send_texts",
)  # fmt: skip
#: Flags that begin with llm_, and keys of ``llm``.
_OF_LLM = ("prompt", "examples", "url", "model", "parallel", "texts", "budget", "price_in", "price_out")


def flag(
    panel: str, metavar: str, help: str, default: str, *names: str, complete: Callable[[str], list[str]] | None = None
) -> Any:
    """Describe one flag; what holds without it ends its help; ``complete`` is how a shell completes its value."""
    text = f"{help} Default: {default}."
    return typer.Option(
        *names, metavar=metavar, help=text, show_default=False, rich_help_panel=panel, autocompletion=complete
    )


def setting(panel: str, metavar: str, *names: str, complete: Callable[[str], list[str]] | None = None) -> Any:
    """Describe a flag that is a setting, and how a shell completes its value."""
    return typer.Option(*names, metavar=metavar, show_default=False, rich_help_panel=panel, autocompletion=complete)


_DATA, _MODEL, _LABELS, _RUN = "Data", "Model and strategy", "Labels and budget", "The run"
_PEOPLE, _MACHINES = "Who answers", "Machine-made answers"


F = TypeVar("F", bound="Flags")


@dataclass
class Flags:
    """What was typed."""

    task: Annotated[str | None, setting(_RUN, "NAME", complete=completion.tasks)] = None
    data: Annotated[str | None, setting(_DATA, "POOL")] = None
    test: Annotated[str | None, setting(_DATA, "FILE")] = None
    text_column: Annotated[str | None, setting(_DATA, "A[,B]")] = None
    label_column: Annotated[str | None, setting(_DATA, "NAME")] = None
    label_separator: Annotated[
        str | None, flag(_DATA, "TEXT", "What stands between labels in a cell (multilabel).", "|")
    ] = None
    label_columns: Annotated[
        str | None, flag(_DATA, "A,B,C", "A column of 0 and 1 for each label (multilabel).", "one column of labels")
    ] = None
    id_column: Annotated[str | None, setting(_DATA, "NAME")] = None
    context_columns: Annotated[str | None, setting(_DATA, "A,B")] = None
    encoding: Annotated[str | None, setting(_DATA, "NAME")] = None
    repeats: Annotated[str | None, setting(_DATA, "HOW")] = None
    quoting: Annotated[str | None, setting(_DATA, "HOW")] = None
    labels: Annotated[str | None, setting(_DATA, "A,B,C")] = None
    describe: Annotated[Path | None, setting(_DATA, "FILE")] = None
    labeled: Annotated[str | None, setting(_DATA, "FILE")] = None
    validation: Annotated[str | None, setting(_DATA, "FILE")] = None
    answers: Annotated[str | None, setting(_DATA, "FILE")] = None
    strict: Annotated[bool | None, setting(_DATA, "", "--strict")] = None
    model: Annotated[str | None, setting(_MODEL, "NAME")] = None
    max_length: Annotated[str | None, setting(_MODEL, "N")] = None
    revision: Annotated[str | None, setting(_MODEL, "REV")] = None
    strategy: Annotated[str | None, setting(_MODEL, "NAME", complete=completion.strategies)] = None
    initial_strategy: Annotated[str | None, setting(_MODEL, "NAME", complete=completion.strategies)] = None
    pseudo_labels: Annotated[str | None, setting(_MODEL, "NAME")] = None
    train: Annotated[str | None, setting(_MODEL, "MODE")] = None
    prior: Annotated[str | None, setting(_MODEL, "NAME")] = None
    signals: Annotated[list[str] | None, setting(_MACHINES, "KIND:WHAT", "--signal")] = None
    keep_witness: Annotated[bool | None, setting(_MACHINES, "", "--keep-witness")] = None
    audit_by_llm: Annotated[bool | None, setting(_MACHINES, "", "--audit-by-llm")] = None
    llm_prompt: Annotated[
        str | None, flag(_MACHINES, "TEXT", "What llm: is asked, with {text} and {labels}.", "a plain question")
    ] = None
    llm_examples: Annotated[
        int | None, flag(_MACHINES, "K", "Texts of each label that its prompt shows, of --labeled.", "0")
    ] = None
    llm_url: Annotated[
        str | None, flag(_MACHINES, "URL", "An OpenAI-compatible endpoint, for llm:MODEL.", "a local model")
    ] = None
    llm_model: Annotated[str | None, flag(_MACHINES, "NAME", "Its model.", "what stands after llm:")] = None
    llm_parallel: Annotated[int | None, flag(_MACHINES, "N", "Most questions at a time.", "4")] = None
    llm_texts: Annotated[int | None, flag(_MACHINES, "N", "Random texts of the pool that it is asked.", "all")] = None
    llm_budget: Annotated[float | None, flag(_MACHINES, "MONEY", "Most money, by the prices.", "no limit")] = None
    llm_price_in: Annotated[float | None, flag(_MACHINES, "MONEY", "Of a million tokens that it reads.", "0")] = None
    llm_price_out: Annotated[float | None, flag(_MACHINES, "MONEY", "Of a million tokens that it writes.", "0")] = None
    send_texts: Annotated[bool | None, flag(_MACHINES, "", "Texts may leave this machine.", "off", "--send-texts")] = (
        None
    )
    finish: Annotated[str | None, setting(_MODEL, "HOW")] = None
    cache: Annotated[str | None, setting(_RUN, "DIR")] = None
    oracle: Annotated[str | None, setting(_PEOPLE, "NAME", complete=completion.oracles)] = None
    annotators: Annotated[str | None, setting(_PEOPLE, "A,B,C")] = None
    overlap: Annotated[str | None, setting(_PEOPLE, "10%")] = None
    guidelines: Annotated[
        Path | None,
        flag(_PEOPLE, "FILE.md", "What annotators and language models are told of the task, in Markdown.", "none"),
    ] = None
    suggest: Annotated[bool | None, setting(_PEOPLE, "", "--suggest")] = None
    initial: Annotated[int | None, setting(_LABELS, "N")] = None
    query_size: Annotated[int | None, setting(_LABELS, "K")] = None
    rounds: Annotated[int | None, setting(_LABELS, "R")] = None
    budget: Annotated[str | None, setting(_LABELS, "B")] = None
    price_per_label: Annotated[float | None, setting(_LABELS, "MONEY")] = None
    price_per_hour: Annotated[float | None, setting(_LABELS, "MONEY")] = None
    target: Annotated[str | None, setting(_LABELS, "METRIC=VALUE")] = None
    metrics: Annotated[list[str] | None, setting(_LABELS, "NAME", "--metric")] = None
    stop: Annotated[str | None, setting(_LABELS, "RULES")] = None
    audit: Annotated[int | None, setting(_LABELS, "N")] = None
    audit_design: Annotated[str | None, setting(_LABELS, "HOW")] = None
    out: Annotated[str | None, setting(_RUN, "DIR")] = None
    track: Annotated[str | None, setting(_RUN, "NAME")] = None
    config: Annotated[
        Path | None, flag(_RUN, "FILE", "Settings in YAML (`dal-nlp init` writes one); flags win over it.", "none")
    ] = None
    settings: Annotated[
        list[str] | None, flag(_RUN, "A.B=C", "Any other setting; may be repeated.", "none", "--set")
    ] = None
    seed: Annotated[int | None, flag(_RUN, "S", "Seed of everything that is drawn.", "0")] = None
    quiet: Annotated[bool, flag(_RUN, "", "No progress.", "off", "--quiet")] = False
    trust: Trust = False
    debug: Debug = False

    def values(self) -> dict[str, Any]:
        """Return what the configuration is built from: the file, the flags over it, ``--set`` over both."""
        from dal_nlp.session.config import gather_settings
        from dal_nlp.session.label_descriptions import read_descriptions, read_guidelines

        flags = {field.name: vars(self)[field.name] for field in fields(Flags) if field.name not in _OF_THE_COMMAND}
        flags["metrics"] = self.metrics or None
        if self.train is not None:
            flags["training"] = {"mode": self.train}
        own = {"label_separator": self.label_separator, "label_columns": self.label_columns}
        if any(value is not None for value in own.values()):
            flags["task_options"] = {name: value for name, value in own.items() if value is not None}
        if self.prior is not None:
            flags["head"] = {"prior": self.prior}
        if self.describe is not None:
            flags["descriptions"] = read_descriptions(self.describe)
        if self.guidelines is not None:
            flags["guidelines"] = read_guidelines(self.guidelines)
        flags["signals"] = self.signals or None
        llm = {name: vars(self)[f"llm_{name}"] for name in _OF_LLM} | {"send_texts": self.send_texts}
        if any(value is not None for value in llm.values()):
            flags["llm"] = {name: value for name, value in llm.items() if value is not None}
        return gather_settings(self.config, flags, self.settings or ())

    def load(self) -> "RunConfig":
        """Build the configuration; raises ``UserError``."""
        from dal_nlp.session.config import RunConfig

        return RunConfig.of(self.values())


@dataclass
class RunFlags(Flags):
    """What was typed."""

    processes: Annotated[
        int | None, flag(_RUN, "N", "Processes that share the work on this machine; with GPUs, one each.", "1")
    ] = None


def takes_flags(command: Callable[[F], None]) -> Callable[..., None]:
    """Give a command every field of its ``Flags`` as a parameter, which is where Typer looks for options."""
    (flags,) = (hint for name, hint in get_type_hints(command).items() if name != "return")

    @wraps(command)
    def typed(**given: Any) -> None:
        command(flags(**given))

    hints = get_type_hints(flags, include_extras=True)
    typed.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
            )
            for field in fields(flags)
        ]
    )
    return typed
