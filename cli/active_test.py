"""``dal-nlp test``: how good a finished model is on texts without labels."""

from pathlib import Path
from typing import Annotated

import typer

from dal_nlp.core.text import counted
from dal_nlp_cli.command import PENDING, Debug, Encoding, IdColumn, Quiet, Quoting, SourceArgument, TextColumn, Trust
from dal_nlp_cli.terminal import names, progress, say


def test(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A run folder, or the folder of a classifier.", show_default=False)
    ],
    source: SourceArgument,
    budget: Annotated[int, typer.Option(metavar="N", help="How many answers to ask for.")] = 100,
    oracle: Annotated[
        str, typer.Option(metavar="NAME", help="Who answers: file (sheets), labeled-file, label-studio, ...")
    ] = "file",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the questions go. Default: test/ in DIR.")
    ] = None,
    text_column: TextColumn = None,
    label_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column of the answers, for labeled-file. Default: the run's.")
    ] = None,
    id_column: IdColumn = None,
    encoding: Encoding = None,
    quoting: Quoting = None,
    quiet: Quiet = False,
    trust: Trust = False,
    debug: Debug = False,
) -> None:
    """Measure a model on texts without labels, from a few answers drawn where they tell most.

    The scores come with 95 % intervals, and with what a uniform sample would have cost for them. The same command goes
    on where answers are missing.
    """
    from dal_nlp.inquiries.active_test import active_test
    from dal_nlp.inquiries.inquiry import FileColumns
    from dal_nlp.report.summary import spoken

    out_folder = out or folder / "test"
    columns = FileColumns(names(text_column) or (), id_column, encoding, quoting, label_column)
    result = active_test(folder, source, budget, out_folder, oracle, progress(quiet), columns)
    for remark in result.remarks:
        say(remark)
    for name, of in result.scores.items():
        say(
            f"{spoken(name)} {of.value:.3f} [{of.low:.3f}, {of.high:.3f}] from {counted(result.answered, 'answer')}; "
            f"a uniform sample would have taken {of.worth:.0f} for this interval"
        )
    if result.pending:
        raise typer.Exit(PENDING)
