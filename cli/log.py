"""``dal-nlp log``: who answered what, and when."""

from typing import TYPE_CHECKING, Annotated

import typer

from dal_nlp_cli.command import Debug, Folder
from dal_nlp_cli.terminal import say

if TYPE_CHECKING:
    from dal_nlp.annotation.quality import HistoryLine

#: Characters of an answer or a note in a list of all; of one example they are shown whole.
_SHOWN = 60


def log(
    folder: Folder,
    id: Annotated[str | None, typer.Argument(metavar="ID", help="Of one example.", show_default=False)] = None,
    debug: Debug = False,
) -> None:
    """Show every answer with its history: who gave it, when, and what which model had suggested."""
    from dal_nlp.annotation.quality import history
    from dal_nlp.core.errors import UserError, nearest
    from dal_nlp.ledger.ledger import read_state

    state = read_state(folder)
    if id is not None and id not in state.given:
        raise UserError(f"{folder} has no answer to {id!r}{nearest(id, state.given)}.")
    lines = sorted(history(state, id), key=lambda line: line.at)
    if not lines:
        say("There is no answer yet.")
        return
    for line in lines:
        say(_sentence(line, _SHOWN if id is None else None).replace("\n", " "), hang=4)


def _sentence(line: "HistoryLine", length: int | None) -> str:
    """Return what happened in one line; texts are cut to a length."""
    parts = [f"{line.at or 'no time':25}  {line.id}  {line.who}: {line.what}"]
    if line.answer:
        parts[0] += f" {_cut(line.answer, length)!r}"
    if line.suggested:
        parts.append(f"the {line.suggested} had suggested {_cut(line.suggestion, length)!r}")
    if line.note:
        parts.append(f"note: {_cut(line.note, length)}")
    return "; ".join(parts)


def _cut(text: str, length: int | None) -> str:
    return text if length is None or len(text) <= length else f"{text[:length]}..."
