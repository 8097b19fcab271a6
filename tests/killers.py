"""Parts of a run that kill their own process, once, at the moment that DAL_NLP_TEST_KILL names."""

import os
import signal
from collections.abc import Iterator, Sequence

import numpy as np
from torch import Tensor

from dal_nlp import Label, Pool, Query, Selection, Skip
from dal_nlp.oracles.labeled_file import LabeledFile
from dal_nlp.strategies.uncertainty import Margin
from dal_nlp.tasks.base import Batch
from dal_nlp.tasks.classification import Classification


def kill(moment: str) -> None:
    if os.environ.get("DAL_NLP_TEST_KILL") == moment:
        os.kill(os.getpid(), signal.SIGKILL)


class Strategy(Margin):
    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        kill("choose")
        return super().select(pool, k, rng)


class Oracle(LabeledFile):
    asked = 0

    def label(self, queries: Sequence[Query]) -> Iterator[Label | Skip]:
        for answer in super().label(queries):
            Oracle.asked += 1
            if Oracle.asked == 8:  # the second of round 1
                kill("ask")
            yield answer


class Task(Classification):
    fits = 0

    def loss(self, raw: Tensor, batch: Batch) -> Tensor:
        Task.fits += 1
        if Task.fits == 5:  # in the second fit
            kill("fit")
        return super().loss(raw, batch)

    def evaluate(self, predictions: Sequence[str], targets: Sequence[str]) -> dict[str, float]:
        kill("evaluate")
        return super().evaluate(predictions, targets)
