"""A run that has ended, for questions about files."""

from pathlib import Path
from typing import Any

import pytest

from dal_nlp import RunConfig, Session
from tests import tiny
from tests.tiny import write


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole-file")
    values: dict[str, Any] = {
        "task": "sentiment",
        "data": write(folder / "pool.jsonl", tiny.sentences(150)),
        "model": tiny.save_model(folder / "model"),
        "out": str(folder / "run"),
        "cache": str(folder / "features"),
        "initial": 60,
        "rounds": 0,
        "audit": 20,
        "training": {"mode": "head"},
    }
    return Session(RunConfig.load(flags=values)).run().folder
