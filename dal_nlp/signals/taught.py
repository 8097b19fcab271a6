"""Models of whole texts whose rounds learn from people's labels and from what machines say of other texts.

Letters: N texts of the pool, n labeled texts, C labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from dal_nlp.core.config import Settings, TrainingConfig
from dal_nlp.core.errors import Unsupported, UserError
from dal_nlp.core.progress import Progress
from dal_nlp.core.targets import decode
from dal_nlp.core.task import Capability, Task
from dal_nlp.learners.distillation import Floats
from dal_nlp.learners.learner import FullLearner
from dal_nlp.learners.linear import Linear
from dal_nlp.learners.lora_learner import LoraLearner
from dal_nlp.learners.soft_labels import recipe
from dal_nlp.models.trainer import Fit
from dal_nlp.models.vectors import Array
from dal_nlp.signals.base import log_softmax
from dal_nlp.signals.learner import ONE_LABEL
from dal_nlp.signals.witness import Weighing, Witness, weigh


class TaughtLearner(FullLearner):
    """Trains all weights on labels and, beside them, on what machines say of texts of the pool; see ``SoftLabels``.

    What the machines count is fitted to people's labels by their answers alone: the model of a round has trained on
    these labels, so that beside it they would tell nothing. The model reads the text, and needs no machine.
    """

    _heard: Sequence[Witness] = ()
    _said: Sequence[Array] = ()  # by witness: its logits of the pool
    _found: Weighing | None = None  # of the last labels

    def __init__(
        self, config: Settings, task: Task, source: str, folder: Path, progress: Progress, predicts_loss: bool
    ) -> None:
        if Capability.SHARED_OUTCOMES not in task.capabilities:
            raise Unsupported(ONE_LABEL)
        if config.keep_witness:
            raise UserError(
                "--keep-witness adds what machines say to a layer's logits, as --train head has one; a model of "
                "--train full or lora has learnt from machines and is asked alone: leave --keep-witness out."
            )
        if config.pseudo_labels.policy != "none":
            raise UserError(
                "Without --train head both --signal and --pseudo-labels say what texts of the pool train as: leave one "
                "of them out."
            )
        super().__init__(config, task, source, folder, progress, predicts_loss)

    def listen(self, witnesses: Mapping[str, tuple[float, Sequence[tuple[Dataset, Floats]]]]) -> None:
        """Take up what witnesses say, before the first fit; see ``WitnessLearner.listen``."""
        pools = {name: (mean, *parts[0]) for name, (mean, parts) in witnesses.items()}
        self._heard = [Witness.over(name, scores, mean) for name, (mean, _, scores) in pools.items()]
        self._said = [one.logits(scores) for one, (_, _, scores) in zip(self._heard, pools.values(), strict=True)]
        data = next(iter(pools.values()))[1]
        self._rows = {id: row for row, id in enumerate(data["id"])}

    def teach(self, examples: Dataset) -> Floats:
        """Return the probabilities (N, C) of texts of the pool by machines alone, weighed by labels.

        A row of NaN is a text of which no machine that counts says anything.

        Args:
            examples: n with labels; those that are not of the pool say nothing of the machines.
        """
        labels = list(map(str, self._task.labels))
        known = [
            (self._rows[id], decode(target))
            for id, target in zip(examples["id"], examples["target"], strict=True)
            if id in self._rows
        ]
        rows, y = [row for row, _ in known], np.array([labels.index(str(label)) for _, label in known], dtype=np.int64)
        self._found = weighing = self._weigh(rows, y)
        parts = zip(self._heard, self._said, weighing.weights.tolist(), strict=True)
        added = np.sum(
            [one.added(of, weight, weighing.tables.get(index)) for index, (one, of, weight) in enumerate(parts)], 0
        )
        shares = np.exp(log_softmax(added.astype(np.float64) + weighing.layer.bias))
        shares[~added.any(1)] = np.nan
        return shares

    def _weigh(self, rows: Sequence[int], y: NDArray[np.int64]) -> Weighing:
        """Return what the machines count by labels (n,) at rows of the pool; before the first, as it is set."""
        classes = len(self._task.labels)
        if not len(y):
            layer = Linear(np.zeros((classes, 0), np.float32), np.zeros(classes, np.float32), 0.0, 0, np.zeros(0))
            return Weighing(layer, np.array([one.mean for one in self._heard]), [], {})
        return weigh(self._heard, [table[rows] for table in self._said], y, classes)

    def fit(self, round: int, examples: Dataset, weights: NDArray[np.float64], attempt: int = 0) -> Fit:
        """Train the model of a round on what ``TrainingSet.of_round`` returns, and say what machines counted in it."""
        done = super().fit(round, examples, weights, attempt)
        assert self._found is not None
        names = [one.name for one in self._heard]
        notes: dict[str, Any] = {
            "signals": dict(zip(names, self._found.weights.tolist(), strict=True)),
            "means": {one.name: one.mean for one in self._heard},
            "off": [names[index] for index in self._found.off],
            "tables": [names[index] for index in self._found.tables],
            "soft_labels": _texts(examples),
        }
        return replace(done, notes={**done.notes, **notes})

    def fitted(self, round: int) -> Fit | None:
        """Return what the fit of a round was, if its checkpoint is there and has heard the same witnesses."""
        done = super().fitted(round)
        return done if done and list(done.notes["signals"]) == [one.name for one in self._heard] else None

    def _recipe(self, examples: Dataset) -> TrainingConfig:
        texts = _texts(examples)
        return recipe(self._config.training, len(examples) - texts, texts)


class TaughtLora(TaughtLearner, LoraLearner):
    """Trains adapters likewise."""


def _texts(examples: Dataset) -> int:
    """Return how many examples nobody has labeled."""
    return sum(target is None for target in examples["target"])
