"""One source on its way into one Arrow file: read, checked, compared with an earlier copy, written."""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

import numpy as np

from dal_nlp.core.errors import DataError, UserError
from dal_nlp.core.targets import decode, readable
from dal_nlp.core.text import counted
from dal_nlp.data.examples import ExampleReader, text_of_fields
from dal_nlp.data.hashing import HEADER, VERSION, Hashes, Index, Mask, comparable, digest
from dal_nlp.data.repeats import NOTHING
from dal_nlp.data.staging import Rejected, Staged, check_ids, sift, stage, write
from dal_nlp.readers.sources import source_digest
from dal_nlp.readers.text_files import place
from dal_nlp.readers.values import beginning

Exclude = Mapping[str, Hashes]  # by the name of a set, the hashes of its contents

SHOWN = 100  # texts of a clash that are kept to be compared
#: Settings that the rows depend on.
_READING = {
    *("task", "task_options", "text_column", "label_column", "id_column", "labels"),
    *("context_columns", "encoding", "quoting", "repeats"),
}


@dataclass(frozen=True)
class KnownRows:
    """The rows of an earlier copy or another set: where each id is, and the hashes of its content and its answer."""

    ids: Index
    contents: Hashes
    targets: Hashes


class Clash(TypedDict):
    """Rows of a pool whose ids another set has for other texts.

    Attributes:
        ids: Of all of them.
        texts: In the pool, of the first of them.
        joined: Whether both sets mean the same by their ids: some have the same text, or a text is under another id.
    """

    ids: list[str]
    texts: list[str]
    joined: bool


@dataclass(frozen=True)
class Intake:
    """How a source becomes a file.

    Args:
        reader: Reads the source.
        path: The file to write.
        exclude: Rows with these contents are dropped.
        strict: Raise where a row would be dropped.
        beside: Other sets of the run, by their names, whose ids are compared.
        unwanted: Ids whose rows are dropped: the pool has another text under them.
    """

    reader: ExampleReader
    path: Path
    exclude: Exclude
    strict: bool
    beside: Mapping[str, KnownRows] = field(default_factory=dict)
    unwanted: Collection[str] = ()

    def read(self, signature: str, old: KnownRows | None, previous: str | None) -> None:
        """Read and check the source, compare it with the copy of an earlier start, and only then write the file.

        Args:
            signature: See ``signature``; kept in the file's header.
            old: The rows of the earlier copy, None where there is none to compare with.
            previous: The digest that a run's pool had at its last start, None at the first.
        """
        with with_remarks(self.reader.remarks), stage(self.reader, self.path.parent) as staged:
            check_ids(staged)
            if self.reader.answers is not None:
                self.reader.remarks.extend(self.reader.answers.remarks())
            keep, rejected = sift(staged, self.exclude, self.reader.need_targets, self.unwanted)
            self.refuse(rejected)
            if not keep.any():
                raise DataError(f"{self.reader.source} has no usable row, but {_summary(rejected)}: correct it.")
            self.reader.remarks.extend(
                text for name, set in self.beside.items() for text in _other_answers(staged, name, set)
            )
            current = digest(staged.ids[keep], staged.contents[keep])
            if old is None and previous not in (None, current) and comparable(previous, current):
                raise DataError(
                    f"{self.reader.source} is not the pool this run began with, and without {self.path} changed texts "
                    "cannot be told from new ones: put the earlier file back, or start with another --out."
                )
            added, gone = _compare(staged, keep, old) if old else (0, 0)
            listed = [(row.file, row.row, row.id, row.reason) for row in rejected]
            header = {"signature": signature, "digest": current, "added": added, "gone": gone, "rejected": listed}
            header |= {"remarks": self.reader.remarks, "hashes": VERSION}
            header["clashes"] = {name: clash for name, set in self.beside.items() if (clash := _clash(staged, set))}
            write(staged, keep, self.path, {HEADER: json.dumps(header)})

    def refuse(self, rejected: Sequence[Rejected]) -> None:
        """Raise ``UserError`` for rows that would be dropped, if the user wants that."""
        if self.strict and rejected:
            where = place(rejected[0].file, rejected[0].row)
            raise DataError(
                f"{where} cannot be used ({rejected[0].reason}), the first of {_summary(rejected)}: correct the file, "
                "or leave out --strict."
            )

    def signature(self) -> str:
        """Return a hash of everything that decides what the file will hold."""
        reader = self.reader
        settings = reader.config.model_dump_json(include=_READING)
        whole = hashlib.sha256(
            f"{settings}\n{reader.need_targets}\n{reader.need_ids}\n{reader.classes}\n{source_digest(reader.source)}\n".encode()
        )
        if reader.answers is not None:
            whole.update(f"answers\n{reader.answers.signature()}".encode())
        for name, contents in self.exclude.items():
            whole.update(name.encode() + np.sort(contents).tobytes())
        for known in self.beside.values():
            whole.update(known.ids.hashes.tobytes() + known.contents.tobytes() + known.targets.tobytes())
        return whole.hexdigest()


@contextmanager
def with_remarks(remarks: Sequence[str]) -> Iterator[None]:
    """Put what is known of how sources were read behind an error about them, which it may explain."""
    try:
        yield
    except UserError as error:
        new_remarks = [remark for remark in remarks if remark not in str(error)]
        raise type(error)(" ".join([str(error), *new_remarks])) from None


def _other_answers(staged: Staged, name: str, other: KnownRows) -> list[str]:
    """Return a sentence on texts that another set answers in another way, [] where there is none."""
    if len(other.contents) == 0:
        return []
    order = np.argsort(other.contents, kind="stable")
    rows = order[np.minimum(np.searchsorted(other.contents[order], staged.contents), len(order) - 1)]
    answered = (staged.targets != NOTHING) & (other.targets[rows] != NOTHING)
    differs = answered & (other.contents[rows] == staged.contents) & (other.targets[rows] != staged.targets)
    count = int(np.count_nonzero(differs))
    if not count:
        return []
    (row,) = staged.cells(differs & (np.cumsum(differs) == 1))
    there = readable(decode(row["target"]) or "")
    return [
        f"{counted(count, 'row')} of {staged.reader.source} with a text of the {name} set have another answer than "
        f"there, such as {beginning(text_of_fields(row))}, here {there!r}: that of the {name} set counts."
    ]


def _clash(staged: Staged, other: KnownRows) -> Clash | None:
    """Return what is under the same ids in another set and has another text, None for nothing."""
    rows, known = other.ids.find(staged.ids)
    differs = known & (other.contents[rows] != staged.contents)
    if not differs.any():
        return None
    texts = staged.cells(differs & (np.cumsum(differs) <= SHOWN))
    return {
        "ids": staged.names(differs),
        "texts": [text_of_fields(row) for row in texts],
        "joined": bool((known & ~differs).any() or np.isin(staged.contents[differs], other.contents).any()),
    }


def _compare(staged: Staged, keep: Mask, old: KnownRows) -> tuple[int, int]:
    """Return how many rows came and went; raises ``UserError`` for a changed text under an old id."""
    rows, known = old.ids.find(staged.ids)
    changed = np.flatnonzero(known & (old.contents[rows] != staged.contents))
    if len(changed):
        first = int(changed[0])
        raise DataError(
            f"{staged.place(first)} has another text under the id {staged.name(first)!r} than the run began with: put "
            "the old text back, give the new one an id of its own, or start with another --out."
        )
    stayed = int(np.count_nonzero(known & keep))
    return int(np.count_nonzero(keep)) - stayed, len(old.contents) - stayed


def _summary(rejected: Sequence[Rejected]) -> str:
    """Return "3 to drop (2 empty text, 1 no answer)"."""
    counts = Counter(row.reason for row in rejected)
    return f"{len(rejected)} to drop ({', '.join(f'{n} {reason}' for reason, n in counts.items())})"
