"""Processor seconds of a fit of the head, and of the choice of layers and strength by cross-validation.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.bench_fit [--classes 2,6] [--labels 60,200,400] [--width 384]

Two layers of features that are drawn at random, with a direction for each class, and a signal that knows some of it.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

from dal_nlp.learners.cross_validation import choose_setting, fit_with, settings
from dal_nlp.learners.layers import standard_of
from dal_nlp.learners.linear import Offset, strength

LAYERS, TIMES = 2, 5


def least(do: Callable[[], object]) -> float:
    """Return the least processor seconds of a few times."""
    found = []
    for _ in range(TIMES):
        started = time.process_time()
        do()
        found.append(time.process_time() - started)
    return min(found)


def seconds(classes: int, n: int, width: int) -> tuple[float, float]:
    """Return what a fit to n labels costs, and the choice."""
    rng = np.random.default_rng(0)
    y, weights = rng.integers(classes, size=n), np.ones(n)
    directions = rng.normal(size=(classes, LAYERS * width)).astype(np.float32)
    x = (rng.normal(size=(n, LAYERS * width)) + 0.1 * directions[y]).astype(np.float32)
    offsets = [Offset(np.eye(classes)[y] + rng.normal(size=(n, classes)))]
    ways = settings(standard_of(x, LAYERS), LAYERS, strength(classes))
    fit = least(lambda: fit_with(ways[0], x, y, weights, classes, offsets))
    return fit, least(lambda: choose_setting(ways, x, y, weights, classes, offsets, np.random.default_rng(0)))


def main() -> None:
    """Print a line for each number of classes and labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", default="2,6")
    parser.add_argument("--labels", default="60,200,400")
    parser.add_argument("--width", type=int, default=384, help="numbers of a hidden state")
    given = parser.parse_args()
    for classes in map(int, given.classes.split(",")):
        for n in map(int, given.labels.split(",")):
            fit, choice = seconds(classes, n, given.width)
            print(f"{classes} classes, {n} labels: a fit {fit:.3f} s, the choice {choice:.2f} s", flush=True)


if __name__ == "__main__":
    main()
