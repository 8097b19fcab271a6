"""``dal-nlp run``: choose, label, train, until there is a reason to stop."""

import typer

from dal_nlp_cli.command import INTERRUPTED, PENDING
from dal_nlp_cli.flags import Flags, takes_flags
from dal_nlp_cli.terminal import complain, figures, progress, say


@takes_flags
def run(flags: Flags) -> None:
    """Label the fewest examples that teach a model its task.

    The same command goes on with a run that was interrupted, and with more rounds or a larger budget.
    """
    try:
        pending = _run(flags)
    except KeyboardInterrupt:
        complain("Interrupted: what was done is saved, and the same command goes on from here.")
        raise typer.Exit(INTERRUPTED) from None
    if pending:
        raise typer.Exit(PENDING)


def _run(flags: Flags) -> int:
    """Run, print what it came to, and return how many answers are missing."""
    shown = progress(flags.quiet)
    shown.say("Checking the settings")  # the libraries take seconds to load
    config = flags.load()
    from dal_nlp import report
    from dal_nlp.ledger import read_state
    from dal_nlp.session import Session

    result = Session(config, progress=shown).run()
    state = read_state(result.folder)
    if state.metrics:
        figures(*report.rounds_table(state))
        score = report.headline(state)
        say(f"{score[:1].upper()}{score[1:]}.")
    if result.finished:
        say(report.finished_line(state))
    if result.stopped:
        say(f"Finished: {result.stopped}.")
    for remark in result.remarks:
        say(remark)
    say(f"Report: {result.folder / 'report.html'}")
    return len(result.pending)
