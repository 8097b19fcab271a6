"""``dal-nlp relabel``: correct a label, or take it back."""

from typing import Annotated

import typer

from dal_nlp.core.errors import UserError
from dal_nlp_cli.command import Debug, Folder, Trust
from dal_nlp_cli.terminal import say, who_types


def relabel(
    folder: Folder,
    id: Annotated[str, typer.Argument(metavar="ID", help="Of the example.", show_default=False)],
    answer: Annotated[
        str | None, typer.Argument(metavar="ANSWER", help="As in a sheet: skip and unsure too.", show_default=False)
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", metavar="", help="Take the answer back; the example may be asked about again.")
    ] = False,
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Who says so. Default: your name on this machine.")
    ] = None,
    note: Annotated[str, typer.Option(metavar="TEXT", help="Why, for the log.", show_default=False)] = "",
    trust: Trust = False,
    debug: Debug = False,
) -> None:
    """Correct the answer to an example, for good.

    The next round trains with it; a run that is finished has one when --rounds or --budget is raised. The earlier
    answers stay in the ledger: see `dal-nlp log`.
    """
    if (answer is None) == (not remove):
        raise UserError("Give the answer, or --remove to take it back.")
    from dal_nlp.annotation.answer_store import open_answer_store
    from dal_nlp.annotation.answers import Label

    with open_answer_store(folder) as store:
        store.require(id)
        who = name or who_types()
        if answer is None:
            if id not in store.state.answers and id not in store.state.skipped:
                raise UserError(f"{id!r} has no answer to take back.")
            store.remove(id, who, "relabel")
            status = "is asked about again" if id in store.state.waiting else "is back in the pool"
            say(f"The answer to {id} is removed: the example {status}.")
            return
        try:
            decision = store.read(id, answer, store.origin(who, "relabel", final=True, note=note))
            store.write(decision)
        except ValueError as error:
            raise UserError(f"{id!r}: {str(error).rstrip('.')}.") from None
        now = f"is now {answer}" if isinstance(decision, Label) else f"has no label now: {decision.reason}"
        if store.state.stopped is None:
            say(f"{id} {now}; the next round uses it.")
        else:
            say(f"{id} {now}; the run is finished: raise --rounds or --budget to train with it.")
