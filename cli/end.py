"""``dal-nlp end``: finish a run with the answers there are."""

from typing import Annotated

import typer

from dal_nlp.core.errors import UserError
from dal_nlp_cli.command import PENDING, Debug, Folder, Trust
from dal_nlp_cli.run import tell
from dal_nlp_cli.terminal import Heard, say, who_types


def end(
    folder: Folder,
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Who says so. Default: your name on this machine.")
    ] = None,
    trust: Trust = False,
    debug: Debug = False,
) -> None:
    """Finish a run with the answers there are: the model learns from all of them and is written.

    What is asked and open is asked no more, and is back in the pool. `dal-nlp run` with another --budget goes on.
    """
    say(f"Opening {folder}")  # the libraries take seconds to load
    from dal_nlp.annotation.answer_store import open_answer_store
    from dal_nlp.core.text import counted
    from dal_nlp.session.config import RunConfig
    from dal_nlp.session.loop import Session

    if not (folder / "ledger.jsonl").is_file():
        raise UserError(f"{folder} is not a run folder: start one with `dal-nlp run --oracle file --out {folder}`.")
    config, shown = RunConfig.load(folder / "config.yaml", {"out": str(folder)}), Heard(quiet=False)
    if config.oracle != "file":
        raise UserError(
            f"{folder} is answered by {config.oracle}: have people answer with `dal-nlp run --config "
            f"{folder / 'config.yaml'} --out {folder} --oracle file` first."
        )
    result = Session(config, progress=shown).run()  # takes what is in sheets
    if result.stopped is None:
        with open_answer_store(folder) as store:
            left = store.end(name or who_types())
        say(f"Asked no more: {counted(left, 'text')}.")
        result = Session(config, progress=shown).run()
    tell(result, shown)
    if result.pending:
        raise typer.Exit(PENDING)
