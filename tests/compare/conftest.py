"""What comparisons of a tiny model are made of."""

from typing import Any

import pytest

from tests import tiny
from tests.tiny import write


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The values of a small configuration."""
    folder = tmp_path_factory.mktemp("data")
    return {
        "task": "sentiment",
        "data": write(folder / "pool.jsonl", tiny.sentences(50)),
        "test": write(folder / "test.jsonl", tiny.sentences(20, seed=1)),
        "model": tiny.save_model(folder / "model"),
        "initial": 6,
        "query_size": 4,
        "rounds": 1,
        "training": {"mode": "full", "min_steps": 3, "epochs": 1e-3, "learning_rate": 1e-3},
    }
