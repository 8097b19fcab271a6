"""``dal-nlp status``: what a person wants to know of a run."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dal_nlp.core.text import counted
from dal_nlp_cli.command import Debug, Folder
from dal_nlp_cli.terminal import say, table

if TYPE_CHECKING:
    from dal_nlp.ledger.state import State


def status(
    folder: Folder,
    debug: Debug = False,
) -> None:
    """Show how far a run is, what it has reached and what it waits for."""
    from dal_nlp.ledger.ledger import read_state

    state = read_state(folder)
    say(str(folder))
    table(("", ""), _lines(folder, state))


def _lines(folder: Path, state: "State") -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each line."""
    from dal_nlp.ledger.times import money, people_time
    from dal_nlp.report.files import finished_line, headline
    from dal_nlp.report.machines import labeled_by_machines
    from dal_nlp.report.starting_point import starting_line

    config = state.config
    if config is None:
        yield "State", "not begun: no start has come past the checks yet"
        return
    yield "State", _progress(folder, state)
    yield "Task", f"{config['task']}, model {config['model']}, strategy {config['strategy']}"
    wanted = max(config["rounds"] + 1, len(state.metrics))
    why = f"; {state.stopped}" if state.stopped and len(state.metrics) < wanted else ""
    yield "Rounds", f"{len(state.metrics)} done of {wanted}, the first one included{why}"
    budget = min(config["budget"], state.pool.rows) if state.pool else config["budget"]  # a larger one is capped
    yield "Labels", _labels(state, budget)
    if by_machines := labeled_by_machines(state):
        yield "Given by", by_machines
    yield "Score", headline(state) or "none yet"
    if started := starting_line(state):
        yield "At the start", started
    if time := people_time(state):
        yield "People", str(time)
    if (spent := money(state)) is not None:
        yield "Price", f"{spent:,.2f} for the answers so far"
    if state.finished:
        yield "At the end", finished_line(state)
    for note in state.notes:
        yield "Note", note
    if (folder / "report.html").is_file():
        yield "Report", str(folder / "report.html")


def _progress(folder: Path, state: "State") -> str:
    asked_ids = [*(state.audit or []), *(id for query in state.queries for id in query.ids)]
    pending = len(state.pending(asked_ids))
    if is_running(folder):  # by whatever trains, or takes answers
        return f"in use, and waiting for {counted(pending, 'answer')}" if pending else "running"
    if state.stopped:
        return f"finished: {state.stopped}"
    if not pending:
        return "interrupted; the same `dal-nlp run` goes on from here"
    answers = counted(pending, "answer")
    return f"waiting for {answers} (`dal-nlp label {folder}`); then the same `dal-nlp run` goes on from here"


def _labels(state: "State", budget: int) -> str:
    audit = sum(id in state.answers for id in state.audit or [])
    measured = f" ({audit:,} of them the audit sample)" if audit else ""
    skipped = f", {len(state.skipped):,} skipped" if state.skipped else ""
    return f"{state.spent:,} bought{measured}{skipped}, {max(0, budget - state.spent):,} left of {budget:,}"


def is_running(folder: Path) -> bool:
    """Tell whether a living process holds the folder; it is only looked at, so that it may be one that is read-only."""
    import fcntl

    try:
        lock = os.open(folder / ".lock", os.O_RDONLY)
    except OSError:  # nobody has ever held it, or nobody lets us look
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)  # what ``Ledger`` holds; given back with the file
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(lock)
    return False
