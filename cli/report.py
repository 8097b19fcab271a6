"""``dal-nlp report``: the report of a run, made again from its ledger."""

from dal_nlp_cli.command import Debug, Folder
from dal_nlp_cli.terminal import say


def report(
    folder: Folder,
    debug: Debug = False,
) -> None:
    """Write metrics.csv, queries.csv, the curve and report.html of a run again."""
    from dal_nlp.ledger.ledger import read_state
    from dal_nlp.report.files import write_all

    write_all(folder, read_state(folder))
    say(str(folder / "report.html"))
