"""``dal-nlp export`` and ``dal-nlp ingest``: answers for other tools, and back."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dal_nlp.core.text import counted
from dal_nlp_cli.command import Debug, Encoding, Folder, Trust
from dal_nlp_cli.terminal import complain, say

#: Most mistakes of a file that are named.
_SHOWN = 20
_FORMATS = "csv, jsonl, label-studio or hf-dataset; of entities also conll or prodigy."


class Which(StrEnum):
    """What is exported."""

    labels = "labels"
    pending = "pending"
    all = "all"


def export(
    folder: Folder,
    format: Annotated[str, typer.Option(metavar="NAME", help=_FORMATS)] = "csv",
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where it goes. Default: export.csv, say, in the run folder."),
    ] = None,
    which: Annotated[Which, typer.Option(help="What is exported: labels, what is pending, or all.")] = Which.labels,
    onnx: Annotated[
        bool,
        typer.Option("--onnx", metavar="", help="Write the model instead, as ONNX, into a folder. Default: off."),
    ] = False,
    trust: Trust = False,
    debug: Debug = False,
) -> None:
    """Write the answers of a run, or what it waits for, as a file of another tool; or its model as ONNX.

    csv, jsonl and hf-dataset have all columns of the pool, so that another run takes them with --labeled. In csv, what
    a spreadsheet would run begins with an apostrophe, and a last column says where; what reads the file takes it off.
    """
    from dal_nlp.annotation.answer_store import AnswerStore
    from dal_nlp.annotation.exporting import FURTHER_NAMES, NAMES
    from dal_nlp.annotation.exporting import export as write
    from dal_nlp.ledger.ledger import read_state

    if onnx:
        from dal_nlp.publishing.onnx_export import export_onnx

        target = out or folder / "onnx"
        say(f"{target}: model.onnx and a README with how to run it. {export_onnx(folder, read_state(folder), target)}")
        return
    path = out or folder / {**NAMES, **FURTHER_NAMES}.get(format, "export")
    count = write(AnswerStore(folder, read_state(folder)), format, which.value, path, say)
    say(f"{path}: {counted(count, 'example')}")


def ingest(
    folder: Folder,
    source: Annotated[Path, typer.Argument(metavar="FILE", help="The answers.", show_default=False)],
    format: Annotated[
        str, typer.Option(metavar="NAME", help="csv (any table, by its ending), jsonl, label-studio or hf-dataset.")
    ] = "csv",
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Who answered. Default: what the file says, or its name.")
    ] = None,
    id_column: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Column of the ids; none: join by the texts. Default: that of the pool."),
    ] = None,
    label_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Column, or control of Label Studio, of the answers. Default: answer or label."
        ),
    ] = None,
    annotator_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column of who answered. Default: annotated_by or annotator.")
    ] = None,
    encoding: Encoding = None,
    trust: Trust = False,
    debug: Debug = False,
) -> None:
    """Take answers from a file: what `dal-nlp export` has written, a sheet, or a tool's own export.

    Rows are joined by id, and the texts beside the ids have to be those of the run; rows without an id of use are
    joined by their texts. csv and jsonl may be those of doccano, Prodigy, Label Studio and Argilla. The same file may
    be read again. What another person has answered is disputed and not overwritten. Exit code 2: nothing was taken.
    """
    from dal_nlp.annotation.answer_store import open_answer_store
    from dal_nlp.annotation.ingesting import ingest as read
    from dal_nlp.joins.tool_rows import Columns

    with open_answer_store(folder) as store:
        ingested = read(store, source, format, name, Columns(id_column, label_column, annotator_column, encoding))
        waiting, disputed = len(store.state.waiting), len(store.disputed())
    for remark in ingested.remarks:
        say(remark)
    for problem in ingested.problems[:_SHOWN]:
        complain(problem)
    if len(ingested.problems) > _SHOWN:
        complain(f"... and {counted(len(ingested.problems) - _SHOWN, 'more mistake')} like these.")
    say(f"New answers: {ingested.new:,}; known already: {ingested.known:,}; not taken: {len(ingested.problems):,}.")
    if disputed:
        say(f"Disputed: {disputed:,}; `dal-nlp label {folder} --conflicts` settles them.")
    say(f"Answers still missing: {waiting:,}.")
    if not ingested.new and not ingested.known:
        raise typer.Exit(2)
