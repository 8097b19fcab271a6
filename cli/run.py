"""``dal-nlp run``: choose, label, train, until there is a reason to stop."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dal_nlp_cli.command import INTERRUPTED, PENDING
from dal_nlp_cli.flags import Flags, RunFlags, takes_flags
from dal_nlp_cli.launching import launch, to_launch
from dal_nlp_cli.terminal import TerminalProgress, fail, figures, is_first, say

if TYPE_CHECKING:
    from dal_nlp.session.config import RunConfig
    from dal_nlp.session.result import Result

#: Endings of tables, which are opened in no time.
TABLES = frozenset({".csv", ".tsv", ".jsonl", ".parquet"})


@takes_flags
def run(flags: RunFlags) -> None:
    """Label the fewest examples that teach a model its task.

    The same command goes on with a run that was interrupted, and with more rounds or a larger budget.
    """
    try:
        code = _launch(flags) if to_launch(flags.processes) else _run(flags)
    except KeyboardInterrupt:
        fail("Interrupted: what was done is saved, and the same command goes on from here.", INTERRUPTED)
        code = INTERRUPTED
    if code:
        raise typer.Exit(code)


def _launch(flags: RunFlags) -> int:
    """Run in several processes, once the settings are known to be right; return the exit code."""
    flags.load()
    return launch(flags.processes or 1, sys.argv[1:], flags.debug)


def _look(config: "RunConfig") -> None:
    """Name a file or a column of texts that is not there before torch is loaded, which takes seconds.

    A run that has begun keeps what it has read, and what lies on the Hub is opened once.
    """
    from dal_nlp.data.examples import ExampleReader
    from dal_nlp.tasks import make_task

    if config.out and Path(config.out, "ledger.jsonl").is_file():
        return
    task = make_task(config)
    for source in (config.test, config.validation, config.labeled, config.data):
        if source and Path(source).suffix in TABLES:
            ExampleReader(source, task, config, need_ids=False).check_columns()


def _run(flags: Flags) -> int:
    """Run, print what it came to, and return the exit code."""
    shown = TerminalProgress(flags.quiet)
    shown.say("Checking the settings")  # the libraries take seconds to load
    config = flags.load()
    _look(config)
    from dal_nlp.core.distributed import leave
    from dal_nlp.session.loop import Session

    result = Session(config, progress=shown).run()
    _tell(result, shown)
    leave()
    # Of several processes the first one speaks for all: an exit code of another would end it before it has.
    return PENDING if result.pending and is_first() else 0


def _tell(result: "Result", shown: TerminalProgress) -> None:
    """Print what a run came to; ``shown`` has said its other sentences."""
    from dal_nlp.ledger.ledger import read_state
    from dal_nlp.report import files as report
    from dal_nlp.report.machines import labeled_by_machines
    from dal_nlp.report.run_forecast import advice
    from dal_nlp.report.starting_point import starting_line

    state = read_state(result.folder)
    if state.metrics:
        figures(*report.rounds_table(state))
        score = report.headline(state)
        say(f"{score[:1].upper()}{score[1:]}.")
        if by_machines := labeled_by_machines(state):
            say(by_machines)
        if started := starting_line(state):
            say(started)
    if result.finished:
        say(report.finished_line(state))
    if result.stopped:
        say(f"Finished: {result.stopped}.")
    for note in shown.unheard(state.notes):
        say(note)
    for remark in (*result.remarks, *filter(None, [advice(state)])):
        say(remark)
    if result.model_dir:
        say(f"Model: {result.model_dir}; its README.md says how to load it, also without dal-nlp.")
    say(f"Report: {result.folder / 'report.html'}")
