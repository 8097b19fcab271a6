"""Training all weights against the frozen encoder's layer on the same labels: fit, then print the tables.

    python -m tests.benchmarks.bench_full run --features FEATURES --model MODEL --seeds 0:10 --out full.jsonl mr trec6
    python -m tests.benchmarks.bench_full tables --features FEATURES --curves full.jsonl

FEATURES is what `bench_labels encode` wrote for MODEL. Each seed sees the same texts as in `bench_labels`. `--by` says
who chooses the labels: `random`; `head`, the layer by `variance_reduction`; or `tuned`, that arm by margin. The arms:

* `head`: the layer that starts from descriptions (the package's default).
* `plain`: the recipe of `--train full`, a new output layer on the pretrained model.
* `tuned`: `--finish full --set training.start=head`, all weights from where the layer stands.
* `shares`, `answers`: `tuned`, with texts of the pool beside the labels. The layer's probabilities are their targets,
  or its answers; a text weighs what its best probability is, a label 2.
* `new`: `shares` from the pretrained model.
* `prior`: `plain` with b times the descriptions' logits added to its own, in training and at the test; b is learnt.
"""

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AutoTokenizer

from dal_nlp import RunConfig
from dal_nlp.core.batch import Batch
from dal_nlp.core.config import Settings, TrainingConfig
from dal_nlp.core.progress import Silent
from dal_nlp.core.rng import rng_for, seed_for, torch_seeded
from dal_nlp.core.task import Example
from dal_nlp.learners.head_checkpoint import FittedLayer, whole
from dal_nlp.learners.tuned_head import GENTLE
from dal_nlp.models.pool import fetch
from dal_nlp.models.trainer import fit, make_accelerator
from dal_nlp.models.vectors import Dense
from dal_nlp.strategies.selectors import nearest_to_centres, top_k, unit
from dal_nlp.tasks.classification import Classification
from tests.benchmarks.bench_labels import HEADS, SHARES, lines, load, need, ratio
from tests.benchmarks.simulation import START, Arm, Learner, chosen, full_score, rows_of

Floats = NDArray[np.floating[Any]]
#: Labels at which the arms are measured; all but `plain` and `head` stop at ``MOST``.
GRID, MOST = (20, 40, 100, 200, 400, 800, 1600), 400
#: Labels of a batch, where chance does not choose.
BATCH = 20
#: Texts of the pool beside the labels, and passes over them.
BESIDE, PASSES = 1000, 3
#: Weight of a label, where that of another text is its best probability.
LABEL = 2.0
ARMS = "head,plain,tuned,shares,answers,new,prior"
#: How many times faster than other weights b of `prior` is learnt: steps of .05.
QUICK = 500.0


class Taught(Classification):
    """Classification whose targets are probabilities of the labels, "shares" of an example, (C,).

    "prior" of an example, where it has one, goes into the model: logits that are added to its own, (C,).
    """

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Pad to the longest text of the batch."""
        batch = super().collate(examples)
        batch.labels = torch.tensor(np.array([example["shares"] for example in examples]), dtype=torch.float32)
        if "prior" in examples[0]:
            priors = np.array([example["prior"] for example in examples])
            batch.inputs["prior"] = torch.tensor(priors, dtype=torch.float32)
        return batch

    def loss(self, raw: Tensor, batch: Batch) -> Tensor:
        """Return the cross-entropy of each example, (B,)."""
        assert batch.labels is not None
        return -(batch.labels * self.text_logits(raw, batch).log_softmax(-1)).sum(1)


class Started(nn.Module):
    """A classifier with b times other logits beside its own; b starts at 1."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.moved = inner, nn.Parameter(torch.zeros(()))

    def forward(self, prior: Tensor, **inputs: Tensor) -> dict[str, Tensor]:
        return {"logits": self.inner(**inputs)["logits"] + (1 + QUICK * self.moved) * prior}


class Trial:
    """One seed of a set: its texts, the head, and fits of all weights.

    Args:
        features: What ``bench_labels encode`` wrote.
        name: Of the set.
        seed: Of all chance.
        source: The pretrained model.
        by: Who chooses the labels.
        most: How many are chosen, where chance does not.
    """

    def __init__(self, features: Path, name: str, seed: int, source: str, by: str, most: int) -> None:
        texts = load(features, name)
        pool, self.test = json.loads((features / f"{name}.json").read_text())
        rows = rows_of(texts, seed)
        self.seed, self.source, self.classes = seed, source, texts.classes
        self.targets = texts.targets
        self.pool, self.y = [pool[row] for row in rows], texts.y[rows]
        self.head = Learner(HEADS["prior"], texts, rows, np.random.default_rng([seed, 3]))
        # A folder of its own is given as the data: nothing is read of it.
        self.settings: Settings = RunConfig(task="classification", data=tempfile.gettempdir())
        self.task = Taught(
            labels=[f"class {i}" for i in range(texts.classes)], tokenizer=AutoTokenizer.from_pretrained(source)
        )

        rng = np.random.default_rng([seed, 2])
        self.order = rng.permutation(len(rows)) if by == "random" else self.bought(by, most, rng)

    def bought(self, by: str, most: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the labels in the order in which the head or the tuned model chooses them, then the other texts."""
        free, order = np.ones(len(self.pool), dtype=bool), np.zeros(0, dtype=np.int64)
        arm = Arm(HEADS["prior"], "variance_reduction", BATCH)
        while len(order) < most:
            there = np.flatnonzero(free)
            if not len(order):
                picked = nearest_to_centres(Dense(unit(self.head.states[:, -1])), START, rng).positions
            elif by == "head":
                self.head.fit(order, self.y[order])
                pool = self.head.pool(there, order, self.y[order])
                picked = there[chosen(arm, pool, self.head, len(order), rng, self.y[there])]
            else:
                self.head.fit(order, self.y[order])
                model = self.trained("tuned", order)
                two = np.sort(self.probabilities(model, [self.pool[row] for row in there]), 1)[:, -2:]
                picked = there[top_k((two[:, 0] - two[:, 1]).astype(np.float32), BATCH, rng).positions]
            order, free[picked] = np.concatenate([order, picked]), False
        return np.concatenate([order, rng.permutation(np.flatnonzero(free))])

    def accuracy(self, n: int, arm: str) -> float:
        """Return the accuracy on the test set of an arm with n labels."""
        labeled = self.order[:n]
        self.head.fit(labeled, self.y[labeled])
        if arm == "head":
            answers = (self.head.test @ self.head.weight.T + self.head.bias).argmax(1)
            return float((answers == self.targets).mean())
        priors = self.head.test if arm == "prior" else None
        answers = self.probabilities(self.trained(arm, labeled), self.test, priors).argmax(1)
        return float((answers == self.targets).mean())

    def trained(self, arm: str, labeled: Any) -> nn.Module:
        """Return the model of an arm; the head is fitted to the same labels."""
        training = self.settings.training.model_copy(update={"mode": "full"})
        gentle = training.model_copy(update={"learning_rate": GENTLE * training.learning_rate})
        alone = partial(self.fitted, labeled, np.zeros((0, self.classes)), np.zeros(0, dtype=np.int64))
        if arm == "plain":
            return alone(self.task.load, training)
        if arm == "tuned":
            return alone(self.from_head, gentle)
        if arm == "prior":
            return alone(self.with_prior, training, prior=True)
        others = np.setdiff1d(self.order, labeled, assume_unique=True)
        others = np.random.default_rng([self.seed, len(labeled)]).permutation(others)[:BESIDE]
        shares = self.head.probabilities(others)
        if arm == "answers":
            shares = np.where(shares == shares.max(1, keepdims=True), shares.max(1, keepdims=True), 0)
        start, recipe = (self.task.load, training) if arm == "new" else (self.from_head, gentle)
        return self.fitted(labeled, shares, others, start, recipe.model_copy(update={"epochs": PASSES}))

    def fitted(
        self, labeled: Any, shares: Floats, others: Any, start: Any, training: TrainingConfig, prior: bool = False
    ) -> nn.Module:
        """Return a model that is trained on labels, and on shares of other texts."""
        best = shares.max(1) if len(shares) else np.zeros(0)
        told = np.concatenate(
            [np.eye(self.classes)[self.y[labeled]], shares / np.maximum(shares.sum(1, keepdims=True), 1e-9)]
        )
        weights = np.concatenate([np.full(len(labeled), LABEL), best])
        rows = np.concatenate([labeled, others]).astype(np.int64)
        examples = self.encoded([self.pool[row] for row in rows], told, self.head.x[rows] if prior else None)
        accelerator = make_accelerator(training.precision)
        with torch_seeded(seed_for(self.seed, 0, "weights")):
            model = start(self.source).to(accelerator.device)
        with torch_seeded(seed_for(self.seed, len(labeled), "fit")):
            chance = rng_for(self.seed, len(labeled), "fit")
            fit(model, self.task, examples, weights, training, accelerator, chance, Silent())
        return model.eval()

    def from_head(self, source: str) -> nn.Module:
        """Return the encoder with the fitted layer on it."""
        weight, bias = (torch.tensor(part, dtype=torch.float32) for part in (self.head.weight, self.head.bias))
        return whole(FittedLayer(weight, bias, 0.0, self.head.head.depths), source, self.task, self.settings)

    def with_prior(self, source: str) -> nn.Module:
        """Return the pretrained model with a new layer, beside which the descriptions speak."""
        return Started(self.task.load(source))

    def encoded(self, texts: list[str], shares: Floats, x: Floats | None) -> Dataset:
        """Return texts as the task reads them."""
        columns: dict[str, Any] = {"text": texts, "pair": [None] * len(texts)}
        columns |= {**self.task.encode(columns), "shares": shares.tolist()}
        if x is not None:
            assert self.head.signal is not None
            columns["prior"] = self.head.signal.logits(x).tolist()
        return Dataset.from_dict(columns)

    def probabilities(self, model: nn.Module, texts: list[str], x: Floats | None = None) -> Floats:
        """Return what a model says of texts, whose features are x where it hears the descriptions, (n, C)."""
        nothing = np.zeros((len(texts), self.classes))
        rows = fetch(self.encoded(texts, nothing, x), range(len(texts)))
        order = sorted(range(len(rows)), key=lambda i: rows[i]["length"])
        found, device = nothing, next(model.parameters()).device
        with torch.inference_mode():
            for first in range(0, len(order), 128):
                part = order[first : first + 128]
                batch = self.task.collate([rows[i] for i in part]).to(device)
                logits = self.task.text_logits(self.task.logits(model(**batch.inputs)), batch)
                found[part] = logits.softmax(-1).cpu().numpy()
        return found


def run(
    features: Path,
    source: str,
    seeds: range,
    out: Path,
    arms: Sequence[str],
    by: str,
    grid: Sequence[int],
    names: Sequence[str],
) -> None:
    """Append a line for each set, seed, number of labels and arm that has none yet."""
    found = lines(out) if out.exists() else []
    done = {(row["set"], row["seed"], row["labels"], row["arm"], row["by"]) for row in found}
    for seed in seeds:
        for name in names:
            trial = Trial(features, name, seed, source, by, max(grid))
            for n in grid:
                for arm in arms:
                    late = n > MOST and arm not in ("head", "plain")
                    if late or n > len(trial.pool) or (name, seed, n, arm, by) in done:
                        continue
                    started = time.perf_counter()
                    accuracy = trial.accuracy(n, arm)
                    row = {"set": name, "seed": seed, "labels": n, "arm": arm, "by": by, "accuracy": accuracy}
                    with out.open("a", encoding="utf-8") as file:
                        file.write(json.dumps({**row, "seconds": round(time.perf_counter() - started, 1)}) + "\n")


def tables(features: Path, curves: Path) -> None:
    """Print the mean accuracy of each arm, what it gains over the head on the same labels, and the labels it needs.

    Gains are paired and have 95 % intervals over seeds. Labels are those to shares of the score of the first release's
    head on the whole pool, and beside them how many times fewer they are than those of `plain` on random labels.
    """
    found: dict[str, dict[str, dict[int, dict[int, float]]]] = defaultdict(lambda: defaultdict(dict))
    for row in lines(curves):
        found[row["set"]][f"{row['arm']}, {row['by']}"].setdefault(row["labels"], {})[row["seed"]] = row["accuracy"]
    for name, arms in found.items():
        grid = sorted({n for of_arm in arms.values() for n in of_arm})
        full = full_score(load(features, name), HEADS["last"])
        of_seeds = {arm: by_seed(of_arm) for arm, of_arm in arms.items()}
        shares = "".join(f" {share:.0%} of {full:.3f} |" for share in SHARES)
        print(f"\n{name}\n| arm | " + " | ".join(map(str, grid)) + f" |{shares}\n|" + "---|" * (len(grid) + 4))
        for arm, of_arm in arms.items():
            head = arms["head, " + arm.split(", ")[1]]
            cells = [cell(of_arm.get(n, {}), head.get(n, {})) for n in grid]
            times = [ratio(of_seeds[arm], of_seeds["plain, random"], share * full) for share in SHARES]
            needs = [need(of_seeds[arm], share * full) for share in SHARES]
            print(
                f"| {arm} | " + " | ".join([*cells, *(f"{n}: {t}" for n, t in zip(needs, times, strict=True))]) + " |"
            )


def by_seed(of_arm: Mapping[int, Mapping[int, float]]) -> dict[int, list[tuple[int, float]]]:
    """Return the curve of each seed that has all numbers of labels."""
    seeds = set.intersection(*(set(of_labels) for of_labels in of_arm.values()))
    return {seed: [(n, of_arm[n][seed]) for n in sorted(of_arm)] for seed in sorted(seeds)}


def cell(mine: Mapping[int, float], head: Mapping[int, float]) -> str:
    """Return a mean, and the mean paired difference to the head with the half width of its interval."""
    if not mine:
        return ""
    mean, shared = f"{np.mean(list(mine.values())):.3f}", sorted(set(mine) & set(head))
    gains = np.array([mine[seed] - head[seed] for seed in shared])
    if len(shared) < 2 or not gains.any():
        return mean
    return f"{mean} ({gains.mean():+.3f} ± {1.96 * gains.std(ddof=1) / np.sqrt(len(shared)):.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "tables"])
    parser.add_argument("sets", nargs="*")
    parser.add_argument("--features", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--curves", type=Path)
    parser.add_argument("--seeds", default="0:10")
    parser.add_argument("--arms", default=ARMS)
    parser.add_argument("--by", default="random", choices=["random", "head", "tuned"])
    parser.add_argument("--labels", default=",".join(map(str, GRID)))
    given = parser.parse_intermixed_args()
    if given.what == "tables":
        tables(given.features, given.curves)
        return
    seeds, grid = range(*map(int, given.seeds.split(":"))), list(map(int, given.labels.split(",")))
    run(given.features, given.model, seeds, given.out, given.arms.split(","), given.by, grid, given.sets)


if __name__ == "__main__":
    main()
