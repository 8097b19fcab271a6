"""What a reader learns from a machine's answers to questions, and from which sentence is most like a question.

    python -m tests.benchmarks.bench_qa_student --data DIR --llm FOLDER [--questions 300] [--labels 20] [--epochs 3]
        [--steps 100] [--pool 1020] [--test 120] [--truth] [--similar]

DIR has train.jsonl and test.jsonl as SQuAD. A student learns from labels of people, which have weight 2, and from the
machine's answers to other questions of the pool, as far as they have a place in their context, each with the weight of
its confidence. With ``--truth`` the answers to these questions are the right ones: what no machine can surpass. With
``--similar`` the cosine of a question and the sentence that a span begins in, times some weights, is added to the log
score of the span: the weight that is best on the test set is more than a run could find.
"""

import argparse
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import nn

from dal_nlp.core.config import DrawsConfig, ScoringConfig, TrainingConfig
from dal_nlp.core.progress import Silent
from dal_nlp.core.rng import rng_for, seed_for, torch_seeded
from dal_nlp.core.targets import Target, encode_target
from dal_nlp.downloads import demo
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import Pool, fetch
from dal_nlp.models.trainer import fit, make_accelerator
from dal_nlp.pretrained.loading import load_tokenizer
from dal_nlp.signals.base import LabelSet, Making
from dal_nlp.span_witnesses.location import meant, nearest
from dal_nlp.span_witnesses.sources import AnswerWriter
from dal_nlp.tasks.qa import ExtractiveQA
from dal_nlp.tasks.questions.spans import said
from tests.benchmarks.bench_qa_witness import some

Rows = list[dict[str, Any]]
#: Weights of likeness, and most probable spans of a question that it may choose from.
WEIGHTS, SPANS = (0, 2, 5, 10, 20, 50, 1000), 3000


class Trial:
    """A pool, a test set and a reader that is trained on parts of the pool."""

    def __init__(self, data: Path, pool: int, test: int) -> None:
        self.source = str(demo.encoder())
        self.task = ExtractiveQA(tokenizer=load_tokenizer(self.source))
        rows = some(data / "train.jsonl", pool)
        self.pool: Rows = [rows[place] for place in np.random.default_rng(0).permutation(len(rows))]
        self.test: Rows = some(data / "test.jsonl", test)
        self.examples = self.encoded(self.test, [row["answers"] for row in self.test])

    def encoded(self, rows: Rows, targets: Sequence[Target]) -> Dataset:
        asked = {name: [row[name] for row in rows] for name in ("id", "question", "context")}
        told = {"group": [""] * len(rows), "target": [encode_target(target) for target in targets]}
        return Dataset.from_dict({**asked, **told, **self.task.encode(asked)})

    def train(self, examples: Dataset, weights: Sequence[float], epochs: float, steps: int) -> Any:
        with torch_seeded(seed_for(0, 0, "weights")):
            model = self.task.load(self.source)
        training = TrainingConfig(epochs=epochs, min_steps=steps, batch_size=8, learning_rate=1e-4, warmup=0.1)
        with torch_seeded(0):
            rng, accelerator = rng_for(0, 0, "fit"), make_accelerator("no")
            fit(model, self.task, examples, np.array(weights), training, accelerator, rng, Silent())
        return model.eval()

    def f1(self, answers: Sequence[Target]) -> float:
        return self.task.evaluate(answers, [row["answers"] for row in self.test])["f1"]

    def predicted(self, model: nn.Module) -> list[Target]:
        pool = Pool(self.examples, model, self.task, make_draws(DrawsConfig(), 0, 0), ScoringConfig())
        return [one.target for one in pool.predict()]

    def answers(self, rows: Rows, llm: str) -> list[tuple[Target, float] | None]:
        """Return where the machine's answers are, with their confidences; None where they have no place."""
        writer = AnswerWriter(Making(llm, {}, LabelSet([])))
        texts, ids = ["\n".join(self.task.texts(row)) for row in rows], [row["id"] for row in rows]
        found: list[tuple[Target, float] | None] = []
        for row, one in zip(rows, writer.answers(texts, ids), strict=True):
            where = meant(one.raw, row["context"], False) or nearest(one.raw, row["context"])
            told = where is not None and one.log_probs is not None
            found.append((where, float(np.exp(one.log_probs[0]))) if told else None)  # type: ignore[index]
        return found

    @torch.inference_mode()
    def like(self, texts: Sequence[str]) -> Any:
        """Return the unit vectors of texts, (N, H), by the encoder before it is trained."""
        from transformers import AutoModel

        encoder, vectors = AutoModel.from_pretrained(self.source).eval(), []
        for first in range(0, len(texts), 32):
            batch = self.task.tokenizer(
                list(texts[first : first + 32]), return_tensors="pt", padding=True, truncation=True, max_length=128
            )
            states, mask = encoder(**batch).last_hidden_state, batch["attention_mask"][..., None]
            vectors.append(nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1))
        return torch.cat(vectors).numpy()

    @torch.inference_mode()
    def with_likeness(self, model: nn.Module) -> dict[float, float]:
        """Return F1 by the weight of the likeness of question and sentence."""
        questions, spans, hits, lengths = self.like([row["question"] for row in self.test]), [], [], []
        for place, row in enumerate(self.test):
            cuts = sentences(row["context"])
            cosines = self.like([row["context"][a:b] for a, b in cuts]) @ questions[place]
            a, b = cuts[int(cosines.argmax())]
            hits.append(any(a <= start < b for start in row["answers"]["answer_start"]))
            lengths.append(len(cuts))
            example = fetch(self.examples, [place])[0]
            batch = self.task.collate([example])
            outcomes = self.task.categoricals(self.task.logits(model(**batch.inputs)), batch)
            log_probs, positions = outcomes.top(SPANS)
            found = zip(log_probs.flatten().tolist(), outcomes.numbers(positions).flatten().tolist(), strict=True)
            answers = [(p, said(example, n, self.task.longest_answer)) for p, n in found if p > -np.inf]
            starts = np.array([a for a, _ in cuts])
            spans.append(
                [
                    (p, float(cosines[int(np.searchsorted(starts, t["answer_start"][0], "right")) - 1]), t)
                    for p, t in answers
                ]
            )
        print(f"answers in the sentence most like the question: {np.mean(hits):.3f} of {np.mean(lengths):.1f}")
        return {
            weight: self.f1([max(of, key=lambda one, w=weight: one[0] + w * one[1])[2] for of in spans])  # type: ignore[misc]
            for weight in WEIGHTS
        }


def sentences(text: str) -> list[tuple[int, int]]:
    """Return where the sentences of a text are."""
    cuts = [0, *(end.end() for end in re.finditer(r"[.!?][\"')]*\s+(?=[A-Z0-9\"'(])", text)), len(text)]
    return [(a, b) for a, b in pairwise(cuts) if b > a]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--llm", required=True)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--labels", type=int, default=20)
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--steps", type=int, default=100, help="at least")
    parser.add_argument("--pool", type=int, default=1020)
    parser.add_argument("--test", type=int, default=120)
    parser.add_argument("--truth", action="store_true")
    parser.add_argument("--similar", action="store_true")
    options = parser.parse_args()
    trial = Trial(options.data, options.pool, options.test)
    labeled, free = trial.pool[: options.labels], trial.pool[options.labels :][: options.questions]
    known = [(row["answers"], 1.0) if options.truth else None for row in free]
    taught = known if options.truth else trial.answers(free, options.llm) if free else []
    pairs = [(row, *one) for row, one in zip(free, taught, strict=True) if one is not None]
    examples = trial.encoded(
        [*labeled, *(row for row, _, _ in pairs)],
        [*(row["answers"] for row in labeled), *(target for _, target, _ in pairs)],
    )
    weights = [*[2.0] * len(labeled), *(weight for _, _, weight in pairs)]
    model = trial.train(examples, weights, options.epochs, options.steps)
    f1 = trial.f1(trial.predicted(model))
    print(f"{len(labeled)} labels and {len(pairs)} of {len(free)} answers: F1 {f1:.3f}", flush=True)
    if options.similar:
        print({weight: round(score, 3) for weight, score in trial.with_likeness(model).items()})


if __name__ == "__main__":
    main()
