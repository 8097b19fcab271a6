"""The training loop: accelerate, AdamW, linear warm-up and decay, a least number of steps, length-bucketed batches."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dal_nlp.core.categoricals import soft_cross_entropy
from dal_nlp.core.config import TrainingConfig
from dal_nlp.core.distributed import timeout_guard
from dal_nlp.core.errors import BrokenModelError
from dal_nlp.core.progress import Progress, check_ctrl_c
from dal_nlp.core.task import Batch, Example, Task
from dal_nlp.models.pool import fetch
from dal_nlp.models.pooled_states import PooledStates, spread_states
from dal_nlp.models.vectors import Positions

#: Column of examples with soft labels: the probabilities of the labels that are an example's target, (C,).
SHARES = "shares"
#: Steps whose examples are sorted by length together: enough to save padding, few enough to keep batches random.
BUCKET_STEPS = 16


@dataclass(frozen=True)
class Fit:
    """What a fit was.

    Attributes:
        steps: Optimizer steps.
        loss: Mean loss of the last tenth of them.
        seconds: Time it took.
        attempts: 2 where the first seed collapsed to one answer for everything.
        collapsed: Whether the last attempt collapsed too.
        notes: What else there is to say of it, as JSON values by name.
        processes: How many trained it, as masks of dropout fall by process; 0 where that changes nothing.
        threads: Of each of them; see ``processes``.
    """

    steps: int
    loss: float
    seconds: float
    attempts: int = 1
    collapsed: bool = False
    notes: dict[str, Any] = field(default_factory=dict)
    processes: int = 0
    threads: int = 0


class AuxiliaryLoss(Protocol):
    """What learns beside the task on the same batches: the one hook of ``fit``.

    Attributes:
        module: Its parameters, the same in every process; they decay and are scheduled as the model's.
    """

    module: nn.Module

    def loss(self, hidden: Tensor, losses: Tensor, place: "StepInfo") -> Tensor:
        """Return this process's part of what is added to the loss of a batch; the parts of all processes add up to it.

        Args:
            hidden: (B, 4, H) as ``Forward.hidden``, with the way back into the model.
            losses: (B,) the task's, with the way back into the model.
            place: Where in the fit this is.
        """


@dataclass(frozen=True)
class StepInfo:
    """Where a fit is.

    Attributes:
        done: Share of the steps that are behind, below 1.
        size: Examples of the batch in all processes.
    """

    done: float
    size: int


def make_accelerator(precision: str) -> Accelerator:
    """Return an accelerator of one precision; one process may run several configurations, one after the other."""
    AcceleratorState._reset_state()
    return Accelerator(mixed_precision=precision)


def number_of_steps(n: int, training: TrainingConfig) -> int:
    """Return the optimizer steps for n examples: the epochs' worth, but at least ``min_steps``."""
    per_epoch = math.ceil(n / (training.batch_size * training.accumulation))
    return max(training.min_steps, math.ceil(training.epochs * per_epoch))


def step_batches(lengths: NDArray[np.int_], size: int, steps: int, rng: np.random.Generator) -> Iterator[Positions]:
    """Yield the positions of each optimizer step, ``size`` at a time, epoch after epoch in a new order.

    Args:
        lengths: (N,) tokens; examples of a step are of similar length, steps come in random order.
        size: Examples in a step; the last of an epoch may hold fewer.
        steps: How many to yield.
        rng: The source of chance.
    """
    done = 0
    while done < steps:
        order = rng.permutation(len(lengths))
        buckets = [order[start : start + size * BUCKET_STEPS] for start in range(0, len(order), size * BUCKET_STEPS)]
        for bucket in buckets:
            bucket = bucket[np.argsort(lengths[bucket], kind="stable")]
            batches = [bucket[start : start + size] for start in range(0, len(bucket), size)]
            for i in rng.permutation(len(batches))[: steps - done]:
                yield batches[i]
                done += 1


def fit(
    model: nn.Module,
    task: Task,
    examples: Dataset,
    weights: NDArray[np.float64],
    training: TrainingConfig,
    accelerator: Accelerator,
    rng: np.random.Generator,
    progress: Progress,
    beside: AuxiliaryLoss | None = None,
) -> Fit:
    """Train a model in place.

    The loss of a step is the mean of w_i / mean(w) times the loss of example i over all its examples, on however many
    batches and processes they are spread, so ``batch_size`` 8 with ``accumulation`` 1 is ``batch_size`` 1 with
    ``accumulation`` 8. The mean weight is that of all examples, not of the step: an example of little weight counts
    little in a step of its like too. Dropout draws from torch's global state: call it under ``chance.torch_seeded``.

    Args:
        model: On the accelerator's device.
        task: Batches and loss.
        examples: Encoded, with targets; N rows. Where they have a column ``SHARES``, that is what the model learns: the
            loss is the cross-entropy of these probabilities.
        weights: (N,) each example's weight in the loss.
        training: The recipe.
        accelerator: Device, precision and processes.
        rng: The order of the examples.
        progress: Where the steps are shown.
        beside: What learns along, in place; without it nothing else changes.

    Raises:
        BrokenModelError: The loss is not finite.
    """
    started = time.perf_counter()
    rows = fetch(examples, range(len(examples)))
    if not rows:
        raise ValueError("there is nothing to train on")
    steps = number_of_steps(len(rows), training)
    optimizer = torch.optim.AdamW(_groups(model, training.weight_decay), lr=training.learning_rate, fused=True)
    if beside is not None:
        for group in _groups(beside.module, training.weight_decay):
            optimizer.add_param_group(group)
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule(steps, training.warmup))
    with timeout_guard():
        wrapped, prepared = accelerator.prepare(model, optimizer)
    wrapped.train()
    losses = torch.zeros(steps, device=accelerator.device)
    lengths, sizes = (np.array([row[name] for row in rows]) for name in ("length", "rows"))
    plan = list(step_batches(lengths, training.batch_size * training.accumulation, steps, rng))
    equal = lengths if task.feeding.equal_lengths else None
    for number, positions in enumerate(progress.track(plan, "training")):
        check_ctrl_c()
        with timeout_guard():
            total = float(weights.mean()) * len(positions)
            for part in cut(positions, sizes, training.batch_size, equal):
                batch = _batch(task, rows, part, weights, accelerator, beside is not None)
                place = StepInfo(number / steps, len(part))
                weighted, added = _losses(wrapped, model, task, batch, beside, place, training.batch_size)
                loss = weighted / total
                losses[number] += loss.detach()
                if added is not None:  # a mean over the batch: batches of a step count by their sizes
                    loss = loss + added * (len(part) / len(positions) * accelerator.num_processes)
                accelerator.backward(loss)
            if beside is not None:
                _average(beside.module, accelerator)
            accelerator.clip_grad_norm_(wrapped.parameters(), training.clip)
            prepared.step()
            rate.step()
            prepared.zero_grad()
    # Mixed precision put itself in front of model.forward; a model loaded from the checkpoint scores without it.
    accelerator.unwrap_model(wrapped, keep_fp32_wrapper=False)
    with timeout_guard():
        losses = accelerator.reduce(losses, "mean")
    last = float(losses[-max(1, steps // 10) :].mean())
    if not bool(torch.isfinite(losses).all()):
        raise BrokenModelError("The training loss is not a finite number: lower training.learning_rate.")
    seconds = time.perf_counter() - started
    return Fit(steps, last, seconds, processes=accelerator.num_processes, threads=torch.get_num_threads())


def cut(
    positions: Positions, rows: NDArray[np.int_], size: int, lengths: NDArray[np.int_] | None = None
) -> Iterator[Positions]:
    """Yield the parts of an optimizer step that go through the model at once: at most ``size`` rows, or one example.

    Args:
        positions: (n,) of the step.
        rows: (N,) model input rows of each example.
        size: Most rows in a part.
        lengths: (N,) tokens of each example, where those of a part must be of equal length.
    """
    start = filled = 0
    for end, position in enumerate(positions):
        filled += int(rows[position])
        other = lengths is not None and lengths[position] != lengths[positions[start]]
        if end > start and (filled > size or other):
            yield positions[start:end]
            start, filled = end, int(rows[position])
    yield positions[start:]


def split(n: int, process: int, processes: int, paired: bool) -> Positions:
    """Return which of the n examples of a batch a process takes: every P-th, or every P-th pair.

    Args:
        n: Examples of the batch.
        process: Number of the process.
        processes: P.
        paired: Whether examples i and m - 1 - i, of the largest even m <= n, stay together, and in their places from
            both ends.
    """
    numbers = np.arange(n)
    if paired:
        numbers = np.minimum(numbers, np.abs(n - n % 2 - 1 - numbers))
        numbers[n - n % 2 :] = n // 2  # the last one of an odd batch
    return np.flatnonzero(numbers % processes == process)


def _batch(
    task: Task,
    rows: Sequence[Example],
    part: Positions,
    weights: NDArray[np.float64],
    accelerator: Accelerator,
    paired: bool,
) -> Batch:
    """Collate this process's share of a batch."""
    mine = part[split(len(part), accelerator.process_index, accelerator.num_processes, paired)]
    taken = [rows[position] for position in (mine if len(mine) else part[:1])]
    batch = task.collate(taken)
    if SHARES in taken[0]:
        batch.extra[SHARES] = torch.tensor([row[SHARES] for row in taken])
    # A process left without an example computes one of weight 0: all must take part in the backward pass. The gradients
    # of processes are averaged, so each counts as many times as there are processes.
    scale = accelerator.num_processes if len(mine) else 0
    batch.weights = torch.from_numpy(weights[mine if len(mine) else part[:1]] * scale).float()
    return batch.to(accelerator.device)


def _losses(
    wrapped: nn.Module,
    model: nn.Module,
    task: Task,
    batch: Batch,
    beside: AuxiliaryLoss | None,
    place: StepInfo,
    size: int,
) -> tuple[Tensor, Tensor | None]:
    """Return the weighted sum of the examples' losses, and what the hook adds to it."""
    parts = [
        {name: values[start : start + size] for name, values in batch.inputs.items()}
        for start in range(0, len(batch.owner), size)
    ]
    run = partial(_run, wrapped, task, type(model).__name__, beside is not None)
    # One example of many rows goes through in slices. Of these only what the loss reads is kept; the rest is made again
    # on the way back.
    results = [run(parts[0])] if len(parts) == 1 else [checkpoint(run, part, use_reentrant=False) for part in parts]
    raw, states = zip(*results, strict=True)
    losses = _each(task, torch.cat(raw), batch)
    assert batch.weights is not None
    weighted = (losses * batch.weights).sum()
    if beside is None:
        return weighted, None
    return weighted, beside.loss(spread_states(states, batch), losses, place)


def _each(task: Task, raw: Tensor, batch: Batch) -> Tensor:
    """Return the loss of each example, (B,)."""
    if SHARES not in batch.extra:
        return task.loss(raw, batch)
    return soft_cross_entropy(task.categoricals(raw, batch), batch.extra[SHARES][:, None])


def _run(
    wrapped: nn.Module, task: Task, name: str, states: bool, inputs: dict[str, Tensor]
) -> tuple[Tensor, PooledStates | None]:
    """Return what the model gives for some rows, and the states if they are wanted."""
    options = {"output_hidden_states": True} if states else {}
    result = wrapped(**inputs, **options)
    return task.logits(result), PooledStates.of(result, inputs, name) if states else None


def _average(module: nn.Module, accelerator: Accelerator) -> None:
    """Average gradients over processes, as accelerate does for the model; ``module`` it has not wrapped."""
    if accelerator.num_processes == 1:
        return
    for parameter in module.parameters():
        parameter.grad = accelerator.reduce(parameter.grad, "mean")


def _groups(model: nn.Module, decay: float) -> list[dict[str, object]]:
    """Split the parameters: matrices decay, biases and normalisation weights do not."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


def schedule(steps: int, warmup: float) -> "Schedule":
    """Return the factor on the learning rate by step: a linear rise over a share of the steps, then a linear fall."""
    return Schedule(steps, max(1, round(steps * warmup)))


@dataclass(frozen=True)
class Schedule:
    """The factor on the learning rate: a linear rise over ``rise`` steps, then a linear fall to 0 at ``steps``."""

    steps: int
    rise: int

    def __call__(self, step: int) -> float:
        """Return the factor of one step, counted from 0."""
        if step < self.rise:
            return (step + 1) / self.rise
        return max(0.0, (self.steps - step) / max(1, self.steps - self.rise))
