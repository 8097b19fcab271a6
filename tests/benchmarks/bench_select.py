"""Seconds and memory of choosing, beside the dense textbook form: `python tests/benchmarks/bench_select.py`.

`--scale 0.1` makes the inputs smaller, `--only badge` runs the cases whose name contains the word. To add a case,
append a ``measuring.Case`` to the ``CASES`` of one of the ``cases_*.py`` files here, or list a new file's below.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a script is not in the package `tests` by itself

from tests.benchmarks import cases_geometry, cases_gradient, cases_information
from tests.benchmarks.measuring import Case, measure, measure_apart, rows, show

CASES: Sequence[Case] = (
    *cases_geometry.CASES,
    *cases_gradient.CASES,
    *cases_information.CASES,
)

HEADER = ["choice", "size", "run", "seconds", "cpu s", "GB on top", "of ours", "limit"]


def main() -> None:
    """Run the cases asked for and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the number of examples")
    parser.add_argument("--only", default="", help="run the cases whose name contains this")
    parser.add_argument("--patience", type=float, default=900.0, help="seconds after which a run is given up")
    parser.add_argument("--ours", action="store_true", help="leave the other implementations out")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--run", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    by_name = {case.name: case for case in CASES}
    if arguments.case:
        print(json.dumps(measure(by_name[arguments.case], arguments.run, arguments.scale)))
        return
    table = [HEADER]
    for case in CASES:
        if arguments.only in case.name:
            names = ["ours"] if arguments.ours else list(case.runs)
            results = {name: measure_apart(__file__, case, name, arguments.scale, arguments.patience) for name in names}
            table += rows(case, results, arguments.scale)
            print(f"{case.name} done", file=sys.stderr)
    print("\n".join(show(table)))


if __name__ == "__main__":
    main()
