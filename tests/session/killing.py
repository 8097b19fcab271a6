"""Parts of a run that strike their own process at the moment that DAL_NLP_TEST_KILL names.

Of several processes it is the one that DAL_NLP_TEST_RANK numbers; DAL_NLP_TEST_HOW says what happens to it.
"""

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from dal_nlp import Label, Pool, Query, Selection, Skip, UserError
from dal_nlp.annotation.simulated import LabeledFile
from dal_nlp.core.task import Batch
from dal_nlp.strategies.uncertainty import Margin
from dal_nlp.tasks.classification import Classification


def kill(moment: str) -> None:
    here = os.environ.get("RANK", "0") == os.environ.get("DAL_NLP_TEST_RANK", "0")
    if os.environ.get("DAL_NLP_TEST_KILL") != moment or not here:
        return
    match os.environ.get("DAL_NLP_TEST_HOW", "kill"):
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stall":
            signal.pause()
        case "interrupt":  # as Ctrl-C does, which the terminal sends to the launcher
            os.kill(os.getppid(), signal.SIGINT)
            signal.pause()
        case "mistake":
            raise UserError("This process has made a mistake: mend it.")


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

    def read(self, row: Mapping[str, Any]) -> dict[str, Any]:
        if os.environ.get("DAL_NLP_TEST_HOW") == "other data" and os.environ.get("RANK") == "1":
            row = {**row, "text": f"{row['text']} and"}
        return super().read(row)

    def loss(self, raw: Tensor, batch: Batch) -> Tensor:
        Task.fits += 1
        if Task.fits == 5:  # in the second fit
            kill("fit")
        return super().loss(raw, batch)

    def evaluate(self, predictions: Sequence[str], targets: Sequence[str]) -> dict[str, float]:
        kill("evaluate")
        return super().evaluate(predictions, targets)
