"""What a comparison does without one that ran: its jobs and their processes, and what it refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from dal_nlp.compare import jobs as running
from dal_nlp.compare.arms import Arm
from dal_nlp.compare.comparison import _comparable, run_comparison
from dal_nlp.compare.jobs import Job, make_jobs, run_all
from dal_nlp.core.errors import UserError
from dal_nlp.core.progress import Silent
from dal_nlp.report.learning_curves import Curve
from dal_nlp.session.config import RunConfig
from dal_nlp.session.config import gather_settings as values_of
from dal_nlp_cli.main import app


def test_without_any_curve_to_compare_there_is_a_sentence(files: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="name strategies with --strategies"):
        run_comparison(files, ["random"], 1, tmp_path)
    broken = {**files, "data": str(tmp_path / "missing.csv")}
    with pytest.raises(UserError, match=r"No two arms have a curve.*random, seed 0: .*missing.csv"):
        run_comparison(broken, ["margin"], 1, tmp_path / "out", full_score="none")
    with pytest.raises(UserError, match=r"strategy 'margn'.*margin"):
        run_comparison(files, ["margn"], 1, tmp_path / "out")


@pytest.mark.long
def test_workers_are_processes_that_live_on_and_are_replaced_when_they_die(
    files: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process of a worker is asked for three jobs; one of them kills it."""
    monkeypatch.setattr(running, "_attempt", _echo)
    config = RunConfig.of(files)
    jobs = [
        Job(name, 0, config.model_copy(update={"out": str(tmp_path / name), "strategy": name}))
        for name in ("margin", "entropy", "badge")
    ]
    ended = {job.arm: error for job, error in run_all(jobs, 2, Silent())}
    assert ended["entropy"] == "its process was killed, perhaps for memory"
    assert ended["margin"].startswith("process ")  # type: ignore[union-attr]
    assert ended["badge"].startswith("process ")  # type: ignore[union-attr]


def _echo(dump: dict[str, Any]) -> str:
    import os
    import signal

    if dump["strategy"] == "entropy":
        os.kill(os.getpid(), signal.SIGKILL)
    return f"process {os.getpid()}"


def test_flags_and_values_of_an_arm_are_those_of_a_run(files: dict[str, Any], tmp_path: Path) -> None:
    values = values_of(flags={**files, "strategy_options": {"beta": 2}}, settings=["draws.k=3"])
    jobs = make_jobs(RunConfig.of({**values, "strategy": "power_bald"}), values, ["random", "power_bald"], 1, tmp_path)
    assert [job.config.draws.k for job in jobs] == [3, 3]
    assert [job.config.strategy_options for job in jobs] == [{}, {"beta": 2}]


def test_an_arm_without_a_seed_of_randoms_is_an_error_of_that_arm() -> None:
    labels = np.array([10.0, 20.0])
    random = Curve(labels, np.array([[0.5, 0.6]]), (0,))
    arm = Arm("margin", Curve(labels, np.array([[0.5, 0.6]]), (1,)), None, {0: "boom"})
    left = _comparable(arm, random)
    assert left.curve is None and left.errors[0] == "boom" and "none in common" in left.errors[1]


@pytest.mark.parametrize("score", ["nan", "inf", "75", "0", "much"])
def test_a_full_score_is_a_share_or_a_word(score: str) -> None:
    done = CliRunner().invoke(app, ["compare", "--task", "sentiment", "--full-score", score])
    assert done.exit_code == 2
    assert "--full-score wants a number from 0 to 1" in " ".join(done.stderr.split())
