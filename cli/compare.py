"""``dal-nlp compare``: does active learning pay on this data, and which strategy?"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dal_nlp.core.errors import UserError
from dal_nlp_cli import completion
from dal_nlp_cli.command import INTERRUPTED
from dal_nlp_cli.flags import Flags, flag, takes_flags
from dal_nlp_cli.terminal import complain, figures, progress, say

if TYPE_CHECKING:
    from dal_nlp.compare.comparison import Comparison

_PANEL = "The comparison"
_WORDS: dict[str, Literal["train", "none"]] = {"train": "train", "none": "none"}


@dataclass
class CompareFlags(Flags):
    """What was typed."""

    strategies: Annotated[
        str,
        flag(
            *(_PANEL, "A,B,C", "Strategies that are compared; random always takes part.", "margin,badge"),
            complete=completion.strategies,
        ),
    ] = "margin,badge"
    arms: Annotated[
        str | None,
        flag(
            _PANEL,
            "S@L,S@L",
            "Strategies with learners: margin@head,random@head:last+noprior,random@tfidf; llm, stack, human.",
            "those of --strategies",
        ),
    ] = None
    seeds: Annotated[int, flag(_PANEL, "N", "Runs of each strategy, from --seed on.", "10")] = 10
    jobs: Annotated[int, flag(_PANEL, "N", "Runs at a time, each in a process of its own.", "1")] = 1
    full_score: Annotated[
        str, flag(_PANEL, "SCORE", "The score on all labels: a number, `train` to measure it once, or `none`.", "train")
    ] = "train"


@takes_flags
def compare(flags: CompareFlags) -> None:
    """Compare strategies with random on the same seeds: what they save, how sure that is, and what they cost.

    The same command goes on with a comparison that was interrupted, and with more seeds.
    """
    try:
        _compare(flags)
    except KeyboardInterrupt:
        complain("Interrupted: what was done is saved, and the same command goes on from here.")
        raise typer.Exit(INTERRUPTED) from None


def _compare(flags: CompareFlags) -> None:
    if flags.seeds < 1 or flags.jobs < 1:
        raise UserError("--seeds and --jobs want numbers from 1 on.")
    full = _full_score(flags.full_score)
    shown = progress(flags.quiet)
    shown.say("Checking the settings")
    from dal_nlp.compare.comparison import run_comparison
    from dal_nlp.compare.report import write_comparison

    names = [name.strip() for name in (flags.arms or flags.strategies).split(",") if name.strip()]
    out = Path(flags.out or "runs/comparison")
    comparison = run_comparison(flags.values(), names, flags.seeds, out, flags.jobs, full, shown)
    write_comparison(comparison)
    _print(comparison)
    say(f"Report: {out / 'report.html'}")


def _full_score(text: str) -> float | Literal["train", "none"]:
    if text in _WORDS:
        return _WORDS[text]
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not 0 < score <= 1:
        raise UserError(f"--full-score wants a number from 0 to 1 such as 0.9, train or none, and got {text!r}.")
    return score


def _print(comparison: "Comparison") -> None:
    """Print the table of strategies and the verdict."""
    from dal_nlp.compare.report import contents

    values = contents(comparison)
    figures(values["header"], values["arms"])
    for sentence in values["sentences"]:
        say(sentence)
    for remark in values["remarks"]:
        say(remark)
    for name, seed, error in values["errors"]:
        complain(f"{name}, seed {seed} failed: {error.rstrip('.')}.")
