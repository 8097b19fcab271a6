"""What commands that train nothing cost, as ratios to the two libraries that the command line cannot do without.

A ratio is of processor seconds (the command's own and the system's), the least of several starts each, all in one
run. At most 4 is wanted, 6 for what reads the answers or the texts of 10,000 rows.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from dal_nlp import RunConfig, Session
from dal_nlp.testing import tiny_rows
from tests.tiny import save_model, write

FLOOR = ["-c", "import typer, rich.console"]
PROGRAM = ["-c", "from dal_nlp_cli.main import main; main()"]
SMALL, LARGE = 4.0, 6.0
SMALL_RUN = """--help
status run
run --task sentimnt
run --task sentiment --budgte 3
strategies
init settings.yaml --task qa
log run
agreement run
report run"""
LARGE_RUN = """export run --out answers.csv
ingest run answers.csv
label run --as anna"""


def seconds(words: list[str], folder: Path, repeats: int) -> float:
    """Return the least processor time of a process."""
    least = float("inf")
    # Else every start would compile the package anew, which no installed one does.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(repeats):
        (folder / "settings.yaml").unlink(missing_ok=True)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *words], cwd=folder, input=b"", capture_output=True, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        least = min(least, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return least


def make_run(folder: Path, rows: int) -> None:
    """Leave a run with one round of simulated answers, every row of the pool in its copy."""
    write(folder / "pool.jsonl", tiny_rows(rows))
    values = {
        "task": "sentiment",
        "data": str(folder / "pool.jsonl"),
        "model": save_model(folder / "model"),
        "out": str(folder / "run"),
        "audit": rows // 2,
        "initial": rows // 4,
        "rounds": 0,
        "initial_strategy": "random",
        "training": {"mode": "full", "min_steps": 1, "epochs": 0.01},
        "query": {"dedupe": None},
        "annotators": ["anna"],
    }
    Session(RunConfig(**values)).run()


def main() -> None:
    """Print the table; ends with 1 where a ratio is above its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    missed = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        floor = seconds(FLOOR, folder, given.repeats)
        print(f"| command | seconds | times {floor:.2f} s | at most |\n|---|---|---|---|")
        for n, lines, limit in ((40, SMALL_RUN, SMALL), (given.rows, LARGE_RUN, LARGE)):
            place = folder / str(n)
            place.mkdir()
            make_run(place, n)
            for line in lines.splitlines():
                took = seconds([*PROGRAM, *line.split()], place, given.repeats)
                missed |= took > limit * floor
                print(f"| {line} | {took:.2f} | {took / floor:.1f} | {limit:g} |", flush=True)
    sys.exit(missed)


if __name__ == "__main__":
    main()
