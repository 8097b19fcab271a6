"""What works of an installed wheel, outside of the checkout: `make wheel-check`.

    python tests/wheel_check.py BIN WORK

BIN is the `bin` of an environment that has the wheel, WORK a folder that is made for what the commands write.
"""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

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
    page(program, work, environment)
    print("The wheel works.")


def page(program: str, work: Path, environment: dict[str, str]) -> None:
    """Have a run wait for people, and look whether its page comes."""
    waits = ["--oracle", "file", "--audit", "5", "--labels", "negative,positive", "--model", "minilm", "--out", "asked"]
    (work / "pool.csv").write_text("text\n" + "".join(f"Film {number} was good.\n" for number in range(20)))
    command = [program, "run", "--task", "sentiment", "--data", "pool.csv", *waits]
    print("$", *command, flush=True)
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
    assert done.returncode == 3, f"{done.stdout}{done.stderr}"
    command = [program, "annotate", "asked", "--port", "0"]
    print("$", *command, flush=True)
    with subprocess.Popen(command, cwd=work, env=environment, stdout=subprocess.PIPE, text=True) as served:
        assert served.stdout is not None
        try:
            address = next(found[0] for line in served.stdout if (found := re.search(r"http://[^#\s]+", line)))
            with urlopen(address) as answer:
                assert answer.status == 200 and b"<title>" in answer.read()
        finally:
            served.send_signal(signal.SIGINT)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
