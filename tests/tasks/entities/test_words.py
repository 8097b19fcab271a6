"""Where the words of texts end, by signs or by what their tags number, and what is said of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from dal_nlp.core.errors import UserError
from dal_nlp.data.examples import Reader
from dal_nlp.session.config import RunConfig
from dal_nlp.tasks import make_task
from tests import tiny
from tests.tasks.entities.test_rows import read

ROWS = [
    {"id": "0", "text": "Ada lives in  Rome.", "tags": "B-PER O O B-LOC"},
    {"id": "1", "text": "Bob lives", "tags": "B-PER O"},
    {"id": "2", "text": "Eve left.", "tags": None},
]
AT_BLANKS = "Words were split at blanks alone in 1 text"


def test_tables_whose_tags_number_other_parts_in_some_rows_are_exported_in_one_form(tmp_path: Path) -> None:
    source = tiny.write(tmp_path / "a.jsonl", ROWS)
    config = RunConfig(task="ner", data=source)
    task = make_task(config)
    task.labels = ["LOC", "PER"]
    rows: list[Any] = []
    for example in Reader(source, task, config).examples():
        assert example.fields is not None
        fields: dict[str, Any] = {"id": example.id, **example.fields}
        target = None if example.target is None else json.loads(example.target)
        rows.append({**task.cells(fields), "tags": target and task.answer_format.cell(target, fields)})
    data = Dataset.from_list(rows)
    assert data["tokens"][:] == [row["text"] for row in ROWS]
    assert [part["text"] for part in data["tags"][0]] == ["Ada", "Rome."]


def test_texts_that_their_tags_split_at_blanks_are_counted_and_all_may_be_split_so(tmp_path: Path) -> None:
    path = Path(tiny.write(tmp_path / "a.jsonl", ROWS))
    found, remarks, _ = read(path)
    assert [words[-1] for words, _ in found] == ["Rome.", "lives", "."]
    (said,) = [remark for remark in remarks if AT_BLANKS in remark]
    assert "task_options.split=blanks" in said
    found, remarks, _ = read(path, task_options={"split": "blanks"})
    assert [words[-1] for words, _ in found] == ["Rome.", "lives", "left."]
    assert not any(AT_BLANKS in remark for remark in remarks)
    with pytest.raises(UserError, match="signs or blanks"):
        read(path, task_options={"split": "lines"})
