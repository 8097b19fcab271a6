"""``dal-nlp predict``: the answers of a run's model to the texts of a file."""

import csv
import io
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from dal_nlp.core.errors import UserError, writing
from dal_nlp.core.files import check_spared, new_file
from dal_nlp_cli.command import (
    Debug,
    Encoding,
    Folder,
    IdColumn,
    KeepWitness,
    Quiet,
    Quoting,
    SourceArgument,
    TextColumn,
    Trust,
)
from dal_nlp_cli.terminal import is_first, names, progress, say

if TYPE_CHECKING:
    from dal_nlp.core.task import Prediction

#: Endings of files of another kind than is written.
_OTHER = frozenset({".json", ".jsonl", ".ndjson", ".parquet", ".tsv", ".xlsx"})


def predict(
    folder: Folder,
    source: SourceArgument,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where the csv goes. Default: standard output.")
    ] = None,
    text_column: TextColumn = None,
    id_column: IdColumn = None,
    encoding: Encoding = None,
    quoting: Quoting = None,
    keep_witness: KeepWitness = None,
    quiet: Quiet = False,
    trust: Trust = False,
    debug: Debug = False,
) -> None:
    """Write the answers of a run's model to the texts of a file, as csv: id,text,prediction,confidence.

    Ids and texts keep the names that their columns have in the file. It needs the text columns of the run and no
    labels. A row without a text gets no prediction. A task may have more to say of an answer, in further columns:
    where in the text it was found, say.
    """
    from dal_nlp.readers.spreadsheets import inert_rows
    from dal_nlp.workflows import predict as prediction

    if out is not None:
        of_run = [folder / "ledger.jsonl", folder / "config.yaml", *(folder / "model").glob("*")]
        check_spared(out, of_run, [source])
    rows = prediction.predict(
        folder, source, progress(quiet), names(text_column), id_column, encoding, quoting, keep_witness
    )
    with _output(out) as file:
        first = next(rows)
        header = [*first.columns, "prediction", "confidence", *first.details]
        cells = (
            (
                *(row.id, row.text, *_cells(row.answer), *(row.details[name] for name in first.details)),
                *row.context.values(),
            )
            for row in chain([first], rows)
        )
        header += [f"{name} (context)" if name in header else name for name in first.context]
        csv.writer(file, lineterminator="\n").writerows(inert_rows(header, cells))
    if out is not None:
        say(f"{out} is a csv, whatever its ending says." if out.suffix.lower() in _OTHER else str(out))


@contextmanager
def _output(out: Path | None) -> Iterator[TextIO]:
    """Open what is written to; raises ``UserError`` where that cannot be."""
    if out is None and is_first():
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # as with --out, whatever the terminal takes
        yield sys.stdout
        return
    path = out if out and is_first() else Path(os.devnull)
    with ExitStack() as opened:
        try:
            # What takes its place is there whole; a device or a pipe is written to.
            draft = opened.enter_context(new_file(path.resolve())) if path.is_file() or not path.exists() else path
            file = opened.enter_context(draft.open("w", encoding="utf-8", newline=""))
        except OSError as error:
            raise UserError(f"{out} cannot be written ({error.strerror}): give another --out.") from None
        opened.enter_context(writing(path))
        yield file


def _cells(answer: "Prediction | None") -> tuple[str, str]:
    """Return the cells of an answer and its confidence."""
    from dal_nlp.core.targets import readable

    return ("", "") if answer is None else (readable(answer.target), f"{answer.confidence:.6f}")
