"""Choosing from a million texts, and what a text costs as pools grow: `python tests/benchmarks/bench_million.py`.

Embeddings of 384 numbers lie in a file, as those of a pass over such a pool do; the limits are 120 s and 3 GB resident.
`--n 1000000` is the larger of two pools; the other is a tenth of it.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a script is not in the package `tests` by itself

from dal_nlp.models.memory_maps import Scratch
from dal_nlp.models.vectors import Dense, Outer
from dal_nlp.strategies.badge import kmeans_pp
from dal_nlp.strategies.coreset import k_center
from dal_nlp.strategies.selectors import nearest_to_centres
from tests.benchmarks.measuring import memory_line, show

H, K, C, LABELED = 384, 100, 6, 100
SECONDS, GIGABYTES = 120, 3.0


def embeddings(n: int, half: bool) -> np.ndarray:
    """Normal numbers without any structure in a file: the slowest to cluster."""
    rng = np.random.default_rng(0)
    x = Scratch(Path(tempfile.gettempdir()), 0).array((n, H), np.float16 if half else np.float32)
    for first in range(0, n, 20_000):
        x[first : first + 20_000] = rng.standard_normal((min(20_000, n - first), H), dtype=np.float32)
    return x


def choose(name: str, n: int) -> None:
    """Choose once in this process, and print seconds and the peak of what is resident, the file's pages included."""
    x, rng = embeddings(n, half=name != "badge"), np.random.default_rng(1)
    known = rng.standard_normal((LABELED, H), dtype=np.float32)
    gradients = rng.standard_normal((n if name == "badge" else 1, 1, C), dtype=np.float32)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from what is resident now
    started, worked = time.perf_counter(), time.process_time()
    if name == "coreset":
        k_center(Dense(x), known, K, rng)
    elif name == "kmeans":
        nearest_to_centres(Dense(x), K, rng)
    else:
        kmeans_pp(Outer(gradients, x[:, None]), K, rng)
    print(time.perf_counter() - started, time.process_time() - worked, memory_line("VmHWM"))


def main() -> None:
    """Run every chooser at growing sizes, each in a process of its own, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--only", default="")
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        choose(options.run[0], int(options.run[1]))
        return
    table = [["choice", "texts", "seconds", "cpu s", "GB resident", "us a text", ""]]
    for name in ("kmeans", "coreset", "badge"):
        if options.only in name:
            for n in (options.n // 10, options.n):
                command = [sys.executable, __file__, "--run", name, str(n)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                seconds, cpu, resident = map(float, done.stdout.split())
                kept = seconds <= SECONDS and resident <= GIGABYTES
                verdict = f"at most {SECONDS} s, {GIGABYTES:g} GB: {'kept' if kept else 'MISSED'}"
                figures = [f"{seconds:.1f}", f"{cpu:.1f}", f"{resident:.2f}", f"{1e6 * cpu / n:.0f}"]
                table.append([name, f"{n:,}", *figures, verdict if n == 1_000_000 else ""])
    print("\n".join(show(table)))


if __name__ == "__main__":
    main()
