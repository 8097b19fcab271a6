"""One call for any training script: which of these examples to label next."""

from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from transformers import PreTrainedModel

from dal_nlp.core.config import DrawsConfig, ScoringConfig
from dal_nlp.core.errors import UserError
from dal_nlp.core.rng import generator
from dal_nlp.core.targets import Target, encode_target
from dal_nlp.core.task import Task
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import Positions
from dal_nlp.session.config import recipe
from dal_nlp.strategies import check_fit, make_strategy
from dal_nlp.strategies.base import Strategy, checked
from dal_nlp.tasks import task_class

#: Examples of a stream that are chosen from, where nothing else is said.
CANDIDATES = 10_000


@dataclass(frozen=True)
class Picked:
    """What to label next.

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


def select(
    model: PreTrainedModel,
    tokenizer: Any,
    examples: Iterable[Any],
    k: int,
    strategy: str | Strategy = "margin",
    labelled: Sequence[tuple[Any, Any]] | None = None,
    seed: int = 0,
    max_length: int | None = None,
    scoring: ScoringConfig | None = None,
    draws: DrawsConfig | None = None,
    task: str = "classification",
    task_options: Mapping[str, Any] | None = None,
    candidates: int = CANDIDATES,
) -> Picked:
    """Choose k examples with the model as it is; it is left on its device and in its mode.

    Args:
        model: A Hugging Face model with the task's head, such as ``trainer.model``.
        tokenizer: Its fast tokenizer.
        examples: N of them: texts or pairs of texts for a classifier; (question, context) or mappings with these two
            for question answering; documents for summarization; for all, mappings with the columns of a file. What has
            no length, such as a generator or an ``IterableDataset``, is a stream: it is gone through once, and an even
            random sample of it is chosen from.
        k: How many to choose, at most N.
        strategy: A name of ``dal-nlp strategies``, ``module:Class``, or a ``Strategy`` object.
        labelled: (example, answer) of what is already labelled, for strategies that compare with it. An answer is a
            label of the model's ``config.id2label``; a part of the context, or SQuAD's {"text", "answer_start"}; a
            summary, or a list of several.
        seed: Of every source of chance.
        max_length: Tokens after which a text is cut, or of a window; the task's own default if left out.
        scoring: Sizes of the batches; those of the task's recipe if left out.
        draws: How posterior draws are taken; likewise.
        task: A name of the tasks, or ``module:Class``.
        task_options: Arguments of the task, as in a run's ``task_options``.
        candidates: Examples of a stream that are held in memory and scored.

    Raises:
        UserError: k is out of range, the strategy or task is unknown or does not fit, or an example or answer is none.
    """
    places, held = _hold(examples, max(candidates, k), generator(seed, 0, "stream"))
    if not 1 <= k <= len(held):
        raise UserError(f"k must be between 1 and the {len(held)} examples there are, and is {k}.")
    cls = task_class(task)
    usual = recipe(cls.recipe)
    length = max_length or int(usual["max_length"])
    made = cls.for_model(model, tokenizer, length, task_options or {})
    name, chosen = (strategy, make_strategy(strategy, {})) if isinstance(strategy, str) else (repr(strategy), strategy)
    check_fit(name, chosen, made.capabilities)
    kind = make_draws(draws or DrawsConfig(**usual.get("draws", {})), seed, 0)
    parts = (model, made, kind, scoring or ScoringConfig(**usual.get("scoring", {})))
    known = None
    if labelled:
        fields = [made.fields(example) for example, _ in labelled]
        targets = [made.target(answer, of) for (_, answer), of in zip(labelled, fields, strict=True)]
        made.learn_labels(targets)
        known = Pool(_dataset(made, fields, targets), *parts)
    data = _dataset(made, [made.fields(example) for example in held], None)
    pool = Pool(data, *parts, known)
    selection = checked(chosen.select(pool, k, generator(seed, 0, "choose")), len(pool), k, name)
    remarks = tuple(made.remarks({"examples": data}))
    picked = tuple(held[position] for position in selection.positions)
    return Picked(places[selection.positions], selection.scores, remarks, picked)


def _hold(examples: Iterable[Any], size: int, rng: np.random.Generator) -> tuple[Positions, Sequence[Any]]:
    """Return the positions of the examples that are chosen from, in rising order, and these.

    Of a stream these are ``size`` at most, each of its examples as likely as any other (reservoir sampling: Vitter,
    1985, Random sampling with a reservoir, algorithm R).
    """
    if isinstance(examples, Sized):
        every: Sequence[Any] = list(examples)
        return np.arange(len(every)), every
    places: list[int] = []
    held: list[Any] = []
    for place, example in enumerate(examples):
        if place < size:
            places.append(place)
            held.append(example)
        elif (slot := int(rng.integers(place + 1))) < size:
            places[slot], held[slot] = place, example
    order = np.argsort(np.array(places, dtype=np.int64), kind="stable")
    return np.array(places, dtype=np.int64)[order], [held[slot] for slot in order]


def _dataset(task: Task, fields: Sequence[Mapping[str, Any]], targets: Sequence[Target] | None) -> Dataset:
    """Encode examples, and their targets where they are known, in memory."""
    columns: dict[str, list[Any]] = {name: [of[name] for of in fields] for name in fields[0]}
    if targets is not None:
        columns["target"] = [encode_target(target) for target in targets]
    return Dataset.from_dict({**columns, **task.encode(columns)})
