"""Contract tests: what every strategy, task and oracle keeps to, for the author of one to run on his own class.

Each function raises ``AssertionError`` with a sentence where something is broken. They take seconds, and need no
network: the models are tiny and random.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch
from xml.etree import ElementTree

import numpy as np
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from dal_nlp.annotation.oracle import Label, Opinion, Oracle, Query, Setting, Skip
from dal_nlp.answer_formats.studio import ABOUT, ANSWER
from dal_nlp.core.answer_format import REFUSALS
from dal_nlp.core.config import DrawsConfig, ScoringConfig
from dal_nlp.core.errors import UserError
from dal_nlp.core.progress import Silent
from dal_nlp.core.rng import torch_seeded
from dal_nlp.core.targets import Target, encode_target
from dal_nlp.core.task import Capability, Task
from dal_nlp.ledger.events import QueryEvent
from dal_nlp.ledger.state import State
from dal_nlp.models.forward import Forward
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import Pool
from dal_nlp.session.config import RunConfig
from dal_nlp.strategies.base import Selection, Strategy, checked
from dal_nlp.tasks.classification import Classification

__all__ = [
    "check_oracle",
    "check_strategy",
    "check_task",
    "tiny_classifier",
    "tiny_pool",
    "tiny_rows",
    "tiny_tokenizer",
]

POSITIVE = ["good", "great", "fine", "lovely", "bright", "warm", "happy", "superb"]
NEGATIVE = ["bad", "awful", "poor", "dull", "cold", "dark", "sad", "dreadful"]
NEUTRAL = ["the", "a", "film", "plot", "actor", "scene", "story", "was", "is", "very", "quite", "it", "and", "of"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_LABELS = ["negative", "positive"]
#: What a measured value may differ by between two sizes of batches.
_TOLERANCE = 1e-4

MakePool = Callable[[int, int], Pool]


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Return a word-level tokenizer over the words above."""
    words = [*SPECIAL, *POSITIVE, *NEGATIVE, *NEUTRAL]
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    made: Any = PreTrainedTokenizerFast
    tokenizer: PreTrainedTokenizerFast = made(tokenizer_object=core, model_max_length=64, **names)
    return tokenizer


def tiny_config(labels: int = 2, dropout: float = 0.1) -> BertConfig:
    """Return the configuration of a BERT of two layers and 16 dimensions."""
    settings: dict[str, Any] = dict(
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
    return BertConfig(**settings)


def tiny_classifier(labels: int = 2, seed: int = 0, dropout: float = 0.1) -> BertForSequenceClassification:
    """Return a random classifier."""
    with torch_seeded(seed):
        model: Any = BertForSequenceClassification(tiny_config(labels, dropout))
        classifier: BertForSequenceClassification = model.eval()
        return classifier


def tiny_rows(n: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return rows with id, text and label; every text is different."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        words = rng.choice(NEUTRAL, 6).tolist() + rng.choice(POSITIVE if i % 2 else NEGATIVE, 2).tolist()
        rows.append({"id": f"e{i}", "text": " ".join([*words, NEUTRAL[i % len(NEUTRAL)]]), "label": _LABELS[i % 2]})
    return rows


def tiny_pool(n: int, batch_size: int) -> Pool:
    """Return a pool of n texts of two labels under a random classifier, beside six labeled ones."""
    task, model = Classification(labels=_LABELS, tokenizer=tiny_tokenizer()), tiny_classifier()
    scoring, draws = ScoringConfig(batch_size=batch_size), make_draws(DrawsConfig(kind="fixed", k=4), seed=0, round=1)
    examples = _encoded(task, tiny_rows(n + 6))
    labeled = Pool(examples.select(range(n, n + 6)), model, task, draws, scoring)
    return Pool(examples.select(range(n)).remove_columns("target"), model, task, draws, scoring, labeled)


def _encoded(task: Task, rows: Sequence[Mapping[str, Any]]) -> Dataset:
    """Return rows as an encoded dataset with targets."""
    fields = [task.read(row) for row in rows]
    columns: dict[str, list[Any]] = {name: [each[name] for each in fields] for name in fields[0]}
    columns["id"] = [str(i) for i in range(len(rows))]
    columns["target"] = [encode_target(task.read_target(row)) for row in rows]
    return Dataset.from_dict({**columns, **task.encode(columns)})


# Strategies


def check_strategy(make: Callable[[], Strategy], make_pool: MakePool = tiny_pool, batch_size: int = 1) -> None:
    """Check a strategy: a class, or a function that builds one.

    It chooses k distinct positions with finite scores for any k from 1 to N; the same for the same generator, whatever
    the size of the batches; reads the pool in one pass at most; and neither reads nor moves global chance.

    Args:
        make: Builds it.
        make_pool: Returns a pool of so many examples that is measured in batches of so many. Leave it out for a
            strategy that requires nothing but what classification has.
        batch_size: What is compared with batches of 8.
    """
    name = type(make()).__name__
    odd = sorted(set(make().requires) - set(Capability))
    assert not odd, f"{name} requires {odd[0]!r}, which is no Capability: there are {', '.join(Capability)}."
    first, passes = _selected(make, make_pool(30, 8), 5, name, chance=1)
    assert passes <= 1, f"{name} reads the pool in {passes} passes: ask for all probes in one pool.collect()."
    again, _ = _selected(make, make_pool(30, 8), 5, name, chance=2)
    assert first == again, f"{name} chose {first} and then {again} with the same generator: take all chance from rng."
    other, _ = _selected(make, make_pool(30, batch_size), 5, name)
    assert first == other, f"{name} chose {first} in batches of 8, and {other} in batches of {batch_size}."
    for n, k, size in ((6, 1, 1), (12, 12, 8)):
        _selected(make, make_pool(n, size), k, name)


def _selected(make: Callable[[], Strategy], pool: Pool, k: int, name: str, chance: int = 0) -> tuple[list[int], int]:
    """Return the positions that are chosen, and the passes over the pool that it took."""
    passes: list[str] = []
    batches = Pool._batches

    def counting(self: Pool, label: str, read: Any) -> Iterator[Any]:
        if self is pool:
            passes.append(label)
        yield from batches(self, label, read)

    before = np.random.get_state()
    try:
        np.random.set_state(np.random.RandomState(chance).get_state())
        state = repr(np.random.get_state())
        with patch.object(Pool, "_batches", counting):
            selection: Selection = make().select(pool, k, np.random.default_rng(0))
        assert repr(np.random.get_state()) == state, (
            f"{name} draws from numpy's global state: take all chance from rng."
        )
    finally:
        np.random.set_state(before)
    try:
        return checked(selection, len(pool), k, name).positions.tolist(), len(passes)
    except UserError as error:
        raise AssertionError(str(error)) from None


# Tasks


def check_task(task: Task, rows: Sequence[Mapping[str, Any]], model: nn.Module | None = None) -> None:
    """Check a task and its answer format on rows as a file has them, all of them answered.

    Every answer survives being kept as JSON, written as a person would type it, as a result of Label Studio and as a
    cell of a file; the metrics find no fault with right answers, and say so with an interval. With a model, predictions
    are distributions, the loss has a gradient, and neither depends on the size of the batches.

    Args:
        task: With a tokenizer where a model is given.
        rows: At least two.
        model: With an output for every label; None: only what needs none is checked.
    """
    name = type(task).__name__
    odd = sorted(set(task.capabilities) - set(Capability))
    assert not odd, f"{name} has {odd[0]!r}, which is no Capability: there are {', '.join(Capability)}."
    assert not {Capability.SHARED_OUTCOMES, Capability.SEVERAL_LABELS} <= task.capabilities, f"{name}: one or several?"
    missing = [column for column in task.columns() if any(column not in row for row in rows)]
    assert not missing, f"{name}.columns() names {missing[0]!r}, which some rows do not have."
    answers = [task.read_target(row) for row in rows]
    assert None not in answers, f"{name}.read_target() finds no answer in some rows: give answered rows."
    task.learn_labels(answers)
    for i, (row, target) in enumerate(zip(rows, answers, strict=True)):
        fields = task.read(row)
        assert json.loads(encode_target(target)) == target, f"{name}: the target {target!r} does not survive JSON."
        _run(partial(task.check, target, fields), f"{name}.check() refuses the row's own answer {target!r}")
        _check_answer(task, {**fields, "id": str(i)}, target, row, name)
    _check_measuring(task, answers, name)
    if model is not None:
        _check_model(task, rows, model, name)


def _run(call: Callable[[], Any], what: str) -> Any:
    """Return what a call gives; its ``ValueError`` or ``UserError`` breaks the contract."""
    try:
        return call()
    except (ValueError, UserError) as error:
        raise AssertionError(f"{what}: {error}.") from error


def _check_answer(task: Task, example: Mapping[str, Any], target: Target, row: Mapping[str, Any], name: str) -> None:
    """Check that one answer survives in every place."""
    kind = task.answer_format
    assert len(task.texts(example)) == len(task.columns()), f"{name}.texts() has not a text for each of columns()."
    assert isinstance(task.show(example), str), f"{name}.show() is no text."
    typed = kind.format_answer(target, example)
    assert typed.strip() and typed.strip() not in REFUSALS, f"{target!r} is written as {typed!r}, which is no answer."
    _same(_run(lambda: kind.parse_answer(typed, example), f"{typed!r} is not read"), target, f"typed as {typed!r}")
    results = json.loads(json.dumps(kind.studio_results(target)))
    text = _run(lambda: kind.read_studio_results(results, example, ANSWER), f"the results {results} are not read")
    _same(_run(lambda: kind.parse_answer(text, example), f"{text!r} is not read"), target, "as a Label Studio result")
    cell = json.loads(json.dumps(kind.cell(target, example)))
    column = task.answer_column(row.keys())
    back = _run(lambda: task.read_target({**row, column: cell}), f"the cell {cell!r} is not read")
    _same(back, target, "as a cell")
    json.dumps(kind.shown_value(target))
    assert set(kind.labels_of(target)) <= set(task.labels), f"labels_of({target!r}) names labels that there are not."


def _same(value: Target, target: Target, how: str) -> None:
    assert value == target, f"The answer {target!r} came back as {value!r} {how}."


def _check_measuring(task: Task, answers: Sequence[Target], name: str) -> None:
    """Check the places where people answer, and the measures."""
    kind = task.answer_format
    ElementTree.fromstring(
        "\n".join(["<View>", *kind.studio_controls(f'<Text name="{ABOUT}" value="$text"/>'), "</View>"])
    )
    json.dumps(dict(kind.widget().data))
    assert kind.terminal(by_key=False).how and kind.sheet_hint(), f"{name}'s answer format does not say how to answer."
    agreed = kind.agreement.between(answers, answers)
    assert abs(agreed - 1) < _TOLERANCE, f"{kind.agreement.name} of answers with themselves is {agreed} and not 1."
    values, intervals = task.evaluate(answers, answers), task.intervals(answers, answers, np.random.default_rng(0))
    assert list(values) == list(task.metrics), f"{name}.evaluate() gives {list(values)} and metrics are {task.metrics}."
    assert set(intervals) <= set(values), f"{name}.intervals() has what evaluate() has not."
    for metric, (low, high) in intervals.items():
        assert low <= values[metric] + _TOLERANCE and values[metric] <= high + _TOLERANCE, (
            f"{name}: the interval [{low}, {high}] of {metric} does not hold its value {values[metric]}."
        )


def _check_model(task: Task, rows: Sequence[Mapping[str, Any]], model: nn.Module, name: str) -> None:
    """Check predictions and losses under a model."""
    examples, draws = _encoded(task, rows), make_draws(DrawsConfig(k=2), seed=0, round=1)
    assert {"length", "rows"} <= set(examples.column_names), f"{name}.encode() adds no columns 'length' and 'rows'."
    pools = [Pool(examples, model, task, draws, ScoringConfig(batch_size=size)) for size in (1, len(rows))]
    (one, loss_one), (all_rows, loss_all) = (pool.collect(_total, _loss) for pool in pools)
    for total in (one, all_rows):
        assert np.allclose(total, 1, atol=_TOLERANCE), f"{name}.categoricals() gives what does not sum to one."
    assert np.isfinite(loss_all).all() and (np.asarray(loss_all) >= -_TOLERANCE).all(), f"{name}.loss() is not >= 0."
    assert np.allclose(loss_one, loss_all, atol=_TOLERANCE), f"{name}.loss() depends on the other examples of a batch."
    few, many = (pool.predict() for pool in pools)
    for i, (first, second) in enumerate(zip(few, many, strict=True)):
        assert first.target == second.target, f"{name}: example {i} is answered otherwise in another batch."
        assert -_TOLERANCE <= first.confidence <= 1 + _TOLERANCE, f"{name}: {first.confidence} is no probability."
        assert json.loads(encode_target(first.target)) == first.target, (
            f"{name}: {first.target!r} does not survive JSON."
        )
        fields = task.read(rows[i])
        _run(partial(task.check, first.target, fields), f"{name}.check() refuses the prediction {first.target!r}")


def _total(forward: Forward) -> Tensor:
    return forward.categoricals.over_factors(forward.categoricals.log_total()).exp()


def _loss(forward: Forward) -> Tensor:
    return forward.loss


# Oracles


def check_oracle(oracle: Oracle, setting: Setting | None = None) -> None:
    """Check an oracle: it answers one by one, only what it was asked, and with answers that the task can take.

    Args:
        oracle: That is checked.
        setting: What it is opened with; a run of eight texts of two labels in a temporary folder if left out.
    """
    with TemporaryDirectory(prefix="dal-nlp-") as folder:
        setting = replace(_tiny_setting(), folder=Path(folder)) if setting is None else setting
        name, ids = type(oracle).__name__, list(setting.answers)
        oracle.open(setting)
        queries = [Query(id, setting.task.show(setting.example(id)), round=0, why="a test") for id in ids]
        items = oracle.label(queries)
        assert iter(items) is items, f"{name}.label() returns what is no iterator: yield each answer when it is there."
        done = [_checked_answer(answer, setting, name) for answer in items]
        open_ids = [id for id in ids if id not in done]
        remarks = oracle.remarks(open_ids)
        texts = isinstance(remarks, list) and all(isinstance(remark, str) for remark in remarks)
        assert texts, f"{name}.remarks() gives {remarks!r}, which is no list of sentences."
        assert remarks or not open_ids, f"{name}.remarks() does not say that {len(open_ids)} answers are missing."
        for answer in oracle.label([query for query in queries if query.id in open_ids]):
            _checked_answer(answer, setting, name)


def _checked_answer(answer: Any, setting: Setting, name: str) -> str:
    """Return the id of an answer that keeps to the contract."""
    inner = answer.answer if isinstance(answer, Opinion) else answer
    if not isinstance(inner, Label | Skip):
        json.dumps(inner.event())  # a channel
        return ""
    assert inner.id in setting.answers, f"{name} answers {inner.id!r}, about which it was not asked."
    if isinstance(inner, Label):
        example, kind = setting.example(inner.id), setting.task.answer_format
        wrong = f"{name} gives {inner.target!r}, which the task cannot take"
        _run(lambda: setting.task.check(inner.target, example), wrong)
        typed = kind.format_answer(inner.target, example)
        _same(_run(lambda: kind.parse_answer(typed, example), wrong), inner.target, f"typed as {typed!r}")
    return inner.id


def _tiny_setting() -> Setting:
    task, rows = Classification(labels=_LABELS), {str(row["id"]): row for row in tiny_rows(8)}
    examples = {id: {"id": id, **task.read(row)} for id, row in rows.items()}
    answers = {id: row["label"] for id, row in rows.items()}
    config = RunConfig(task="sentiment", data="pool.csv")
    state, ids = State(), list(rows)
    texts = [task.show(examples[id]) for id in ids]
    state.apply(QueryEvent(round=0, ids=ids, scores=[0.0] * len(ids), texts=texts, strategy="random"))
    return Setting(Path(), config, task, state, answers, examples.__getitem__, Silent())
