"""Runs with machines whose answers lie in files: one that is always right, and one that is always wrong."""

from pathlib import Path
from typing import Any

from dal_nlp import RunConfig, Session
from dal_nlp.ledger.ledger import read_state
from dal_nlp.session.result import Result
from tests import head_runs


def settings(files: Path, *signals: str, **changes: Any) -> RunConfig:
    values = {
        **head_runs.values(files),
        "initial": 6,
        "query_size": 6,
        "rounds": 3,
        "initial_strategy": "random",
        "strategy": "random",
        "training": {"mode": "head"},
        "head": {"prior": "none"},
        "signals": [f"file:{files / name}" for name in signals],
    }
    return RunConfig.load(flags={**values, **changes})


def run(files: Path, *signals: str, **changes: Any) -> Result:
    return Session(settings(files, *signals, **changes)).run()


def weights(folder: Path) -> list[dict[str, float]]:
    return [event.learner["signals"] for event in read_state(folder).metrics]


def drop_cache(files: Path) -> None:
    for path in (files / "cache").glob("answers.sqlite*"):
        path.unlink()
