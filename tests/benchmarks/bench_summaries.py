"""Summaries: memory of scoring by pool and draws, and what is saved by writing and encoding once.

    python tests/benchmarks/bench_summaries.py [--n 32] [--tokens 24]

The model is the pair of the demonstration (49 M parameters, 30,522 words), untrained; documents are made of its words.
Times are ratios within this run; memory is on top of the model.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from measuring import memory_line

from dal_nlp.core.config import DrawsConfig, ScoringConfig
from dal_nlp.core.rng import torch_seeded
from dal_nlp.downloads import demo
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import Pool, fetch
from dal_nlp.pretrained.loading import load_tokenizer
from dal_nlp.strategies import bayesian, bleuvar, probes
from dal_nlp.tasks.summarization import Summarization, SummarizationOptions

BATCH = 8


def encoded(task: Summarization, n: int, words: int = 80) -> Dataset:
    vocabulary = [word for word in sorted(task.tokenizer.get_vocab()) if word.isalpha()]
    texts = [" ".join(np.random.default_rng(i).choice(vocabulary, words)) for i in range(n)]
    return Dataset.from_dict({"document": texts, **task.encode({"document": texts})})


def pool_of(model: torch.nn.Module, task: Summarization, n: int, k: int) -> Pool:
    return Pool(encoded(task, n), model, task, make_draws(DrawsConfig(k=k), 0, 0), ScoringConfig(batch_size=BATCH))


def peak(pool: Pool) -> tuple[float, float]:
    """GB and seconds of scoring by entropy, BALD and gradient."""
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5")
    before, started = memory_line("VmRSS"), time.perf_counter()
    pool.collect(probes.entropy, bayesian.bald, probes.gradient)
    return memory_line("VmHWM") - before, time.perf_counter() - started


def memory(model: torch.nn.Module, task: Summarization, n: int) -> None:
    peak(pool_of(model, task, BATCH, 2))  # the allocator's own growth
    first = None
    for size, k in ((n, 2), (4 * n, 2), (n, 10)):
        gigabytes, seconds = peak(pool_of(model, task, size, k))
        first = first or gigabytes
        ratio = gigabytes / first
        print(f"{size:>5} documents, {k:>2} draws: {gigabytes:.2f} GB in {seconds:.1f} s, {ratio:.2f} of the first")


def sharing(model: torch.nn.Module, task: Summarization, n: int) -> None:
    """Entropy, BALD and samples in one pass, against each by itself."""
    k = 3

    def timed(*passes: tuple[object, ...]) -> float:
        started = time.perf_counter()
        for pool_probes in passes:
            pool_of(model, task, n, k).collect(*pool_probes)  # type: ignore[arg-type]
        return time.perf_counter() - started

    together = timed((probes.entropy, bayesian.bald, bleuvar.bleu_variances))
    apart = timed((probes.entropy,), (bayesian.bald,), (bleuvar.bleu_variances,))
    batch = task.collate(fetch(encoded(task, BATCH), range(BATCH)))
    with torch.inference_mode():
        started = time.perf_counter()
        task.prepare(model, batch)
    once = (time.perf_counter() - started) * n / BATCH
    print(f"entropy, BALD and {k} samples of {n} documents: one pass {together:.1f} s, three passes {apart:.1f} s")
    print(f"the encoder over all documents: {once:.1f} s; without reuse it would run {3 + 2 * k} times")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=24)
    options = parser.parse_args()
    source = str(demo.encoder())
    settings = SummarizationOptions(max_new_tokens=options.tokens)
    task = Summarization(settings, max_length=96, tokenizer=load_tokenizer(source))
    with torch_seeded(0):
        model = task.load(source).eval()
    print(f"{torch.get_num_threads()} threads, batches of {BATCH}")
    memory(model, task, options.n)
    sharing(model, task, options.n)


if __name__ == "__main__":
    main()
