"""What a shell completes, and that it need not wait for a model."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dal_nlp_cli.completion import run_folders
from dal_nlp_cli.main import app
from tests.cli.conftest import invoke

PROGRAM = """
import sys
from dal_nlp_cli.main import main
try:
    main()
finally:
    assert not {"torch", "transformers", "datasets", "pandas"} & sys.modules.keys()
"""


def completed(words: str) -> list[str]:
    """Return what bash offers behind some words."""
    asked = {"_DAL_NLP_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    return CliRunner().invoke(app, [], prog_name="dal-nlp", env=asked).stdout.split()


def test_names_of_strategies_tasks_and_oracles_complete() -> None:
    assert completed("dal-nlp run --strategy marg") == ["margin"]
    assert completed("dal-nlp run --task sent") == ["sentiment"]
    assert completed("dal-nlp run --oracle label-") == ["label-studio"]
    assert completed("dal-nlp run --oracle ll") == ["llm:"]
    assert completed("dal-nlp strategies bad") == ["badge"]
    assert completed("dal-nlp compare --strategies random,marg") == ["random,margin"]
    assert "status" in completed("dal-nlp st")


def test_run_folders_complete_and_other_folders_only_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("runs/first", "runs/second", "other/deep"):
        Path(name).mkdir(parents=True)
        Path(name, "ledger.jsonl").touch()
    Path("runs/rest").mkdir()
    assert run_folders("") == ["runs/first", "runs/second"]
    assert run_folders("runs/f") == ["runs/first"] and run_folders("oth") == ["other"]
    assert run_folders("nowhere/") == []
    assert completed("dal-nlp status runs/s") == ["runs/second"]


def test_completing_loads_no_library_that_takes_seconds() -> None:
    asked = {"_DAL_NLP_COMPLETE": "complete_bash", "COMP_WORDS": "dal-nlp run --strategy ma", "COMP_CWORD": "3"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )
    assert "margin" in done.stdout.split() and "Error" not in done.stderr, done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typer.completion._get_shell_name", lambda: shell)
    shown = invoke("--show-completion").stdout
    assert "_DAL_NLP_COMPLETE" in shown and "--install-completion" in invoke("--help").stdout
