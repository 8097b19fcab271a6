"""``dal-nlp check``: everything that can be known before a run starts."""

from dal_nlp_cli.flags import RunFlags, takes_flags
from dal_nlp_cli.launching import to_launch
from dal_nlp_cli.terminal import progress, say


@takes_flags
def check(flags: RunFlags) -> None:
    """Check settings, files and model as `run` would, rehearse one tiny round, and stop.

    It takes the flags of `run` and leaves no run folder behind. The rehearsal takes one process, whatever --processes.
    """
    to_launch(flags.processes)
    shown = progress(flags.quiet)
    shown.say("Checking the settings")  # the libraries take seconds to load
    config = flags.load()
    from dal_nlp.workflows.dry_run import rehearse

    say(str(rehearse(config, shown)))
