"""Rows of parquet files and of datasets' Arrow tables: only the columns that are asked for are touched."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import ClassLabel, Dataset, Features, LargeList, List

from dal_nlp.core.errors import DataError
from dal_nlp.readers.reading import Chunk, Chunks, Reading, Source, unique_names

_ROWS = 4000  # in one chunk, at most
_BYTES = 2**26  # of one chunk, about
_LONGEST_TEXT = 2**28  # bytes


def open_parquet(source: str, path: Path, reading: Reading) -> Source:
    """Open a parquet file; class numbers become names where its metadata has them."""
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            schema = file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise damaged(source, "parquet file", error) from None

    names = unique_names(source, schema.names, reading)
    classes = {name: labels for i, name in enumerate(names) if name and (labels := _class_names(schema, i))}
    lists = {
        name: labels for i, name in enumerate(names) if name and (labels := _class_names(schema, i, in_lists=True))
    }
    nested = [name for name, kind in zip(names, schema.types, strict=True) if pa.types.is_nested(kind)]
    there = [name for name in names if name]
    return Source(source, there, _Parquet(source, path, names, {**classes, **lists}), classes, nested=nested)


class _Parquet(Chunks):
    def __init__(self, source: str, path: Path, names: list[str], classes: Mapping[str, list[str]]) -> None:
        self._source, self._path, self._names, self._classes = source, path, names, classes

    def __call__(self, wanted: Collection[str] | None) -> Iterator[Chunk]:
        number = 1
        try:
            with pq.ParquetFile(self._path, pre_buffer=False) as file:
                there = file.schema_arrow
                kept = [i for i, name in enumerate(self._names) if name and (wanted is None or name in wanted)]
                columns = [there.names[i] for i in kept]
                texts = [there.names[i] for i in kept if _is_text(there.types[i])]
            # A dictionary keeps a long text that is there a thousand times in memory once.
            with pq.ParquetFile(self._path, pre_buffer=False, read_dictionary=texts) as file:
                for batch in file.iter_batches(_batch_size(file.metadata), columns=columns, use_threads=False):
                    batch = batch.select(columns).rename_columns([self._names[i] for i in kept])
                    self._check(batch, number)
                    batch = _named(_plain(batch), self._classes)
                    yield Chunk(np.arange(number, number + len(batch), dtype=np.int64), batch)
                    number += len(batch)
        except (pa.ArrowException, OSError, OverflowError) as error:
            raise damaged(self._source, "parquet file", error) from None
        except UnicodeDecodeError:
            raise DataError(
                f"{self._source} holds bytes that are no UTF-8 in its texts, in one of the rows from {number} on: "
                "write it anew."
            ) from None

    def _check(self, batch: pa.RecordBatch, number: int) -> None:
        """Refuse texts so long that a batch of them does not fit the memory."""
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if not pa.types.is_dictionary(column.type):
                continue
            column.dictionary.validate(full=True)
            lengths = pa.compute.binary_length(column.dictionary).to_numpy(zero_copy_only=False)
            if len(lengths) == 0:
                continue
            all_bytes = np.nan_to_num(lengths)[column.indices.fill_null(0).to_numpy(zero_copy_only=False)].sum()
            if all_bytes > _LONGEST_TEXT:
                raise DataError(
                    f"{self._source} has {all_bytes / 1e9:,.1f} GB in the column {name!r} of the {len(batch):,} rows "
                    f"from {number} on: cut these texts."
                )


def open_dataset(source: str, dataset: Dataset, reading: Reading) -> Source:
    """Open a loaded dataset; class numbers become names."""
    names = unique_names(source, dataset.column_names, reading)
    renamed = {old: new for old, new in zip(dataset.column_names, names, strict=True) if new}
    features = dataset.features
    classes = {
        renamed[name]: list(f.names) for name, f in features.items() if name in renamed and isinstance(f, ClassLabel)
    }
    lists = {
        renamed[name]: labels for name, f in features.items() if name in renamed and (labels := _names_in_lists(f))
    }
    kinds = features.arrow_schema
    nested = [new for old, new in renamed.items() if pa.types.is_nested(kinds.field(old).type)]
    chunks = _Dataset(dataset, renamed, {**classes, **lists})
    return Source(source, list(renamed.values()), chunks, classes, nested=nested)


class _Dataset(Chunks):
    def __init__(self, dataset: Dataset, names: Mapping[str, str], classes: Mapping[str, list[str]]) -> None:
        self._dataset, self._names, self._classes = dataset, names, classes

    def __call__(self, wanted: Collection[str] | None) -> Iterator[Chunk]:
        kept = [old for old, new in self._names.items() if wanted is None or new in wanted]
        number = 1
        # The Arrow format decodes nothing: an image stays bytes.
        for table in self._dataset.select_columns(kept).with_format("arrow").iter(batch_size=_ROWS):
            table = table.rename_columns([self._names[old] for old in table.column_names])
            for batch in table.combine_chunks().to_batches():
                batch = _named(_plain(batch), self._classes)
                yield Chunk(np.arange(number, number + len(batch), dtype=np.int64), batch)
                number += len(batch)


def damaged(source: str, kind: str, error: Exception) -> DataError:
    """Return what to say of a file that cannot be read."""
    return DataError(f"{source} is no whole {kind} ({short(error)}): write it anew.")


def short(error: Exception) -> str:
    """Return the first line of a library's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")


def _class_names(schema: pa.Schema, i: int, in_lists: bool = False) -> list[str] | None:
    """Return the names of the classes in a column by the metadata that datasets leaves.

    Args:
        schema: Of the file.
        i: The place of the column.
        in_lists: Whether the numbers are those in the column's lists.
    """
    field = schema.field(i)
    if in_lists != _is_list(field.type) or b"huggingface" not in (schema.metadata or {}):
        return None
    if not in_lists and not pa.types.is_integer(field.type):
        return None
    try:
        feature = Features.from_arrow_schema(pa.schema([field], metadata=schema.metadata))[field.name]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if in_lists:
        return _names_in_lists(feature)
    return list(feature.names) if isinstance(feature, ClassLabel) else None


def _names_in_lists(feature: Any) -> list[str] | None:
    """Return the names of the classes of which a column holds lists."""
    inner = feature.feature if isinstance(feature, List | LargeList) else None
    return list(inner.names) if isinstance(inner, ClassLabel) else None


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _batch_size(metadata: Any) -> int:
    """Return how many rows fit a batch, by what the file says of its size."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    widest = max((group.total_byte_size / max(group.num_rows, 1) for group in groups), default=0)
    return int(max(1, min(_ROWS, _BYTES / max(widest, 1))))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Put values for the places of a dictionary; a number of few digits is what it is written as, 0.1 and no more."""
    columns = [
        column.dictionary_decode() if pa.types.is_dictionary(column.type) else column for column in batch.columns
    ]
    columns = [
        column.cast(pa.string()).cast(pa.float64()) if pa.types.is_float32(column.type) else column
        for column in columns
    ]
    return pa.record_batch(columns, names=batch.schema.names)


def _named(batch: pa.RecordBatch, classes: Mapping[str, list[str]]) -> pa.RecordBatch:
    """Put names for class numbers, in lists too; the -1 of an unlabeled row, and null, become null."""
    for name in set(classes) & set(batch.schema.names):
        index = batch.schema.get_field_index(name)
        column = batch.column(index)
        if not _is_list(column.type):
            batch = batch.set_column(index, name, _names_of(column, classes[name]))
            continue
        lists = column.to_pylist()
        flat = _names_of(pa.array([n for one in lists for n in one or ()], pa.int64()), classes[name]).to_pylist()
        names = iter(flat)
        named = [None if one is None else [next(names) for _ in one] for one in lists]
        batch = batch.set_column(index, name, pa.array(named, pa.list_(pa.string())))
    return batch


def _names_of(column: pa.Array, classes: list[str]) -> pa.Array:
    numbers = column.cast(pa.int64())
    known = pa.compute.and_kleene(pa.compute.greater_equal(numbers, 0), pa.compute.less(numbers, len(classes)))
    return pa.array(classes, pa.string()).take(pa.compute.if_else(known, numbers, pa.scalar(None, pa.int64())))
