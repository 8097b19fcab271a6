"""Several processes choose and train as one does, and end together."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dal_nlp import RunConfig, Session
from dal_nlp.core.distributed import (
    barrier,
    broadcast,
    broadcast_each,
    check_same,
    gather,
    is_main,
    main_first,
    phase,
    timeout,
    timeout_guard,
)
from dal_nlp.core.errors import UserError
from dal_nlp.ledger.ledger import read_state
from dal_nlp.ledger.state import State
from dal_nlp.strategies import STRATEGIES
from tests import tiny, warm_processes
from tests.session import process_agreement as agreement
from tests.session.test_kill import command as dropping
from tests.session.test_kill import start

__all__ = ["dropping"]  # a fixture

#: Each starts processes, which load everything anew.
pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
GOES_ON = "so the others were ended too; what was done is saved, and the same command goes on from here.\n"


def test_one_process_shares_with_itself() -> None:
    assert is_main()
    assert broadcast({"a": 1}) == {"a": 1}
    assert gather([1, 2]) == [1, 2]
    assert list(broadcast_each(iter([1, 2, 3]))) == [1, 2, 3]
    barrier()
    with main_first():
        check_same("setting", {"a": 1})


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf"])
def test_a_wrong_timeout_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("DAL_NLP_TIMEOUT", text)
    with pytest.raises(UserError, match="seconds above 0"):
        timeout()


def test_one_process_waits_for_nobody() -> None:
    with pytest.raises(RuntimeError, match="of its own"), phase("scoring"), timeout_guard():
        raise RuntimeError("of its own")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """What one process finds, and what two find."""
    folder = tmp_path_factory.mktemp("agreement")
    agreement.prepare(folder)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [*launcher, "-m", "tests.session.process_agreement", str(folder)], env=environment, cwd=ROOT
    ) as two:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("dal_nlp.learners.lora_learner.DROPOUT", 0.0)
            one = agreement.everything(folder, "one")
        assert two.wait(timeout=900) == 0
    yield json.loads(json.dumps(one)), json.loads((folder / "several.json").read_text())


def test_every_strategy_chooses_the_same_and_so_does_every_reading_of_a_task(
    found: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    one, two = (each["choices"] for each in found)
    assert one.keys() == two.keys() and {name.split()[1] for name in one} == set(STRATEGIES)
    for name in one:
        assert one[name]["positions"] == two[name]["positions"], name
        assert two[name]["scores"] == pytest.approx(one[name]["scores"], rel=1e-5, abs=1e-6), name


def test_models_answer_the_same_in_the_same_order(found: tuple[dict[str, Any], dict[str, Any]]) -> None:
    assert found[0]["predictions"] == found[1]["predictions"]


def test_models_learn_the_same(found: tuple[dict[str, Any], dict[str, Any]]) -> None:
    one, two = (each["trained"] for each in found)
    for task in one:
        np.testing.assert_allclose(two[task], one[task], atol=1e-3)


@pytest.mark.parametrize("name", agreement.RUNS)
def test_whole_runs_ask_and_measure_the_same(found: tuple[dict[str, Any], dict[str, Any]], name: str) -> None:
    one, two = (each["runs"][name] for each in found)
    for part in ("asked", "audit", "pseudo", "soft"):
        assert one[part] == two[part]
    assert [*map(pytest.approx, one["values"])] == two["values"]
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-4)
    assert name != "ceal" or any(ids for ids, _ in one["pseudo"])
    assert name != "lora" or one["audit"]
    assert bool(one["soft"]) == (name in ("heard", "taught"))


def test_other_settings_in_one_process_are_refused(found: tuple[dict[str, Any], dict[str, Any]]) -> None:
    assert found[0]["refused"] is None
    assert found[1]["refused"] == (
        "Process 1 has another setting than process 0 (seed): start all processes of a run in the same folder, with "
        "the same words and the same files."
    )


@pytest.fixture(scope="module")
def command(dropping: list[str], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """With a model without dropout: processes draw masks for examples of their own."""
    return [*dropping, "--model", tiny.save_model(tmp_path_factory.mktemp("steady"), dropout=0.0)]


@pytest.fixture(scope="module")
def uninterrupted(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    assert start(command, out, "") == 0
    return out


def launched(command: list[str], out: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    found = {**os.environ, "ACCELERATE_USE_CPU": "true", "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    return warm_processes.run(in_two(command, out), ROOT, found, timeout=600)


def in_two(command: list[str], out: Path) -> list[str]:
    return ["run", "--quiet", *command, "--out", str(out), "--processes", "2"]


def strike(moment: str, rank: int, how: str) -> dict[str, str]:
    return {"DAL_NLP_TEST_KILL": moment, "DAL_NLP_TEST_RANK": str(rank), "DAL_NLP_TEST_HOW": how}


def course(state: State) -> dict[str, Any]:
    asked = [(query.ids, query.strategy) for query in state.queries]
    return {"asked": asked, "answers": state.answers, "values": [event.values for event in state.metrics]}


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_ends_all_and_one_process_goes_on(
    command: list[str], uninterrupted: Path, tmp_path: Path, rank: int
) -> None:
    done = launched(command, tmp_path / "run", **strike("choose", rank, "kill"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Error: process {rank} was ended by SIGKILL, {GOES_ON}"
    state = read_state(tmp_path / "run")
    assert (len(state.queries), len(state.metrics)) == (1, 1)
    Session(RunConfig(**{**(state.config or {}), "out": str(tmp_path / "run")})).run()
    assert course(read_state(tmp_path / "run")) == course(read_state(uninterrupted))


def test_several_processes_go_on_with_the_run_of_one(command: list[str], uninterrupted: Path, tmp_path: Path) -> None:
    """Here torch's launcher starts Python itself; elsewhere they are forked."""
    assert start(command, tmp_path / "run", "fit") == -9
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-m", "dal_nlp", *in_two(command, tmp_path / "run")]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("Finished: ") == 1
    assert course(read_state(tmp_path / "run")) == course(read_state(uninterrupted))


def test_a_process_that_stalls_is_given_up_with_the_step(command: list[str], tmp_path: Path) -> None:
    done = launched(command, tmp_path / "run", **strike("choose", 1, "stall"), DAL_NLP_TIMEOUT="15")
    assert done.returncode == 1
    assert done.stderr == (
        "Error: A process waited 15 seconds for the others (scoring) and they did not come: start the same command "
        "again, and give slow ones more time with DAL_NLP_TIMEOUT=SECONDS.\n"
    )


def test_a_mistake_in_one_process_is_said_once(command: list[str], tmp_path: Path) -> None:
    done = launched(command, tmp_path / "run", **strike("choose", 1, "mistake"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Process 1: Error: This process has made a mistake: mend it.\n"


def test_ctrl_c_ends_all(command: list[str], tmp_path: Path) -> None:
    done = launched(command, tmp_path / "run", **strike("choose", 0, "interrupt"))
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "Interrupted: what was done is saved, and the same command goes on from here.\n"


def test_other_data_in_one_process_is_refused_before_a_model_is_loaded(command: list[str], tmp_path: Path) -> None:
    command = [*command, "--model", str(tmp_path)]  # there is none
    done = launched(command, tmp_path / "run", DAL_NLP_TEST_HOW="other data")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: Process 1 has another data set than process 0 (test")
