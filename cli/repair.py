"""``dal-nlp repair``: a damaged ledger."""

from dal_nlp_cli.command import Debug, Folder
from dal_nlp_cli.terminal import say

#: Most sentences about single lines that are shown.
_SHOWN = 20


def repair(
    folder: Folder,
    debug: Debug = False,
) -> None:
    """Keep what can be proved of a damaged ledger, and set the rest aside in a file.

    Each line of ledger.jsonl has a number and a checksum. What was lost is said line by line; the same `dal-nlp run`
    goes on from what is left, and asks again where an answer is gone.
    """
    from dal_nlp.workflows.repair import repair as mend

    done = mend(folder)
    if not done.lost:
        say(f"The ledger of {folder} is whole: {done.kept:,} lines.")
        return
    for sentence in done.lost[:_SHOWN]:
        say(sentence)
    if len(done.lost) > _SHOWN:
        say(f"... and {len(done.lost) - _SHOWN:,} more like these.")
    say(f"Lines kept: {done.kept:,}." + (f" The others are in {done.aside}." if done.aside else ""))
