"""A finished tiny run, made once, and the files that it was made of."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from typer.testing import CliRunner, Result

from dal_nlp_cli.main import app
from tests import tiny, warm_processes
from tests.tiny import write

ROOT = Path(__file__).parents[2]
#: Where processes find the package that is tested, and the oracles beside the tests.
PATH = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), str(ROOT)])
#: The smallest fits, and a first choice that needs no clustering.
FAST = [
    "--train",
    "full",
    "--initial-strategy",
    "random",
    "--set",
    "training.min_steps=2",
    "--set",
    "training.epochs=1",
]


@dataclass(frozen=True)
class Files:
    """A pool of 40 rows, a test set of 12, 6 more, and a model."""

    pool: str
    test: str
    more: str
    model: str

    def flags(self, out: Path, *more: str) -> list[str]:
        """The flags of a run of two rounds with four labels each."""
        data = ["--task", "sentiment", "--data", self.pool, "--test", self.test, "--model", self.model]
        return [*data, *FAST, "--initial", "4", "--query-size", "4", "--rounds", "1", "--out", str(out), *more]


def invoke(*words: str) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(app, list(words), prog_name="dal-nlp")


def start(*words: str, cwd: Path) -> CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return warm_processes.run(words, cwd, {**os.environ, "PYTHONPATH": PATH})


def start_from_nothing(*words: str, cwd: Path) -> CompletedProcess[str]:
    """Run the command line as people do."""
    command = [sys.executable, "-m", "dal_nlp", *words]
    environment = {**os.environ, "PYTHONPATH": PATH}  # of the oracles beside the tests
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("files")
    pool = write(folder / "pool.jsonl", tiny.sentences(40, seed=0))
    test = write(folder / "test.jsonl", tiny.sentences(12, seed=1))
    more = write(folder / "more.jsonl", tiny.sentences(6, seed=2))
    return Files(pool, test, more, tiny.save_model(folder / "model"))


@pytest.fixture(scope="session")
def finished_process(files: Files, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CompletedProcess[str]]:
    """The folder of a run that a process of its own has finished, and what it printed; tests leave it as it is."""
    folder = tmp_path_factory.mktemp("runs")
    return folder / "done", start_from_nothing("run", *files.flags(Path("done")), cwd=folder)


@pytest.fixture
def finished(finished_process: tuple[Path, CompletedProcess[str]]) -> Path:
    """The folder alone."""
    folder, done = finished_process
    assert done.returncode == 0, done.stderr
    return folder
