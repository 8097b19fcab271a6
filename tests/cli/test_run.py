"""``dal-nlp run`` from end to end, some of it in processes of its own."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from dal_nlp.ledger.ledger import Ledger, read_state
from dal_nlp_cli.flags import Flags
from tests.cli.conftest import PATH, Files, invoke, start
from tests.tiny import write


def test_a_finished_run(finished_process: tuple[Path, CompletedProcess[str]]) -> None:
    folder, done = finished_process
    assert done.returncode == 0, done.stderr
    assert "Reading" in done.stderr and "Round 1:" in done.stderr
    assert "Traceback" not in done.stderr and "arning" not in done.stderr
    table, _, after = done.stdout.partition("\nAccuracy ")
    assert table.split()[:3] == ["round", "labels", "accuracy"]
    score, why, *_, model, report = after.splitlines()
    assert score.endswith("at 8 labels.") and why == "Finished: the one round is done."
    assert model.startswith(f"Model: {Path('done', 'model')}; its README.md")
    assert report == f"Report: {Path('done', 'report.html')}"
    with (folder / "metrics.csv").open() as file:
        assert [row["labels"] for row in csv.DictReader(file)] == ["4", "8"]


@pytest.mark.long
def test_a_locked_folder(files: Files, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Ledger(out):
        done = start("run", *files.flags(out, "--quiet"), cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ") and "in use by another dal-nlp process" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.long
def test_answers_pending(files: Files, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["run", *files.flags(out, "--oracle", "tests.cli.oracles:Half", "--quiet")]
    done = start(*words, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "Answers still missing: 3." in done.stdout
    assert done.stderr == ""
    again = invoke(*words)
    assert again.exit_code == 3
    assert "Answers still missing: 2." in again.stdout


def test_interrupted_and_taken_up_again(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [
        "run",
        *files.flags(tmp_path / "out", "--oracle", "tests.cli.oracles:Interrupted", "--rounds", "0", "--quiet"),
    ]
    done = start(*words, cwd=tmp_path)
    assert done.returncode == 130
    assert done.stderr == "Interrupted: what was done is saved, and the same command goes on from here.\n"
    answers = read_state(tmp_path / "out").answers
    assert len(answers) == 1
    monkeypatch.chdir(tmp_path)
    assert invoke(*words).exit_code == 0
    state = read_state(tmp_path / "out")
    assert len(state.answers) == 4
    assert answers.items() <= state.answers.items()


MISTAKES = {
    "no task": ([], "give --task"),
    "unknown task": (["--task", "sentimnt"], "'sentiment'"),
    "unknown strategy": (["--task", "sentiment", "--strategy", "marginn"], "'margin'"),
    "unknown key": (["--task", "sentiment", "--set", "training.epoch=3"], "'epochs'"),
    "no configuration file": (["--config", "missing.yaml"], "dal-nlp init"),
    "query size": (["--task", "sentiment", "--query-size", "0"], "--query-size 0"),
    "target": (["--task", "sentiment", "--target", "accuracy"], "METRIC=VALUE"),
    "no file": (["--task", "sentiment", "--data", "missing.csv"], "missing.csv"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words, part = MISTAKES[mistake]
    result = invoke("run", *words, "--quiet")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ") and result.stderr.endswith(".\n") and result.stderr.count("\n") == 1
    assert part in result.stderr


def test_flags_win_over_the_file_and_settings_over_flags(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("task: sentiment\nseed: 7\nquery_size: 2\ninitial: 2\n")
    config = Flags(config=file, query_size=4, initial=4, settings=["initial=5", "training.clip=2"]).load()
    assert (config.seed, config.query_size, config.initial, config.training.clip) == (7, 4, 5, 2)


def test_more_rounds_go_on(files: Files, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    first = read_state(out)
    more = invoke("run", *files.flags(out, "--quiet", "--rounds", "2"))
    assert more.exit_code == 0
    assert "at 12 labels." in more.stdout
    assert read_state(out).queries[:2] == first.queries


def test_a_mistake_in_the_pool_is_named(files: Files, tmp_path: Path) -> None:
    pool = write(tmp_path / "pool.jsonl", [{"id": "1", "text": "a film"}, {"id": "2", "text": "a plot"}])
    result = invoke("run", *files.flags(tmp_path / "other", "--data", pool, "--quiet"))
    assert result.exit_code == 2
    assert "no column 'label'" in result.stderr


@pytest.mark.long
@pytest.mark.parametrize("flags", [["--data", "nowhere.csv"], ["--data", "pool.csv", "--text-column", "body"]])
def test_a_wrong_path_or_column_does_not_wait_for_torch(tmp_path: Path, flags: list[str]) -> None:
    (tmp_path / "pool.csv").write_text("text,label\none,a\n")
    code = (
        "import sys; from dal_nlp_cli.main import app\n"
        f"try: app({['run', '--task', 'classification', *flags]!r})\n"
        "except SystemExit as end: print(end.code, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": PATH},
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-1] == "2 False", done.stderr
