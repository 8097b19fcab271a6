"""``dal-nlp predict``: the answers of a run's model to the texts of a file."""

import csv
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from dal_nlp.errors import UserError
from dal_nlp_cli.command import Debug
from dal_nlp_cli.terminal import is_first, progress

if TYPE_CHECKING:
    from dal_nlp.tasks.base import Prediction


def predict(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run folder.", show_default=False)],
    source: Annotated[
        str, typer.Argument(metavar="FILE", help="Texts: a file, Arrow folder or Hub name.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where the csv goes. Default: standard output.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", metavar="", help="No progress. Default: off.")] = False,
    debug: Debug = False,
) -> None:
    """Write the answers of a run's model to the texts of a file, as csv: id,text,prediction,confidence.

    The file needs the text columns of the run and no labels. A row without a text gets no prediction.
    """
    from dal_nlp import prediction

    rows = prediction.predict(folder, source, progress(quiet))
    with _output(out) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("id", "text", "prediction", "confidence"))
        for id, text, answer in rows:
            writer.writerow((id, text, *_cells(answer)))


@contextmanager
def _output(out: Path | None) -> Iterator[TextIO]:
    """Open what is written to; raises ``UserError`` where that cannot be."""
    if out is None and is_first():
        yield sys.stdout
        return
    try:
        file = (out if out and is_first() else Path(os.devnull)).open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror}): give another --out.") from None
    with file:
        yield file


def _cells(answer: "Prediction | None") -> tuple[str, str]:
    """Return the two last cells of a row."""
    if answer is None:
        return "", ""
    target = answer.target if isinstance(answer.target, str) else json.dumps(answer.target, ensure_ascii=False)
    return target, f"{answer.confidence:.6f}"
