"""What works of an installed wheel, outside of the checkout: `make wheel-check`.

    python tests/wheel_check.py BIN WORK

BIN is the `bin` of an environment that has the wheel, WORK a folder that is made for what the commands write.
"""

import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]

WHERE = """
import dal_nlp, dal_nlp_cli, dal_nlp_configs
from importlib.metadata import version
from pathlib import Path
assert version("dal-nlp") == dal_nlp.__version__
assert (Path(dal_nlp.__file__).parent / "py.typed").is_file()
print(dal_nlp.__file__)
"""
SELECT = """
from dal_nlp import select
from dal_nlp.testing import tiny_classifier, tiny_tokenizer
texts = ["a good film", "a bad film", "the plot of it", "a scene"]
print(select(tiny_classifier(), tiny_tokenizer(), texts, k=2))
"""
PLAIN = """
import sys
sys.modules["dal_nlp"] = None
from transformers import pipeline
print(pipeline("text-classification", model="run/model", trust_remote_code=True)("a good film"))
"""


def main(place: Path, work: Path) -> None:
    """Run what a user runs first, and stop at the first thing that fails."""
    work.mkdir(parents=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    environment = {
        **kept,
        "PATH": f"{place}{os.pathsep}{os.environ['PATH']}",
        "HF_MODULES_CACHE": str(work / "modules"),
    }

    def ran(*command: str, **more: str) -> str:
        print("$", " ".join(command).splitlines()[0], flush=True)
        done = subprocess.run(command, cwd=work, env={**environment, **more}, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{done.stdout}{done.stderr}It ended with {done.returncode}.")
        return done.stdout

    python, program = str(place / "python"), str(place / "dal-nlp")
    installed = ran(python, "-c", WHERE).strip()
    if Path(installed).is_relative_to(CHECKOUT):
        sys.exit(f"{installed} is the checkout: install the wheel.")
    assert ran(program, "--version").startswith("dal-nlp ")
    asked = {"_DAL_NLP_COMPLETE": "complete_bash", "COMP_WORDS": "dal-nlp run --strategy marg", "COMP_CWORD": "3"}
    assert ran(program, **asked).split() == ["margin"]
    ran(program, "init", "settings.yaml", "--task", "sentiment")
    few = ["--initial", "10", "--query-size", "10", "--rounds", "1", "--quiet", "--out", "run"]
    ran(program, "run", "--task", "sentiment", *few)
    assert (work / "run" / "report.html").is_file()
    ran(program, "status", "run")
    ran(program, "report", "run", "--figure", "curve.pdf")
    assert "Picked 2 examples" in ran(python, "-c", SELECT)
    assert "score" in ran(python, "-c", PLAIN)
    print("The wheel works.")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
