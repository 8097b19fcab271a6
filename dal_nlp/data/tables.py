"""Tables that a program holds in memory, as files: a run reads these, and keeps them in its folder.

A file's name tells its content, so the same table has the same name in every process and at every start.
"""

import atexit
import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

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
    """Return settings with the path of a file for every table in memory; it goes with the process.

    Raises:
        UserError: Something is neither a source's name nor a table.
    """
    tables = {name: values[name] for name in SOURCES if name in values and not _is_name(values[name])}
    return {**values, **{name: _written(name, table) for name, table in tables.items()}}


def keep(config: S, folder: Path) -> S:
    """Return a configuration whose tables lie in the run folder, where later starts find them."""
    made = cache_folder() / _FOLDER
    kept: dict[str, str] = {}
    for name in SOURCES:
        path = Path(getattr(config, name) or "")
        if path.parent == made:
            place = folder / "data" / f"{name}-{path.name}"
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                partial = place.with_suffix(".part")
                shutil.copyfile(path, partial)
                partial.replace(place)
            kept[name] = str(place)
    return config.model_copy(update=kept)


def _is_name(value: object) -> bool:
    return value is None or isinstance(value, str | Path)


def _written(name: str, value: object) -> str:
    """Write a table to a file that goes with the process; return its path."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = _table(value)
        buffer = pa.BufferOutputStream()
        pq.write_table(table, buffer)
    except (pa.ArrowException, TypeError, OverflowError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"The table given as {name} cannot be kept ({reason}): give every column one type.") from None
    content = buffer.getvalue()
    path = cache_folder() / _FOLDER / f"{hashlib.sha256(content).hexdigest()[:16]}.parquet"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part")
        partial.write_bytes(content)
        partial.replace(path)
        atexit.register(path.unlink, missing_ok=True)
    return str(path)


def _table(value: object) -> "pa.Table":
    """Return a DataFrame of pandas or polars, a dataset, an Arrow table, a list of mappings or a mapping of lists."""
    import pyarrow as pa

    library = type(value).__module__.split(".")[0]
    if isinstance(value, pa.Table):
        return value
    if isinstance(value, list) and value and all(isinstance(row, Mapping) for row in value):
        keys = dict.fromkeys(str(key) for row in value for key in row)
        return pa.table({key: pa.array([row.get(key) for row in value], from_pandas=True) for key in keys})
    if isinstance(value, dict):
        return pa.table({str(key): pa.array(column, from_pandas=True) for key, column in value.items()})
    if library == "pandas":
        return pa.Table.from_pandas(value, preserve_index=False)
    if library == "datasets":
        table: pa.Table = value.with_format("arrow")[:]  # type: ignore[attr-defined]
        return table.replace_schema_metadata(value.features.arrow_schema.metadata)  # type: ignore[attr-defined]
    if library == "polars":
        return value.to_arrow()  # type: ignore[attr-defined]
    raise DataError(
        f"{kind(value).capitalize()} is no source of rows: give a path, a DataFrame of pandas or polars, a Dataset, "
        "or a list of dicts."
    )
