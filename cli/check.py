"""``dal-nlp check``: everything that can be known before a run starts."""

from dataclasses import dataclass, replace
from typing import Annotated

from dal_nlp_cli.flags import RunFlags, flag, takes_flags
from dal_nlp_cli.launching import to_launch
from dal_nlp_cli.terminal import TerminalProgress, say


@dataclass
class CheckFlags(RunFlags):
    """What was typed."""

    encoders: Annotated[
        str | None,
        flag("The model", "A,B,C", "Rank encoders for --train head on the labels that are there, and stop.", "none"),
    ] = None


@takes_flags
def check(flags: CheckFlags) -> None:
    """Check settings, files and model as `run` would, rehearse one tiny round, and stop.

    It takes the flags of `run` and leaves no run folder behind. The rehearsal takes one process, whatever --processes.
    """
    to_launch(flags.processes)
    shown = TerminalProgress(flags.quiet)
    shown.say("Checking the settings")  # the libraries take seconds to load
    config = flags.load()
    if flags.encoders is not None:
        from dal_nlp.workflows.rank_encoders import rank_encoders

        names = [name.strip() for name in flags.encoders.split(",") if name.strip()]
        for line in rank_encoders(config, names, shown):
            say(str(line))
        return
    from dal_nlp.workflows.dry_run import dry_run

    rehearsal = dry_run(config, shown)
    say(str(replace(rehearsal, remarks=shown.unheard(rehearsal.remarks))))
