"""A run of sentiment on tiny files with a frozen encoder: what the tests of several folders begin with."""

from pathlib import Path
from typing import Any

from tests import tiny


def write_files(folder: Path, pool: int, test: int) -> Path:
    """Write pool.jsonl and test.jsonl of so many rows and a model that has a masked-LM head; return the folder."""
    tiny.write(folder / "pool.jsonl", tiny.sentences(pool))
    tiny.write(folder / "test.jsonl", tiny.sentences(test, seed=1))
    tiny.save_masked_lm(folder / "model")
    return folder


def values(files: Path, name: str = "run") -> dict[str, Any]:
    """Return what every run of these files is told; ``name`` is that of its folder."""
    return {
        "task": "sentiment",
        "data": str(files / "pool.jsonl"),
        "test": str(files / "test.jsonl"),
        "model": str(files / "model"),
        "cache": str(files / "cache"),
        "out": str(files / name),
    }
