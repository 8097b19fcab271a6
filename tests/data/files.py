"""Rows, how they are written to files, and what is read of a file: by rows and by columns the same."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from dal_nlp.core.errors import UserError
from dal_nlp.data.examples import ExampleReader
from dal_nlp.session.config import RunConfig
from dal_nlp.tasks import make_task

TEXTS = ["the fish was raw", 'they said "no, never" twice', "über-\nall good", "a;b|c, d"]
LABELS = ["bad", "good", "bad", "good"]
ROWS = [{"text": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True)]
PLAIN = [{"text": f"plain text {i}", "label": LABELS[i]} for i in range(4)]
#: What is read of ROWS.
ALL = list(zip(TEXTS, LABELS, strict=True))


def read(source: Path | str, task: str = "classification", **changes: Any) -> tuple[list[tuple[str, Any]], list[str]]:
    """Return (text, answer) of each usable row, and the remarks; by rows and by columns it is the same."""
    config = RunConfig(task=task, data=str(source), **changes)
    made = make_task(config)
    readers = [ExampleReader(str(source), made, config, need_targets=True, need_ids=False) for _ in range(2)]
    by_row = [(e.row, e.id, e.id_hash, e.content_hash, e.fields, e.target, e.reason) for e in readers[0].examples()]
    batches = list(readers[1].batches())
    usable = [row for row in by_row if row[4] is not None]
    assert [int(n) for batch in batches for n in batch.rows] == [row[0] for row in usable]
    assert [int(n) for batch in batches for n in batch.ids] == [row[2] for row in usable]
    assert [int(n) for batch in batches for n in batch.contents] == [row[3] for row in usable]
    assert [row for batch in batches for row in batch.unusable] == [
        (row[0], row[1], row[6]) for row in by_row if row[4] is None
    ]
    columns = [pa.array(batch.columns[name]).to_pylist() for name in ("id", "target") for batch in batches]
    assert [cell for column in columns[: len(batches)] for cell in column] == [row[1] for row in usable]
    assert [cell for column in columns[len(batches) :] for cell in column] == [row[5] for row in usable]
    assert readers[0].remarks == readers[1].remarks
    found = [(made.show({"pair": None, **(row[4] or {})}), row[5] and json.loads(row[5])) for row in usable]
    return found, readers[0].remarks


def complaint(source: Path | str, **changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        read(source, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def table(rows: list[dict[str, Any]], **arguments: Any) -> bytes:
    return pd.DataFrame(rows).to_csv(index=False, **arguments).encode()


def put(folder: Path, name: str, content: bytes | str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
