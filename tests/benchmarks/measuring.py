"""Seconds and peak memory of one function on made-up inputs, each run in a process of its own."""

import importlib.metadata
import importlib.util
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Run = Callable[..., object]


@dataclass(frozen=True)
class Case:
    """One choice to be timed, and what it is compared with.

    Attributes:
        name: What ``--only`` asks for; unique.
        size: The full size in words, for the table.
        inputs: Scale (multiplies the number of examples; 1 for the full size) -> arguments of every run; made from a
            seeded generator, float32. Their making is not timed and their memory not counted.
        ours: What the package does.
        seconds: At most so many at scale 1, or 1.5 times the run named "floor" where there is one.
        gigabytes: At most so many on top of the inputs at scale 1.
        twins: Other ways to the same end (the dense textbook form, another package), by name.
        times: How many times faster than a twin ours must be, by the twin's name.
    """

    name: str
    size: str
    inputs: Callable[[float], tuple[Any, ...]]
    ours: Run
    seconds: float | None = None
    gigabytes: float | None = None
    twins: Mapping[str, Run] = field(default_factory=dict)
    times: Mapping[str, float] = field(default_factory=dict)

    @property
    def runs(self) -> dict[str, Run]:
        """Every run by name, ours first."""
        return {"ours": self.ours, **self.twins}


def installed(package: str, module: str, run: Run) -> dict[str, Run]:
    """Return {"package version": run} where another package is there to be compared with, else nothing."""
    if importlib.util.find_spec(module) is None:
        return {}
    return {f"{package} {importlib.metadata.version(package)}": run}


def scaled(n: int, scale: float, least: int = 1) -> int:
    """Return n times scale as a whole number, at least ``least``."""
    return max(round(n * scale), least)


def memory_line(name: str) -> float:
    """Return a line of Linux's /proc/self/status in GB (1e9 bytes); nan on other systems."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    found = [line for line in lines if line.startswith(name)]
    return int(found[0].split()[1]) * 1024 / 1e9 if found else math.nan


def measure(case: Case, run: str, scale: float) -> dict[str, float]:
    """Run once in this process; return its seconds, those of all cores, and the peak of memory above the inputs'."""
    import numpy as np

    inputs = case.inputs(scale)
    x = np.ones((512, 512), dtype=np.float32)
    assert (x @ x)[0, 0] == 512  # the linear algebra library's threads and buffers are there from here on
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5")  # the peak starts again from what is resident now
    before, started, worked = memory_line("VmRSS"), time.perf_counter(), time.process_time()
    case.runs[run](*inputs)
    seconds, cpu = time.perf_counter() - started, time.process_time() - worked
    return {"seconds": seconds, "cpu": cpu, "gigabytes": memory_line("VmHWM") - before}


def measure_apart(script: str, case: Case, run: str, scale: float, patience: float) -> dict[str, float] | None:
    """Run ``script --case --run`` in a new process; None if it took longer than ``patience`` seconds or failed."""
    command = [sys.executable, script, "--case", case.name, "--run", run, "--scale", str(scale)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=patience, check=True)
    except subprocess.TimeoutExpired:
        return None
    except subprocess.CalledProcessError as error:
        sys.stderr.write(error.stderr)
        return None
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def rows(case: Case, results: Mapping[str, dict[str, float] | None], scale: float) -> list[list[str]]:
    """Return the table's rows of one case: every run, and whether ours keeps its limits (told at scale 1 only)."""
    ours = results["ours"]
    table = []
    for name, result in results.items():
        first = name == "ours"
        if result is None:
            table.append([case.name if first else "", case.size if first else "", name, "-", "-", "-", "", "no result"])
            continue
        ratio = "" if first or ours is None else f"{result['seconds'] / ours['seconds']:.1f}x"
        verdict = _verdict(case, results, scale) if first else _verdict_of_twin(case, name, ours, result, scale)
        figures = [f"{result[key]:.2f}" for key in ("seconds", "cpu", "gigabytes")]
        table.append([case.name if first else "", case.size if first else "", name, *figures, ratio, verdict])
    return table


def _verdict(case: Case, results: Mapping[str, dict[str, float] | None], scale: float) -> str:
    """Compare ours with the limits in seconds and gigabytes."""
    ours, floor = results["ours"], results.get("floor")
    limits = []
    if case.seconds is not None:
        limits.append(("seconds", max(case.seconds, 1.5 * floor["seconds"] if floor else 0), "s"))
    if case.gigabytes is not None:
        limits.append(("gigabytes", case.gigabytes, "GB"))
    words = [f"{limit:.4g} {unit}" for _, limit, unit in limits]
    if not limits or ours is None:
        return ""
    kept = all(ours[key] <= limit for key, limit, _ in limits)
    return f"at most {', '.join(words)}" + ("" if scale != 1 else ": kept" if kept else ": MISSED")


def _verdict_of_twin(case: Case, name: str, ours: dict[str, float] | None, twin: dict[str, float], scale: float) -> str:
    """Compare the ratio with what is asked of it."""
    if name not in case.times or ours is None:
        return ""
    kept = twin["seconds"] >= case.times[name] * ours["seconds"]
    return f"at least {case.times[name]:g}x" + ("" if scale != 1 else ": kept" if kept else ": MISSED")


def show(table: Sequence[Sequence[str]]) -> Iterable[str]:
    """Yield the lines of a table with aligned columns."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    for row in table:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
