"""What scoring a text costs as pools grow, and what a second process brings.

    python tests/benchmarks/bench_scaling.py [--largest 1000000] [--texts 1200] [--repeats 3]

Pools of 10,000 texts up to `--largest` go through a tiny model, so that what is measured is the package, not the model;
with one process and two, of one thread each, `--texts` texts of film-review length go through MiniLM. Each is run
`--repeats` times in turn and the best counts. Ratios hold within this run.
"""

import argparse
import os
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset
from transformers import BertConfig, BertForSequenceClassification

from dal_nlp.core.config import DrawsConfig, ScoringConfig
from dal_nlp.core.distributed import barrier, gather, is_main, process_state
from dal_nlp.core.rng import torch_seeded
from dal_nlp.downloads import demo
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import Pool
from dal_nlp.pretrained.loading import load_classifier, load_tokenizer
from dal_nlp.strategies import probes
from dal_nlp.tasks.classification import Classification

LABELS = ["negative", "positive"]
FLAT, TWICE = 0.15, 1.5


def tokens(n: int, words: tuple[int, int], vocabulary: int) -> Dataset:
    """Made-up texts as they are after encoding."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(*words, size=n)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    numbers = rng.integers(5, vocabulary, size=ends[-1])
    ones = pa.array(np.ones(n, dtype=np.int64))
    texts = pa.LargeListArray.from_arrays(pa.array(ends), pa.array(numbers))
    return Dataset(pa.table({"input_ids": texts, "length": pa.array(lengths), "rows": ones}))


def pool_of(model: torch.nn.Module, examples: Dataset, task: Classification) -> Pool:
    return Pool(examples, model, task, make_draws(DrawsConfig(), 0, 0), ScoringConfig())


def seconds(pool: Pool) -> float:
    barrier()
    started = time.perf_counter()
    pool.collect(probes.entropy, probes.embedding)
    barrier()
    return time.perf_counter() - started


def work_of(pool: Pool) -> float:
    """Return cpu seconds of a pass: a busy machine changes them less than those of the clock."""
    started = time.process_time()
    pool.collect(probes.entropy, probes.embedding)
    return time.process_time() - started


def sizes(largest: int, repeats: int) -> None:
    """Print microseconds of work a text by the size of the pool."""
    torch.set_num_threads(1)
    tokenizer = load_tokenizer(str(demo.encoder()))
    task = Classification(tokenizer=tokenizer, labels=LABELS, max_length=16)
    config = BertConfig(
        vocab_size=100, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    model = BertForSequenceClassification(config).eval()
    counts = [n for n in (10_000, 100_000, 1_000_000) if n <= largest]
    pool_of(model, tokens(2000, (4, 12), 100), task).collect(probes.entropy)  # what the first pass warms up
    costs = {}
    for n in counts:
        examples = tokens(n, (4, 12), 100)
        runs = repeats if n < 1_000_000 else 1
        costs[n] = min(work_of(pool_of(model, examples, task)) for _ in range(runs)) / n * 1e6
        print(
            f"{n:>9,} texts: {costs[n]:.1f} us of work a text, {costs[n] / costs[counts[0]]:.2f} of the smallest pool"
        )
    kept = all(abs(cost / costs[counts[0]] - 1) <= FLAT for cost in costs.values())
    print(f"within {FLAT:.0%} of the smallest pool's: {'kept' if kept else 'MISSED'}")


def processes(texts: int, repeats: int) -> None:
    """Print how many times as fast two processes are, by the clock and, for a busy machine, by the work of each."""
    best = {count: float("inf") for count in (1, 2)}
    work = dict(best)
    for _ in range(repeats):
        for count in best:
            command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={count}"]
            environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
            command += [__file__, "--score", str(texts)]
            done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
            took, worked = map(float, done.stdout.split()[-2:])
            best[count], work[count] = min(best[count], took), min(work[count], worked)
    ratio = best[1] / best[2]
    rates = ", ".join(f"{count} of one thread: {texts / took:.0f} texts a second" for count, took in best.items())
    print(f"{rates}; {ratio:.2f} times as fast, at least {TWICE:g}: {'kept' if ratio >= TWICE else 'MISSED'}")
    print(
        f"{work[1]:.1f} s of work in one, {work[2]:.1f} s in the busier of two: {work[1] / work[2]:.2f} times as fast"
    )


def score(texts: int) -> None:
    """Score once in this process and those beside it; print the seconds, and the cpu seconds of the busiest."""
    process_state()
    source = str(demo.encoder())
    task = Classification(tokenizer=load_tokenizer(source), labels=LABELS, max_length=64)
    with torch_seeded(0):
        model = load_classifier(source, LABELS).eval()
    pool_of(model, tokens(64, (8, 48), 20_000), task).collect(probes.entropy)
    examples, started = tokens(texts, (8, 48), 20_000), time.process_time()
    took = seconds(pool_of(model, examples, task))
    worked = max(gather([time.process_time() - started]))
    if is_main():
        print(took, worked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=1_000_000)
    parser.add_argument("--texts", type=int, default=1200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--score", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.score:
        score(options.score)
        return
    processes(options.texts, options.repeats)
    sizes(options.largest, options.repeats)


if __name__ == "__main__":
    main()
