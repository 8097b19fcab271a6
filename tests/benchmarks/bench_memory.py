"""Resident memory that a large pool costs: read, check, tokenise, score, on top of what the imports and the model cost.

    python tests/benchmarks/bench_memory.py [--n 1000000]

The model is tiny, so that what is measured is the pool and not the network. Linux only. Two figures: the peak of all
resident memory (pages of the memory-mapped files included, which the system takes back when it needs them), and of the
memory that the process itself holds.
"""

import argparse
import json
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from dal_nlp.core.config import DrawsConfig, ScoringConfig
from dal_nlp.data.corpus import read_pool
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import Pool
from dal_nlp.session.config import RunConfig
from dal_nlp.strategies import strategy_class
from tests import tiny

LIMIT = 500


def megabytes(*names: str) -> float:
    """Sum fields of /proc/self/status."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return sum(int(fields[name].split()[0]) for name in names) / 1024


class Peak:
    """Watches this process's memory from a thread while a block runs."""

    def __enter__(self) -> "Peak":
        self.resident = self.own = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            self.resident = max(self.resident, megabytes("VmRSS"))
            self.own = max(self.own, megabytes("RssAnon", "RssShmem"))

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def write_texts(path: Path, n: int) -> None:
    rng = np.random.default_rng(0)
    words = [*tiny.POSITIVE, *tiny.NEGATIVE, *tiny.NEUTRAL]
    with path.open("w") as file:
        for i in range(n):
            text = " ".join(rng.choice(words, 8))
            file.write(json.dumps({"id": f"ticket-{i}", "text": f"{text} {i}", "label": "ab"[i % 2]}) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1_000_000)
    n = parser.parse_args().n
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pool.jsonl"
        write_texts(path, n)
        task, model = tiny.task(), tiny.classifier()
        task.labels = ["a", "b"]
        tiny.pool(n=64).collect(lambda forward: forward.log_probs)  # what the first pass loads is no cost of the pool
        start, own = megabytes("VmRSS"), megabytes("RssAnon", "RssShmem")
        print(f"{n:,} texts; imports and model: {start:.0f} MB resident, {own:.0f} MB of them the process's own")
        config = RunConfig(task="sentiment", data=str(path), test="none.jsonl")
        with Peak() as peak:
            started = time.perf_counter()
            corpus = read_pool(str(path), task, config, Path(folder) / "cache", need_targets=True)
            read = time.perf_counter()
            encoded = corpus.encoded(task)
            tokenised = time.perf_counter()
            scoring = ScoringConfig(batch_size=512, batch_tokens=16384)
            pool = Pool(encoded.remove_columns("target"), model, task, make_draws(DrawsConfig(), 0, 0), scoring)
            strategy_class("margin")().select(pool, 20, np.random.default_rng(0))
            scored = time.perf_counter()
        print(f"read {read - started:.0f} s, tokenise {tokenised - read:.0f} s, score {scored - tokenised:.0f} s")
        whole, held = peak.resident - start, peak.own - own
        print(f"peak on top: {whole:.0f} MB resident (wanted: less than {LIMIT}), {held:.0f} MB of them its own")


if __name__ == "__main__":
    main()
