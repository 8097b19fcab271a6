"""A real process, killed with SIGKILL in every phase of a round, then the same command."""

import os
import sys
from pathlib import Path

import pytest

from dal_nlp import RunConfig, Session
from dal_nlp.ledger.ledger import read_state
from tests import tiny, warm_processes
from tests.session.test_loop import timeless, write


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("kill")
    write(folder / "pool.jsonl", tiny.sentences(40))
    write(folder / "test.jsonl", tiny.sentences(12, seed=1))
    flags = {
        "task": "tests.session.killing:Task",
        "strategy": "tests.session.killing:Strategy",
        "oracle": "tests.session.killing:Oracle",
        "data": folder / "pool.jsonl",
        "test": folder / "test.jsonl",
        "model": tiny.save_model(folder / "model"),
        "initial": 6,
        "query-size": 4,
        "rounds": 1,
        "train": "full",
    }
    settings = ["training.min_steps=4", "training.epochs=1", "training.learning_rate=1e-3"]
    words = [word for flag, value in flags.items() for word in (f"--{flag}", str(value))]
    return [*words, *(word for setting in settings for word in ("--set", setting))]


def start(command: list[str], out: Path, kill: str) -> int:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "DAL_NLP_TEST_KILL": kill, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
    return warm_processes.run(["run", "--quiet", *command, "--out", str(out)], root, environment).returncode


@pytest.fixture(scope="module")
def uninterrupted(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    assert start(command, out, "") == 0
    return out


@pytest.mark.long
def test_killed_and_resumed_is_uninterrupted_with_a_frozen_encoder(command: list[str], tmp_path: Path) -> None:
    command = [*command, "--train", "head", "--cache", str(tmp_path / "cache")]
    assert start(command, tmp_path / "run", "ask") == -9
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["round-0"]
    for out in (tmp_path / "run", tmp_path / "whole"):
        assert start(command, out, "") == 0
    assert timeless(tmp_path / "run")[1:] == timeless(tmp_path / "whole")[1:]


@pytest.mark.long
@pytest.mark.parametrize("phase", ["choose", "ask", "fit", "evaluate"])
def test_killed_and_resumed_is_uninterrupted(
    command: list[str], uninterrupted: Path, tmp_path: Path, phase: str
) -> None:
    out = tmp_path / "run"
    assert start(command, out, phase) == -9
    assert read_state(out).stopped is None
    config = RunConfig(**{**(read_state(out).config or {}), "out": str(out)})
    Session(config).run()
    assert timeless(out) == timeless(uninterrupted)
