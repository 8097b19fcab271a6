"""Soft labels: probabilities of labels that texts of the pool get from a layer that knows more than people have said.

Letters: n labeled examples, M texts of the pool, C labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from datasets import Dataset, Features, Value
from datasets import Sequence as ListOf
from numpy.typing import NDArray

from dal_nlp.core.config import Settings, TrainingConfig
from dal_nlp.core.targets import decode
from dal_nlp.learners.distillation import Floats
from dal_nlp.models.pool import fetch
from dal_nlp.models.trainer import SHARES
from dal_nlp.models.vectors import Positions

#: The weight of a label beside a text of the pool, whose weight is its largest probability.
LABEL_WEIGHT = 2.0
#: Passes over labels and texts of the pool together, at least: a text of the pool is one of many that say the same.
PASSES = 3


@dataclass(frozen=True)
class SoftLabels:
    """Texts of the pool, and what a layer gives them.

    Attributes:
        rows: (M,) of the pool.
        shares: (M, C) probabilities of the labels.
    """

    rows: Positions
    shares: Floats

    def __len__(self) -> int:
        return len(self.rows)

    def beside(
        self, labeled: Dataset, weights: NDArray[np.float64], labels: Sequence[str], pool: Dataset
    ) -> tuple[Dataset, NDArray[np.float64]]:
        """Return labeled examples and the texts behind them, n + M with a column ``SHARES``, and their weights.

        What is known of the answers to these texts, as in rehearsals, is not among it.

        Args:
            labeled: n examples, each with one of the labels as its target.
            weights: (n,) in the loss, without the texts.
            labels: C.
            pool: As the model reads it.
        """
        places = [labels.index(decode(target)) for target in labeled["target"]]
        told = np.concatenate([np.eye(len(labels))[places], self.shares])
        texts = [{**row, "target": None} for row in fetch(pool, self.rows)]
        examples = [*labeled.with_format(None), *texts]
        features = Features({**labeled.features, SHARES: ListOf(Value("float32"))})
        rows = [{**row, SHARES: shares} for row, shares in zip(examples, told.tolist(), strict=True)]
        return Dataset.from_list(rows, features=features), np.append(LABEL_WEIGHT * weights, self.shares.max(1))

    def recipe(self, config: Settings, labels: int) -> Settings:
        """Return a configuration for so many labels and the texts: the steps of labels alone, ``PASSES`` at least."""
        return config.model_copy(update={"training": recipe(config.training, labels, len(self))})


def recipe(training: TrainingConfig, labels: int, texts: int) -> TrainingConfig:
    """Return how so many labels and texts of the pool are trained on; see ``SoftLabels.recipe``."""
    if not texts:
        return training
    return training.model_copy(update={"epochs": max(PASSES, training.epochs * labels / (labels + texts))})


#: No texts.
NO_TEXTS = SoftLabels(np.zeros(0, dtype=np.int64), np.zeros((0, 0)))
