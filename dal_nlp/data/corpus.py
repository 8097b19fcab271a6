"""Rows -> a memory-mapped dataset of examples with ids, with every check on the rows.

Of each example 24 bytes stay in memory (two hashes and an order); texts and tokens stay on disk.
"""

import csv
import json
import logging
import shutil
import tempfile
import weakref
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset
from numpy.typing import NDArray

from dal_nlp.core.config import Settings
from dal_nlp.core.errors import DataError, writing
from dal_nlp.core.files import new_file
from dal_nlp.core.targets import Target, decode
from dal_nlp.core.task import Task
from dal_nlp.data.columns import hash_targets
from dal_nlp.data.examples import AnswersById, ExampleReader
from dal_nlp.data.hashing import CONTENT_HASH, HEADER, ID_HASH, VERSION, Hashes, Index, comparable, hash64, hash_all
from dal_nlp.data.ingest import Clash, Exclude, Intake, KnownRows
from dal_nlp.data.staging import Rejected
from dal_nlp.data.tokenized import tokenized
from dal_nlp.readers.spreadsheets import inert_rows

logger = logging.getLogger(__name__)

__all__ = ["Corpus", "Rejected", "read_corpus", "read_pool", "write_rejected"]

#: What reading a file raises that was cut off or damaged.
_UNREADABLE = (pa.ArrowException, OSError, ValueError, KeyError, TypeError)
#: Settings that Task.encode depends on.
_ENCODING = {"task", "task_options", "text_column", "label_column", "max_length"}


@dataclass(frozen=True, eq=False)
class Corpus:
    """N > 0 examples at positions 0..N-1 of a memory-mapped dataset.

    Attributes:
        source: Where they were read from.
        dataset: Columns ``id``, ``target`` (JSON text or null) and the task's fields.
        rejected: The rows of the source that were dropped, in its order.
        digest: Stands for the set of (id, content), whatever its order.
        contents: (N,) hashes of the task's fields; another corpus can ``exclude`` them.
        added: Rows that a pool gained when the copy that is in use was made; 0 for a run's first copy.
        gone: Rows that it lost then.
        remarks: What should be known of how the source was read, in sentences.
        clashes: Ids of a pool that other sets of the run have for other texts, by the names of these.
    """

    source: str
    dataset: Dataset
    rejected: list[Rejected]
    digest: str
    contents: Hashes
    added: int
    gone: int
    remarks: list[str]
    clashes: Mapping[str, Clash]
    _signature: str
    _ids: Index
    _path: Path
    _settings: str

    def __len__(self) -> int:
        """Return N."""
        return len(self.dataset)

    @property
    def known(self) -> KnownRows:
        """Its ids, contents and answers, for comparisons."""
        targets = self.dataset.data.column("target").combine_chunks()
        return KnownRows(self._ids, self.contents, hash_targets(targets))

    def find(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the positions of ids, -1 for an id that is not here."""
        positions, known = self._ids.find(np.array([hash64(id) for id in ids], dtype=np.uint64))
        column = self.dataset.data.column(
            "id"
        )  # a view of columns takes milliseconds, and ``take`` looks at every chunk
        there = [column[position].as_py() for position in positions[known].tolist()]
        asked_ids = [id for id, hit in zip(ids, known, strict=True) if hit]
        known[known] = [id == other for id, other in zip(asked_ids, there, strict=True)]
        return np.where(known, positions, -1)

    def positions(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the positions of ids; raises ``UserError`` for an id that is not here."""
        positions = self.find(ids)
        if (positions < 0).any():
            missing = ids[int(np.argmin(positions))]
            raise DataError(
                f"{self.source} has no usable row with the id {missing!r}: put the row back, or check --id-column."
            )
        return positions

    def example(self, id: str) -> dict[str, Any]:
        """Return the id, the target and the task's fields of an example; raises ``UserError`` for an unknown id."""
        row: dict[str, Any] = self.dataset[int(self.positions([id])[0])]
        return {**row, "target": decode(row["target"])}

    def targets(self, positions: Iterable[int] | None = None) -> list[Target | None]:
        """Return the answers at some positions, or all."""
        column = self.dataset.select_columns("target")
        rows = column[:] if positions is None else column[[int(position) for position in positions]]
        return [decode(text) for text in rows["target"]]

    def distinct_targets(self) -> list[Target]:
        """Return the different answers, in the order in which they first appear."""
        return [decode(text) for text in self.dataset.data.column("target").unique().drop_null().to_pylist()]

    def target_counts(self) -> Counter[str]:
        """Return how many examples have each answer, of a task whose answers are labels."""
        counted = self.dataset.data.column("target").value_counts().to_pylist()
        return Counter(
            {str(decode(entry["values"])): entry["counts"] for entry in counted if entry["values"] is not None}
        )

    def under(self, config: Settings) -> "Corpus":
        """Return the same examples, to be encoded as other settings have it."""
        return replace(self, _settings=config.model_dump_json(include=_ENCODING))

    def encoded(self, task: Task) -> Dataset:
        """Return the dataset with the task's features, tokenised once and kept beside the texts."""
        return tokenized(self.dataset, task, self._path, self._settings, self._ids.hashes, self.contents)


def read_corpus(
    source: str,
    task: Task,
    config: Settings,
    cache: Path | None,
    name: str,
    *,
    need_targets: bool,
    answers: AnswersById | None = None,
    exclude: Exclude | None = None,
    strict: bool = False,
    classes: Sequence[str] = (),
    unwanted: Collection[str] = (),
) -> Corpus:
    """Read a source into ``cache/NAME.arrow``, memory-mapped.

    Args:
        source: See ``data.read_rows``.
        task: Reads texts and answers.
        config: Names the columns.
        cache: The folder of the files; None for one that goes when the corpus goes.
        name: What the examples are for, such as "test".
        need_targets: Drop rows without an answer.
        answers: In place of those in the rows.
        exclude: Rows with these contents are dropped.
        strict: Raise where a row would be dropped.
        classes: See ``ExampleReader``.
        unwanted: See ``Intake``.

    Raises:
        UserError: The source cannot be used; the message names file, row and mend.
    """
    folder = cache or Path(tempfile.mkdtemp(prefix="dal-nlp-"))
    folder.mkdir(parents=True, exist_ok=True)
    reader = ExampleReader(source, task, config, need_targets, answers, need_ids=False, classes=classes)
    path = folder / f"{name}.arrow"
    try:
        Intake(reader, path, exclude or {}, strict, unwanted=unwanted).read("", None, None)
        corpus = _load(path, source, config)
    except BaseException:
        if cache is None:
            shutil.rmtree(folder)
        raise
    if cache is None:
        weakref.finalize(corpus, shutil.rmtree, folder, ignore_errors=True)
    return corpus


def read_pool(
    source: str,
    task: Task,
    config: Settings,
    cache: Path,
    *,
    need_targets: bool,
    answers: AnswersById | None = None,
    exclude: Exclude | None = None,
    strict: bool = False,
    classes: Sequence[str] = (),
    beside: Mapping[str, KnownRows] | None = None,
    previous: str | None = None,
) -> Corpus:
    """Read the pool into ``cache/pool.arrow``, or take that copy of an earlier start where nothing has changed since.

    A Hub name or demonstration is read once: its copy serves the rest of the run.

    Args:
        source: As in ``read_corpus``, and so are the next eight.
        task: See ``source``.
        config: See ``source``.
        cache: See ``source``.
        need_targets: See ``source``.
        answers: See ``source``.
        exclude: See ``source``.
        strict: See ``source``.
        classes: See ``source``.
        beside: See ``Intake``.
        previous: Digest of the pool that the run has worked with so far, None at its first start.

    Raises:
        UserError: As ``read_corpus``; and where a text has changed under an old id, or may have.
    """
    cache.mkdir(parents=True, exist_ok=True)
    mend = (
        f"where nobody has answered yet, --oracle file has people do it; else {task.naming}, or give the answers with "
        "--answers FILE"
    )
    reader = ExampleReader(source, task, config, need_targets, answers, mend, classes=classes, need_context=True)
    path = cache / "pool.arrow"
    intake = Intake(reader, path, exclude or {}, strict, beside or {})
    signature = intake.signature()
    old = _load_earlier(path, source, config)
    if old is not None and old._signature == signature:
        intake.refuse(old.rejected)
        return old
    # Before the first event of a run there is nothing that a changed text could contradict.
    same = old is not None and previous is not None and comparable(old.digest, VERSION)
    known = old.known if old is not None and same else None
    intake.read(signature, known, previous)
    return _load(path, source, config)


def write_rejected(path: Path, rejected: Iterable[Rejected]) -> None:
    """Write the dropped rows as csv: file, row, id, reason."""
    with writing(path), new_file(path) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        rows = ((row.file, row.row, row.id, row.reason) for row in rejected)
        csv.writer(file).writerows(inert_rows(("file", "row", "id", "reason"), rows))


def _load_earlier(path: Path, source: str, config: Settings) -> Corpus | None:
    """Map the file of an earlier start, None where there is none; one that cannot be read is said, and made again."""
    try:
        return _load(path, source, config) if path.exists() else None
    except _UNREADABLE as error:
        logger.warning("%s cannot be read (%s): it is made again from %s.", path, error, source)
        return None


def _load(path: Path, source: str, config: Settings) -> Corpus:
    """Map a file that ``Intake.read`` wrote."""
    with path.open("rb") as file, pa.ipc.open_stream(file) as stream:
        header = json.loads(stream.schema.metadata[HEADER.encode()])
    dataset = Dataset.from_file(str(path))
    ids, contents = (dataset.data.column(name).to_numpy() for name in (ID_HASH, CONTENT_HASH))
    if header.get("hashes") != VERSION:
        ids = hash_all(dataset.data.column("id").cast(pa.binary()).to_pylist())
    return Corpus(
        source=source,
        dataset=dataset.remove_columns([ID_HASH, CONTENT_HASH]),
        rejected=[Rejected(*row) if len(row) > 3 else Rejected(source, *row) for row in header["rejected"]],
        digest=header["digest"],
        contents=contents,
        added=header["added"],
        gone=header["gone"],
        remarks=header.get("remarks", []),
        clashes=header.get("clashes", {}),
        _signature=header["signature"],
        _ids=Index(ids),
        _path=path,
        _settings=config.model_dump_json(include=_ENCODING),
    )
