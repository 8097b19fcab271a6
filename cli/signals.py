"""``dal-nlp signals show``: what machines would be asked."""

from dataclasses import dataclass

import typer

from dal_nlp_cli.flag_help import SettingsCommand
from dal_nlp_cli.flags import RunFlags, takes_flags
from dal_nlp_cli.terminal import progress, say

signals = typer.Typer(name="signals", no_args_is_help=True, help="Machine-made answers.")


@dataclass
class ShowFlags(RunFlags):
    """What was typed."""


@signals.command(cls=SettingsCommand)
@takes_flags
def show(flags: ShowFlags) -> None:
    """Show what each --signal would be asked about the first text of the pool, and what that takes; nothing is sent.

    It takes the flags of `run`.
    """
    shown = progress(flags.quiet)
    config = flags.load()
    from dal_nlp.workflows.show_signals import show_signals

    for one in show_signals(config, shown):
        say("\n".join([f"# {one.name}", one.question, "", *one.lines(), ""]))
