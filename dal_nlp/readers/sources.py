"""A source of examples -> its rows, whatever kind of file, folder or name it is.

A row's number is the one a person looks up: the line in csv, tsv and jsonl files, the row of a sheet, else the row
from 1.
"""

import hashlib
import os
import re
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from dal_nlp.core.errors import DataError, nearest
from dal_nlp.readers.encodings import COMPRESSED, ending, refuse_other
from dal_nlp.readers.entities import conll
from dal_nlp.readers.entities.exports import WORDS
from dal_nlp.readers.json_files import of_rows, open_document, open_lines
from dal_nlp.readers.reading import Chunk, Chunks, NumberedRows, Reading, Source, quiet
from dal_nlp.readers.text_files import SEPARATORS, open_table
from dal_nlp.readers.workbooks import open_workbook

if TYPE_CHECKING:
    from datasets import Dataset

DEMO = "demo:"
_ROWS = 4000
_KINDS = (*SEPARATORS, ".jsonl", ".ndjson", ".json", ".parquet", ".xlsx", *conll.ENDINGS)
_PARTS = (".json", ".xlsx")  # files that hold several tables, told apart by FILE:NAME


def open_source(source: str, reading: Reading) -> Source:
    """Open a file, folder, glob, demonstration or dataset of the Hub.

    Args:
        source: A path (one of a folder of files of one kind, or a pattern like ``shards/*.jsonl``, means all of them),
            ``demo:NAME``, or a Hub name: ``imdb``, ``glue/sst2:validation``, ``owner/name``. The split is ``train``
            where none is given; the folder of a DatasetDict, a json file of several lists and a workbook take one in
            the same way.
        reading: How to read it; takes remarks.

    Raises:
        UserError: The source is missing, empty, damaged or of an unknown kind, with the row and the mend.
    """
    if source.startswith(DEMO):
        from dal_nlp.downloads.demo import demo_rows

        return of_rows(source, lambda: demo_rows(source), False, reading)
    local = _local(source)
    if local is None:
        return _of_dataset(source, _hub(source), reading)
    path, part = local
    files = _files(source, path)
    if files is not None:
        return _together(source, [_open(name, file, "", reading) for name, file in files])
    if path.is_dir():
        return _of_dataset(source, _arrow_folder(source, path, part), reading)
    return _open(source, path, part, reading)


def read_rows(source: str, reading: Reading | None = None) -> NumberedRows:
    """Yield (number, row) of a source with all columns; see ``open_source``; raises ``UserError`` for an empty one."""
    opened = open_source(source, reading or Reading())
    empty = True
    for chunk in opened.chunks(None):
        for number, row in chunk.rows():
            empty = False
            yield number, row
    if empty:
        raise empty_source(source)


def known_classes(source: str, reading: Reading) -> Mapping[str, Sequence[str]]:
    """Return the names of the classes in the columns of parquet files or a dataset; no other kind of file has any."""
    local = _local(source)
    if source.startswith(DEMO) or (local is not None and ending(local[0]) not in ("", ".parquet")):
        return {}
    if local is not None and not local[0].exists() and not _is_pattern(source):
        return {}
    files = _files(source, local[0]) if local is not None else None
    return {} if files and ending(files[0][1]) != ".parquet" else open_source(source, reading).classes


def empty_source(source: str) -> DataError:
    """Return what to say of a source without rows."""
    return DataError(f"{source} is empty, it has no rows: give a file with one example a row.")


def source_digest(source: str) -> str:
    """Return a hash of a file's or folder's bytes; a demonstration or Hub name stands for itself.

    Raises:
        UserError: The file is missing.
    """
    local = _local(source)
    if source.startswith(DEMO) or local is None:
        return source
    path, split = local
    files = _files(source, path)
    if files is None and not path.exists():
        raise _missing(source, path)
    whole = hashlib.sha256(split.encode())
    for file in [file for _, file in files] if files else sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            with file.open("rb") as opened:
                whole.update(hashlib.file_digest(opened, "sha256").digest())
    return whole.hexdigest()


def _open(source: str, path: Path, part: str, reading: Reading) -> Source:
    """Open one file by its ending."""
    if not path.exists():
        raise _missing(source, path)
    kind = ending(path)
    if kind == ".txt" and WORDS in reading.needed:  # as the shared tasks' files are called
        kind = conll.ENDINGS[0]
    if kind not in _KINDS or (kind in (".parquet", ".xlsx") and path.suffix.lower() in COMPRESSED):
        raise DataError(_unknown_kind(source, path, WORDS in reading.needed))
    if path.stat().st_size == 0:
        raise empty_source(source)
    refuse_other(source, path, path.suffix.lower())
    if kind in SEPARATORS:
        return open_table(source, path, SEPARATORS[kind], reading)
    if kind in conll.ENDINGS:
        return conll.open_conll(source, path, reading)
    if kind in (".jsonl", ".ndjson"):
        return open_lines(source, path, reading)
    if kind == ".json":
        return open_document(source, path, part, reading)
    if kind == ".xlsx":
        return open_workbook(source, path, part, reading)
    from dal_nlp.readers.columnar import open_parquet

    return open_parquet(source, path, reading)


def _unknown_kind(source: str, path: Path, words: bool) -> str:
    """Return what to do with a file of another kind, which may have ``words`` line by line."""
    known = ", ".join(_KINDS)
    mends = {
        ".xls": "save it as .xlsx or as `CSV UTF-8`",
        ".ods": "save it as .xlsx or as `CSV UTF-8`",
        ".zip": "unpack it",
        ".tar": "unpack it",
        ".pkl": "write it as parquet, as pickles are programs",
        ".feather": "write it as parquet",
        ".arrow": "write it as parquet, or name its folder if `save_to_disk` wrote it",
    }
    usual = "give it the one that its content is" + ", .conll for a word and its tag a line" * words
    mend = mends.get(path.suffix.lower(), usual)
    packed = ", ".join(COMPRESSED)
    return f"{source} has an unknown ending: {mend}; known are {known}, and the texts among them as {packed}."


def _local(source: str) -> tuple[Path, str] | None:
    """Return the path that a source means and the part asked for (FILE:PART, FOLDER:SPLIT), None for a Hub name."""
    path = Path(source).expanduser()
    try:
        if path.exists():
            return path, ""
        folder, colon, part = source.rpartition(":")
        whole = Path(folder).expanduser()
        if colon and (whole.is_dir() or (whole.is_file() and ending(whole) in _PARTS)):
            return whole, part
    except (OSError, ValueError):
        raise DataError(f"{source[:200]!r} can be no path: correct it.") from None
    looks_local = (
        ending(path) in _KINDS
        or source.startswith((".", "/", "~"))
        or source.endswith("/")
        or _is_pattern(source)
        or path.suffix.lower() in (*COMPRESSED, ".xls", ".ods", ".txt")
    )
    return (path, "") if looks_local else None


def _is_pattern(source: str) -> bool:
    return any(sign in source for sign in "*?[")


def _files(source: str, path: Path) -> list[tuple[str, Path]] | None:
    """Return the files that a folder or pattern means, each with its name for messages; None where it means one.

    Raises:
        UserError: A folder holds files of several kinds, or none that can be read.
    """
    if path.is_dir():
        if any((path / name).is_file() for name in ("state.json", "dataset_dict.json", "dataset_info.json")):
            return None
        entries = sorted((file for file in path.iterdir() if not file.name.startswith((".", "_"))), key=_in_order)
    elif _is_pattern(source) and not path.exists():
        folder = Path(path.anchor or ".")
        pattern = str(path.relative_to(path.anchor)) if path.anchor else str(path)
        entries = sorted((file for file in folder.glob(pattern)), key=_in_order)
    else:
        return None
    files = [file for file in entries if file.is_file() and ending(file) in _KINDS]
    kinds = {ending(file) for file in files}
    if not files:
        raise DataError(
            f"{source} holds no files that can be read, and is no Arrow folder: give a file, files of one kind, or a "
            "folder written by datasets' `save_to_disk`."
        )
    if len(kinds) > 1:
        raise DataError(
            f"{source} holds files of several kinds ({', '.join(sorted(kinds))}): name one, as in {files[0]}."
        )
    return [(str(file), file) for file in files]


def _in_order(file: Path) -> list[tuple[int, str]]:
    """Return a key by which part-2 is before part-10."""
    return [(int(part) if part.isdecimal() else -1, part) for part in re.split(r"([0-9]+)", str(file)) if part]


class _Shards(Chunks):
    """The rows of several sources one after the other; their numbers go on."""

    def __init__(self, parts: Sequence[Source]) -> None:
        self.parts = parts
        self.starts = [0]  # the highest number before each part that was read

    def __call__(self, wanted: Collection[str] | None) -> Iterator[Chunk]:
        self.starts = []
        highest = 0
        for part in self.parts:
            self.starts.append(highest)
            start = highest
            for chunk in part.chunks(wanted):
                numbers = chunk.numbers + start
                highest = max(highest, int(numbers[-1])) if len(numbers) else highest
                yield Chunk(numbers, chunk.table, chunk.objects)


class _Together(Source):
    """Several sources as one."""

    def place(self, number: int) -> str:
        """Return where a row is in the file that holds it."""
        part, there = self._part(number)
        return part.place(there)

    def locate(self, number: int) -> tuple[str, int]:
        """Return the file that holds a row, and the row's number there."""
        part, there = self._part(number)
        return part.name, there

    def _part(self, number: int) -> tuple[Source, int]:
        shards = self.chunks
        assert isinstance(shards, _Shards)
        i = max(0, bisect_right(shards.starts, number - 1) - 1)
        return shards.parts[i], number - shards.starts[i]


def _together(source: str, parts: Sequence[Source]) -> Source:
    """Return files of one kind as one source; raises ``UserError`` where tables have other columns."""
    columns = list(dict.fromkeys(name for part in parts for name in part.columns))
    for part in parts:
        lacking = [column for column in columns if column not in part.columns]
        if lacking and not part.has_keys:
            raise DataError(
                f"{part.name} has no column {lacking[0]!r}, as other files of {source} have: give all of them the same."
            )
    classes = {name: names for part in parts for name, names in part.classes.items()}
    first = parts[0]
    is_open = any(part.is_open for part in parts)
    return _Together(source, columns, _Shards(parts), classes, is_open, first.by_line, first.nested, first.has_keys)


def _missing(source: str, path: Path) -> DataError:
    """Name the nearest file that does exist."""
    folder = path.parent
    if not folder.is_dir():
        return DataError(f"There is no file {source}, nor a folder {folder}: correct the path.")
    close = nearest(path.name, (entry.name for entry in os.scandir(folder)))
    return DataError(f"There is no file {source}{close}: correct the path.")


def _of_dataset(source: str, dataset: "Dataset", reading: Reading) -> Source:
    from dal_nlp.readers.columnar import open_dataset

    return open_dataset(source, dataset, reading)


def _arrow_folder(source: str, path: Path, split: str) -> "Dataset":
    """Load what ``save_to_disk`` wrote: a Dataset, or the one split (or ``train``) of a DatasetDict."""
    import datasets

    from dal_nlp.readers.columnar import damaged

    try:
        loaded = datasets.load_from_disk(str(path))
    except (pa.ArrowInvalid, OSError, ValueError, KeyError) as error:
        raise damaged(source, "Arrow folder", error) from None
    if isinstance(loaded, datasets.DatasetDict):
        wanted = split or ("train" if len(loaded) > 1 else next(iter(loaded)))
        if wanted not in loaded:
            example = f"{path}:{next(iter(loaded))}"
            raise DataError(f"{path} has no split {wanted!r} but {', '.join(loaded)}: choose one, as in {example}.")
        return loaded[wanted]
    if split:
        raise DataError(f"{path} has no splits: leave out {':' + split!r}.")
    return loaded


def _hub(source: str) -> "Dataset":
    """Load one split of a dataset of the Hub."""
    import datasets

    from dal_nlp.readers.columnar import short

    name, _, split = source.partition(":")
    split = split or "train"
    try:
        with quiet():
            return _load_hub(name, split)
    except ConnectionError as error:
        raise DataError(
            f"There is no file {source}, and no network for a Hub name ({short(error)}): use a file instead."
        ) from None
    except FileNotFoundError as error:
        raise DataError(
            f"There is neither a file {source} nor a dataset of that name on the Hub ({short(error)}): "
            "correct the name."
        ) from None
    except (ValueError, OSError, datasets.exceptions.DatasetsError) as error:
        raise DataError(
            f"{source} cannot be read from the Hub ({short(error)}): correct the name or the split."
        ) from None


def _load_hub(name: str, split: str) -> "Dataset":
    """Load ``owner/name`` or, where there is none, a configuration of a dataset such as ``glue/sst2``."""
    import datasets

    parts = name.split("/")
    if len(parts) > 2:
        return datasets.load_dataset("/".join(parts[:2]), "/".join(parts[2:]), split=split)
    try:
        return datasets.load_dataset(name, split=split)
    except (FileNotFoundError, ConnectionError) as error:
        # Without a network every attempt takes half a minute, unless the Hub was switched off.
        unreachable = isinstance(error, ConnectionError) and not datasets.config.HF_HUB_OFFLINE
        if len(parts) == 1 or unreachable:
            raise
    return datasets.load_dataset(parts[0], parts[1], split=split)
