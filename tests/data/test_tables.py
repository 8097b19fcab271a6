"""Tables in memory -> files that a run keeps."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from dal_nlp.core.errors import UserError
from dal_nlp.data.corpus import read_pool
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
        {name: [row[name] for row in ROWS] for name in ROWS[0]},
    ],
    ids=["dicts", "pandas", "categories", "gaps", "dataset", "selected", "arrow", "columns"],
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


@pytest.mark.parametrize(
    ("table", "wrong"),
    [(3, "A number is no source of rows"), ([1], "A list is no source"), ({"text": [1, "a"]}, "kept")],
)
def test_what_is_no_table_is_named(table: Any, wrong: str) -> None:
    with pytest.raises(UserError, match=wrong):
        RunConfig(task="classification", data=table)
