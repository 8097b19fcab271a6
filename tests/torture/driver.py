"""Strike so many times, or for so long; print what came of it, and return 1 where anything was lost."""

import argparse
import json
import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

from dal_nlp.core.distributed import GONE
from dal_nlp.session import loop  # noqa: F401 - the imports that a start would cost
from tests import waiting_runs
from tests.torture.processes import children, command, is_there, wait
from tests.torture.scenarios import PATIENCE, Scenario, scenarios
from tests.torture.traces import Client, course, snapshot

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
#: Most kills of one trial, after which its command is left alone.
MOST = 6


@dataclass
class Outcome:
    """What a trial came to."""

    kills: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def run_trial(
    scenario: Scenario, folder: Path, span: float, rng: np.random.Generator | None
) -> tuple[Outcome, dict[str, Any], float]:
    """Run a command to its end, struck at random moments if there is a generator; return what it left, and its time."""
    folder.mkdir(parents=True)
    if scenario.base is not None:
        shutil.copytree(scenario.base, folder / "run")
    outcome, log = Outcome(), folder / "log.txt"
    log.touch()
    started, planned = time.monotonic(), int(rng.integers(1, MOST + 1)) if rng else 0
    client = Client(log, scenario.answers) if scenario.page else None
    if client:
        client.start()
    failures = 0
    while True:
        process = command(scenario.words(folder), log)
        strike = rng is not None and outcome.kills.total() < planned
        code = wait(process, rng.uniform(0, 0.9 * span)) if strike and rng is not None else None
        if strike and code is None and rng is not None:
            outcome.kills[_strike(process, scenario, rng, outcome)] += 1
            continue
        if code is None:
            code = _let_end(process, client)
        if code == 3 and scenario.answers and not client:
            for sheet in (folder / scenario.asks_in / "queries").glob("*.csv"):
                waiting_runs.fill(sheet, scenario.answers)
            continue
        if code == 0:
            break
        failures += 1
        if failures > 3 or code != 3:
            outcome.wrong.append(f"exit code {code}: {log.read_text().strip()[-300:]}")
            break
    if client:
        client.ended = True
        lost = {id: text for id, text in client.acknowledged.items() if course(folder)["answers"].get(id) != text}
        outcome.wrong += [f"acknowledged and lost: {lost}"] if lost else []
    found = course(folder) if client else snapshot(folder)
    return outcome, found, time.monotonic() - started


def _let_end(process: int, client: Client | None) -> int:
    """Wait for a command that is not struck; a page is left with Ctrl-C once its run has ended."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        code = wait(process, 0.2)
        if code is not None:
            return code
        if client and client.stopped():
            os.killpg(process, signal.SIGINT)
            client = None
    os.killpg(process, signal.SIGKILL)
    wait(process, 10)
    return 124


def _strike(process: int, scenario: Scenario, rng: np.random.Generator, outcome: Outcome) -> str:
    """Send a signal to a process, its group, or one of its children; return what was done, in words."""
    how = SIGNALS[rng.integers(len(SIGNALS))]
    young = children(process)
    whom = str(rng.choice(["parent", "child", "all"])) if scenario.has_children and young else "parent"
    if whom == "child":
        with suppress(ProcessLookupError):
            os.kill(young[rng.integers(len(young))], how)
        time.sleep(float(rng.uniform(0, 1)))
        how_too = signal.SIGKILL  # what a command does without its child is its own affair; then it ends too
    else:
        how_too = how
    with suppress(ProcessLookupError):
        os.killpg(process, how_too) if whom == "all" else os.kill(process, how_too)
    if wait(process, 60) is None:
        outcome.wrong.append(f"{how_too.name} was not heeded in 60 s")
        os.killpg(process, signal.SIGKILL)
        wait(process, 10)
    end = time.monotonic() + GONE
    while any(map(is_there, young)) and time.monotonic() < end:
        if rng.random() < 0.01:  # at times the same command follows at once
            break
        time.sleep(0.02)
    else:
        outcome.wrong += [f"child {child} is still there after {GONE:g} s" for child in young if is_there(child)]
    return f"{how.name} {whom}"


def main() -> int:
    """Strike, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", help="the name of one configuration")
    parser.add_argument("--keep", type=Path, help="a folder for what is other than its twin")
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    end = time.monotonic() + given.seconds
    kills, trials, wrong = Counter[str](), Counter[str](), list[str]()
    with tempfile.TemporaryDirectory(prefix="dal-nlp-torture-") as name:
        root = Path(name)
        every = [one for one in scenarios(root / "files") if given.only in (None, one.name)]
        twins = dict[str, tuple[dict[str, Any], float]]()
        number = 0
        while kills.total() < given.kills and time.monotonic() < end:
            scenario = every[number % len(every)]
            number += 1
            if scenario.name not in twins:
                said, found, seconds = run_trial(scenario, root / f"twin-{number}", 0, None)
                twins[scenario.name] = found, seconds
                wrong += [f"{scenario.name}, undisturbed: {text}" for text in said.wrong]
            twin, span = twins[scenario.name]
            outcome, found, _ = run_trial(scenario, root / f"trial-{number}", span, rng)
            others = [key for key in twin.keys() | found.keys() if twin.get(key) != found.get(key)]
            outcome.wrong += [f"other than its twin: {', '.join(sorted(others))}"] if others else []
            kills.update(outcome.kills)
            trials[scenario.name] += 1
            wrong += [f"{scenario.name}, trial {number}: {text}" for text in outcome.wrong]
            print(
                f"{kills.total()} kills, {number} trials, {scenario.name}: {outcome.wrong or 'as its twin'}", flush=True
            )
            if outcome.wrong and given.keep:
                shutil.copytree(root / f"trial-{number}", given.keep / f"{scenario.name}-{number}")
            shutil.rmtree(root / f"trial-{number}")
    print(json.dumps({"seed": given.seed, "kills": kills, "trials": trials, "wrong": wrong}, indent=1))
    return 1 if wrong else 0
