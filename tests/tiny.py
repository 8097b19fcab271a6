"""Tiny random models and data, made on the spot: enough for logic, milliseconds a pass.

Those of summaries and of entities are in `tiny_summaries` and `tiny_entities`.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
)

from dal_nlp.core.config import DrawsConfig, ScoringConfig
from dal_nlp.core.rng import torch_seeded
from dal_nlp.core.targets import encode_target
from dal_nlp.core.task import Capability
from dal_nlp.models.auxiliary import AuxiliaryModels
from dal_nlp.models.loss_prediction import LossHead
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import Pool
from dal_nlp.signals.hearing import Hearing
from dal_nlp.tasks.classification import Classification
from dal_nlp.tasks.multilabel.multilabel import MultiLabel
from dal_nlp.tasks.qa import ExtractiveQA, QAOptions

POSITIVE = ["good", "great", "fine", "lovely", "bright", "warm", "happy", "superb"]
NEGATIVE = ["bad", "awful", "poor", "dull", "cold", "dark", "sad", "dreadful"]
NEUTRAL = ["the", "a", "film", "plot", "actor", "scene", "story", "was", "is", "very", "quite", "it", "and", "of"]
#: What `pool()` has to offer beside its task.
OFFERS = frozenset({Capability.MASKED_LM, Capability.PREDICTED_LOSS})
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> str:
    """Write rows as jsonl; return the path."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def tokenizer() -> PreTrainedTokenizerFast:
    """A word-level tokenizer over the words above."""
    words = [*SPECIAL, *POSITIVE, *NEGATIVE, *NEUTRAL]
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=64, **names)


def characters(kind: str) -> PreTrainedTokenizerFast:
    """A tokenizer of single characters, with the offsets and special tokens of a family of models.

    Args:
        kind: "wordpiece" (BERT: lower case, accents dropped), "bytes" (GPT-2: blanks belong to what follows them),
            "trimmed bytes" (RoBERTa: they do not count) or "metaspace" (XLM-R: NFKC, blanks are marked).
    """
    special = ["<pad>", "<unk>", "<cls>", "<sep>"]
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), special, strict=True))
    pair = processors.TemplateProcessing(
        single="<cls> $A <sep>", pair="<cls> $A <sep> $B:1 <sep>:1", special_tokens=[("<cls>", 2), ("<sep>", 3)]
    )
    if kind == "wordpiece":
        letters = [chr(i) for i in range(33, 127)]
        words = [*special, *letters, *(f"##{letter}" for letter in letters)]
        core = Tokenizer(models.WordPiece({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
        core.normalizer, core.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
        core.post_processor = pair
    elif kind == "metaspace":
        letters = [(chr(i), -5.0) for i in (9601, *range(33, 127))]
        core = Tokenizer(models.Unigram([*((word, 0.0) for word in special), *letters], unk_id=1))
        core.normalizer, core.pre_tokenizer = normalizers.NFKC(), pre_tokenizers.Metaspace()
        core.post_processor = pair
    else:
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        joined = [("\u0120", letter) for letter in "fgpwb"]  # a blank and the letter after it
        words = [*special, *alphabet, *(a + b for a, b in joined)]
        core = Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, joined))
        core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trim = kind == "trimmed bytes"
        core.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=trim), pair])
    return PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=200, **names)


def config(labels: int = 2, dropout: float = 0.1) -> BertConfig:
    """A BERT of two layers and 16 dimensions."""
    return BertConfig(
        vocab_size=len(SPECIAL) + len(POSITIVE) + len(NEGATIVE) + len(NEUTRAL),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        num_labels=labels,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        initializer_range=0.3,  # predictions that differ, although nothing was trained
    )


def classifier(labels: int = 2, seed: int = 0, dropout: float = 0.1) -> BertForSequenceClassification:
    """A random classifier."""
    with torch_seeded(seed):
        return BertForSequenceClassification(config(labels, dropout)).eval()


def save_model(folder: Path, labels: int = 2, dropout: float = 0.1) -> str:
    """Write a random encoder with its tokenizer, as `--model FOLDER` takes it; return the folder."""
    classifier(labels, dropout=dropout).bert.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return str(folder)


def masked_lm(seed: int = 0) -> BertForMaskedLM:
    """A random masked language model."""
    with torch_seeded(seed):
        return BertForMaskedLM(config()).eval()


def save_masked_lm(folder: Path) -> str:
    """Write a random encoder that has its masked-LM head, with its tokenizer; return the folder."""
    masked_lm().save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return str(folder)


def loss_head(seed: int = 0) -> LossHead:
    """A random head that predicts losses."""
    with torch_seeded(seed):
        return LossHead(16).eval()


class Beside(AuxiliaryModels):
    """Random networks beside the model."""

    def loss_head(self) -> torch.nn.Module:
        return loss_head()

    def masked_lm(self) -> torch.nn.Module:
        return masked_lm()


def sentences(n: int, seed: int = 0) -> list[dict[str, str]]:
    """Rows with id, text and label; every text is different and its words tell its label."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, str]] = []
    seen: set[str] = set()
    while len(rows) < n:
        label, words = ("positive", POSITIVE) if rng.random() < 0.5 else ("negative", NEGATIVE)
        length = int(rng.integers(3, 12))
        text = " ".join([*rng.choice(NEUTRAL, length), *rng.choice(words, 2)])
        if text not in seen:
            seen.add(text)
            rows.append({"id": f"s{seed}-{len(rows)}", "text": text, "label": label})
    return rows


def reader(seed: int = 0, dropout: float = 0.1) -> BertForQuestionAnswering:
    """A random question-answering model."""
    with torch_seeded(seed):
        return BertForQuestionAnswering(config(2, dropout)).eval()


def questions(n: int, seed: int = 0, words: int = 40, unanswerable: bool = False) -> list[dict[str, object]]:
    """Rows with id, title, context, question and answers; contexts of up to ``words`` words, the answer one of them."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for i in range(n):
        text = rng.choice([*NEUTRAL, *POSITIVE], int(rng.integers(4, words)))
        place = int(rng.integers(len(text)))
        length = min(int(rng.integers(1, 4)), len(text) - place)
        context = f"{' '.join(text)} {NEGATIVE[i % len(NEGATIVE)]}"
        answer = {
            "text": [" ".join(text[place : place + length])],
            "answer_start": [len(" ".join(text[:place])) + (1 if place else 0)],
        }
        none = unanswerable and i % 3 == 0
        rows.append(
            {
                "id": f"q{seed}-{i}",
                "title": f"title {i % 4}",
                "context": context,
                "question": " ".join(rng.choice(NEUTRAL, int(rng.integers(2, 5)))),
                "answers": {"text": [], "answer_start": []} if none else answer,
            }
        )
    return rows


def qa_task(max_length: int = 24, unanswerable: bool = False, longest: int = 4) -> ExtractiveQA:
    """The question-answering task with the tiny tokenizer and windows of a few words."""
    options = QAOptions(doc_stride=6, longest_answer=longest, unanswerable=unanswerable)
    return ExtractiveQA(options, max_length=max_length, tokenizer=tokenizer())


def encoded_questions(rows: list[dict[str, object]], of: ExtractiveQA) -> Dataset:
    """Rows as an encoded dataset with targets."""
    fields = [of.read(row) for row in rows]
    columns: dict[str, list[object]] = {name: [f[name] for f in fields] for name in fields[0]}
    columns["id"] = [row["id"] for row in rows]
    columns["target"] = [encode_target(row["answers"]) for row in rows]
    return Dataset.from_dict({**columns, **of.encode(columns)})


def qa_pool(n: int = 30, labeled: int = 6, batch_size: int = 8, unanswerable: bool = False, k: int = 4) -> Pool:
    """A pool of n questions, some of several windows, under a random model, beside some answered ones."""
    of, model = qa_task(unanswerable=unanswerable), reader()
    rows = questions(n + labeled, unanswerable=unanswerable)
    scoring = ScoringConfig(batch_size=batch_size)
    kind = make_draws(DrawsConfig(k=k), seed=0, round=1)
    known = Pool(encoded_questions(rows[n:], of), model, of, kind, scoring) if labeled else None
    examples = encoded_questions(rows[:n], of).remove_columns("target")
    return Pool(examples, model, of, kind, scoring, known, companions=Beside())


def task(labels: int = 2) -> Classification:
    """The classification task with the tiny tokenizer."""
    names = ["negative", "positive"] if labels == 2 else [f"class {i}" for i in range(labels)]
    return Classification(labels=names, tokenizer=tokenizer())


def encoded(rows: list[dict[str, str]], of: Classification) -> Dataset:
    """Rows as an encoded dataset with targets."""
    columns = {
        "id": [row["id"] for row in rows],
        "target": [encode_target(row["label"]) for row in rows],
        "text": [row["text"] for row in rows],
        "pair": [None] * len(rows),
    }
    return Dataset.from_dict({**columns, **of.encode(columns)})


def several_labels(n: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows with id, text and labels, of which a text has 0 to 3; words tell two of them."""
    rows = [{**row, "labels": []} for row in sentences(n, seed)]
    for i, row in enumerate(rows):
        told = ["joy"] if row.pop("label") == "positive" else ["anger"]
        row["labels"] = [] if i % 7 == 6 else sorted([*told, *(["fear"] if i % 3 == 0 else [])])
    return rows


def multilabel_task(**settings: Any) -> MultiLabel:
    """The task of several labels a text with the tiny tokenizer."""
    return MultiLabel(
        label_column="labels", labels=["anger", "fear", "joy"], max_length=24, tokenizer=tokenizer(), **settings
    )


def multilabel_pool(n: int = 30, labeled: int = 6, batch_size: int = 8, k: int = 4) -> Pool:
    """A pool of n texts with several labels under a random model, beside some labeled ones."""
    of, model = multilabel_task(), classifier(3)
    rows = several_labels(n + labeled)
    columns: dict[str, list[Any]] = {
        "id": [row["id"] for row in rows],
        "target": [encode_target(row["labels"]) for row in rows],
        "text": [row["text"] for row in rows],
        "pair": [None] * len(rows),
    }
    examples = Dataset.from_dict({**columns, **of.encode(columns)})
    scoring, kind = ScoringConfig(batch_size=batch_size), make_draws(DrawsConfig(k=k), seed=0, round=1)
    known = Pool(examples.select(range(n, n + labeled)), model, of, kind, scoring) if labeled else None
    return Pool(
        examples.select(range(n)).remove_columns("target"), model, of, kind, scoring, known, companions=Beside()
    )


def pool(
    n: int = 40,
    labels: int = 2,
    labeled: int = 6,
    batch_size: int = 8,
    draws: str = "fixed",
    k: int = 4,
    scoring: ScoringConfig | None = None,
    folder: Path | None = None,
) -> Pool:
    """A pool of n examples under a random model, beside some labeled ones."""
    of = task(labels)
    model = classifier(labels)
    rows = sentences(n + labeled)
    for i, row in enumerate(rows):
        row["label"] = of.labels[i % len(of.labels)]
    scoring = scoring or ScoringConfig(batch_size=batch_size)
    kind = make_draws(DrawsConfig(kind=draws, k=k), seed=0, round=1)
    known = Pool(encoded(rows[n:], of), model, of, kind, scoring) if labeled else None
    examples = encoded(rows[:n], of).remove_columns("target")
    return Pool(examples, model, of, kind, scoring, known, companions=Beside(), folder=folder)


class BesideMachines(Beside):
    """Random networks, and a model that reads the text alone."""

    def text_model(self) -> torch.nn.Module:
        return classifier()


def heard_pool(n: int = 40, batch_size: int = 8, labeled: int = 6) -> Pool:
    """The same pool of two labels under a model that hears a machine, which is silent about every third text."""
    of, rows = task(), sentences(n + labeled)
    examples = encoded(rows, of)
    said = np.random.default_rng(1).normal(size=(n + labeled, 2)).astype(np.float32)
    said[::3] = 0
    model = Hearing(classifier(), of.logits, examples["input_ids"], said)
    parts = (
        model,
        of,
        make_draws(DrawsConfig(kind="fixed", k=4), seed=0, round=1),
        ScoringConfig(batch_size=batch_size),
    )
    known = Pool(examples.select(range(n, n + labeled)), *parts, companions=BesideMachines())
    pool_of = examples.select(range(n)).remove_columns("target")
    return Pool(pool_of, *parts, known, companions=BesideMachines())


torch.set_num_threads(1)
