"""``dal-nlp label``: answer in the terminal."""

from typing import Annotated

import typer

from dal_nlp.core.errors import UserError
from dal_nlp_cli.command import INTERRUPTED, PENDING, Debug, Folder, Trust
from dal_nlp_cli.terminal import complain, say, who_types


def label(
    folder: Folder,
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Who answers. Default: your name on this machine.")
    ] = None,
    suggest: Annotated[
        bool, typer.Option("--suggest", metavar="", help="Show what the model would answer. Default: as in the run.")
    ] = False,
    conflicts: Annotated[
        bool, typer.Option("--conflicts", metavar="", help="Settle what people disagree about. Default: off.")
    ] = False,
    suspects: Annotated[
        bool, typer.Option("--suspects", metavar="", help="Check what `dal-nlp suspects` has found. Default: off.")
    ] = False,
    trust: Trust = False,
    debug: Debug = False,
) -> None:
    """Answer what a run waits for, one text at a time, by keys.

    Every answer is on the disk before the next text is shown, so you may stop at any moment; the same command goes on.
    """
    if conflicts and suspects:
        raise UserError("--conflicts and --suspects are two queues: give one of them.")
    say(f"Opening {folder}")  # the libraries take seconds to load
    from dal_nlp.annotation.answer_store import open_answer_store
    from dal_nlp_cli.terminal_annotator import LabelingSession

    with open_answer_store(folder) as store:
        who = name or who_types()
        queue = store.disputed() if conflicts else store.suspects() if suspects else store.queue(who)
        final = conflicts or suspects
        if not queue:
            say(f"Nothing waits for {who}." if name else f"Nothing waits for you, {who} (--as NAME: somebody else).")
        try:
            LabelingSession(store, who, suggest or suspects or store.config.suggest, final, suspects).work_through(
                queue
            )
        except KeyboardInterrupt:
            complain("\nInterrupted: every answer before this one is saved, and the same command goes on.")
            raise typer.Exit(INTERRUPTED) from None
        waiting, disputed, stopped = len(store.state.waiting), len(store.disputed()), store.state.stopped
    if disputed:
        say(f"Disputed: {disputed:,}; `dal-nlp label {folder} --conflicts` settles them.")
    if waiting:
        say(f"Answers still missing: {waiting:,}. The same command goes on.")
        raise typer.Exit(PENDING)
    if stopped is None:
        say("All answers are in: run the same `dal-nlp run` as before.")
    else:
        say("The run is finished: `dal-nlp run` with more --rounds or --budget trains with what was corrected.")
