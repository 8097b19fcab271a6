"""Where the words of texts end, by signs or by what their tags number, and what is said of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from dal_nlp.core.errors import UserError
from dal_nlp.data.examples import ExampleReader
from dal_nlp.session.config import RunConfig
from dal_nlp.tasks import make_task
from tests import tiny
from tests.tasks.entities.test_rows import read

ROWS: list[dict[str, Any]] = [
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
    for example in ExampleReader(source, task, config).examples():
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


@pytest.mark.parametrize("later", [True, False])
def test_rows_of_prodigy_with_and_without_tokens_are_read_in_any_order(tmp_path: Path, later: bool) -> None:
    tokens = [{"text": "ran", "start": 0, "end": 3}, {"text": "5", "start": 4, "end": 5}, {"start": 5, "end": 7}]
    rows = [
        {"text": "Bob ran", "spans": [[0, 3, "PER"]], "answer": "accept"},
        {"text": "ran 5km", "spans": [[4, 5, "NUM"]], "answer": "accept", "tokens": tokens},
    ]
    found, remarks, _ = read(Path(tiny.write(tmp_path / "a.jsonl", rows if later else rows[::-1])))
    wanted = [(["Bob", "ran"], [(0, 1, "PER")]), (["ran", "5", "km"], [(1, 2, "NUM")])]
    assert found == (wanted if later else wanted[::-1])
    assert not any("no column 'tokens'" in remark for remark in remarks)
    assert sum("rows without 'tokens' were read from 'text'" in remark for remark in remarks) == 1


def test_rows_of_words_without_words_have_their_text_in_tables_too(tmp_path: Path) -> None:
    rows = [{"text": "Bob left", "tokens": ["Bob", "left"], "tags": ["B-PER", "O"]}, {"text": "he", "tokens": None}]
    Dataset.from_list(rows).to_parquet(tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet")[0] == [(["Bob", "left"], [(0, 1, "PER")]), (["he"], None)]
