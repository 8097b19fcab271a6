"""All weights trained at the end of a run that hears machines, with and without what these say of the pool.

    python -m tests.benchmarks.bench_soft run --data DATA --out OUT --model MODEL --curves soft.jsonl mr trec6
    python -m tests.benchmarks.bench_soft table --curves soft.jsonl

OUT is what `bench_signals encode` wrote for MODEL, and `bench_signals ask` where the answers are not in the rows.
Labels are drawn at random, the same for all arms:

* `student`: the layer that the rounds leave, a student of layer and machines that reads the text alone.
* `kept`: the layer that asks the machines about the test set too.
* `labels`: all weights from where the student stands, on the labels of people alone.
* `soft:N`: the same with N texts of the pool beside them, as `--finish full` has it.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import AutoTokenizer

from dal_nlp.core.config import Settings
from dal_nlp.core.progress import Silent
from dal_nlp.core.rng import rng_for, seed_for, torch_seeded
from dal_nlp.learners.cross_validation import STRONGER, settings
from dal_nlp.learners.head_checkpoint import FittedLayer, whole
from dal_nlp.learners.layers import standard_of
from dal_nlp.learners.linear import Linear, Offset, strength
from dal_nlp.learners.tuned_head import GENTLE
from dal_nlp.models.trainer import fit, make_accelerator
from dal_nlp.signals.witness import LABEL_WEIGHT, KeptLayer, Witness, fit_student, fit_weighing
from tests.benchmarks.bench_full import PASSES, Taught, cell
from tests.benchmarks.bench_signals import DEPTHS, load, rows_of
from tests.benchmarks.simulation import softmax

Floats = NDArray[np.floating[Any]]
ARMS = "student,kept,labels,soft:300"
#: Texts of the test set that measure.
TESTED = 500


class Trial:
    """One seed of a set: its texts, the layer that hears a machine, its student, and fits of all weights.

    Args:
        data: Folder of the sets.
        out: See the module.
        name: Of the set.
        seed: Of all chance.
        source: The pretrained model.
    """

    def __init__(self, data: Path, out: Path, name: str, seed: int, source: str) -> None:
        self.texts, self.seed, self.source = load(data, out, name), seed, source
        self.pool, self.test = ([row["text"] for row in rows_of(data, name, part)] for part in ("train", "test"))
        self.classes = len(self.texts.labels)
        self.tested = np.random.default_rng(0).permutation(len(self.test))[:TESTED]  # the files are not shuffled
        self.test = [self.test[row] for row in self.tested]
        self.targets = self.texts.targets[self.tested]
        self.settings = Settings(task="classification", training={"mode": "head"}, draws={"kind": "head"})
        labels = [f"class {i}" for i in range(self.classes)]
        self.task = Taught(labels=labels, tokenizer=AutoTokenizer.from_pretrained(source))
        self.order = np.random.default_rng([seed, 2]).permutation(len(self.pool))

    def hear(self, n: int) -> None:
        """Fit the layer that hears the machine, and its student, to n labels."""
        texts, rows = self.texts, self.order[:n]
        setting = settings(standard_of(texts.x, len(DEPTHS)), len(DEPTHS), strength(self.classes))[0]
        witness = Witness.over("machine", texts.said)
        said, x, y = witness.logits(texts.said), texts.x[rows], texts.y[rows]
        heard = {0: witness.answers(said[rows])}
        found = fit_weighing(setting, x, y, np.ones(n), self.classes, [Offset(said[rows], witness.mean)], heard)
        kept = KeptLayer(layer_of(found.layer), [witness], found.weights.tolist(), found.tables)

        def logits(x: Floats, said: Floats) -> Floats:
            return x @ found.layer.weight.T + found.layer.bias + kept.added(0, said)

        self.others = self.order[n:]
        self.shares = softmax(logits(texts.x[self.others], said[self.others]))
        stronger = [replace(setting, c=setting.c * more) for more in STRONGER]
        self.student = found.layer
        if not found.off:
            self.student = fit_student(stronger, texts.x[self.others], self.shares, x, y, np.ones(n))
        self.kept = logits(texts.test[self.tested], witness.logits(texts.said_of_test[self.tested]))

    def accuracy(self, n: int, arm: str) -> float:
        """Return the accuracy on the test set of an arm with n labels, after ``hear``."""
        if arm == "student":
            answers = self.texts.test[self.tested] @ self.student.weight.T + self.student.bias
        elif arm == "kept":
            answers = self.kept
        else:
            answers = self.probabilities(self.tuned(n, int(arm.partition(":")[2] or 0)))
        return float((answers.argmax(1) == self.targets).mean())

    def tuned(self, n: int, beside: int) -> nn.Module:
        """Return all weights, trained on labels and so many other texts."""
        drawn = np.random.default_rng([self.seed, n]).permutation(len(self.others))[:beside]
        rows, shares = np.concatenate([self.order[:n], self.others[drawn]]), self.shares[drawn]
        told = np.concatenate([np.eye(self.classes)[self.texts.y[self.order[:n]]], shares])
        weights = np.concatenate([np.full(n, LABEL_WEIGHT), shares.max(1)])
        training = self.settings.training
        recipe = training.model_copy(
            update={
                "learning_rate": GENTLE * training.learning_rate,
                "epochs": PASSES if beside else training.epochs,
            }
        )
        accelerator = make_accelerator(recipe.precision)
        with torch_seeded(seed_for(self.seed, 0, "weights")):
            model = whole(layer_of(self.student), self.source, self.task, self.settings).to(accelerator.device)
        with torch_seeded(seed_for(self.seed, n, "fit")):
            chance, examples = rng_for(self.seed, n, "fit"), self.encoded([self.pool[row] for row in rows], told)
            fit(model, self.task, examples, weights, recipe, accelerator, chance, Silent())
        return model.eval()

    def encoded(self, texts: list[str], shares: Floats) -> Any:
        """Return texts as the task reads them."""
        from datasets import Dataset

        columns: dict[str, Any] = {"text": texts, "pair": [None] * len(texts)}
        return Dataset.from_dict({**columns, **self.task.encode(columns), "shares": shares.tolist()})

    def probabilities(self, model: nn.Module) -> Floats:
        """Return what a model says of the test set, (n, C)."""
        found = np.zeros((len(self.test), self.classes))
        rows = list(self.encoded(self.test, found))
        order = sorted(range(len(rows)), key=lambda i: rows[i]["length"])
        with torch.inference_mode():
            for first in range(0, len(order), 64):
                part = order[first : first + 64]
                batch = self.task.collate([rows[i] for i in part])
                logits = self.task.text_logits(self.task.logits(model(**batch.inputs)), batch)
                found[part] = logits.softmax(-1).numpy()
        return found


def layer_of(found: Linear) -> FittedLayer:
    """Return a fitted layer as that of a checkpoint."""
    return FittedLayer(torch.from_numpy(found.weight), torch.from_numpy(found.bias), found.unseen, DEPTHS)


def run(make: Any, seeds: range, curves: Path, arms: Sequence[str], grid: Sequence[int], names: Sequence[str]) -> None:
    """Append a line for each set, seed, number of labels and arm that has none yet."""
    there = curves.read_text().splitlines() if curves.exists() else []
    done = {tuple(json.loads(line)[key] for key in ("set", "seed", "labels", "arm")) for line in there}
    for seed in seeds:
        for name in names:
            trial = make(name, seed)
            for n in grid:
                trial.hear(n)
                for arm in arms:
                    if (name, seed, n, arm) in done:
                        continue
                    started = time.perf_counter()
                    row = {"set": name, "seed": seed, "labels": n, "arm": arm, "accuracy": trial.accuracy(n, arm)}
                    with curves.open("a", encoding="utf-8") as file:
                        file.write(json.dumps({**row, "seconds": round(time.perf_counter() - started, 1)}) + "\n")


def table(curves: Path) -> None:
    """Print the mean accuracy of each arm, and what it gains over `labels`, with 95 % intervals over seeds."""
    found: dict[str, dict[str, dict[int, dict[int, float]]]] = defaultdict(lambda: defaultdict(dict))
    for line in curves.read_text().splitlines():
        row = json.loads(line)
        found[row["set"]][row["arm"]].setdefault(row["labels"], {})[row["seed"]] = row["accuracy"]
    for name, arms in found.items():
        grid = sorted({n for of_arm in arms.values() for n in of_arm})
        print(f"\n| {name} | " + " | ".join(map(str, grid)) + " |\n|---|" + "---|" * len(grid))
        for arm, of_arm in arms.items():
            cells = [cell(of_arm.get(n, {}), arms["labels"].get(n, {})) for n in grid]
            print(f"| {arm} | " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("sets", nargs="*")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--curves", type=Path, required=True)
    parser.add_argument("--seeds", default="0:3")
    parser.add_argument("--arms", default=ARMS)
    parser.add_argument("--labels", default="40,100")
    given = parser.parse_intermixed_args()
    if given.what == "table":
        table(given.curves)
        return

    def make(name: str, seed: int) -> Trial:
        return Trial(given.data, given.out, name, seed, given.model)

    grid = list(map(int, given.labels.split(",")))
    run(make, range(*map(int, given.seeds.split(":"))), given.curves, given.arms.split(","), grid, given.sets)


if __name__ == "__main__":
    main()
