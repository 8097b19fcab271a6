"""``dal-nlp autolabel``: the labels nobody has to buy."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dal_nlp.core.errors import UserError
from dal_nlp.core.files import check_spared
from dal_nlp.core.text import counted
from dal_nlp_cli.command import (
    PENDING,
    Debug,
    Encoding,
    Folder,
    IdColumn,
    KeepWitness,
    Quiet,
    Quoting,
    SourceArgument,
    TextColumn,
    Trust,
)
from dal_nlp_cli.terminal import names, progress, say

if TYPE_CHECKING:
    from dal_nlp.inquiries.inquiry import FileColumns
    from dal_nlp.workflows.autolabel import Plan


def autolabel(
    folder: Folder,
    source: SourceArgument,
    precision: Annotated[
        float | None,
        typer.Option(metavar="P", help="Share of the model's own labels that have to be right. Default: 0.95."),
    ] = None,
    error: Annotated[
        float | None,
        typer.Option(metavar="E", help="Most wrong answers in the whole file, 95 % sure, in place of --precision."),
    ] = None,
    oracle: Annotated[
        str, typer.Option(metavar="NAME", help="With --error: who answers; file (sheets), label-studio, ...")
    ] = "file",
    draws: Annotated[
        int | None,
        typer.Option(metavar="M", help="With --error: random texts that measure. Default: 236 for 0.05."),
    ] = None,
    design: Annotated[
        str, typer.Option(metavar="HOW", help="With --error: uniform, or active: half of --draws where it may err.")
    ] = "uniform",
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the files go. Default: autolabel/ in the run folder."),
    ] = None,
    validation: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Labeled rows to measure on. Default: the run's --validation or --audit."),
    ] = None,
    text_column: TextColumn = None,
    label_column: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Column of the answers in --validation. Default: that of the run."),
    ] = None,
    repeats: Annotated[
        str | None,
        typer.Option(metavar="HOW", help="Of several answers to a text of --validation: first, majority, or drop it."),
    ] = None,
    id_column: IdColumn = None,
    encoding: Encoding = None,
    quoting: Quoting = None,
    keep_witness: KeepWitness = None,
    answers_by: Annotated[
        str | None,
        typer.Option(
            metavar="WHO",
            help="With --error: model, stack (with witnesses), a witness, best (by the audit); or two: model,stack.",
        ),
    ] = None,
    price: Annotated[
        str | None,
        typer.Option(metavar="WHO=X,...", help="With --error: of an answer, such as stack=0.002,people=0.08."),
    ] = None,
    learn: Annotated[
        bool, typer.Option("--learn", help="With --error: people's answers train a second model, but the random ones.")
    ] = False,
    quiet: Quiet = False,
    trust: Trust = False,
    debug: Debug = False,
) -> None:
    """Label what a run's model is sure of, and leave the rest to people.

    The threshold is fitted on labeled rows that did not train: --validation, or the run's own validation file or audit
    sample. What is guaranteed is said first. For questions and summaries nothing is guaranteed: all rows are ranked,
    the least sure first.

    With --error, people answer random texts first, then what the model may not; the same command goes on with it. Of
    two machines the dear one is asked about what the cheap one may not answer, as is cheapest by --price.
    """
    out_folder = out or folder / ("autolabel" if error is None else "whole-file")
    for name in ("labeled.csv", "people.csv", "rejected.csv"):
        check_spared(out_folder / name, [], [source])
    if error is not None:
        if precision is not None:
            raise UserError("--error guarantees the whole file, and --precision the model's part: give one of the two.")
        if keep_witness is not None and answers_by is not None:
            raise UserError("--keep-witness is --answers-by stack: give one of the two.")
        machines = keep_witness, answers_by, _prices(price), learn
        from dal_nlp.inquiries.inquiry import FileColumns

        own = FileColumns(names(text_column) or (), id_column, encoding, quoting, label_column)
        _whole_file(folder, source, error, out_folder, (oracle, draws), design, quiet, own, machines)
        return
    if answers_by is not None or price is not None or learn:
        flag = "--answers-by" if answers_by is not None else "--price" if price is not None else "--learn"
        raise UserError(f"{flag} is for --error: give that, or leave it out.")
    precision = 0.95 if precision is None else precision
    if not 0 < precision < 1:
        raise UserError(f"--precision {precision:g} cannot be guaranteed: give a number between 0 and 1, such as 0.95.")
    from dal_nlp.workflows.autolabel import plan, write

    columns = names(text_column), id_column, encoding, quoting, label_column, keep_witness, repeats
    result = plan(folder, source, precision, progress(quiet), validation, *columns)
    say(_sentence(result, precision))
    labeled, people, rejected = write(result, out_folder)
    sure = sum(row.sure for row in result.rows)
    say(f"{labeled}: {counted(sure, 'row')} the model has labeled")
    say(f"{people}: {counted(len(result.rows) - sure, 'row')} for people, the least sure first")
    if result.rejected:
        say(f"{rejected}: {counted(len(result.rejected), 'row')} with nothing to label, or labeled already")


def _whole_file(
    folder: Path,
    source: str,
    error: float,
    out_folder: Path,
    oracle_and_draws: tuple[str, int | None],
    design: str,
    quiet: bool,
    columns: "FileColumns",
    machines: tuple[bool | None, str | None, dict[str, float] | None, bool],
) -> None:
    """Label a whole file at a stated error."""
    from dal_nlp.inquiries.whole_file import label_file

    keep, by, prices, learn = machines
    shown = progress(quiet)
    where = folder, source, error, out_folder
    result = label_file(*where, *oracle_and_draws, shown, columns, design, say, keep, by, prices, learn)
    for remark in result.remarks:
        say(remark)
    if result.bound is not None:
        say(f"{out_folder}: labeled.csv, people.csv ({result.pending:,} still to be answered) and rejected.csv")
    if result.pending:
        raise typer.Exit(PENDING)


def _prices(text: str | None) -> dict[str, float] | None:
    """Read "NAME=NUMBER,..."; raises ``UserError`` for anything else."""
    if text is None:
        return None
    try:
        return {name.strip(): float(number) for name, number in (part.rsplit("=", 1) for part in text.split(","))}
    except ValueError:
        raise UserError(f"--price {text} is no WHO=NUMBER,..., such as stack=0.002,people=0.08.") from None


def _sentence(result: "Plan", precision: float) -> str:
    """Say what the labels will be worth."""
    if not result.classes:
        return "Answers in words come without a guarantee: every row is for people to look at, with a suggestion."
    measured = counted(result.measured, "known answer")
    guaranteed = [(label, it) for label, it in result.by_label.items() if it is not None]
    if guaranteed:
        shown = "; ".join(f"{label} from {it.threshold:.3f} on ({it.precision:.3f})" for label, it in guaranteed)
        return (
            f"Labels that the model may give, each above a threshold of its own, with its precision on {measured}: "
            f"{shown}. The other {len(result.by_label) - len(guaranteed)} of {counted(len(result.by_label), 'label')} "
            f"cannot be guaranteed. A precision of {precision:g} holds for each with a chance of 95 %. Rows with "
            "another label, or without any, go to people."
        )
    if result.guarantee is None:
        from dal_nlp.tasks.calibration import least_answers

        needed = least_answers(precision)
        why = (
            f"it takes {needed:,} at least, and all of them right"
            if result.measured < needed
            else "among its surest answers there are too many wrong ones"
        )
        return (
            f"No threshold can be guaranteed a precision of {precision:g} on {measured}, as {why}: all rows go to "
            f"people. The same `dal-nlp run` with --audit {max(2 * needed, 2 * result.measured):,} asks for more "
            "(raise --budget by as many, where you gave one); so do labeled rows in --validation FILE, or a lower "
            "--precision; --error asks people as it goes."
        )
    it, (low, high), (least, most) = (
        result.guarantee,
        result.guarantee.precision_interval,
        result.guarantee.coverage_interval,
    )
    return (
        f"The model labels the rows that it is surest of (a confidence of {it.threshold:.3f} or more, at a temperature "
        f"of {result.temperature:.2f}), people the others. Measured on {measured}, these are {100 * it.coverage:.0f} % "
        f"of the rows (95 % interval {100 * least:.0f} to {100 * most:.0f} %), and the expected precision is "
        f"{it.precision:.3f} ({low:.3f} to {high:.3f}). For rows like those of the pool, a precision of {precision:g} "
        "holds with a chance of 95 %."
    )
