"""Machine-made answers beside random labels: a small language model as a witness, and stored answers of a large one.

    python -m tests.benchmarks.bench_signals encode --data DATA --model ENCODER --out OUT mr trec6 ...
    python -m tests.benchmarks.bench_signals ask --data DATA --model LANGUAGE_MODEL --out OUT mr trec6 ...
    python -m tests.benchmarks.bench_signals table --data DATA --out OUT mr trec6 ...

DATA holds SET/train.jsonl and SET/test.jsonl. ``ask`` is not needed for sets whose rows have ``llm_label`` and
``llm_confidence``: these are measured with their answers, with answers drawn at random, and with the labels of all
answers exchanged. Each cell is the mean accuracy over seeds, each of which draws its own labels from the pool. Layers
and the strength of the labels are those of the rule; a run cross-validates them from 60 labels on.

Letters: N texts of the pool, n labeled, L layers that are kept, H numbers of a hidden state, C labels.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dal_nlp.core.config import LanguageModelSection
from dal_nlp.learners.cross_validation import STRONGER, settings
from dal_nlp.learners.head_checkpoint import FittedLayer
from dal_nlp.learners.layers import side_by_side, standard_of
from dal_nlp.learners.linear import Linear, Offset, strength
from dal_nlp.models.vectors import Array
from dal_nlp.signals.base import LabelSet, Making, log_odds
from dal_nlp.signals.witness import KeptLayer, Weighing, Witness, fit_student, fit_weighing
from tests.benchmarks.simulation import softmax

DEPTHS = (75, 100)
#: Texts of a pool and of a test set, at most.
POOL, TEST = 1500, 1000
TREC = {"ABBR": "abbreviation", "DESC": "description", "ENTY": "entity", "HUM": "human", "LOC": "location"}
#: What is asked of a set, and the words of its labels.
ASKED: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "trec6": ("Question: {text}\nWhat is the type of the answer: {labels}?", {**TREC, "NUM": "number"}),
    "ag_news": ("News: {text}\nWhat is the topic of this news: {labels}?", {"Sci/Tech": "technology"}),
}
REVIEW = "Review: {text}\nIs this review {labels}?"


def rows_of(data: Path, name: str, part: str) -> list[dict[str, Any]]:
    """Return the rows of a set that are used: a random part of a large one."""
    with (data / name / f"{part}.jsonl").open(encoding="utf-8") as file:  # splitlines would cut at other characters
        rows = [json.loads(line) for line in file]
    whole = any("llm_label" in row for row in rows)
    most = len(rows) if whole else POOL if part == "train" else TEST
    return [rows[i] for i in np.sort(np.random.default_rng(0).permutation(len(rows))[:most])]


def encode(data: Path, out: Path, model: str, names: Sequence[str]) -> None:
    """Write the mean states of four layers of an encoder."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, encoder = AutoTokenizer.from_pretrained(model), AutoModel.from_pretrained(model).eval()
    for name in names:
        for part in ("train", "test"):
            texts = [row["text"] for row in rows_of(data, name, part)]
            order, found = np.argsort([len(text) for text in texts], kind="stable"), []
            for first in range(0, len(order), 64):
                batch = [texts[row] for row in order[first : first + 64]]
                read = tokenizer(batch, padding=True, truncation=True, max_length=128, return_tensors="pt")
                with torch.inference_mode():
                    states = encoder(**read, output_hidden_states=True).hidden_states
                mask = read["attention_mask"][..., None].float()
                places = [round((len(states) - 1) * depth / 100) for depth in (25, 50, 75, 100)]
                found.append(torch.stack([(states[i] * mask).sum(1) / mask.sum(1) for i in places], 1).numpy())
            x = np.concatenate(found)
            np.savez(out / f"x_{name}_{part}.npz", x=x[np.argsort(order)])


def ask(data: Path, out: Path, model: str, names: Sequence[str]) -> None:
    """Write what a language model says of each text."""
    from dal_nlp.signals.language_model import LocalModel

    for name in names:
        prompt, words = ASKED.get(name, (REVIEW, {}))
        labels = label_set(rows_of(data, name, "train"))
        signal = LocalModel(Making(model, {}, LabelSet(labels, {}, words), LanguageModelSection(prompt=prompt)))
        for part in ("train", "test"):
            texts = [row["text"] for row in rows_of(data, name, part)]
            answers = [answer.log_probs for answer in signal.answers(texts, texts)]
            np.savez(out / f"said_{name}_{part}.npz", s=np.array(answers))


def label_set(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the labels of some rows, sorted."""
    return sorted({str(row["label"]) for row in rows})


@dataclass(frozen=True)
class Texts:
    """Features, classes and a machine's answers of a pool and a test set."""

    x: Array
    y: NDArray[np.int64]
    said: NDArray[np.float64]
    test: Array
    targets: NDArray[np.int64]
    said_of_test: NDArray[np.float64]
    labels: Sequence[str]


def load(data: Path, out: Path, name: str) -> Texts:
    """Return a set."""
    parts = {part: rows_of(data, name, part) for part in ("train", "test")}
    labels = label_set(parts["train"])
    found: list[Any] = []
    for part, rows in parts.items():
        x = side_by_side(np.load(out / f"x_{name}_{part}.npz")["x"], DEPTHS)
        y = np.array([labels.index(str(row["label"])) for row in rows])
        found += [
            x,
            y,
            stored(rows, labels) if "llm_label" in rows[0] else np.load(out / f"said_{name}_{part}.npz")["s"],
        ]
    x, y, said, test, targets, said_of_test = found
    return Texts(x, y, said, test, targets, said_of_test, labels)


def stored(rows: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> NDArray[np.float64]:
    """Return answers that the rows hold as log-probabilities, NaN where there is none."""
    silent = tuple([np.nan] * len(labels))
    return np.array(
        [
            log_odds(labels.index(row["llm_label"]), row["llm_confidence"], len(labels))
            if row["llm_label"] in labels
            else silent
            for row in rows
        ]
    )


def accuracies(texts: Texts, said: bool, seed: int, grid: Sequence[int]) -> dict[tuple[int, str], float]:
    """Return the accuracy at each number of labels of "kept" and "student", or of "human" where nothing is said."""
    classes, order = len(texts.labels), np.random.default_rng([seed, 2]).permutation(len(texts.y))
    standard = standard_of(texts.x, len(DEPTHS))
    setting = settings(standard, len(DEPTHS), strength(classes))[0]
    witness = Witness.over("machine", texts.said)
    pool, test = witness.logits(texts.said), witness.logits(texts.said_of_test)
    found: dict[tuple[int, str], float] = {}

    def right(logits: NDArray[Any]) -> float:
        return float((logits.argmax(1) == texts.targets).mean())

    for n in grid:
        rows = order[:n]
        x, y, weights = texts.x[rows], texts.y[rows], np.ones(n)
        offsets = [Offset(pool[rows], witness.mean)] if said else []
        zero = np.zeros((classes, texts.x.shape[1]), np.float32)
        weighing = Weighing(Linear(zero, zero[:, 0], 0.0, 0, np.zeros(0)), np.full(len(offsets), witness.mean), [], {})
        if n:
            answers = {0: witness.answers(pool[rows])} if said else {}
            weighing = fit_weighing(setting, x, y, weights, classes, offsets, answers)
        weight, bias = weighing.layer.weight, weighing.layer.bias
        if not said:
            found[n, "human"] = right(texts.test @ weight.T + bias)
            continue
        kept = KeptLayer(layer_of(weight, bias), [witness], weighing.weights.tolist(), weighing.tables)
        found[n, "kept"] = right(texts.test @ weight.T + bias + kept.added(0, test))
        free = np.setdiff1d(np.arange(len(texts.y)), rows)
        shares = softmax(texts.x[free] @ weight.T + bias + kept.added(0, pool[free]))
        if not weighing.off:
            stronger = [replace(setting, c=setting.c * more) for more in STRONGER]
            student = fit_student(stronger, texts.x[free], shares, x, y, weights)
            weight, bias = student.weight, student.bias
        found[n, "student"] = right(texts.test @ weight.T + bias)
    return found


def layer_of(weight: Array, bias: Array) -> FittedLayer:
    """Return weights (C, H) and biases (C,) as a layer."""
    import torch

    return FittedLayer(torch.from_numpy(weight), torch.from_numpy(bias), 0.0, DEPTHS)


def changed(texts: Texts, how: str, rng: np.random.Generator) -> Texts:
    """Return a set whose answers are drawn at random, or mean other labels throughout."""
    classes = len(texts.labels)
    if how == "real":
        return texts
    if how == "permuted":
        return Texts(*(np.roll(v, 1, axis=1) if i in (2, 5) else v for i, v in enumerate(vars(texts).values())))
    drawn = [np.array([log_odds(int(k), 0.9, classes) for k in rng.integers(classes, size=len(s))])
             for s in (texts.said, texts.said_of_test)]  # fmt: skip
    return Texts(texts.x, texts.y, drawn[0], texts.test, texts.targets, drawn[1], texts.labels)


def table(data: Path, out: Path, names: Sequence[str], seeds: int) -> None:
    """Print the table of each set."""
    for name in names:
        texts = load(data, out, name)
        stored_answers = not (out / f"said_{name}_test.npz").exists()
        grid = (0, 20, 50, 100, 200, 400) if stored_answers else (0, 20, 40, 80, 160)
        alone = float((np.nan_to_num(texts.said_of_test, nan=-9).argmax(1) == texts.targets).mean())
        full = accuracies(texts, False, 0, [len(texts.y)])[len(texts.y), "human"]
        print(f"\n{name}: the machine alone {alone:.3f}, all {len(texts.y):,} labels without it {full:.3f}\n")
        print("| | " + " | ".join(map(str, grid)) + " |\n|---|" + "---|" * len(grid), flush=True)
        print_lines(curves(texts, out / f"curves_{name}.jsonl", stored_answers, seeds, grid), grid)


Lines = dict[str, dict[int, list[float]]]


def curves(texts: Texts, file: Path, stored_answers: bool, seeds: int, grid: Sequence[int]) -> Lines:
    """Return the accuracies of each arm by number of labels; a seed that is in the file is not run again."""
    done = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    for seed in range(len(done), seeds):
        row: dict[str, dict[int, float]] = {}
        for how in ("real", "random", "permuted") if stored_answers else ("real",):
            given = changed(texts, how, np.random.default_rng([seed, 9]))
            for (n, kind), value in accuracies(given, True, seed, grid).items():
                row.setdefault(f"{how} answers, {kind}", {})[n] = value
        for (n, kind), value in accuracies(texts, False, seed, [n for n in grid if n]).items():
            row.setdefault(kind, {})[n] = value
        done.append(json.loads(json.dumps(row)))
        with file.open("a", encoding="utf-8") as opened:
            opened.write(json.dumps(row) + "\n")
    found: Lines = {}
    for row in done[:seeds]:
        for arm, values in row.items():
            for n, value in values.items():
                found.setdefault(arm, {}).setdefault(int(n), []).append(value)
    return found


def print_lines(lines: Lines, grid: Sequence[int]) -> None:
    """Print the rows of a table."""
    for arm, values in lines.items():
        cells = [f"{np.mean(values[n]):.3f}" if n in values else "" for n in grid]
        print(f"| {arm} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["encode", "ask", "table"])
    parser.add_argument("sets", nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="")
    parser.add_argument("--seeds", type=int, default=8)
    given = parser.parse_args()
    if given.what == "table":
        table(given.data, given.out, given.sets, given.seeds)
    else:
        {"encode": encode, "ask": ask}[given.what](given.data, given.out, given.model, given.sets)


if __name__ == "__main__":
    main()
