"""A file whose texts a finished model is to answer, read as a run reads its own."""

from collections.abc import Iterator, Sequence

import numpy as np

from dal_nlp.core.config import Settings
from dal_nlp.core.errors import unknown
from dal_nlp.core.progress import Progress
from dal_nlp.data.examples import AnswersById, ExampleReader, ReadRow
from dal_nlp.data.staging import check_rows
from dal_nlp.tasks import make_task


def reader_of(
    config: Settings,
    source: str,
    text_column: Sequence[str] | None,
    id_column: str | None = None,
    encoding: str | None = None,
    quoting: str | None = None,
) -> ExampleReader:
    """Return what reads the texts of a source as a run reads its own, from other columns if there are any.

    Raises:
        UserError: There is no such quoting.
    """
    if quoting not in (None, "none", "double", "trusted"):
        raise unknown("quoting", quoting, ("none", "double", "trusted"))
    options = {"text_column": text_column and list(text_column), "id_column": id_column, "quoting": quoting}
    # An encoding is that of one file; the run's own says nothing of another one.
    changes = {name: value for name, value in options.items() if value} | {"encoding": encoding}
    there = config.model_copy(update=changes)
    return ExampleReader(source, make_task(there), there, answers=AnswersById())


def read_aloud(reader: ExampleReader, progress: Progress) -> Iterator[ReadRow]:
    """Yield the examples of a source, of which it is said before what should be known.

    It is read once for that, which takes seconds where models take hours. A row that an export of a tool gives once
    for each of its annotations is one example.

    Raises:
        UserError: The source cannot be read, or has two texts under one id.
    """
    parts = [(batch.rows, batch.ids, batch.contents) for batch in reader.batches()]
    if parts:
        check_rows(reader, *map(np.concatenate, zip(*parts, strict=True)))
    wanted = reader.config.context_columns or ()
    lacking = [repr(name) for name in wanted if name not in reader.opened.columns]
    column_remarks = [f"{reader.source} has no column {' or '.join(lacking)}: these cells stay empty."]
    for remark in [*reader.remarks, *(column_remarks if lacking else [])]:
        progress.say(remark)
    last: tuple[int, int, int] | None = None
    for example in reader.examples():
        row = example.row, example.id_hash, example.content_hash
        if example.fields is None or row != last:
            yield example
        last = row
