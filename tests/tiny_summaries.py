"""Tiny random models that write texts, documents with summaries, and the task and pools of them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import T5Config, T5ForConditionalGeneration

from dal_nlp.core.config import DrawsConfig, ScoringConfig
from dal_nlp.core.rng import torch_seeded
from dal_nlp.core.targets import encode_target
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import Pool
from dal_nlp.tasks.summarization import Summarization, SummarizationOptions
from tests.tiny import NEGATIVE, NEUTRAL, POSITIVE, Beside, tokenizer


def writer_config(dropout: float = 0.1) -> T5Config:
    """A T5 of two layers and 16 dimensions; texts start with [CLS] and end with [SEP]."""
    return T5Config(
        vocab_size=len(tokenizer()),
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_decoder_layers=2,
        num_heads=2,
        dropout_rate=dropout,
        initializer_factor=3.0,  # predictions that differ, although nothing was trained
        pad_token_id=0,
        eos_token_id=3,
        decoder_start_token_id=2,
    )


def writer(seed: int = 0, dropout: float = 0.1) -> T5ForConditionalGeneration:
    """A random model that writes texts; its output layer is not tied to its embeddings."""
    with torch_seeded(seed):
        model = T5ForConditionalGeneration(writer_config(dropout))
        weight = 0.5 * torch.randn_like(model.lm_head.weight)
        weight[3] *= 5  # texts of different lengths
        model.lm_head.weight = torch.nn.Parameter(weight)
        return model.eval()


def save_writer(folder: Path) -> str:
    """Write a random model that writes texts with its tokenizer, as `--model FOLDER` takes it; return the folder."""
    writer().save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return str(folder)


def documents(n: int, seed: int = 0, words: int = 30) -> list[dict[str, object]]:
    """Rows with id, document and summary, which is the document's first words; every document is different."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for i in range(n):
        text = [str(word) for word in rng.choice([*NEUTRAL, *POSITIVE, *NEGATIVE], int(rng.integers(6, words)))]
        rows.append({"id": f"d{seed}-{i}", "document": " ".join(text), "summary": " ".join(text[:4])})
    return rows


def summary_task(max_length: int = 24, **options: Any) -> Summarization:
    """The summarization task with the tiny tokenizer; texts of up to eight tokens unless ``options`` say otherwise."""
    return Summarization(
        SummarizationOptions(**{"max_new_tokens": 8, **options}), max_length=max_length, tokenizer=tokenizer()
    )


def encoded_documents(rows: list[dict[str, object]], of: Summarization) -> Dataset:
    """Rows as an encoded dataset with targets."""
    columns: dict[str, list[object]] = {
        "id": [row["id"] for row in rows],
        "document": [row["document"] for row in rows],
        "target": [encode_target(row["summary"]) for row in rows],
    }
    return Dataset.from_dict({**columns, **of.encode(columns)})


def summary_pool(
    n: int = 30, labeled: int = 6, batch_size: int = 8, k: int = 4, draws: str = "fixed", longest: int = 8
) -> Pool:
    """A pool of n documents under a random model that writes so many tokens, beside some with summaries."""
    model = writer()
    of = Summarization.for_model(model, tokenizer(), 24, {"max_new_tokens": longest})
    rows = documents(n + labeled)
    scoring = ScoringConfig(batch_size=batch_size)
    kind = make_draws(DrawsConfig(kind=draws, k=k), seed=0, round=1)
    known = Pool(encoded_documents(rows[n:], of), model, of, kind, scoring) if labeled else None
    examples = encoded_documents(rows[:n], of).remove_columns("target")
    return Pool(examples, model, of, kind, scoring, known, companions=Beside())
