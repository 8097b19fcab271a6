"""Overhead of the package: pool scoring and training steps against the shortest scripts that do the same.

    python tests/benchmarks/bench_speed.py [--data FILE] [--n 4000] [--steps 60] [--repeats 3]

FILE is a jsonl file with a `text` column; without one, texts of film-review length are made up from the words of the
model. Each pair is run in turn, `repeats` times, and the best of each counts, so the ratio holds on a busy machine.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from datasets import Dataset
from transformers import PreTrainedModel

from dal_nlp.core.config import DrawsConfig, ScoringConfig, TrainingConfig
from dal_nlp.core.progress import Silent
from dal_nlp.core.rng import torch_seeded
from dal_nlp.core.targets import encode_target
from dal_nlp.downloads import demo
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import Pool, fetch
from dal_nlp.models.trainer import fit, step_batches
from dal_nlp.pretrained.loading import load_classifier, load_tokenizer
from dal_nlp.strategies import probes
from dal_nlp.tasks.classification import Classification

LABELS = ["negative", "positive"]
BATCH = 64


def read_texts(file: str | None, n: int, tokenizer: object) -> list[str]:
    if file:
        rows = [json.loads(line) for line in Path(file).read_text(encoding="utf-8").split("\n") if line][:n]
        return [row["text"] for row in rows]
    rng = np.random.default_rng(0)
    words = [word for word in sorted(tokenizer.get_vocab()) if word.isalpha()]  # type: ignore[attr-defined]
    return [" ".join(rng.choice(words, int(rng.integers(4, 45)))) for _ in range(n)]


def bare_scoring(model: PreTrainedModel, task: Classification, encoded: Dataset) -> None:
    """Sort by length, pad each batch, forward in inference mode, entropy."""
    ids = sorted(encoded["input_ids"], key=len, reverse=True)
    with torch.inference_mode():
        for start in range(0, len(ids), BATCH):
            batch = task.tokenizer.pad({"input_ids": ids[start : start + BATCH]}, return_tensors="pt")
            log_probs = model(**batch).logits.log_softmax(-1)
            _ = -(log_probs.exp() * log_probs).sum(-1)


def bare_training(model: PreTrainedModel, task: Classification, encoded: Dataset, steps: int) -> None:
    """The same batches, AdamW, schedule and clipping, and nothing else."""
    rows = fetch(encoded, range(len(encoded)))
    lengths = np.array([row["length"] for row in rows])
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.01, fused=True)
    model.train()
    for positions in step_batches(lengths, 16, steps, np.random.default_rng(0)):
        ids = [rows[position]["input_ids"] for position in positions]
        batch = task.tokenizer.pad({"input_ids": ids}, return_tensors="pt")
        labels = torch.tensor([LABELS.index(rows[position]["target"]) for position in positions])
        torch.nn.functional.cross_entropy(model(**batch).logits, labels).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    model.eval()


def ours_training(model: PreTrainedModel, task: Classification, encoded: Dataset, steps: int) -> None:
    recipe = TrainingConfig(epochs=0.001, min_steps=steps, batch_size=16)
    fit(model, task, encoded, np.ones(len(encoded)), recipe, Accelerator(), np.random.default_rng(0), Silent())
    model.eval()


def compare(
    name: str, unit: str, amount: int, repeats: int, ours: Callable[[], None], bare: Callable[[], None]
) -> None:
    seconds: dict[str, list[float]] = {"ours": [], "bare": []}
    for _ in range(repeats):
        for key, run in (("bare", bare), ("ours", ours)):
            started = time.perf_counter()
            run()
            seconds[key].append(time.perf_counter() - started)
    fast = {key: amount / min(values) for key, values in seconds.items()}
    ratio = fast["ours"] / fast["bare"]
    print(f"{name:<28}{fast['bare']:>12.1f}{fast['ours']:>12.1f} {unit:<11}{ratio:>8.2f}   at least 0.90")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--n", type=int, default=4000)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    source = str(demo.encoder())
    task = Classification(labels=LABELS, tokenizer=load_tokenizer(source))
    texts = read_texts(options.data, options.n, task.tokenizer)
    targets = [encode_target(LABELS[i % 2]) for i in range(len(texts))]
    columns = {"text": texts, "pair": [None] * len(texts), "target": targets}
    encoded = Dataset.from_dict({**columns, **task.encode(columns)})
    with torch_seeded(0):
        model = load_classifier(source, LABELS).eval()
    pool = Pool(encoded, model, task, make_draws(DrawsConfig(), 0, 0), ScoringConfig(batch_size=BATCH))
    print(f"{len(texts)} texts, {torch.get_num_threads()} threads")
    print(f"{'':<28}{'bare':>12}{'ours':>12} {'':<11}{'ratio':>8}")
    compare(
        "Pool.collect(entropy)",
        "examples/s",
        len(texts),
        options.repeats,
        lambda: pool.collect(lambda forward: probes.entropy(forward)) and None,  # a new probe: a pool remembers
        lambda: bare_scoring(model, task, encoded),
    )
    small = encoded.select(range(min(320, len(encoded))))
    compare(
        "training steps of 16",
        "steps/s",
        options.steps,
        options.repeats,
        lambda: ours_training(model, task, small, options.steps),
        lambda: bare_training(model, task, small, options.steps),
    )


if __name__ == "__main__":
    main()
