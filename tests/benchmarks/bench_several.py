"""Strategies of several labels a text, on features in memory: encode once, simulate seeds, print the differences.

    python -m tests.benchmarks.bench_several join --data DATA/clinc150 --out joined
    python -m tests.benchmarks.bench_several encode --data DATA/go_emotions --model MODEL --out go.npz
    python -m tests.benchmarks.bench_several run --features go.npz --half 1 --seeds 10:20 --out curves.jsonl
    python -m tests.benchmarks.bench_several tables --curves curves.jsonl

DATA/go_emotions holds train.jsonl and test.jsonl of text and labels; `join` makes such files of texts with one
label. Texts of even and of odd number are two halves:
one to try strategies on, one to judge them. Thresholds are .5, or fitted to 100 random texts of a seed that are not
bought, or to those that are bought, each by a layer that was fitted to others, as the package does.
"""

import argparse
import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from dal_nlp import RunConfig, Session
from dal_nlp.core.rng import rng_for
from dal_nlp.learners.cross_validation import SEVERAL, deal, fit_with, held_out, settings
from dal_nlp.learners.head_learner import HeadLearner
from dal_nlp.learners.layers import Standard, side_by_side
from dal_nlp.learners.linear import Offset
from dal_nlp.models.vectors import Dense, Outer
from dal_nlp.strategies.badge import kmeans_pp
from dal_nlp.strategies.selectors import nearest_to_centres, unit
from dal_nlp.strategies.weighted_kmeans import representatives
from dal_nlp.tasks.multilabel import measures
from dal_nlp.tasks.multilabel.thresholds import fit_thresholds

Floats = NDArray[np.floating[Any]]
Choose = Callable[[Floats, Floats, int, np.random.Generator], NDArray[np.int64]]
#: Texts that fit the thresholds, labels of the first batch and of the others, and labels at the end.
AUDIT, START, BATCH, MOST = 100, 20, 40, 300
#: Texts of joined ones, and the labels that they have.
JOINED, JOINED_LABELS = {"train": 4000, "test": 1500}, 31
WAYS = ("at .5", "fitted to 100 more", "held out")
MEASURES = (*(f"{kind} F1 {way}" for way in WAYS for kind in ("micro", "macro")), "average precision")


def encode(data: Path, source: str, out: Path) -> None:
    """Write what a head of the package reads of all texts of a set, and what it starts from."""

    class Read(Exception):
        """The features are written."""

    def write(learner: HeadLearner, *_: object) -> None:
        n = learner._pool_size
        learner._features.require(np.arange(n))
        x = side_by_side(learner._features.rows(np.arange(n)), learner._depths)
        (signal,), standard = learner._signals, learner._standard
        np.savez(
            out, x=x, offsets=signal.logits(x), beta=signal.mean, mean=standard.mean, scale=standard.scale, **answers
        )
        raise Read

    rows = {split: [json.loads(line) for line in (data / f"{split}.jsonl").open()] for split in ("train", "test")}
    measured, pool = rows["test"][:30], []  # a run must measure on something
    seen = {plain(row["text"]) for row in measured}
    for split in ("train", "test"):
        for row in rows[split]:
            if plain(row["text"]) not in seen:
                seen.add(plain(row["text"]))
                pool.append((split, row))
    labels = sorted({label for part in rows.values() for row in part for label in row["labels"]})
    answers = {
        "y": measures.indicators([row["labels"] for _, row in pool], labels).astype(np.int64),
        "train": np.array([split == "train" for split, _ in pool]),
    }
    HeadLearner.fit = write  # type: ignore[method-assign, assignment]
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / f"{name}.jsonl" for name in ("data", "test")}
        for name, texts in (("data", [row for _, row in pool]), ("test", measured)):
            files[name].write_text("".join(json.dumps(row) + "\n" for row in texts))
        flags = {name: str(file) for name, file in files.items()}
        flags |= {"task": "multilabel", "oracle": "labeled-file", "model": source, "out": f"{folder}/run"}
        try:
            Session(RunConfig.load(flags={**flags, "labels": ",".join(labels), "audit": 0})).run()
        except Read:
            print(out, len(pool), "texts,", len(labels), "labels", flush=True)


def join(data: Path, out: Path) -> None:
    """Write texts that are one to three texts of different labels, of 31 labels, one after the other."""
    rng = np.random.default_rng(0)
    of_split = {split: [json.loads(line) for line in (data / f"{split}.jsonl").open()] for split in JOINED}
    labels = sorted({row["label"] for row in of_split["train"]} - {"oos"})
    kept = {labels[i] for i in rng.permutation(len(labels))[:JOINED_LABELS]}
    out.mkdir(parents=True, exist_ok=True)
    for split, n in JOINED.items():
        rows = [row for row in of_split[split] if row["label"] in kept]
        with (out / f"{split}.jsonl").open("w") as file:
            for i in range(n):
                parts = {rows[j]["label"]: rows[j]["text"] for j in rng.integers(len(rows), size=rng.integers(1, 4))}
                row = {"id": f"{split}-{i}", "text": ", and ".join(parts.values()), "labels": sorted(parts)}
                file.write(json.dumps(row) + "\n")
    print(out, JOINED, len(kept), "labels", flush=True)


def plain(text: str) -> str:
    """Return a text as those are compared that repeat another."""
    return " ".join(text.split())


def badge(p: Floats, x: Floats, k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """See ``strategies.badge``."""
    return kmeans_pp(Outer((p - (p > 0.5)).astype(np.float32)[:, None], x[:, None]), k, rng).positions


def weighted_kmeans(p: Floats, x: Floats, k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """See ``strategies.weighted_kmeans``."""
    margins = (1 - np.abs(2 * p - 1)).mean(1)
    return representatives(x[:, x.shape[1] // 2 :], margins, 10 * k, k, rng).positions


def kmeans(p: Floats, x: Floats, k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """See ``strategies.kmeans``."""
    return nearest_to_centres(Dense(unit(x[:, x.shape[1] // 2 :])), k, rng, None).positions


STRATEGIES: Mapping[str, Choose] = {
    "random": lambda p, x, k, rng: rng.choice(len(x), k, replace=False),
    "badge": badge,
    "weighted_kmeans": weighted_kmeans,
    "kmeans": kmeans,
}


def scores(given: NDArray[np.bool_], y: NDArray[np.int64]) -> list[float]:
    """Return micro F1, and macro F1 over the labels that occur, of labels given (N, F)."""
    hits, both, there = (given & (y > 0)).sum(0), given.sum(0) + y.sum(0), y.sum(0) > 0
    return [float(2 * hits.sum() / both.sum()), float((2 * hits[there] / both[there]).mean())]


def average_precision(p: Floats, y: NDArray[np.int64]) -> float:
    """Return the mean precision at each label that is there, over texts and labels together."""
    found = y.ravel()[np.argsort(-p.ravel(), kind="stable")]
    return float((np.cumsum(found) / np.arange(1, len(found) + 1))[found > 0].mean())


def simulate(features: Path, half: int, seed: int, strategy: str) -> list[list[float]]:
    """Return the measures of each round on the half's test texts."""
    kept = dict(np.load(features))
    x, y, offsets = kept["x"].astype(np.float32), kept["y"], kept["offsets"]
    labels, mine = y.shape[1], np.arange(len(y)) % 2 == half
    setting = settings(Standard(kept["mean"], kept["scale"]), 2, SEVERAL.strength(labels))[0]
    order = np.random.default_rng(1000 + seed).permutation(np.flatnonzero(kept["train"] & mine))
    test, audit, bought, left = np.flatnonzero(~kept["train"] & mine), order[:AUDIT], order[AUDIT:][:START], order[120:]
    rng, curve = np.random.default_rng(seed), []
    while True:
        known, ones = [Offset(offsets[bought], float(kept["beta"]))], np.ones(len(bought))
        layer = fit_with(setting, x[bought], y[bought], ones, labels, known, SEVERAL)
        p = expit(x @ layer.weight.T + layer.bias + layer.offset_weights[0] * offsets)
        folds = deal(SEVERAL.strata(y[bought]), rng_for(0, len(bought), "folds"))
        unseen = held_out(setting, x[bought], y[bought], ones, labels, known, folds, SEVERAL)
        fitted = [fit_thresholds(p[audit], y[audit]), fit_thresholds(unseen, y[bought])]
        of = [scores(p[test] > np.array(cut), y[test]) for cut in (0.5, *fitted)]
        curve.append([*np.ravel(of).tolist(), average_precision(p[test], y[test])])
        if len(bought) >= MOST:
            return curve
        picked = STRATEGIES[strategy](p[left], x[left], BATCH, rng)
        bought, left = np.concatenate([bought, left[picked]]), np.delete(left, picked)


def tables(curves: Path) -> None:
    """Print the mean of each measure over rounds and seeds, and the difference to random with its standard error."""
    found: dict[str, dict[int, Floats]] = defaultdict(dict)
    for line in curves.open():
        row = json.loads(line)
        found[row["strategy"]][row["seed"]] = np.mean(row["curve"], 0)
    for strategy, seeds in found.items():
        common = sorted(set(seeds) & set(found["random"]))
        values = np.array([seeds[seed] for seed in common])
        gains = values - np.array([found["random"][seed] for seed in common])
        errors = gains.std(0, ddof=1) / np.sqrt(len(common))
        cells = [
            f"{n} {v:.3f} ({g:+.3f} ± {e:.3f})"
            for n, v, g, e in zip(MEASURES, values.mean(0), gains.mean(0), errors, strict=True)
        ]
        print(f"{strategy}, {len(common)} seeds:", ", ".join(cells))


def main() -> None:
    """Run a command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["join", "encode", "run", "tables"])
    parser.add_argument("--half", type=int, choices=[0, 1], default=0)
    parser.add_argument("--seeds", default="0:6")
    parser.add_argument("--model", default="")
    parser.add_argument("--strategies", default=",".join(STRATEGIES))
    for name in ("--data", "--out", "--features", "--curves"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args()
    if given.what == "join":
        join(given.data, given.out)
    elif given.what == "encode":
        encode(given.data, given.model, given.out)
    elif given.what == "tables":
        tables(given.curves)
    else:
        for seed in range(*map(int, given.seeds.split(":"))):
            for strategy in given.strategies.split(","):
                row = {
                    "strategy": strategy,
                    "seed": seed,
                    "curve": simulate(given.features, given.half, seed, strategy),
                }
                with given.out.open("a") as file:
                    file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
