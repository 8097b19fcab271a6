"""A source of examples -> raw rows with their numbers, and every check on the file itself.

A row's number is the one a person looks up: the line in csv, tsv and jsonl files, else the row from 1.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import ClassLabel, Dataset, Features

from dal_nlp.core.errors import UserError, nearest
from dal_nlp.readers.text_files import TEXT_READERS, Rows

DEMO = "demo:"
_BATCH = 1000  # rows decoded at a time from a columnar file


def read_rows(source: str) -> Rows:
    """Yield (number, row) of a csv, tsv, jsonl, json or parquet file, an Arrow folder, a demonstration or the Hub.

    Args:
        source: A path, ``demo:NAME``, or a Hub name: ``imdb``, ``glue/sst2:validation``, ``owner/name``. The
            split is ``train`` where none is given; the folder of a DatasetDict takes one in the same way.

    Raises:
        UserError: The source is missing, empty, damaged or of an unknown kind, with the row and the mend.
    """
    rows = _open(source)
    first = next(rows, None)
    if first is None:
        raise _empty(source)
    yield first
    yield from rows


def source_digest(source: str) -> str:
    """Return a hash of a file's or folder's bytes; a demonstration or Hub name stands for itself.

    Raises:
        UserError: The file is missing.
    """
    local = _local(source)
    if source.startswith(DEMO) or local is None:
        return source
    path, split = local
    if not path.exists():
        raise _missing(source, path)
    whole = hashlib.sha256(split.encode())
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            with file.open("rb") as opened:
                whole.update(hashlib.file_digest(opened, "sha256").digest())
    return whole.hexdigest()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the progress bars and remarks of the datasets library off the screen for a block."""
    bars, level = not datasets.utils.are_progress_bars_disabled(), datasets.logging.get_verbosity()
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    try:
        yield
    finally:
        datasets.logging.set_verbosity(level)
        if bars:
            datasets.enable_progress_bars()


def _open(source: str) -> Rows:
    """Pick the reader of a source."""
    if source.startswith(DEMO):
        from dal_nlp.readers.demo import demo_rows

        yield from demo_rows(source)
        return
    local = _local(source)
    if local is None:
        yield from _hub(source)
        return
    path, split = local
    if not path.exists():
        raise _missing(source, path)
    if path.is_dir():
        yield from _arrow_folder(source, path, split)
        return
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{source} has an unknown ending: give it one of {', '.join(_READERS)}, as its content is.")
    if path.stat().st_size == 0:
        raise _empty(source)
    yield from reader(source, path)


def _local(source: str) -> tuple[Path, str] | None:
    """Return the path that a source means and the split asked for (folders only), None for a Hub name."""
    path = Path(source).expanduser()
    if path.exists():
        return path, ""
    folder, colon, split = source.rpartition(":")
    if colon and Path(folder).expanduser().is_dir():
        return Path(folder).expanduser(), split
    looks_local = path.suffix.lower() in _READERS or source.startswith((".", "/", "~")) or source.endswith("/")
    return (path, "") if looks_local else None


def _missing(source: str, path: Path) -> UserError:
    """Name the nearest file that does exist."""
    folder = path.parent
    if not folder.is_dir():
        return UserError(f"There is no file {source}, nor a folder {folder}: correct the path.")
    close = nearest(path.name, (entry.name for entry in folder.iterdir()))
    return UserError(f"There is no file {source}{close}: correct the path.")


def _empty(source: str) -> UserError:
    return UserError(f"{source} is empty, it has no rows: give a file with one example a row.")


def _parquet(source: str, path: Path) -> Rows:
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            classes = _class_labels(Features.from_arrow_schema(file.schema_arrow))
            number = 0
            for batch in file.iter_batches(batch_size=_BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield number, _named(row, classes)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{source} is no whole parquet file ({_short(error)}): write it anew.") from None


def _arrow_folder(source: str, path: Path, split: str) -> Rows:
    """Read what ``save_to_disk`` wrote: a Dataset, or the one split (or ``train``) of a DatasetDict."""
    if not any((path / name).is_file() for name in ("state.json", "dataset_dict.json")):
        raise UserError(f"{source} is no Arrow folder: give a file, or a folder written by datasets' `save_to_disk`.")
    try:
        loaded = datasets.load_from_disk(str(path))
    except (pa.ArrowInvalid, OSError, ValueError, KeyError) as error:
        raise UserError(f"{source} is no whole Arrow folder ({_short(error)}): write it anew.") from None
    if isinstance(loaded, datasets.DatasetDict):
        wanted = split or ("train" if len(loaded) > 1 else next(iter(loaded)))
        if wanted not in loaded:
            example = f"{path}:{next(iter(loaded))}"
            raise UserError(f"{path} has no split {wanted!r} but {', '.join(loaded)}: choose one, as in {example}.")
        loaded = loaded[wanted]
    elif split:
        raise UserError(f"{path} has no splits: leave out {':' + split!r}.")
    yield from _dataset_rows(loaded)


def _hub(source: str) -> Rows:
    """Read one split of a dataset of the Hub."""
    name, _, split = source.partition(":")
    split = split or "train"
    try:
        with quiet():
            loaded = _load_hub(name, split)
    except ConnectionError as error:
        raise UserError(
            f"There is no file {source}, and no network for a Hub name ({_short(error)}): use a file instead."
        ) from None
    except FileNotFoundError as error:
        raise UserError(
            f"There is neither a file {source} nor a dataset of that name on the Hub ({_short(error)}): "
            "correct the name."
        ) from None
    except (ValueError, OSError, datasets.exceptions.DatasetsError) as error:
        raise UserError(
            f"{source} cannot be read from the Hub ({_short(error)}): correct the name or the split."
        ) from None
    yield from _dataset_rows(loaded)


def _load_hub(name: str, split: str) -> Dataset:
    """Load ``owner/name`` or, where there is none, a configuration of a dataset such as ``glue/sst2``."""
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


def _dataset_rows(dataset: Dataset) -> Rows:
    classes = _class_labels(dataset.features)
    number = 0
    for batch in dataset.with_format(None).iter(batch_size=_BATCH):
        for cells in zip(*batch.values(), strict=True):
            number += 1
            yield number, _named(dict(zip(batch, cells, strict=True)), classes)


def _class_labels(features: Features) -> dict[str, ClassLabel]:
    """Return the columns that hold class numbers, one a row."""
    return {name: feature for name, feature in features.items() if isinstance(feature, ClassLabel)}


def _named(row: dict[str, Any], classes: Mapping[str, ClassLabel]) -> dict[str, Any]:
    """Put names for class numbers; the -1 of an unlabelled row becomes None."""
    for column, feature in classes.items():
        number = row[column]
        row[column] = None if number is None or number < 0 else feature.int2str(number)
    return row


def _short(error: Exception) -> str:
    """Return the first line of a library's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")


_READERS: Mapping[str, Callable[[str, Path], Rows]] = {
    **TEXT_READERS,
    ".parquet": _parquet,
}
