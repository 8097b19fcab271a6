"""Tiny random models that tag words, texts with entities, and the task and pools of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import BertForTokenClassification

from dal_nlp.core.config import DrawsConfig, ScoringConfig
from dal_nlp.core.rng import torch_seeded
from dal_nlp.core.targets import encode_target
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import Pool
from dal_nlp.tasks.entities.ner import NER
from tests.tiny import NEGATIVE, NEUTRAL, POSITIVE, Beside, config, tokenizer


def tagged(n: int, seed: int = 0, words: int = 24) -> list[dict[str, Any]]:
    """Rows with id, tokens and ner_tags: good words are of one label and bad ones of another, neighbours one entity."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for i in range(n):
        tokens = [str(word) for word in rng.choice([*NEUTRAL, *POSITIVE, *NEGATIVE], int(rng.integers(3, words)))]
        kinds = ["good" if word in POSITIVE else "bad" if word in NEGATIVE else "" for word in tokens]
        before = ["", *kinds]
        tags = [
            "O" if not kind else f"{'I' if kind == last else 'B'}-{kind}"
            for kind, last in zip(kinds, before, strict=False)
        ]
        rows.append({"id": f"t{seed}-{i}", "tokens": tokens, "ner_tags": tags})
    return rows


def ner_task(max_length: int = 12, labels: Sequence[str] = ("bad", "good")) -> NER:
    """The task of entities with the tiny tokenizer and windows of a few words."""
    return NER(labels=labels, max_length=max_length, tokenizer=tokenizer())


def tagger(outputs: int = 5, seed: int = 0, dropout: float = 0.1) -> BertForTokenClassification:
    """A random token classifier."""
    with torch_seeded(seed):
        return BertForTokenClassification(config(outputs, dropout)).eval()


def ner_pool(n: int = 30, labeled: int = 6, batch_size: int = 8, k: int = 4) -> Pool:
    """A pool of n texts, some of several windows, under a random model, beside some labeled ones."""
    of, model = ner_task(), tagger()
    rows = tagged(n + labeled)
    fields = [of.read(row) for row in rows]
    columns: dict[str, list[Any]] = {name: [f[name] for f in fields] for name in fields[0]}
    columns["id"] = [row["id"] for row in rows]
    columns["target"] = [encode_target(of.read_target(row)) for row in rows]
    examples = Dataset.from_dict({**columns, **of.encode(columns)})
    scoring, kind = ScoringConfig(batch_size=batch_size), make_draws(DrawsConfig(k=k), seed=0, round=1)
    known = Pool(examples.select(range(n, n + labeled)), model, of, kind, scoring) if labeled else None
    there = examples.select(range(n)).remove_columns("target")
    return Pool(there, model, of, kind, scoring, known, companions=Beside())
