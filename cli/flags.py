"""The flags of ``run`` and ``check``: one table, two commands.

A flag that is not given is None, so that the recipe and the configuration file under it count. The defaults in the help
texts are those of ``RunConfig``, written out because importing it would take longer than the help may.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer

from dal_nlp_cli.command import Debug, Trust

if TYPE_CHECKING:
    from dal_nlp.session.config import RunConfig

#: Flags that are no keys of ``RunConfig``.
_OF_THE_COMMAND = (
    "config",
    "settings",
    "quiet",
    "trust",
    "debug",
    "train",
    "prior",
    "describe",
    "label_separator",
    "label_columns",
)


def flag(panel: str, metavar: str, help: str, default: str, *names: str) -> Any:
    """Describe one flag; what holds without it ends its help."""
    text = f"{help} Default: {default}."
    return typer.Option(*names, metavar=metavar, help=text, show_default=False, rich_help_panel=panel)


_DATA, _MODEL, _LABELS, _RUN = "Data", "Model and strategy", "Labels and budget", "The run"
_PEOPLE = "Who answers"


F = TypeVar("F", bound="Flags")


@dataclass
class Flags:
    """What was typed."""

    task: Annotated[
        str | None,
        flag(
            _RUN,
            "NAME",
            "sentiment, classification, multilabel, qa, summarization, ner, or module:Class.",
            "that of --config",
        ),
    ] = None
    data: Annotated[
        str | None, flag(_DATA, "POOL", "The pool: a file, Arrow folder or Hub name.", "the demonstration")
    ] = None
    test: Annotated[str | None, flag(_DATA, "TEST", "Labeled examples that only measure.", "an audit sample")] = None
    text_column: Annotated[
        str | None,
        flag(
            _DATA,
            "A[,B]",
            "Column of the text, or of a pair (in qa: question,context; in summarization: document).",
            "text",
        ),
    ] = None
    label_column: Annotated[
        str | None, flag(_DATA, "NAME", "Column of the answers (in qa: answers; in summarization: summary).", "label")
    ] = None
    label_separator: Annotated[
        str | None, flag(_DATA, "TEXT", "What stands between labels in a cell (multilabel).", "|")
    ] = None
    label_columns: Annotated[
        str | None, flag(_DATA, "A,B,C", "A column of 0 and 1 for each label (multilabel).", "one column of labels")
    ] = None
    id_column: Annotated[
        str | None, flag(_DATA, "NAME", "Column of stable ids, or none.", "id, else a hash of the text")
    ] = None
    context_columns: Annotated[
        str | None, flag(_DATA, "A,B", "Columns that people are shown beside the text.", "none")
    ] = None
    encoding: Annotated[
        str | None, flag(_DATA, "NAME", "Of text files that are not UTF-8, such as cp1252.", "found by their bytes")
    ] = None
    repeats: Annotated[
        str | None,
        flag(_DATA, "HOW", "What counts where one text has several answers: first, majority or drop.", "an error"),
    ] = None
    quoting: Annotated[
        str | None, flag(_DATA, "HOW", "none: double quotes in tables are letters, around no cell.", "double")
    ] = None
    labels: Annotated[
        str | None,
        flag(_DATA, "A,B,C", 'The label set, if the files do not show all of it: "a, b",c.', "those in the files"),
    ] = None
    describe: Annotated[
        Path | None,
        flag(_DATA, "FILE", "`label: one to three sentences` lines, which --train head starts from.", "names"),
    ] = None
    labeled: Annotated[
        str | None, flag(_DATA, "FILE", "Labels you already have: they train and cost nothing.", "none")
    ] = None
    validation: Annotated[
        str | None, flag(_DATA, "FILE", "Labeled examples for the rules that read a score.", "the audit sample")
    ] = None
    answers: Annotated[
        str | None, flag(_DATA, "FILE", "The answers, joined by id.", "the label column of the pool")
    ] = None
    strict: Annotated[bool | None, flag(_DATA, "", "Rows that would be dropped are errors.", "off", "--strict")] = None
    model: Annotated[
        str | None,
        flag(_MODEL, "NAME", "Alias, folder or Hub id of the model.", "auto: mpnet, or minilm where that is slow"),
    ] = None
    revision: Annotated[
        str | None, flag(_MODEL, "REV", "Branch, tag or commit of a model on the Hub.", "the newest")
    ] = None
    strategy: Annotated[
        str | None,
        flag(_MODEL, "NAME", "How examples are chosen (in summarization: idds); see `dal-nlp strategies`.", "margin"),
    ] = None
    initial_strategy: Annotated[
        str | None, flag(_MODEL, "NAME", "How the first examples are chosen (in summarization: idds).", "kmeans")
    ] = None
    pseudo_labels: Annotated[
        str | None, flag(_MODEL, "NAME", "Which of the model's own answers train beside the labels: ceal.", "none")
    ] = None
    train: Annotated[
        str | None,
        flag(_MODEL, "MODE", "What is trained: full (all weights), head (one layer, in a second) or lora.", "full"),
    ] = None
    prior: Annotated[
        str | None,
        flag(_MODEL, "NAME", "What --train head starts from: descriptions of the labels, or none.", "descriptions"),
    ] = None
    finish: Annotated[
        str | None, flag(_MODEL, "HOW", "full: after --train head, train all weights once at the end.", "none")
    ] = None
    cache: Annotated[
        str | None, flag(_RUN, "DIR", "Where --train head keeps what encoders made of texts.", "~/.cache/dal-nlp")
    ] = None
    oracle: Annotated[
        str | None,
        flag(
            _PEOPLE, "NAME", "Who answers: labeled-file, file, label-studio, noisy:0.1, module:Class.", "labeled-file"
        ),
    ] = None
    annotators: Annotated[
        str | None, flag(_PEOPLE, "A,B,C", "People who answer, each in a sheet of their own.", "anybody")
    ] = None
    overlap: Annotated[str | None, flag(_PEOPLE, "10%", "Share of a round that all of them answer.", "0%")] = None
    suggest: Annotated[
        bool | None, flag(_PEOPLE, "", "Show people what the model would answer.", "off", "--suggest")
    ] = None
    initial: Annotated[int | None, flag(_LABELS, "N", "Labels of round 0.", "20, with --labeled 0")] = None
    query_size: Annotated[int | None, flag(_LABELS, "K", "Labels of every later round.", "20")] = None
    rounds: Annotated[int | None, flag(_LABELS, "R", "Rounds after round 0.", "9, with --budget as it allows")] = None
    budget: Annotated[
        int | None, flag(_LABELS, "B", "All labels that may be bought.", "audit + initial + rounds x query size")
    ] = None
    target: Annotated[
        str | None, flag(_LABELS, "METRIC=VALUE", "Stop at this score, such as accuracy=0.9.", "none")
    ] = None
    metrics: Annotated[
        list[str] | None,
        flag(
            _LABELS,
            "NAME",
            "A metric beside the task's, with arguments as in f1(average=macro); may be repeated.",
            "none",
            "--metric",
        ),
    ] = None
    stop: Annotated[
        str | None,
        flag(_LABELS, "RULES", "Rules that end the run, joined by or / and: `stable or characters=50000`.", "none"),
    ] = None
    audit: Annotated[
        int | None, flag(_LABELS, "N", "Random labels that measure, without a test set.", "100, with --test 0")
    ] = None
    audit_design: Annotated[
        str | None, flag(_LABELS, "HOW", "active: drawn after round 0, rather where the model may err.", "uniform")
    ] = None
    out: Annotated[str | None, flag(_RUN, "DIR", "The run folder.", "runs/TASK-N")] = None
    track: Annotated[
        str | None, flag(_RUN, "NAME", "Tell a tracker of each round: tensorboard, wandb, mlflow, ...", "none")
    ] = None
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
        from dal_nlp.session.config import gather
        from dal_nlp.session.label_descriptions import read_descriptions

        given = {field.name: vars(self)[field.name] for field in fields(Flags) if field.name not in _OF_THE_COMMAND}
        given["metrics"] = self.metrics or None
        if self.train is not None:
            given["training"] = {"mode": self.train}
        own = {"label_separator": self.label_separator, "label_columns": self.label_columns}
        if any(value is not None for value in own.values()):
            given["task_options"] = {name: value for name, value in own.items() if value is not None}
        if self.prior is not None:
            given["head"] = {"prior": self.prior}
        if self.describe is not None:
            given["descriptions"] = read_descriptions(self.describe)
        return gather(self.config, given, self.settings or ())

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
