"""Seconds from the last label of a round to the next query on the disk, with `--train head` and a filled cache.

    python tests/benchmarks/bench_head.py [--n 10000] [--labels 200] [--strategies margin,badge,entropy,coreset]

Texts are made up and what the encoder (MiniLM's sizes) makes of them is drawn at random: it was computed before a round
begins, so its speed does not matter here. Everything else is a run: fit, test set of 1,000, ledger, choice.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a script is not in the package `tests` by itself

import numpy as np

from dal_nlp import RunConfig, Session
from dal_nlp.learners.feature_cache import Features
from dal_nlp.ledger.events import Event
from dal_nlp.ledger.ledger import Ledger
from tests import tiny

WIDTH, LIMIT, TEST, ASKED = 384, 1.0, 1000, 10
DIRECTION = np.random.default_rng(1).normal(size=WIDTH).astype(np.float32)


def made_up(self: Features, encoder: object, tokens: Any, rows: Any) -> Any:
    """Stand in for the encoder: noise, and a direction that tells the classes apart."""
    rng = np.random.default_rng(int(rows[0]))
    labeled = "target" in tokens.column_names  # descriptions of labels are not
    targets = tokens[rows]["target"] if labeled else [""] * len(rows)
    signs = np.array([1 if '"positive"' in target else -1 for target in targets], dtype=np.float32)
    noise = rng.normal(size=(len(rows), 4, WIDTH)).astype(np.float32)
    return noise + 0.1 * signs[:, None, None] * DIRECTION


def write(path: Path, n: int, seed: int) -> str:
    rng = np.random.default_rng(seed)
    rows = tiny.sentences(n // 4, seed)
    with path.open("w") as file:
        for i in range(n):
            row, label = rows[i % len(rows)], ("positive", "negative")[int(rng.integers(2))]
            file.write(json.dumps({"id": f"{seed}-{i}", "text": f"{row['text']} [{i}]", "label": label}) + "\n")
    return str(path)


def rounds(folder: Path, strategy: str, n: int, labels: int) -> list[tuple[float, float]]:
    """Run, and return seconds by the clock and of work from the last label of each round to the next query."""
    events: list[tuple[str, float, float]] = []
    extend = Ledger.extend

    def timed(ledger: Ledger, written: Sequence[Event]) -> None:
        extend(ledger, written)
        events.extend((event.name, time.perf_counter(), time.process_time()) for event in written)

    Ledger.extend = timed  # type: ignore[method-assign]
    config = RunConfig(
        task="sentiment",
        data=write(folder / "pool.jsonl", n, 0),
        test=write(folder / "test.jsonl", TEST, 1),
        model=tiny.save_model(folder / "model"),
        cache=str(folder / "cache"),
        out=str(folder / strategy),
        strategy=strategy,
        initial=labels - 2 * ASKED,
        initial_strategy="random",
        query_size=ASKED,
        rounds=3,
        max_length=64,
        training={"mode": "head"},
    )
    Session(config).run()
    Ledger.extend = extend  # type: ignore[method-assign]
    labeled, found = events[0], []
    for event in events:
        if event[0] == "label":
            labeled = event
        elif event[0] == "query":
            found.append((event[1] - labeled[1], event[2] - labeled[2]))
    return found[1:]


def main() -> None:
    """Print a line a strategy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--labels", type=int, default=200)
    parser.add_argument("--strategies", default="margin,entropy,badge,coreset")
    arguments = parser.parse_args()
    Features._encode = made_up  # type: ignore[method-assign]
    for strategy in arguments.strategies.split(","):
        with tempfile.TemporaryDirectory() as folder:
            first, *later = rounds(Path(folder), strategy, arguments.n, arguments.labels)
        clock, work = later[-1]
        kept = "kept" if clock <= LIMIT else "MISSED"
        print(
            f"{strategy:>10}: {clock:.2f} s at {arguments.labels} labels, {work:.2f} of work (limit {LIMIT:g}: {kept}),"
            f" the first round of a start {first[0]:.2f} s; load {os.getloadavg()[0]:.1f}"
        )


if __name__ == "__main__":
    main()
