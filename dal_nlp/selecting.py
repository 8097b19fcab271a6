"""One call for any training script: which of these examples to label next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from transformers import PreTrainedModel

from dal_nlp.chance import generator
from dal_nlp.config import DrawsConfig, ScoringConfig, recipe
from dal_nlp.draws import make_draws
from dal_nlp.errors import UserError
from dal_nlp.ledger import Target
from dal_nlp.pool import Pool
from dal_nlp.strategies import Strategy, check_fit, make_strategy
from dal_nlp.strategies.base import checked
from dal_nlp.tasks import task_class
from dal_nlp.tasks.base import Task, encode_target
from dal_nlp.vectors import Positions


@dataclass(frozen=True)
class Picked:
    """What to label next.

    Attributes:
        positions: (k,) positions in the given examples, best first.
        scores: (k,) the strategy's score of each.
        notes: What should be known of the examples, in sentences, such as how many were cut.
    """

    positions: Positions
    scores: NDArray[np.floating[Any]] = field(repr=False)
    notes: tuple[str, ...] = ()


def select(
    model: PreTrainedModel,
    tokenizer: Any,
    examples: Sequence[Any],
    k: int,
    strategy: str | Strategy = "margin",
    labelled: Sequence[tuple[Any, Any]] | None = None,
    seed: int = 0,
    max_length: int | None = None,
    scoring: ScoringConfig | None = None,
    draws: DrawsConfig | None = None,
    task: str = "classification",
    task_options: Mapping[str, Any] | None = None,
) -> Picked:
    """Choose k examples with the model as it is; it is left on its device and in its mode.

    Args:
        model: A Hugging Face model with the task's head, such as ``trainer.model``.
        tokenizer: Its fast tokenizer.
        examples: N of them: texts or pairs of texts for a classifier; (question, context) or mappings with these two
            for question answering; documents for summarization.
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

    Raises:
        UserError: k is out of range, the strategy or task is unknown or does not fit, or an example or answer is none.
    """
    if not 1 <= k <= len(examples):
        raise UserError(f"k must be between 1 and the {len(examples)} examples there are, and is {k}.")
    cls = task_class(task)
    usual = recipe(cls.recipe)
    length = max_length or int(usual["max_length"])
    made = cls.for_model(model, tokenizer, length, task_options or {})
    name, chosen = (strategy, make_strategy(strategy, {})) if isinstance(strategy, str) else (repr(strategy), strategy)
    check_fit(name, chosen, made.offers)
    kind = make_draws(draws or DrawsConfig(**usual.get("draws", {})), seed, 0)
    parts = (model, made, kind, scoring or ScoringConfig(**usual.get("scoring", {})))
    known = None
    if labelled:
        fields = [made.fields(example) for example, _ in labelled]
        targets = [made.target(answer, of) for (_, answer), of in zip(labelled, fields, strict=True)]
        made.learn_labels(targets)
        known = Pool(_dataset(made, fields, targets), *parts)
    data = _dataset(made, [made.fields(example) for example in examples], None)
    pool = Pool(data, *parts, known)
    selection = checked(chosen.select(pool, k, generator(seed, 0, "choose")), len(pool), k, name)
    return Picked(selection.positions, selection.scores, tuple(made.remarks({"examples": data})))


def _dataset(task: Task, fields: Sequence[Mapping[str, Any]], targets: Sequence[Target] | None) -> Dataset:
    """Encode examples, and their targets where they are known, in memory."""
    columns: dict[str, list[Any]] = {name: [of[name] for of in fields] for name in fields[0]}
    if targets is not None:
        columns["target"] = [encode_target(target) for target in targets]
    return Dataset.from_dict({**columns, **task.encode(columns)})
