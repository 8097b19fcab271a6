"""How many labels learners and strategies need, on features in memory: encode once, simulate seeds, print the tables.

    python -m tests.benchmarks.bench_labels encode --data DATA --out FEATURES --model MODEL mr trec6
    python -m tests.benchmarks.bench_labels run --features FEATURES --seeds 0:30 --out curves.jsonl mr trec6
    python -m tests.benchmarks.bench_labels tables --features FEATURES --curves curves.jsonl
    python -m tests.benchmarks.bench_labels differences --curves curves.jsonl --other weighted_kmeans@prior
    python -m tests.benchmarks.bench_labels cost --curves curves.jsonl --ours weighted_kmeans@swapped

DATA holds a folder for each set, with train.jsonl and test.jsonl of text and label; MODEL is a folder or a Hub id. Each
seed sees its own 70 % of the pool; all arms of a seed see the same. `run` goes on where it stopped.
"""

import argparse
import json
import random as randomness
from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from dal_nlp.compare.savings import resamples
from dal_nlp.learners.cross_validation import STRONGER
from dal_nlp.learners.feature_cache import mean_of_windows
from dal_nlp.learners.linear import strength
from dal_nlp.learners.prior import words_of
from dal_nlp.report.learning_curves import isotonic, labels_to, t_interval
from tests.benchmarks.simulation import (
    GRID,
    LAYERS,
    PRIOR,
    TODAY,
    Arm,
    Head,
    Learner,
    Texts,
    full_score,
    rows_of,
    simulate,
)

HEADS: Mapping[str, Head] = {
    "last": TODAY,
    "layers": LAYERS,
    "prior": PRIOR,
    "swapped": Head(prior=True, swapped=True),
    "distil": Head(prior=True, students=STRONGER),
    "last+prior": Head(depths=(100,), prior=True),
    "top-half+prior": Head(depths=(50, 75, 100), prior=True),
    "validated+prior": Head(prior=True, validate_from=60),
    "flat+prior": Head(prior=True, c=lambda classes: 0.13),
    "strong+prior": Head(prior=True, c=lambda classes: 3 * strength(classes)),
    "last+strong+prior": Head(depths=(100,), prior=True, c=lambda classes: 3 * strength(classes)),
    "flat+layers": Head(c=lambda classes: 0.13),
    "validated+layers": Head(validate_from=60),
}
#: The default of a run whose labels are described: its first batch is random.
OURS = "random>variance_reduction@prior"
ARMS = f"random@last,random@prior,weighted_kmeans@prior,weighted_kmeans@last,{OURS},random@tfidf"
#: Texts of a pool and of a test set at most.
POOL, TEST = 4000, 1000
DESCRIPTIONS = Path(__file__).with_name("descriptions.yaml")
SHARES = (0.9, 0.95, 0.99)
#: Numbers of labels over whose accuracies arms are compared.
COMPARED = np.arange(40, 241, 20)


def read(
    data: Path, name: str, kept: Container[str] | None = None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return rows of the pool and of the test of a set, of some labels; of all if left out."""
    found = []
    for split, most in (("train", POOL), ("test", TEST)):
        rows = [row for row in lines(data / name / f"{split}.jsonl") if kept is None or row["label"] in kept]
        randomness.Random(0).shuffle(rows)
        found.append(rows[:most])
    return found[0], found[1]


def kept_labels(data: Path, name: str, most: int, but: str) -> list[str]:
    """Return the labels that are kept of a set; see ``encode``."""
    labels = sorted({row["label"] for row in lines(data / name / "train.jsonl")} - {but})
    return labels[: most or len(labels)]


def encode(
    data: Path, out: Path, source: str, names: Sequence[str], window: int, alone: bool, most: int, but: str
) -> None:
    """Write the mean states of four layers of all texts and descriptions of some sets.

    Texts are read whole, in windows of some tokens; of 0 tokens: cut after 128. ``alone``: the names of the labels
    stand for their descriptions. Texts of the label ``but`` are left out, and of the others the ``most`` first ones by
    name are kept, all if it is 0; the number is added to the name of the set.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, tokenizer = AutoModel.from_pretrained(source).eval().to(device), AutoTokenizer.from_pretrained(source)

    def means(texts: Sequence[str]) -> Any:
        if not window:
            return mean_states([tokenizer(text, truncation=True, max_length=128)["input_ids"] for text in texts])
        settings = {"truncation": True, "max_length": window, "return_overflowing_tokens": True}
        of_texts = [tokenizer(text, **settings)["input_ids"] for text in texts]
        rows = mean_states([ids for of_text in of_texts for ids in of_text]).reshape(-1, 4 * model.config.hidden_size)
        tokens = np.array([len(ids) for of_text in of_texts for ids in of_text])
        owners = np.repeat(np.arange(len(texts)), [len(of_text) for of_text in of_texts])
        return mean_of_windows(rows, tokens, owners).reshape(len(texts), 4, -1).astype(np.float16)

    def mean_states(rows: Sequence[list[int]]) -> Any:
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        found: list[Any] = [None] * len(rows)
        for first in range(0, len(order), 32):
            part = order[first : first + 32]
            inputs = tokenizer.pad({"input_ids": [rows[i] for i in part]}, return_tensors="pt").to(device)
            with torch.inference_mode():
                layers = model(**inputs, output_hidden_states=True).hidden_states
            mask, last = inputs["attention_mask"][..., None].float(), len(layers) - 1
            kept = [layers[round(last * (i + 1) / 4)] for i in range(4)]
            pooled = torch.stack([(layer * mask).sum(1) / mask.sum(1) for layer in kept], 1)
            for i, row in zip(part, pooled.cpu().numpy(), strict=True):
                found[i] = row.astype(np.float16)
        return np.stack(found)

    out.mkdir(parents=True, exist_ok=True)
    described = {} if alone else yaml.safe_load(DESCRIPTIONS.read_text(encoding="utf-8"))
    for name in names:
        kept = kept_labels(data, name, most, but)
        pool, test = read(data, name, kept)
        labels = sorted({row["label"] for row in pool})
        test = [row for row in test if row["label"] in labels]
        sentences = [described.get(name, {}).get(label, [words_of(label)]) for label in labels]
        arrays = {
            "x": means([row["text"] for row in pool]),
            "test": means([row["text"] for row in test]),
            "y": np.array([labels.index(row["label"]) for row in pool]),
            "targets": np.array([labels.index(row["label"]) for row in test]),
            "sentences": means([sentence for group in sentences for sentence in group])[:, -1],
            "sizes": np.array([len(group) for group in sentences]),
        }
        place = f"{name}-{most}" if most else name
        np.savez(out / f"{place}.npz", **arrays)
        (out / f"{place}.json").write_text(json.dumps([[row["text"] for row in rows] for rows in (pool, test)]))
        print(place, len(pool), len(test), flush=True)


def load(features: Path, name: str) -> Texts:
    """Read what ``encode`` wrote."""
    arrays = np.load(features / f"{name}.npz")
    sentences = np.split(arrays["sentences"].astype(np.float32), np.cumsum(arrays["sizes"])[:-1])
    x, test = (arrays[part].astype(np.float32) for part in ("x", "test"))
    return Texts(x, arrays["y"], test, arrays["targets"], sentences)


def words_curve(
    features: Path, name: str, texts: Texts, seed: int, grid: Sequence[int]
) -> list[tuple[int, float, float]]:
    """Return the curve of TF-IDF and logistic regression on random labels."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    pool, test = json.loads((features / f"{name}.json").read_text())
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit(pool)
    rows = rows_of(texts, seed)
    x, measured, y = words.transform([pool[row] for row in rows]), words.transform(test), texts.y[rows]
    order, curve = np.random.default_rng([seed, 2]).permutation(len(rows)), []
    for n in grid:
        few = order[:n]
        several = len(set(y[few])) > 1
        given = LogisticRegression(C=10, max_iter=500).fit(x[few], y[few]).predict(measured) if several else y[few[0]]
        curve.append((n, float((given == texts.targets).mean()), 0.0))
    return curve


def run(
    features: Path, seeds: range, out: Path, arms: Sequence[str], most: int, names: Sequence[str], grid: Sequence[int]
) -> None:
    """Append a line for each set, seed and arm that has none yet."""
    done = {(row["set"], row["arm"], row["seed"]) for row in lines(out)} if out.exists() else set()
    sets = {name: load(features, name) for name in names}
    for seed in seeds:
        for name, texts in sets.items():
            learners: dict[str, Learner] = {}
            for arm in arms:
                if (name, arm, seed) in done:
                    continue
                strategy, _, head = arm.partition("@")
                strategy, _, batch = strategy.partition(":")
                first, _, then = strategy.rpartition(">")
                if head == "tfidf":
                    curve = words_curve(features, name, texts, seed, grid)
                else:
                    rng = np.random.default_rng([seed, 3])
                    learner = learners.setdefault(head, Learner(HEADS[head], texts, rows_of(texts, seed), rng))
                    last = grid[-1] if strategy == "random" else most
                    one = Arm(HEADS[head], then, int(batch or 20), first or "kmeans")
                    curve = simulate(texts, one, learner, seed, last, grid)
                with out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"set": name, "arm": arm, "seed": seed, "curve": curve}) + "\n")


def lines(file: Path) -> list[dict[str, Any]]:
    """Return the rows of a file."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]


def tables(features: Path, curves: Path, full_of: str, ours: str) -> None:
    """Print labels to shares of a learner's full score, and how many times fewer an arm needs than each other one."""
    found: dict[str, dict[str, dict[int, Any]]] = defaultdict(lambda: defaultdict(dict))
    for row in lines(curves):
        found[row["set"]][row["arm"]][row["seed"]] = row["curve"]
    for name, arms in found.items():
        full = full_score(load(features, name), HEADS[full_of])
        print(f"\n{name}: full score of {full_of} {full:.3f}")
        print("| arm | seeds | 0 labels | " + " | ".join(f"{share:.0%}" for share in SHARES) + " |")
        for arm, seeds in arms.items():
            starts = [curve[0][1] for curve in seeds.values() if curve[0][0] == 0]
            zero = f"{np.mean(starts):.3f}" if starts else ""
            needs = [need(seeds, share * full) for share in SHARES]
            print(f"| {arm} | {len(seeds)} | {zero} | " + " | ".join(needs) + " |")
        for other in arms:
            if other != ours and ours in arms:
                print(f"{ours} against {other}: " + "; ".join(ratio(arms[ours], arms[other], s * full) for s in SHARES))


def crossings(seeds: Mapping[int, Any], target: float, weights: Any) -> tuple[Any, float]:
    """Return the labels at which the mean curve of each resample reaches a score, (B,), and the last labels."""
    curves = [[point for point in curve if point[0] > 0] for _, curve in sorted(seeds.items())]
    labels = np.array([point[0] for point in curves[0]], dtype=np.float64)
    scores = np.array([[point[1] for point in curve] for curve in curves])
    return labels_to(labels, isotonic(weights @ scores), target), float(labels[-1])


def need(seeds: Mapping[int, Any], target: float) -> str:
    """Return the labels that an arm needs to a score."""
    found, last = crossings(seeds, target, np.full((1, len(seeds)), 1 / len(seeds)))
    return f"{found[0]:.0f}" if np.isfinite(found[0]) else f">{last:.0f}"


def ratio(ours: Mapping[int, Any], theirs: Mapping[int, Any], target: float) -> str:
    """Return how many times fewer labels an arm needs, with its interval; where the other does not arrive, at least."""
    shared = sorted(set(ours) & set(theirs))
    draws = resamples(len(shared), np.random.default_rng(0))
    weights = np.concatenate([np.full((1, len(shared)), 1 / len(shared)), draws])
    sides = [crossings({seed: side[seed] for seed in shared}, target, weights) for side in (ours, theirs)]
    (mine, _), (other, last) = sides
    if not np.isfinite(mine[0]):
        return "not reached"
    times = np.minimum(other, last) / mine
    low, high = np.quantile(times[1:], [0.025, 0.975], method="nearest")
    least = "" if np.isfinite(other[0]) else ">="
    return f"{least}{times[0]:.1f} [{low:.1f}, {high:.1f}]"


def costs(curves: Path, ours: str, other: str) -> None:
    """Print by how many labels an arm reaches what another one has at some number of labels later, at worst."""
    found: dict[str, dict[str, dict[int, Any]]] = defaultdict(lambda: defaultdict(dict))
    for row in lines(curves):
        found[row["set"]][row["arm"]][row["seed"]] = [point for point in row["curve"] if point[0] > 0]
    for name, arms in found.items():
        shared = sorted(set(arms[ours]) & set(arms[other]))
        labels = np.array([point[0] for point in arms[ours][shared[0]]], dtype=np.float64)
        draws = resamples(len(shared), np.random.default_rng(0))
        weights = np.concatenate([np.full((1, len(shared)), 1 / len(shared)), draws])
        scores = [np.array([[point[1] for point in arms[arm][seed]] for seed in shared]) for arm in (ours, other)]
        mine, theirs = (isotonic(weights @ of_arm) for of_arm in scores)
        worst = []
        for place, count in enumerate(labels[:-1]):
            there = [labels_to(labels, mine[i : i + 1], float(theirs[i, place]))[0] for i in range(len(weights))]
            later = np.minimum(there, labels[-1]) - count
            worst.append((later[0], *np.quantile(later[1:], [0.025, 0.975], method="nearest"), count))
        most = max(worst)
        print(f"{name} ({len(shared)} seeds): {most[0]:.0f} [{most[1]:.0f}, {most[2]:.0f}] at {most[3]:.0f} labels")


def differences(curves: Path, other: str) -> None:
    """Print how far the mean accuracy from 40 to 240 labels lies above that of another arm, with 95 % intervals."""
    found: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in lines(curves):
        labels, scores = np.array([point[:2] for point in row["curve"]]).T
        found[row["set"]][row["arm"]][row["seed"]] = float(np.interp(COMPARED, labels, scores).mean())
    for name, arms in found.items():
        for arm, seeds in arms.items():
            shared = sorted(set(seeds) & set(arms[other]))
            gains = np.array([seeds[seed] - arms[other][seed] for seed in shared])
            mean, half = t_interval(gains)
            print(f"{name} {arm} ({len(shared)} seeds): {mean:+.4f} ± {0.0 if half is None else half:.4f}")


def accuracies(curves: Path, other: str, at: Sequence[int]) -> None:
    """Print mean accuracies at numbers of labels, and how far they lie above those of another arm, with intervals."""
    found: dict[str, dict[str, dict[int, Any]]] = defaultdict(lambda: defaultdict(dict))
    for row in lines(curves):
        labels, scores = np.array([point[:2] for point in row["curve"]]).T
        found[row["set"]][row["arm"]][row["seed"]] = np.interp(at, labels, scores)
    for name, arms in found.items():
        for arm, seeds in arms.items():
            print(f"{name} {arm} ({len(seeds)} seeds):", *(f"{mean:.3f}" for mean in np.mean(list(seeds.values()), 0)))
            shared = sorted(set(seeds) & set(arms[other]))
            if arm != other and len(shared) > 1:
                gains = np.array([seeds[seed] - arms[other][seed] for seed in shared])
                print(f"    less {other}:", *("{:+.3f} ± {:.3f}".format(*t_interval(column)) for column in gains.T))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["encode", "run", "tables", "differences", "accuracies", "cost"])
    parser.add_argument("sets", nargs="*")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--features", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--window", type=int, default=0, help="tokens of the windows in which texts are read whole")
    parser.add_argument("--names", action="store_true", help="names of the labels in place of descriptions")
    parser.add_argument("--labels", type=int, default=0, help="how many labels of a set are kept, all if 0")
    parser.add_argument("--but", default="", help="a label whose texts are left out")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--curves", type=Path)
    parser.add_argument("--seeds", default="0:30")
    parser.add_argument("--arms", default=ARMS)
    parser.add_argument("--most", type=int, default=240, help="labels at which active arms end")
    parser.add_argument("--at", default=",".join(map(str, GRID)), help="numbers of labels at which arms are measured")
    parser.add_argument("--full-of", default="last", help="whose full score the shares are of")
    parser.add_argument("--ours", default=OURS)
    parser.add_argument("--other", default="weighted_kmeans@layers")
    given = parser.parse_intermixed_args()
    at = [int(n) for n in given.at.split(",")]
    if given.what == "encode":
        encode(given.data, given.out, given.model, given.sets, given.window, given.names, given.labels, given.but)
    elif given.what == "run":
        seeds = range(*map(int, given.seeds.split(":")))
        run(given.features, seeds, given.out, given.arms.split(","), given.most, given.sets, at)
    elif given.what == "accuracies":
        accuracies(given.curves, given.other, at)
    elif given.what == "differences":
        differences(given.curves, given.other)
    elif given.what == "cost":
        costs(given.curves, given.ours, given.other)
    else:
        tables(given.features, given.curves, given.full_of, given.ours)


if __name__ == "__main__":
    main()
