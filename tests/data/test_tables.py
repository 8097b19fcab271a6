"""Tables in memory -> files that a run keeps."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from dal_nlp.core.errors import UserError
from dal_nlp.data.corpus import Corpus, read_pool
from dal_nlp.data.tables import keep
from dal_nlp.session.config import RunConfig
from dal_nlp.tasks import make_task

ROWS = [{"id": i, "text": f"text {i}", "label": label} for i, label in enumerate(["neg", "pos", None, "pos"])]
CLASSES = Features({"id": Value("int64"), "text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAL_NLP_CACHE", str(tmp_path / "cache"))


def frame() -> pd.DataFrame:
    return pd.DataFrame(ROWS, index=["a", "b", "c", "d"])


def dataset() -> Dataset:
    return Dataset.from_dict(
        {"id": [0, 1, 2, 3], "text": [row["text"] for row in ROWS], "label": [0, 1, -1, 1]}, CLASSES
    )


@pytest.mark.parametrize(
    "table",
    [
        ROWS,
        frame(),
        frame().astype({"label": "category"}),
        frame().astype({"id": "float", "text": "string"}),
        dataset(),
        dataset().select([3, 2, 1, 0]).select([3, 2, 1, 0]),
        pa.Table.from_pylist(ROWS),
        pa.RecordBatch.from_pylist(ROWS),
        {name: [row[name] for row in ROWS] for name in ROWS[0]},
    ],
    ids=["dicts", "pandas", "categories", "gaps", "dataset", "selected", "arrow", "batch", "columns"],
)
def test_every_kind_of_table_is_read_alike_and_kept_in_the_run_folder(tmp_path: Path, table: Any) -> None:
    config = RunConfig(task="classification", data=table)
    run = tmp_path / "run"
    kept = keep(config, run)
    assert Path(kept.data or "").parent == run / "data"
    assert RunConfig(task="classification", data=table).data == config.data, "the same table has the same name"
    for file in (tmp_path / "cache").rglob("*.parquet"):
        file.unlink()
    corpus = read_pool(kept.data or "", make_task(kept), kept, run / "cache", need_targets=False)
    assert corpus.dataset["id"][:] == ["0", "1", "2", "3"]
    assert corpus.dataset["text"][:] == [row["text"] for row in ROWS]
    assert corpus.targets() == ["neg", "pos", None, "pos"]


def test_a_path_stays_as_it_is(tmp_path: Path) -> None:
    config = RunConfig(task="classification", data="pool.csv")
    assert keep(config, tmp_path).data == "pool.csv"


def kept_pool(tmp_path: Path, table: Any) -> Corpus:
    config = keep(RunConfig(task="classification", data=table), tmp_path / "run")
    return read_pool(config.data or "", make_task(config), config, tmp_path / "run" / "cache", need_targets=False)


@pytest.mark.parametrize("kind", ["eager", "lazy", "categorical", "chunks"])
def test_frames_of_polars(tmp_path: Path, kind: str) -> None:
    polars = pytest.importorskip("polars")
    table = polars.DataFrame(ROWS)
    table = {
        "eager": table.with_columns(polars.lit([1, 2]).alias("list"), polars.col("id").cast(polars.Float64)),
        "lazy": table.lazy(),
        "categorical": table.with_columns(polars.col("label").cast(polars.Categorical)),
        "chunks": polars.concat([table.head(1), table.tail(3)], rechunk=False),
    }[kind]
    corpus = kept_pool(tmp_path, table)
    assert corpus.dataset["id"][:] == ["0", "1", "2", "3"]
    assert corpus.targets() == ["neg", "pos", None, "pos"]


def mixed(**columns: list[Any]) -> list[dict[str, Any]]:
    return [{**row, **{name: cells[i] for name, cells in columns.items()}} for i, row in enumerate(ROWS)]


@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        (mixed(other=[{1}, "a", 2, object()]), ["neg", "pos", None, "pos"]),
        (mixed(label=[0, "pos", None, 1.0]), ["0", "pos", None, "1"]),
        (mixed(label=["neg", ["pos"], [], np.array(["pos"])]), ["neg", "pos", None, "pos"]),
        (mixed(text=["a", 2, "c", np.float64(4.5)]), ["neg", "pos", None, "pos"]),
    ],
    ids=["unused", "labels", "lists", "texts"],
)
@pytest.mark.parametrize("form", [list, tuple, pd.DataFrame], ids=["list", "tuple", "pandas"])
def test_values_of_several_kinds_in_one_column(tmp_path: Path, form: Any, rows: Any, labels: list[Any]) -> None:
    corpus = kept_pool(tmp_path, form(rows))
    assert corpus.targets() == labels
    assert corpus.dataset["text"][:] == [str(row["text"]) for row in rows]


def test_a_set_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="line 2 holds an object where a text is expected"):
        kept_pool(tmp_path, mixed(text=["a", {"b"}, "c", "d"]))


def test_two_columns_of_one_name_matter_only_where_they_are_read(tmp_path: Path) -> None:
    table = frame()
    table["a"], table["b"] = 1, 2
    table.columns = ["id", "text", "label", "x", "x"]
    assert kept_pool(tmp_path, table).targets() == ["neg", "pos", None, "pos"]
    table.columns = ["id", "text", "label", "x", "text"]
    with pytest.raises(UserError, match="names the column 'text' twice"):
        kept_pool(tmp_path / "other", table)


@pytest.mark.parametrize(
    ("table", "wrong"),
    [
        (3, "A number is no source of rows"),
        ([1], "A list is no source"),
        ([], "has no rows"),
        ({"text": ["a", "b"], "label": ["x"]}, "kept"),
        (frame()["text"], "Series is no source of rows: give a DataFrame"),
        (DatasetDict(train=dataset()), "one of its splits"),
        (dataset().to_iterable_dataset(), "give a Dataset"),
    ],
)
def test_what_is_no_table_is_named(table: Any, wrong: str) -> None:
    with pytest.raises(UserError, match=wrong):
        RunConfig(task="classification", data=table)


def test_a_path_is_the_name_of_a_file(tmp_path: Path) -> None:
    assert RunConfig(task="classification", data=tmp_path / "p.csv").data == str(tmp_path / "p.csv")  # type: ignore[arg-type]
