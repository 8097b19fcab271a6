"""Tables that a program holds in memory, as files: a run reads these, and keeps them in its folder.

A file's name tells its content, so the same table has the same name in every process and at every start.
"""

import atexit
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from dal_nlp.core.config import Settings
from dal_nlp.core.errors import DataError
from dal_nlp.downloads.demo import cache_folder
from dal_nlp.readers.values import kind

if TYPE_CHECKING:
    import pyarrow as pa

#: Settings that name a source.
SOURCES = ("data", "test", "validation", "labeled", "answers")
_FOLDER = "tables"

S = TypeVar("S", bound=Settings)


def as_files(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with the path of a file, as text, for every table in memory; it goes with the process.

    Raises:
        UserError: Something is neither a source's name nor a table.
    """
    tables = {name: values[name] for name in SOURCES if name in values and not _is_name(values[name])}
    paths = {name: str(values[name]) for name in SOURCES if isinstance(values.get(name), Path)}
    return {**values, **paths, **{name: _written(name, table) for name, table in tables.items()}}


def keep(config: S, folder: Path) -> S:
    """Return a configuration whose tables lie in the run folder, where later starts find them."""
    made = cache_folder() / _FOLDER
    kept: dict[str, str] = {}
    for name in SOURCES:
        path = Path(getattr(config, name) or "")
        if path.parent == made:
            file = folder / "data" / f"{name}-{path.name}"
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                partial = file.with_suffix(".part")
                shutil.copyfile(path, partial)
                partial.replace(file)
            kept[name] = str(file)
    return config.model_copy(update=kept)


def _is_name(value: object) -> bool:
    return value is None or isinstance(value, str | Path)


def _written(name: str, value: object) -> str:
    """Write a table to a file that goes with the process; return its path."""
    import pyarrow as pa

    try:
        ending, content = _content(value)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise DataError(f"The table given as {name} cannot be kept ({reason}): correct it, or give a file.") from None
    path = cache_folder() / _FOLDER / f"{hashlib.sha256(content).hexdigest()[:16]}{ending}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part")
        partial.write_bytes(content)
        partial.replace(path)
        atexit.register(path.unlink, missing_ok=True)
    return str(path)


def _content(value: object) -> tuple[str, bytes]:
    """Return a table as a parquet file, or as JSON lines where a column holds values of several kinds."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = _rows(value)
    if rows == []:
        raise ValueError("it has no rows")
    try:
        table = _table(value) if rows is None else _of_rows(rows)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        listed = _listed(value) if rows is None else rows
        lines = (json.dumps({str(key): cell for key, cell in row.items()}, default=_plain) for row in listed)
        return ".jsonl", "".join(f"{line}\n" for line in lines).encode()
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer)
    return ".parquet", bytes(buffer.getvalue())


def _rows(value: object) -> list[Mapping[Any, Any]] | None:
    """Return rows that are mappings, None for a table of columns."""
    if not isinstance(value, list | tuple):
        return None
    if not all(isinstance(row, Mapping) for row in value):
        raise _no_table(value)
    return list(value)


def _of_rows(rows: Sequence[Mapping[Any, Any]]) -> "pa.Table":
    import pyarrow as pa

    keys = dict.fromkeys(key for row in rows for key in row)
    return pa.table({str(key): pa.array([row.get(key) for row in rows], from_pandas=True) for key in keys})


def _table(value: Any) -> "pa.Table":
    """Return a DataFrame of pandas or polars, a dataset, an Arrow table or a mapping of lists as one table."""
    import pyarrow as pa

    if isinstance(value, pa.Table):
        return value
    if isinstance(value, pa.RecordBatch):
        return pa.Table.from_batches([value])
    match _library(value), type(value).__name__:
        case "builtins", "dict":
            return pa.table({str(key): pa.array(column, from_pandas=True) for key, column in value.items()})
        case "pandas", "DataFrame":  # by place, as two columns may have one name
            columns = [pa.array(value.iloc[:, i], from_pandas=True) for i in range(value.shape[1])]
            return pa.Table.from_arrays(columns, names=[str(name) for name in value.columns])
        case "polars", "DataFrame":
            return value.to_arrow()
        case "polars", "LazyFrame":
            return value.collect().to_arrow()
        case "datasets", "Dataset":
            table: pa.Table = value.with_format("arrow")[:]
            return table.replace_schema_metadata(value.features.arrow_schema.metadata)
    raise _no_table(value)


def _listed(value: Any) -> list[Mapping[Any, Any]]:
    """Return the rows of a DataFrame of pandas or a mapping of lists."""
    if isinstance(value, dict):
        return [dict(zip(value, cells, strict=True)) for cells in zip(*value.values(), strict=True)]
    return cast(list[Mapping[Any, Any]], value.astype(object).where(value.notna(), None).to_dict("records"))


def _plain(value: Any) -> object:
    """Return what JSON has no kind for: numbers and lists of NumPy as such, anything else under the name of its kind.

    A reader refuses the latter where it expects a text or a label.
    """
    library = _library(value)
    return value.tolist() if library == "numpy" else {type(value).__name__: str(value)}


def _library(value: object) -> str:
    return type(value).__module__.split(".")[0]


def _no_table(value: object) -> DataError:
    mends = {
        "DatasetDict": "give one of its splits, as in data['train']",
        "IterableDataset": "give a Dataset, or write its rows to a file",
        "Series": "give a DataFrame with a column of texts",
    }
    usual = "give a path, a DataFrame of pandas or polars, a Dataset, or a list of dicts"
    name = type(value).__name__
    what = (
        f"An object of the kind {name}" if name != "list" and kind(value) == f"a {name}" else kind(value).capitalize()
    )
    return DataError(f"{what} is no source of rows: {mends.get(name, usual)}.")
