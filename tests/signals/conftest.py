"""What tests of machine-made answers share."""

from pathlib import Path

import pytest

from tests import head_runs, tiny


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """pool.jsonl (80 rows), test.jsonl (40 rows), a model, and two files of answers: all right, and all wrong."""
    pool, test = tiny.sentences(80), tiny.sentences(40, seed=1)
    head_runs.write_files(tmp_path, len(pool), len(test))
    other = {"negative": "positive", "positive": "negative"}
    rows: list[dict[str, str]] = [*pool, *test]
    for name, label in (("right", lambda label: label), ("wrong", lambda label: other[label])):
        said = [{"text": row["text"], "label": label(row["label"]), "confidence": 0.9} for row in rows]
        tiny.write(tmp_path / f"{name}.jsonl", said)
    return tmp_path
