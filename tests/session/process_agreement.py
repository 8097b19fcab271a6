"""What one process and several must agree on: every choice on tiny pools, and the weights that training ends with.

As a program it writes what it found, from the first process, to the file that it is given.
"""

import inspect
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import nn

from dal_nlp import RunConfig, Session, UserError
from dal_nlp.core.config import DrawsConfig, ScoringConfig, TrainingConfig, merge
from dal_nlp.core.distributed import is_main, process_state
from dal_nlp.core.progress import Silent
from dal_nlp.core.rng import torch_seeded
from dal_nlp.core.task import Capability, Task
from dal_nlp.learners import lora_learner
from dal_nlp.ledger.ledger import read_state
from dal_nlp.models.loss_prediction import LossPrediction
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import Pool
from dal_nlp.models.trainer import fit, make_accelerator
from dal_nlp.strategies import STRATEGIES, make_strategy, probes, strategy_class
from dal_nlp.tasks.summarization import Summarization
from tests import tiny, tiny_entities, tiny_summaries
from tests.pictures import leave_blank
from tests.session.test_loop import write

POOLS: dict[str, Callable[[], Pool]] = {
    "classification": lambda: tiny.pool(n=12, labels=3, batch_size=3),
    "qa": lambda: tiny.qa_pool(n=12, batch_size=3, unanswerable=True),
    "summarization": lambda: tiny_summaries.summary_pool(n=12, batch_size=3),
    "multilabel": lambda: tiny.multilabel_pool(n=12, batch_size=3),
    "ner": lambda: tiny_entities.ner_pool(n=12, batch_size=3),
    "heard": lambda: tiny.heard_pool(n=12, batch_size=3),
}
OFFERS = {
    "classification": tiny.task().capabilities | tiny.OFFERS,
    "qa": tiny.qa_task().capabilities | tiny.OFFERS,
    "summarization": tiny_summaries.summary_task().capabilities | tiny.OFFERS,
    "multilabel": tiny.multilabel_task().capabilities | tiny.OFFERS,
    "ner": tiny_entities.ner_task().capabilities | tiny.OFFERS,
    "heard": tiny.task().capabilities | tiny.OFFERS | {Capability.WITNESSES},
}


QA: dict[str, Any] = {
    "task": "qa",
    "max_length": 24,
    "task_options": {"doc_stride": 6, "longest_answer": 4},
    "query": {"max_per_group": 2},
}
WRITING: dict[str, Any] = {"task": "summarization", "max_length": 24, "task_options": {"max_new_tokens": 8}}
SENTIMENT: dict[str, Any] = {"task": "sentiment", "max_length": 32}
RUNS: dict[str, dict[str, Any]] = {
    "random": {**SENTIMENT, "strategy": "random", "initial_strategy": "random"},
    "heard": {**SENTIMENT, "strategy": "disagreement", "training": {"mode": "head"}, "rounds": 2, "finish": "full"},
    "taught": {**SENTIMENT, "strategy": "margin", "rounds": 2},
    "head": {**SENTIMENT, "strategy": "badge", "training": {"mode": "head"}, "finish": "full"},
    "lora": {**SENTIMENT, "strategy": "entropy", "training": {"mode": "lora"}, "audit": 5},
    "ceal": {**SENTIMENT, "strategy": "ceal", "pseudo_labels": {"threshold": 1.0}, "rounds": 2},
    "loss": {**SENTIMENT, "strategy": "learning_loss", "rounds": 2},
    "qa": {**QA, "strategy": "span_disagreement", "draws": {"k": 2}},
    "summarization": {**WRITING, "strategy": "nsp"},
    "ner": {"task": "ner", "max_length": 12, "strategy": "entity_entropy", "training": {"mode": "head"}},
    "multilabel": {"task": "multilabel", "max_length": 24, "strategy": "badge", "training": {"mode": "head"}},
}
#: What rows and which model the runs of a task have; those of the others are sentences and the encoder.
FILES = {
    "qa": ("questions", "reader"),
    "summarization": ("documents", "writer"),
    "ner": ("entities", "encoder"),
    "multilabel": ("several", "encoder"),
}


def cases() -> Iterator[tuple[str, str]]:
    """Every strategy once, and in every task one for each set of signals that strategies read: these differ by task."""
    seen: set[str] = set()
    for task in POOLS:
        read: set[str] = set()
        for name in sorted(STRATEGIES):
            reads = (inspect.getdoc(strategy_class(name)) or "").partition("Reads:")[2].partition("Cost:")[0]
            if strategy_class(name).requires <= OFFERS[task] and (name not in seen or reads not in read):
                yield task, name
                seen.add(name)
                read.add(reads)


def choices() -> dict[str, Any]:
    """What strategies choose, with their scores."""
    found = {}
    for task, name in cases():
        picked = make_strategy(name, {}).select(POOLS[task](), 3, np.random.default_rng(0))
        found[f"{task} {name}"] = {"positions": picked.positions.tolist(), "scores": picked.scores.tolist()}
    return found


def predictions() -> dict[str, Any]:
    """What the models answer, in pool order."""
    return {task: [answer.target for answer in pool().predict()] for task, pool in POOLS.items()}


def trained() -> dict[str, list[float]]:
    """What models measure after some steps of six examples and one of three, in parts of two examples at most."""
    writer = tiny_summaries.writer(dropout=0.0)
    texts = Summarization.for_model(writer, tiny.tokenizer(), 24, {"max_new_tokens": 8})
    classes, spans = tiny.task(), tiny.qa_task()
    return {
        "classification": _after_fit(tiny.classifier(dropout=0.0), classes, tiny.encoded(tiny.sentences(9), classes)),
        "qa": _after_fit(tiny.reader(dropout=0.0), spans, tiny.encoded_questions(tiny.questions(9), spans)),
        "summarization": _after_fit(
            writer, texts, tiny_summaries.encoded_documents(tiny_summaries.documents(9), texts)
        ),
    }


def _after_fit(model: nn.Module, task: Task, examples: Dataset) -> list[float]:
    head = tiny.loss_head()
    recipe = TrainingConfig(min_steps=3, epochs=1, learning_rate=1e-3, batch_size=2, accumulation=3)
    with torch_seeded(0):
        done = fit(
            model,
            task,
            examples,
            np.linspace(0.5, 1.5, len(examples)),
            recipe,
            make_accelerator("no"),
            np.random.default_rng(0),
            Silent(),
            LossPrediction(head),
        )
    pool = Pool(examples, model, task, make_draws(DrawsConfig(), 0, 0), ScoringConfig())
    entropies, embeddings = pool.collect(probes.entropy, probes.embedding)
    read = [*entropies, *np.asarray(embeddings).ravel(), *head.out.weight.detach().ravel()]
    return [done.loss, *map(float, read)]


def prepare(folder: Path) -> None:
    """Write the files and the models of ``runs``; without dropout, as processes draw masks of their own."""
    many: dict[str, Callable[..., Any]] = {"sentences": tiny.sentences, "questions": tiny.questions}
    many |= {"documents": tiny_summaries.documents, "entities": tiny_entities.tagged, "several": tiny.several_labels}
    for name, rows in many.items():
        write(folder / f"{name}.jsonl", rows(24))
        write(folder / f"{name}-test.jsonl", rows(9, seed=1))
    said = [
        {**row, "confidence": 0.6} if at % 3 else {**row, "label": "none"} for at, row in enumerate(tiny.sentences(24))
    ]
    write(folder / "sentences-said.jsonl", said)
    models = {"encoder": tiny.classifier(dropout=0.0).bert, "reader": tiny.reader(dropout=0.0)}
    for name, model in {**models, "writer": tiny_summaries.writer(dropout=0.0)}.items():
        model.save_pretrained(folder / name)
        tiny.tokenizer().save_pretrained(folder / name)


def runs(folder: Path, kind: str) -> dict[str, Any]:
    """What whole runs ask, answer and measure; the run folders are ``folder/kind-NAME``."""
    found = {}
    for name, settings in RUNS.items():
        task = settings["task"]
        rows, model = FILES.get(task, ("sentences", "encoder"))
        test = None if "audit" in settings else str(folder / f"{rows}-test.jsonl")
        values = {
            "data": str(folder / f"{rows}.jsonl"),
            "test": test,
            "model": str(folder / model),
            "out": str(folder / f"{kind}-{name}"),
            "initial": 6,
            "query_size": 3,
            "rounds": 1,
            "cache": str(folder / f"{kind}-cache"),
        }
        if name in ("heard", "taught"):
            values["signals"] = [f"file:{folder / 'sentences-said.jsonl'}"]
        given = {"mode": "full", "min_steps": 3, "epochs": 1, "learning_rate": 1e-3, "batch_size": 2, "accumulation": 2}
        common = {"training": given, "scoring": {"batch_size": 4}}
        if task == "summarization":
            common["query"] = {"embedding_model": str(folder / "encoder")}
        result = Session(RunConfig.load(flags=merge(merge(values, common), settings))).run()
        state = read_state(result.folder)
        measured = [*state.metrics, *([state.finished] if state.finished else [])]
        found[name] = {
            "asked": [query.ids for query in state.queries],
            "audit": state.audit,
            "pseudo": [[event.ids, event.targets] for event in state.pseudo.values()],
            "values": [event.values for event in measured],
            "loss": [event.loss for event in measured],
            "soft": state.finished.soft_labels if state.finished else state.metrics[-1].learner.get("soft_labels", 0),
        }
    return found


def refused(folder: Path) -> str | None:
    """What a run says whose seed is the number of the process."""
    values = {"task": "sentiment", "data": str(folder / "sentences.jsonl"), "seed": process_state().process_index}
    try:
        Session(RunConfig.load(flags={**values, "model": str(folder), "out": str(folder / "refused")})).run()
    except UserError as error:
        return str(error) if "process" in str(error) else None
    return None


def everything(folder: Path, kind: str) -> dict[str, Any]:
    """All of it."""
    torch.set_num_threads(1)
    return {
        "choices": choices(),
        "predictions": predictions(),
        "trained": trained(),
        "refused": refused(folder),
        "runs": runs(folder, kind),
    }


if __name__ == "__main__":
    lora_learner.DROPOUT = 0.0
    leave_blank()
    found = everything(Path(sys.argv[1]), "several")
    if is_main():
        (Path(sys.argv[1]) / "several.json").write_text(json.dumps(found))
