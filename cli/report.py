"""``dal-nlp report``: the report of a run, made again from its ledger."""

from pathlib import Path
from typing import Annotated

import typer

from dal_nlp_cli.command import Debug, Folder
from dal_nlp_cli.terminal import say


def report(
    folder: Folder,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the files go. Default: the run folder.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Write metrics.csv, queries.csv, the curve and report.html of a run again."""
    from dal_nlp.core.errors import writing
    from dal_nlp.ledger.ledger import read_state
    from dal_nlp.report.files import write_all

    state, place = read_state(folder), out or folder
    with writing(place):
        place.mkdir(parents=True, exist_ok=True)
    write_all(place, state)
    say(str(place / "report.html"))
