"""A run of sentiment on tiny files with a frozen encoder: what the tests of several folders begin with."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dal_nlp import RunConfig, Session
from dal_nlp.session.result import Result
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


def settings(files: Path, mode: str = "head", **changes: Any) -> RunConfig:
    """Return the configuration of a run of two rounds of four after six labels."""
    given = {
        **values(files),
        "initial": 6,
        "query_size": 4,
        "rounds": 2,
        "training": {"mode": mode, "min_steps": 3, "epochs": 1},
        "head": {"c": 1.0},
    }
    return RunConfig.load(flags={**given, **changes})


def run(files: Path, **changes: Any) -> Result:
    """Run it."""
    return Session(settings(files, **changes)).run()


def bought(folder: Path, many: Callable[..., Sequence[Mapping[str, Any]]], **own: Any) -> Path:
    """Run a head on 20 labels of a pool of 40 rows that ``many`` makes, and no round more; return the run's folder."""
    values = {
        "data": tiny.write(folder / "pool.jsonl", many(40)),
        "test": tiny.write(folder / "test.jsonl", many(10, seed=3)),
        "model": tiny.save_model(folder / "model"),
        "out": str(folder / "run"),
        "cache": str(folder / "features"),
        "initial": 20,
        "rounds": 0,
        "training": {"mode": "head"},
        "max_length": 32,
    }
    return Session(RunConfig.load(flags={**values, **own})).run().folder
