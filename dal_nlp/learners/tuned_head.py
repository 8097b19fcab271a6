"""All weights trained at the end of a run with a frozen encoder, from where its last layer stands or from nothing."""

from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import nn

from dal_nlp.core.config import Settings
from dal_nlp.core.progress import Progress
from dal_nlp.core.task import Task
from dal_nlp.learners.head_checkpoint import load_whole
from dal_nlp.learners.learner import FullLearner
from dal_nlp.models.pool import fetch
from dal_nlp.models.trainer import Fit

#: Share of the learning rate with which weights are trained that start from a fitted layer: large steps at the start
#: would undo what the encoder knows.
GENTLE = 0.3


class TunedHead(FullLearner):
    """Trains all weights of an encoder and of the layer that was fitted on it: linear probing, then fine-tuning.

    Kumar et al. (2022), Fine-tuning can distort pretrained features and underperform out-of-distribution. What was
    known of the labels is in the layer, so it is where this begins too.

    Args:
        config: Of the run.
        task: What feeds the model.
        source: Folder or Hub id of the encoder.
        folder: Where checkpoints go.
        progress: Where the fit is shown.
        layer: The folder of the layer's checkpoint.
    """

    def __init__(
        self, config: Settings, task: Task, source: str, folder: Path, progress: Progress, layer: Path
    ) -> None:
        training = config.training.model_copy(update={"learning_rate": GENTLE * config.training.learning_rate})
        gentle = config.model_copy(update={"training": training})
        super().__init__(gentle, task, source, folder, progress, predicts_loss=False)
        self._layer = layer
        self._example: Dataset | None = None

    def fit(self, round: int, examples: Dataset, weights: NDArray[np.float64], attempt: int = 0) -> Fit:
        """Train all weights that the layer's logits depend on."""
        self._example = examples.select([0])
        return super().fit(round, examples, weights, attempt)

    def _load_new(self) -> nn.Module:
        """Load the encoder with the fitted layer on it; what no logit depends on, such as a pooler, is not trained.

        Several processes could not average gradients that are not there.
        """
        model = load_whole(self._source, self._layer, self._task, self._config)
        assert self._example is not None
        logits = self._task.logits(model(**self._task.collate(fetch(self._example, [0])).inputs))
        torch.autograd.backward(logits.sum())
        for parameter in model.parameters():
            parameter.requires_grad_(parameter.grad is not None)
            parameter.grad = None
        return model


def last_learner(
    config: Settings, task: Task, source: str, folder: Path, progress: Progress, layer: Path
) -> FullLearner:
    """Return what trains all weights at the end of a run whose last layer lies in a folder; see ``TunedHead``."""
    if config.training.start == "head":
        return TunedHead(config, task, source, folder, progress, layer)
    return FullLearner(config, task, source, folder, progress, predicts_loss=False)
