"""The examples that a strategy may look at, and the one pass that measures them; what was measured is remembered."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from accelerate.utils import gather_object
from datasets import Dataset
from numpy.typing import NDArray
from torch import nn

from dal_nlp.companions import Companions
from dal_nlp.config import ScoringConfig
from dal_nlp.errors import Unsupported
from dal_nlp.forward import Draws, Forward
from dal_nlp.processes import process_state
from dal_nlp.progress import Progress, Silent
from dal_nlp.sinks import Measured, Probe, Sink, parts, rows
from dal_nlp.tasks.base import Prediction, Task, decode
from dal_nlp.vectors import Positions

__all__ = ["NO_GROUPS", "Pool", "Probe", "fetch", "make_batches"]

NO_GROUPS = "query.max_per_group counts groups, and this task's examples have none: leave it out."


def make_batches(lengths: NDArray[np.int_], rows: NDArray[np.int_], scoring: ScoringConfig) -> list[Positions]:
    """Cut positions, longest first, into batches of at most ``batch_size`` rows and ``batch_tokens`` tokens.

    Args:
        lengths: (N,) tokens of each example's longest row.
        rows: (N,) model input rows of each example; one of more rows than fit makes a batch of its own.
        scoring: The two limits. A batch is padded to its first, longest example.
    """
    order = np.argsort(-lengths, kind="stable")
    batches, start, filled = [], 0, 0
    for end, position in enumerate(order):
        filled += int(rows[position])
        longest = int(lengths[order[start]])
        if end > start and (filled > scoring.batch_size or filled * longest > scoring.batch_tokens):
            batches.append(order[start:end])
            start, filled = end, int(rows[position])
    if len(order):
        batches.append(order[start:])
    return batches


class Pool:
    """N examples at positions 0..N-1 and the model that measures them.

    A pool remembers what each probe gave for as long as it lives, so that a probe costs one pass, whoever asks for it
    and however often. A probe is known by the function that it is: one that is made anew in each call is measured anew.

    Args:
        examples: An encoded dataset (see ``Task.encode``), memory-mapped for large pools.
        model: Put into evaluation mode while the pool is measured, and back afterwards.
        task: What turns examples into batches and raw output into distributions; strategies do not see it.
        draws: How posterior draws are taken.
        scoring: Sizes of batches; they change the speed, never the result.
        labelled: The examples whose labels are known, or None where there are none yet.
        progress: Where the pass over the pool is shown.
        companions: Networks beside the model, which some probes read; none if left out.
        rows: (N,) the rows of ``examples`` that are in the pool, in its order; all if left out. A large dataset is
            never copied or selected from: its rows stay where they are.

    Attributes:
        seconds: Time spent in passes over this pool and what was taken of it.
    """

    def __init__(
        self,
        examples: Dataset,
        model: nn.Module,
        task: Task,
        draws: Draws,
        scoring: ScoringConfig,
        labelled: "Pool | None" = None,
        progress: Progress | None = None,
        companions: Companions | None = None,
        rows: Positions | None = None,
    ) -> None:
        self._examples = examples
        self._rows = np.arange(len(examples)) if rows is None else rows
        self.seconds = 0.0
        self._model, self._task, self._draws, self._scoring = model, task, draws, scoring
        self._labelled, self._progress = labelled, progress or Silent()
        self._companions = companions or Companions()
        self._measured: dict[Probe, Measured] = {}
        self._also: tuple[Probe, ...] = ()
        self._source: tuple[Pool, Positions] | None = None

    def __len__(self) -> int:
        """Return N."""
        return len(self._rows)

    @property
    def has_labelled(self) -> bool:
        """Whether there are labelled examples."""
        return self._labelled is not None

    @property
    def labelled(self) -> "Pool":
        """The labelled examples, as a pool of their own; raises ``Unsupported`` where there are none."""
        if self._labelled is None:
            raise Unsupported(
                "This strategy compares with labelled examples and there are none yet: choose another one."
            )
        return self._labelled

    @property
    def targets(self) -> list[Any]:
        """The targets of the examples, as far as they are known (all of them in ``labelled``)."""
        return [row["target"] for row in fetch(self._examples.select_columns("target"), self._rows)]

    @property
    def groups(self) -> list[str]:
        """The group of each example, N of them; raises ``Unsupported`` where the examples have no field ``group``."""
        if "group" not in self._examples.column_names:
            raise Unsupported(NO_GROUPS)
        column = self._examples.with_format("arrow", columns=["group"])[:]["group"]
        if column.null_count:
            raise Unsupported("Some rows of the pool have no group for query.max_per_group: correct the column's name.")
        return list(column.to_numpy()[self._rows])

    def take(self, positions: Positions) -> "Pool":
        """Return a pool of some of the examples; its position j is this pool's ``positions[j]``.

        What this pool has measured is cut out for it, and not measured again.
        """
        taken = Pool(
            self._examples,
            self._model,
            self._task,
            self._draws,
            self._scoring,
            self._labelled,
            self._progress,
            self._companions,
            self._rows[positions],
        )
        taken._source = (self, np.asarray(positions))
        return taken

    def also(self, *probes: Probe) -> None:
        """Have the next pass over this pool measure these probes too: a later reader would need a pass of its own."""
        self._also = probes

    def collect(self, *probes: Probe) -> tuple[Measured, ...]:
        """Measure all probes that have not been measured yet over the pool, in one pass.

        Returns:
            One result a probe, in pool order whatever the batching: an (N, ...) numpy array for a tensor, else vectors.
            They are read-only, as the next reader gets the same.

        Raises:
            BrokenModelError: A probe gave NaN.
        """
        if not all(map(self._knows, probes)):
            missing = [probe for probe in dict.fromkeys((*probes, *self._also)) if not self._knows(probe)]
            self._measured.update(zip(missing, self._measure(missing), strict=True))
        return tuple(map(self._recall, probes))

    def _knows(self, probe: Probe) -> bool:
        """Tell whether a probe has been measured on this pool, or on one that it was taken from."""
        return probe in self._measured or (self._source is not None and self._source[0]._knows(probe))

    def _recall(self, probe: Probe) -> Measured:
        """Return what a probe gave that this pool ``_knows``."""
        if probe not in self._measured:
            assert self._source is not None
            pool, positions = self._source
            self._measured[probe] = rows(pool._recall(probe), positions)
        return self._measured[probe]

    def _measure(self, probes: Sequence[Probe]) -> list[Measured]:
        """Run probes over the pool in one pass."""
        sinks = [Sink(len(self)) for _ in probes]
        processes = process_state().num_processes
        mine: list[tuple[Positions, list[tuple[type, tuple[NDArray[Any], ...]]]]] = []
        for positions, forward in self._forwards("scoring"):
            values = [parts(probe(forward)) for probe in probes]
            if processes > 1:
                mine.append((positions, values))
            for sink, value in zip(sinks, values, strict=True):
                sink.put(positions, value)
        if processes > 1:
            for positions, values in gather_object(mine):
                for sink, value in zip(sinks, values, strict=True):
                    sink.put(positions, value)
        return [sink.result() for sink in sinks]

    def predict(self) -> list[Prediction]:
        """Return the model's answer to every example, in pool order."""
        mine: list[tuple[int, Prediction]] = []
        for positions, forward in self._forwards("predicting"):
            mine.extend(zip(positions.tolist(), self._task.predict(forward), strict=True))
        if process_state().num_processes > 1:
            mine = gather_object(mine)
        return [prediction for _, prediction in sorted(mine, key=lambda pair: pair[0])]

    def _forwards(self, label: str) -> Iterator[tuple[Positions, Forward]]:
        """Yield this process's share of the batches: of P processes, process r takes batches r, r + P, ..."""
        started = time.perf_counter()
        sizes = self._examples.with_format("arrow", columns=["length", "rows"])[:]
        lengths, rows = (sizes[name].to_numpy()[self._rows] for name in ("length", "rows"))
        batches = make_batches(lengths, rows, self._scoring)
        state = process_state()
        device = next(self._model.parameters()).device
        training = self._model.training
        self._model.eval()
        try:
            for positions in self._progress.track(batches[state.process_index :: state.num_processes], label):
                examples = fetch(self._examples, self._rows[positions])
                batch = self._task.collate(examples).to(device)
                longest = int(lengths[positions].max())
                most = max(1, min(self._scoring.batch_size, self._scoring.batch_tokens // longest))
                companions = self._companions
                yield positions, Forward(self._model, self._task, batch, examples, self._draws, most, companions)
        finally:
            self._model.train(training)
            self._spend(time.perf_counter() - started)

    def _spend(self, seconds: float) -> None:
        """Count time here and wherever this pool was taken from."""
        self.seconds += seconds
        if self._source is not None:
            self._source[0]._spend(seconds)


def fetch(examples: Dataset, positions: Sequence[int] | Positions) -> list[dict[str, Any]]:
    """Read some rows of a dataset as dictionaries, their targets decoded."""
    columns = examples[[int(position) for position in positions]]
    if "target" in columns:
        columns["target"] = [decode(text) for text in columns["target"]]
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
