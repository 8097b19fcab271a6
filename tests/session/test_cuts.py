"""Runs of entities and of several labels, cut after any event."""

from pathlib import Path
from typing import Any

import pytest

from dal_nlp import RunConfig, Session
from dal_nlp.session.result import Result
from tests import tiny, tiny_entities
from tests.ledgers import copies_after_every_write
from tests.session.test_loop import timeless

ROWS: Any = {"ner": tiny_entities.tagged, "multilabel": tiny.several_labels}
TRAINING = {"head": {"mode": "head"}, "full": {"mode": "full", "min_steps": 3, "epochs": 1}}


@pytest.mark.long
@pytest.mark.parametrize("mode", TRAINING)
@pytest.mark.parametrize("task", ROWS)
def test_a_run_that_died_after_any_event_ends_as_if_it_had_not(
    task: str, mode: str, tmp_path: Path, model_folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "data": tiny.write(tmp_path / "pool.jsonl", ROWS[task](24)),
        "test": tiny.write(tmp_path / "test.jsonl", ROWS[task](8, seed=1)),
    }

    def run(folder: Path) -> Result:
        values = {"task": task, **files, "model": model_folder, "out": str(folder), "max_length": 24, "initial": 6}
        rounds = {"query_size": 4, "rounds": 1, "strategy": "badge", "training": TRAINING[mode]}
        return Session(RunConfig.load(flags={**values, **rounds, "cache": str(tmp_path / "cache")})).run()

    with monkeypatch.context() as patch:
        copies = copies_after_every_write(patch, tmp_path)
        run(tmp_path / "run")
    want = timeless(tmp_path / "run")
    assert {"query", "label", "metrics"} <= {name for name, _ in copies}
    for name, folder in copies:
        run(folder)
        assert timeless(folder) == want, name
        assert (folder / "model" / "config.json").is_file()
