"""One call for any training script: which of these examples to label next."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import zip_longest
from operator import index
from typing import Any

import numpy as np
import pandas
from datasets import Dataset
from numpy.typing import NDArray
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from dal_nlp.core.config import DrawsConfig, LanguageModelSection, ScoringConfig
from dal_nlp.core.errors import UserError, check_letters
from dal_nlp.core.rng import rng_for
from dal_nlp.core.targets import Target, encode_target
from dal_nlp.core.task import Capability, Task
from dal_nlp.core.text import counted
from dal_nlp.models.mc_dropout import check_draws, make_draws
from dal_nlp.models.pool import Pool, gives_states
from dal_nlp.models.vectors import Positions
from dal_nlp.pretrained.tokenizers import check_vocabulary, settle_padding_token
from dal_nlp.report.html import SHOWN_CHARACTERS, as_table, cut
from dal_nlp.session.config import RunConfig, recipe
from dal_nlp.signals.hearing import TextAlone, hear_machines
from dal_nlp.strategies import check_fit, check_states, make_strategy
from dal_nlp.strategies.base import Strategy, checked
from dal_nlp.tasks import task_class

#: Examples of a stream that are chosen from, where nothing else is said.
CANDIDATES = 10_000
#: Examples that the short form of what was picked names.
SHOWN = 5
#: Examples on which it is seen whether the tokenizer knows their words.
READ = 200


@dataclass(frozen=True)
class Picked:
    """The examples to label next, as ``select`` returns them.

    Attributes:
        positions: (k,) positions in the given examples, best first.
        scores: (k,) the strategy's score of each.
        notes: What should be known of the examples, in sentences, such as how many were cut.
        examples: (k,) the examples themselves: those of a stream cannot be asked for again.
    """

    positions: Positions
    scores: NDArray[np.floating[Any]] = field(repr=False)
    notes: tuple[str, ...] = ()
    examples: tuple[Any, ...] = field(default=(), repr=False)

    def __repr__(self) -> str:
        first = [
            f"{position} ({score:.3g})" for position, score in zip(self.positions[:SHOWN], self.scores, strict=False)
        ]
        more = [f"{len(self.positions) - SHOWN:,} more"] if len(self.positions) > SHOWN else []
        return f"<Picked {counted(len(self.positions), 'example')}, position (score): {', '.join([*first, *more])}>"

    def _repr_html_(self) -> str:
        """Return a table with positions, scores and examples, for notebooks."""
        texts = [cut(str(example), SHOWN_CHARACTERS) for example in self.examples]
        scores = [f"{score:.4g}" for score in self.scores]
        rows = zip_longest(self.positions.tolist(), scores, texts, fillvalue="")
        return as_table(["position", "score", "example"], rows, self.notes)


def select(
    model: PreTrainedModel,
    tokenizer: Any,
    examples: Iterable[Any],
    k: int,
    strategy: str | Strategy = "margin",
    labeled: Sequence[tuple[Any, Any]] | None = None,
    seed: int = 0,
    max_length: int | None = None,
    scoring: ScoringConfig | None = None,
    draws: DrawsConfig | None = None,
    task: str = "classification",
    task_options: Mapping[str, Any] | None = None,
    candidates: int = CANDIDATES,
    labelled: Sequence[tuple[Any, Any]] | None = None,
    signals: Sequence[str] = (),
    llm: LanguageModelSection | Mapping[str, Any] | None = None,
) -> Picked:
    """The k examples to label next, by the model as it is; it is left on its device and in its mode.

    Args:
        model: A Hugging Face model with the task's head, such as ``trainer.model``.
        tokenizer: Its fast tokenizer.
        examples: N of them: texts or pairs of texts for a classifier; (question, context) or mappings with these two
            for question answering; documents for summarization; for all, mappings with the columns of a file. What has
            no length, such as a generator or an ``IterableDataset``, is a stream: it is gone through once, and an even
            random sample of it is chosen from.
        k: How many to choose, at most N.
        strategy: A name of ``dal-nlp strategies``, ``module:Class``, or a ``Strategy`` object.
        labeled: (example, answer) of what is already labeled, for strategies that compare with it. An answer is a
            label of the model's ``config.id2label`` or its number; a part of the context, or SQuAD's {"text",
            "answer_start"}; a summary, or a list of several.
        seed: Of every source of chance.
        max_length: Tokens after which a text is cut, or of a window; the task's own default if left out.
        scoring: Sizes of the batches; those of the task's recipe if left out.
        draws: How posterior draws are taken; likewise.
        task: A name of the tasks, or ``module:Class``.
        task_options: Arguments of the task, as in a run's ``task_options``.
        candidates: Examples of a stream that are held in memory and scored.
        labelled: Another spelling of ``labeled``.
        signals: Machines whose answers are added to a classifier's, as ``--signal`` names them: "file:llm.csv". Each
            has the weight that ``labeled`` gives it, by its answers alone; strategies see the sum.
        llm: How language models among them are asked, as in a run's ``llm``.

    Raises:
        UserError: The model or the tokenizer is none, k is out of range, the strategy or task is unknown or does not
            fit, or an example or answer is none.

    Example:
        >>> from dal_nlp import select
        >>> from dal_nlp.testing import tiny_classifier, tiny_tokenizer  # in place of a model of your own
        >>> texts = ["a good film", "a bad film", "the plot of it", "a scene"]
        >>> picked = select(tiny_classifier(), tiny_tokenizer(), texts, k=2, strategy="margin")
        >>> len(picked.positions), set(picked.examples) <= set(texts)
        (2, True)
    """
    if labeled is not None and labelled is not None:
        raise UserError("labeled and labelled are one argument: give one of them.")
    labeled = labelled if labeled is None else labeled
    k = _whole(k, "k")
    if not isinstance(getattr(model, "config", None), PreTrainedConfig):
        raise UserError(f"The model is {type(model).__name__}, and no model of transformers: give trainer.model, say.")
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise UserError(f"The tokenizer is {tokenizer!r:.60}: give that of the model, as AutoTokenizer loads it.")
    if not isinstance(strategy, str | Strategy):
        raise UserError(f"The strategy is {strategy!r:.60}: give a name of `dal-nlp strategies`, or a Strategy object.")
    for name, section, kind_of in (("scoring", scoring, ScoringConfig), ("draws", draws, DrawsConfig)):
        if section is not None and not isinstance(section, kind_of):
            raise UserError(f"{name} is {section!r:.60}: give a {kind_of.__name__} of dal_nlp.core.config.")
    _check_examples(examples)
    answered = _pairs(() if labeled is None else labeled)
    numbers, held = _hold(examples, max(candidates, k), rng_for(seed, 0, "stream"))
    if not 1 <= k <= len(held):
        raise UserError(f"k must be between 1 and the {len(held)} examples there are, and is {k}.")
    cls = task_class(task)
    usual = recipe(cls.recipe)
    usual_length = usual["max_length"]
    length = usual_length if isinstance(usual_length, int) else cls.usual_length
    if max_length is not None and (length := _whole(max_length, "max_length")) < 1:
        raise UserError(f"max_length must be 1 or more, and is {max_length}.")
    own = deepcopy(tokenizer)  # it is told how to pad and to read
    own.split_special_tokens = True
    settle_padding_token(own, type(model).__name__)
    with _as_it_was(model):
        made = cls.for_model(model, own, length, task_options or {})
        known = [(made.fields(example), answer) for example, answer in answered]
        fields = [_fields(made, example, number) for example, number in zip(held, numbers.tolist(), strict=True)]
        name, chosen = (
            (strategy, make_strategy(strategy, {})) if isinstance(strategy, str) else (repr(strategy), strategy)
        )
        check_fit(name, chosen, made.capabilities | frozenset({Capability.WITNESSES} if signals else ()))
        some = [text for of in fields[: len(fields) : max(1, len(fields) // READ)] for text in made.texts(of)]
        remarks = check_vocabulary(own, some, type(own).__name__)
        kind = make_draws(draws or DrawsConfig(**usual.get("draws", {})), seed, 0)
        data, targets, there = _dataset(made, fields, None), list[Target](), None
        if known:
            targets = [made.target(answer, of) for of, answer in known]
            made.learn_labels(targets)
            there = _dataset(made, [of for of, _ in known], targets)
        heard: nn.Module = model
        beside = None
        if signals:
            settings = {"training": {"mode": "head"}, "signals": list(signals), "llm": llm or {}}
            config = RunConfig.load(flags={"task": task, **settings})
            heard, more_remarks = hear_machines(config, made, model, data, there, targets)
            remarks, beside = [*remarks, *more_remarks], TextAlone(model)
        parts = (heard, made, kind, scoring or ScoringConfig(**usual.get("scoring", {})))
        labels = None if there is None else Pool(there, *parts, companions=beside)
        pool = Pool(data, *parts, labels, companions=beside)
        if Capability.DRAWS in chosen.requires:
            check_draws(name, pool)
        if chosen.reads_states and not gives_states(pool.take(_extremes(data))):
            check_states(name, chosen, made.capabilities, type(model).__name__)
        selection = checked(chosen.select(pool, k, rng_for(seed, 0, "choose")), len(pool), k, name)
    picked = tuple(held[position] for position in selection.positions)
    more_remarks = [remark.replace("--max-length ", "max_length=") for remark in made.remarks({"examples": data})]
    return Picked(numbers[selection.positions], selection.scores, (*remarks, *more_remarks), picked)


@contextmanager
def _as_it_was(model: PreTrainedModel) -> Iterator[None]:
    """Put a model's configuration back behind a block, which may settle how the model is to be fed."""
    configs: list[Any] = [model.config, model.config.get_text_config()]
    before = [dict(vars(config)) for config in configs]
    try:
        yield
    finally:
        for config, values in zip(configs, before, strict=True):
            vars(config).clear()
            vars(config).update(values)


def _whole(number: Any, name: str) -> int:
    try:
        if isinstance(number, bool):
            raise TypeError
        return index(number)
    except TypeError:
        raise UserError(f"{name} must be a whole number, and is {number!r}.") from None


def _pairs(labeled: Any) -> list[tuple[Any, Any]]:
    """Return what is labeled as pairs of an example and its answer; raises ``UserError`` for what is no pair."""
    if not isinstance(labeled, Iterable) or isinstance(labeled, str | bytes | Mapping | pandas.DataFrame):
        raise UserError("labeled is no list of pairs: give [(text, label), ...].")
    pairs = list(labeled)
    for number, pair in enumerate(pairs):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise UserError(f"labeled[{number}] is {pair!r:.60}, and no pair: give [(text, label), ...].")
    return [(example, answer) for example, answer in pairs]


def _check_examples(examples: Any) -> None:
    """Raise ``UserError`` for one text, for what has no order, and for a table, of which some column is meant."""
    if isinstance(examples, str | bytes):
        raise UserError("The examples are one text: give a list of texts.")
    if isinstance(examples, pandas.DataFrame):
        columns = ", ".join(map(repr, examples.columns[:5]))
        raise UserError(
            f"The examples are a table of the columns {columns}: name the one with the texts, as "
            f"frame[{examples.columns[0]!r}].tolist()."
        )
    if isinstance(examples, Mapping):
        raise UserError(
            "The examples are one mapping: give a list of texts, or of mappings with the columns of a file."
        )
    if isinstance(examples, set | frozenset) or not isinstance(examples, Iterable):
        raise UserError(f"The examples are a {type(examples).__name__}, which has no positions: give a list of texts.")


def _fields(task: Task, example: Any, number: int) -> dict[str, Any]:
    """Return the fields of one example; raises ``UserError`` with its position where it is none."""
    try:
        fields = task.fields(example)
    except UserError as error:
        raise UserError(f"Example {number}: {error}") from None
    for name, text in fields.items():
        if isinstance(text, str):
            check_letters(text, f"Example {number}", name)
    return fields


def _extremes(data: Dataset) -> Positions:
    """Return the positions of the longest and the shortest example."""
    lengths = np.asarray(data["length"])
    return np.unique([lengths.argmax(), lengths.argmin()])


def _hold(examples: Iterable[Any], size: int, rng: np.random.Generator) -> tuple[Positions, Sequence[Any]]:
    """Return the positions of the examples that are chosen from, in rising order, and these.

    Of a stream these are ``size`` at most, each of its examples as likely as any other (reservoir sampling: Vitter,
    1985, Random sampling with a reservoir, algorithm R).
    """
    if isinstance(examples, Sized):
        every: Sequence[Any] = list(examples)
        return np.arange(len(every)), every
    numbers: list[int] = []
    held: list[Any] = []
    for number, example in enumerate(examples):
        if number < size:
            numbers.append(number)
            held.append(example)
        elif (slot := int(rng.integers(number + 1))) < size:
            numbers[slot], held[slot] = number, example
    order = np.argsort(np.array(numbers, dtype=np.int64), kind="stable")
    return np.array(numbers, dtype=np.int64)[order], [held[slot] for slot in order]


def _dataset(task: Task, fields: Sequence[Mapping[str, Any]], targets: Sequence[Target] | None) -> Dataset:
    """Encode examples, and their targets where they are known, in memory."""
    columns: dict[str, list[Any]] = {name: [of[name] for of in fields] for name in fields[0]}
    if targets is not None:
        columns["target"] = [encode_target(target) for target in targets]
    return Dataset.from_dict({**columns, **task.encode(columns)})
