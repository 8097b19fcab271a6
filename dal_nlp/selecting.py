"""One call for any training script: which of these texts to label next."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from transformers import PreTrainedModel

from dal_nlp.chance import generator
from dal_nlp.config import DrawsConfig, ScoringConfig
from dal_nlp.draws import make_draws
from dal_nlp.errors import UserError
from dal_nlp.pool import Pool
from dal_nlp.strategies import Strategy, check_fit, make_strategy
from dal_nlp.strategies.base import checked
from dal_nlp.tasks.base import encode_target
from dal_nlp.tasks.classification import Classification
from dal_nlp.vectors import Positions

Text = str | tuple[str, str]


@dataclass(frozen=True)
class Picked:
    """What to label next.

    Attributes:
        positions: (k,) positions in the given texts, best first.
        scores: (k,) the strategy's score of each.
    """

    positions: Positions
    scores: NDArray[np.floating[Any]] = field(repr=False)


def select(
    model: PreTrainedModel,
    tokenizer: Any,
    texts: Sequence[Text],
    k: int,
    strategy: str | Strategy = "margin",
    labelled: Sequence[tuple[Text, str]] | None = None,
    seed: int = 0,
    max_length: int = 128,
    scoring: ScoringConfig | None = None,
    draws: DrawsConfig | None = None,
) -> Picked:
    """Choose k texts with the model as it is; it is left on its device and in its mode.

    Args:
        model: A Hugging Face sequence classifier, such as ``trainer.model``; its ``config.id2label`` names the labels.
        tokenizer: Its fast tokenizer.
        texts: N texts, or pairs of texts.
        k: How many to choose, at most N.
        strategy: A name of ``dal-nlp strategies``, ``module:Class``, or a ``Strategy`` object.
        labelled: (text, label) of examples already labelled, for strategies that compare with them.
        seed: Of every source of chance.
        max_length: Tokens after which a text is cut.
        scoring: Sizes of the batches.
        draws: How posterior draws are taken.

    Raises:
        UserError: k is out of range, the strategy is unknown or does not fit, or a label is not among the model's.
    """
    if not 1 <= k <= len(texts):
        raise UserError(f"k must be between 1 and the {len(texts)} texts there are, and is {k}.")
    names = dict(model.config.id2label or {})
    task = Classification(
        labels=[name for _, name in sorted(names.items())], max_length=max_length, tokenizer=tokenizer
    )
    name, chosen = (strategy, make_strategy(strategy, {})) if isinstance(strategy, str) else (repr(strategy), strategy)
    check_fit(name, chosen, task.offers)
    parts = (model, task, make_draws(draws or DrawsConfig(), seed, 0), scoring or ScoringConfig())
    known = None
    if labelled:
        for _, label in labelled:
            if label not in task.labels:
                raise UserError(f"The label {label!r} is none of the model's: {', '.join(task.labels)}.")
        known = Pool(_dataset(task, [text for text, _ in labelled], [label for _, label in labelled]), *parts)
    pool = Pool(_dataset(task, texts, None), *parts, known)
    selection = checked(chosen.select(pool, k, generator(seed, 0, "choose")), len(pool), k, name)
    return Picked(selection.positions, selection.scores)


def _dataset(task: Classification, texts: Sequence[Text], labels: Sequence[str] | None) -> Dataset:
    """Encode texts, and their labels where they are known, in memory."""
    if len({isinstance(text, str) for text in texts}) > 1:
        raise UserError("Some texts are pairs and others are not: give all as text or all as (text, text).")
    columns: dict[str, list[Any]] = {
        "text": [text if isinstance(text, str) else text[0] for text in texts],
        "pair": [None if isinstance(text, str) else text[1] for text in texts],
    }
    if labels is not None:
        columns["target"] = [encode_target(label) for label in labels]
    return Dataset.from_dict({**columns, **task.encode(columns)})
