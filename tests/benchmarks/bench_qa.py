"""Question answering: what the spans cost beside the model, pool scoring against a bare loop, and memory.

    python tests/benchmarks/bench_qa.py [--data FILE] [--n 100] [--repeats 3] [--fixed 2]

FILE is a jsonl file with question and context; without one, contexts are made up from the words of the model. Times
are the best of the repeats, and every limit is a ratio within this run. The last line is the memory of one question
of 200 windows under 20 draws, on top of the model.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset

from dal_nlp.core import categoricals
from dal_nlp.core.config import DrawsConfig, ScoringConfig
from dal_nlp.core.rng import torch_seeded
from dal_nlp.downloads import demo
from dal_nlp.models.forward import Forward
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import Pool, fetch, make_batches
from dal_nlp.pretrained.loading import load_tokenizer
from dal_nlp.strategies import bayesian, probes
from dal_nlp.tasks.qa import ExtractiveQA, QAOptions

WINDOW, DRAWS, WINDOWS = 384, 20, 200


def words(n: int, seed: int, vocabulary: list[str]) -> str:
    return " ".join(np.random.default_rng(seed).choice(vocabulary, n))


def rows(file: str | None, n: int, vocabulary: list[str]) -> list[tuple[str, str]]:
    if file:
        read = [json.loads(line) for line in Path(file).read_text(encoding="utf-8").split("\n") if line][:n]
        return [(row["question"], row["context"]) for row in read]
    return [(words(10, i, vocabulary), words(60 + 7 * (i % 60), i, vocabulary)) for i in range(n)]


def encode(task: ExtractiveQA, pairs: list[tuple[str, str]]) -> Dataset:
    fields = [task.fields(pair) for pair in pairs]
    columns: dict[str, list[Any]] = {name: [of[name] for of in fields] for name in fields[0]}
    return Dataset.from_dict({**columns, **task.encode(columns)})


def best_of(repeats: int, *runs: Callable[[], object]) -> list[float]:
    """Seconds of each of the runs, taken in turn."""
    seconds: list[list[float]] = [[] for _ in runs]
    for _ in range(repeats):
        for run, taken in zip(runs, seconds, strict=True):
            started = time.perf_counter()
            run()
            taken.append(time.perf_counter() - started)
    return [min(taken) for taken in seconds]


def spans(model: torch.nn.Module, task: ExtractiveQA, vocabulary: list[str], repeats: int) -> None:
    """Entropy over all spans of full windows, and with head draws, against the forward pass."""
    examples = fetch(encode(task, [(words(10, i, vocabulary), words(330, i, vocabulary)) for i in range(8)]), range(8))
    batch = task.collate(examples)
    forward = Forward(model, task, batch, examples, make_draws(DrawsConfig(kind="head", k=DRAWS), 0, 0), 64)
    tokens = batch.inputs["input_ids"].shape

    def model_alone() -> None:
        with torch.inference_mode():
            model(**batch.inputs)

    def once() -> None:
        categoricals.entropy(task.categoricals(forward._pass.raw, batch))

    def drawn() -> None:
        bayesian.bald(forward)

    once()
    bare, one, many = best_of(repeats, model_alone, once, drawn)
    print(f"{tokens[0]} windows of {tokens[1]} tokens: forward {bare:.2f} s")
    print(f"{'entropy over all spans':<42}{one / bare:>8.1%} of the forward pass   at most 4 %")
    print(f"{f'BALD with {DRAWS} head draws':<42}{many / bare:>8.1%} of the forward pass   at most 15 %")


def scoring(model: torch.nn.Module, task: ExtractiveQA, encoded: Dataset, repeats: int) -> None:
    """Pool.collect(entropy) against the model over the same windows."""
    sizes = ScoringConfig()
    pool = Pool(encoded, model, task, make_draws(DrawsConfig(), 0, 0), sizes)
    batches = make_batches(np.array(encoded["length"]), np.array(encoded["rows"]), sizes)
    inputs = [task.collate(fetch(encoded, positions)).inputs for positions in batches]

    def bare() -> None:
        with torch.inference_mode():
            for batch in inputs:
                model(**batch)

    alone, ours = best_of(repeats, bare, lambda: pool.collect(lambda forward: probes.entropy(forward)))
    print(
        f"{len(encoded)} questions, {int(np.sum(encoded['rows']))} windows: bare loop {alone:.1f} s, ours {ours:.1f} s"
    )
    print(f"{'pool scoring, share of the bare speed':<42}{alone / ours:>8.2f}                       at least 0.85")


def peak() -> float:
    """Largest resident memory of the process so far, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def memory(model: torch.nn.Module, task: ExtractiveQA, vocabulary: list[str], fixed: int) -> None:
    """Entropy, margin, BALD and gradient of one question of 200 windows."""
    room = WINDOW - 3 - 10
    context = words(room + (WINDOWS - 1) * (room - 128), 0, vocabulary)
    encoded = encode(task, [(words(10, 0, vocabulary), context)])
    measures: Iterator[tuple[str, DrawsConfig, Callable[[Forward], Any]]] = iter(
        [
            ("entropy, margin, gradient", DrawsConfig(), probes.gradient),
            (f"BALD, {DRAWS} head draws", DrawsConfig(kind="head", k=DRAWS), bayesian.bald),
            (f"BALD, {fixed} fixed draws", DrawsConfig(k=fixed), bayesian.bald),
        ]
    )
    before = peak()
    for name, draws, probe in measures:
        pool = Pool(encoded, model, task, make_draws(draws, 0, 0), ScoringConfig())
        started = time.perf_counter()
        pool.collect(probes.entropy, probes.margin, probe)
        print(
            f"{str(encoded[0]['rows']) + ' windows: ' + name:<42}{peak() - before:>8.2f} GB in "
            f"{time.perf_counter() - started:.0f} s          at most 2 GB"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--fixed", type=int, default=2, help="draws of the whole network: a pass over all windows each")
    options = parser.parse_args()
    source = str(demo.encoder())
    task = ExtractiveQA(QAOptions(unanswerable=True), max_length=WINDOW, tokenizer=load_tokenizer(source))
    vocabulary = [word for word in sorted(task.tokenizer.get_vocab()) if word.isalpha()]
    with torch_seeded(0):
        model = task.load(source).eval()
    print(f"{torch.get_num_threads()} threads")
    spans(model, task, vocabulary, options.repeats)
    scoring(model, task, encode(task, rows(options.data, options.n, vocabulary)), options.repeats)
    memory(model, task, vocabulary, options.fixed)


if __name__ == "__main__":
    main()
