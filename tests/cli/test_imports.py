"""Commands that train nothing load none of the libraries that take seconds."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[1] / "old_runs" / "classification" / "run"
#: In this order, as what one loads stays loaded for the next.
COMMANDS = """status run
run --task sentiment --budgte 3
run --task sentimnt
strategies
init settings.yaml --task qa
log run
relabel run s0-2 positive --as anna
export run --out answers.csv
ingest run answers.csv
label run --as anna
report run
agreement run"""
PROGRAM = """
import sys
from typer.testing import CliRunner
from dal_nlp_cli.main import app
for line in sys.stdin.read().splitlines():
    done = CliRunner().invoke(app, line.split(), prog_name="dal-nlp", input="")
    assert done.exit_code in (0, 2, 3), (line, done.output)
    heavy = {"torch", "transformers", "datasets", "accelerate", "pandas", "scipy"} & sys.modules.keys()
    if line == "agreement run":  # scikit-learn's kappa brings them along
        heavy -= {"pandas", "scipy"}
    assert not heavy, (line, heavy)
    print(line.split()[0], done.exit_code)
"""


@pytest.mark.long
def test_commands_that_train_nothing_load_no_models(tmp_path: Path) -> None:
    shutil.copytree(RUN, tmp_path / "run")
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, input=COMMANDS, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    codes = dict(line.split() for line in done.stdout.splitlines())
    assert len(done.stdout.splitlines()) == len(COMMANDS.splitlines())
    assert codes == dict.fromkeys(codes, "0") | {"run": "2", "label": "3"}
