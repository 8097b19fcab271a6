"""``dal-nlp report``: the report of a run made again from its ledger; figures and tables for papers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dal_nlp_cli.command import Debug, Folder
from dal_nlp_cli.terminal import names, say

if TYPE_CHECKING:
    from dal_nlp.report.plots import Look

_PAPER = "For a paper"


def report(
    folder: Folder,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the files go. Default: the run folder.")
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the curve alone, of a run or a comparison: .pdf, .svg or .png, text as text.",
            rich_help_panel=_PAPER,
        ),
    ] = None,
    width: Annotated[
        str | None,
        typer.Option(
            metavar="3.3in", help="Of the figure, in in, cm, mm or pt. Default: 5.4in.", rich_help_panel=_PAPER
        ),
    ] = None,
    font: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the figure. Default: DejaVu Sans.", rich_help_panel=_PAPER)
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="That of the figure of a run. Default: as report.html.", rich_help_panel=_PAPER
        ),
    ] = None,
    strategies: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Those of a comparison that are shown. Default: all.", rich_help_panel=_PAPER),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(
            metavar="FORM",
            help="Print the table of rounds or strategies: latex or markdown.",
            rich_help_panel=_PAPER,
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Write metrics.csv, queries.csv, the curve and report.html of a run again; or a figure or table for a paper.

    DIR is a run, or for figures and tables a comparison. LaTeX tables want the package booktabs.
    """
    from dal_nlp.compare.stored import is_comparison
    from dal_nlp.core.errors import UserError, writing

    wanted = figure is not None or table is not None
    if figure is not None:
        with writing(figure):
            figure.parent.mkdir(parents=True, exist_ok=True)
    elif (width, font, metric) != (None, None, None):
        raise UserError("--width, --font and --metric are of a figure: name its file with --figure.")
    if is_comparison(folder):
        if not wanted or metric is not None:
            raise UserError(f"{folder} is a comparison: give --figure FILE or --table FORM, and no --metric.")
        _comparison(folder, figure, _look(width, font), names(strategies), table)
        return
    if strategies is not None:
        raise UserError(f"{folder} is no comparison, so it has no --strategies.")
    _run(folder, out or folder, figure, _look(width, font), metric, table)


def _look(width: str | None, font: str | None) -> "Look":
    from dal_nlp.report.plots import Look, inches

    return Look(None if width is None else inches(width), font)


def _comparison(folder: Path, figure: Path | None, look: "Look", only: list[str] | None, table: str | None) -> None:
    from dal_nlp.compare.stored import form_of, read_picture, read_table
    from dal_nlp.core.files import replace_file
    from dal_nlp.report.plots import kind_of

    picture = read_picture(folder, only)
    if table is not None:
        print(form_of(table)(*read_table(folder, only)))
    if figure is not None:
        replace_file(figure, picture.render(kind_of(figure), look))
        say(str(figure))


def _run(
    folder: Path, out_folder: Path, figure: Path | None, look: "Look", metric: str | None, table: str | None
) -> None:
    from dal_nlp.compare.stored import form_of
    from dal_nlp.core.errors import writing
    from dal_nlp.ledger.ledger import read_state
    from dal_nlp.report.files import rounds_table, write_all, write_figure

    state = read_state(folder)
    if table is not None:
        print(form_of(table)(*rounds_table(state)))
    if figure is not None:
        write_figure(figure, state, look, metric)
        say(str(figure))
    if table is None and figure is None:
        with writing(out_folder):
            out_folder.mkdir(parents=True, exist_ok=True)
        write_all(out_folder, state)
        say(str(out_folder / "report.html"))
