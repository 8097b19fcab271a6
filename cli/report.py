"""``dal-nlp report``: the report of a run, made again from its ledger."""

from pathlib import Path
from typing import Annotated

import typer

from dal_nlp_cli.command import Debug
from dal_nlp_cli.terminal import say


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run folder.", show_default=False)],
    debug: Debug = False,
) -> None:
    """Write metrics.csv, queries.csv, the curve and report.html of a run again."""
    from dal_nlp.ledger import read_state
    from dal_nlp.report import write_all

    write_all(folder, read_state(folder))
    say(str(folder / "report.html"))
