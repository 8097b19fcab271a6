"""Examples for what a task fits beside a model, such as thresholds: the validation file's, or held out by a layer."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray

from dal_nlp.core.targets import Target
from dal_nlp.core.task import Capability, Task
from dal_nlp.learners.learner import Learner
from dal_nlp.models.pool import Pool, fetch
from dal_nlp.models.trainer import Fit

#: Fewest labels of which each can be held out of a fit to the others.
FEWEST = 10
#: The nearest that a probability comes to 0 and 1, so that its logit is finite.
LEAST = 1e-9

Measurement = tuple[NDArray[np.floating[Any]] | None, Sequence[Target] | None]


def calibration_of(
    task: Task,
    learner: Learner,
    trained: tuple[Dataset, NDArray[np.float64]],
    done: Fit,
    sets: Sequence[Dataset | None],
    pool: Callable[[Dataset], Pool],
) -> Measurement:
    """Return what ``Task.calibrate`` reads under the model of a fit, and the targets; None and None if nothing.

    A layer can hold out its own labels, at the cost of a few more fits and of no label: each text is measured by a
    layer that was fitted to the others. That needs nobody's answers beside them, so in runs of such layers an audit
    sample stays a measure that nothing is fitted to.

    Args:
        task: Of the run.
        learner: It has just made the fit.
        trained: The examples that trained, and their weights.
        done: The fit.
        sets: The validation file, None without one, and the audit sample as far as it was answered, None where
            nothing may be fitted to it.
        pool: Puts examples under the model of the fit.
    """
    validation, audited = sets
    if not task.calibrates:
        return None, None
    if validation is None and (held_out := _held_out(task, learner, *trained, done)) is not None:
        return held_out
    known = audited if validation is None else validation
    if known is None or not len(known):
        return None, None
    of = pool(known)
    (measured,) = of.collect(lambda forward: task.calibration(forward.categoricals, forward.batch, forward.examples))
    return measured, of.targets


def _held_out(
    task: Task, learner: Learner, examples: Dataset, weights: NDArray[np.float64], done: Fit
) -> Measurement | None:
    """Return it of the examples that trained, each by a layer that was fitted to others; None where none can be."""
    held_out = learner.held_out(examples, done, weights) if len(examples) >= FEWEST else None
    if held_out is None:
        return None
    rows = fetch(examples, range(len(examples)))
    batch, p = task.collate(rows), np.clip(held_out[0], LEAST, 1 - LEAST)
    several = Capability.SEVERAL_LABELS in task.capabilities
    raw = torch.from_numpy(np.log(p) - np.log1p(-p) if several else np.log(p))
    measured = task.calibration(task.categoricals(raw, batch), batch, rows)
    return measured.numpy(), [row["target"] for row in rows]
