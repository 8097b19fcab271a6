"""Overlap of summaries: BLEU variance of sampled ones against nltk pair by pair, ROUGE against rouge-score alone.

    python tests/benchmarks/bench_bleu.py [--documents 100] [--samples 10] [--words 30] [--tests 500] [--repeats 3]

The summaries are made up: samples of a document are one text with every fifth word replaced. nltk is given the tokens,
so it does not pay for finding them. Seconds are the best of the repeats; the ratio is of CPU seconds.
"""

import argparse
import sys
import time
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import numpy as np
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from rouge_score.rouge_scorer import RougeScorer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a script is not in the package `tests` by itself

from dal_nlp.core.text import words
from dal_nlp.strategies.bleu import bleu_variance
from dal_nlp.tasks.rouge import MEASURES, rouge, sentences
from tests.benchmarks.measuring import show

VOCABULARY = [f"w{i}" for i in range(2000)]


def summaries(rng: np.random.Generator, n: int, length: int) -> list[str]:
    """The same text n times, every fifth word of it changed and a full stop after every tenth."""
    text = rng.choice(VOCABULARY, length)
    texts = []
    for _ in range(n):
        changed = np.where(rng.random(length) < 0.2, rng.choice(VOCABULARY, length), text)
        texts.append(" ".join(f"{word}." if i % 10 == 9 else word for i, word in enumerate(changed)))
    return texts


def variances_by_nltk(documents: list[list[list[str]]]) -> list[float]:
    method = SmoothingFunction().method1
    return [
        float(np.mean([(1 - sentence_bleu([b], a, smoothing_function=method)) ** 2 for a, b in permutations(texts, 2)]))
        for texts in documents
    ]


def best_of(repeats: int, run: Callable[[], object]) -> list[float]:
    """Seconds and CPU seconds of the fastest run."""
    taken = []
    for _ in range(repeats):
        started, worked = time.perf_counter(), time.process_time()
        run()
        taken.append([time.perf_counter() - started, time.process_time() - worked])
    return min(taken)


def rows(
    what: str, size: str, ours: list[float], limit: str, twin: str, theirs: list[float], note: str
) -> list[list[str]]:
    """Two lines of the table."""
    ratio = f"{theirs[1] / ours[1]:.1f}x"
    return [
        [what, size, "ours", *(f"{number:.2f}" for number in ours), "", limit],
        ["", "", twin, *(f"{number:.2f}" for number in theirs), ratio, note],
    ]


def variances(rng: np.random.Generator, options: argparse.Namespace) -> list[list[str]]:
    texts = [summaries(rng, options.samples, options.words) for _ in range(options.documents)]
    tokens = [[words(text) for text in of] for of in texts]
    size = f"{options.documents} x {options.samples} x {options.words} words"
    ours = best_of(options.repeats, lambda: [bleu_variance(of) for of in texts])
    theirs = best_of(options.repeats, lambda: variances_by_nltk(tokens))
    apart = max(abs(bleu_variance(of) - nltk) for of, nltk in zip(texts, variances_by_nltk(tokens), strict=True))
    return rows("bleu_variance", size, ours, "at most 1 s", "nltk", theirs, f"apart by {apart:.0e}, at most 1e-06")


def scores(rng: np.random.Generator, options: argparse.Namespace) -> list[list[str]]:
    pairs = [summaries(rng, 2, 2 * options.words) for _ in range(options.tests)]
    predictions, references = [a for a, _ in pairs], [[b] for _, b in pairs]
    in_lines = [["\n".join(sentences(text)) for text in pair] for pair in pairs]
    scorer = RougeScorer(list(MEASURES), use_stemmer=True)
    rouge(predictions[:1], references[:1])  # makes its scorer
    ours = best_of(options.repeats, lambda: rouge(predictions, references))
    theirs = best_of(options.repeats, lambda: [scorer.score(b, a) for a, b in in_lines])
    size = f"{options.tests} x {2 * options.words} words"
    return rows("rouge", size, ours, "at most 5 s", "rouge-score", theirs, "sentences are given")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=100)
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--words", type=int, default=30)
    parser.add_argument("--tests", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    header = ["what", "size", "run", "seconds", "cpu s", "of ours", "limit"]
    print("\n".join(show([header, *variances(rng, options), *scores(rng, options)])))


if __name__ == "__main__":
    main()
