"""The examples that a strategy may look at, and the one pass that measures them; what was measured is remembered."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from datasets import Dataset
from numpy.typing import NDArray
from torch import nn

from dal_nlp.core.config import ScoringConfig
from dal_nlp.core.distributed import gather, phase, process_state
from dal_nlp.core.errors import NoStates, Unsupported, UserError
from dal_nlp.core.progress import Progress, Silent, check_ctrl_c
from dal_nlp.core.targets import decode
from dal_nlp.core.task import Prediction, Task
from dal_nlp.models.auxiliary import AuxiliaryModels
from dal_nlp.models.forward import Draws, Forward
from dal_nlp.models.measurements import Layout, Measured, Probe, ResultBuffer, Value, parts, rows
from dal_nlp.models.memory_maps import Scratch
from dal_nlp.models.vectors import Dense, Positions

__all__ = ["NO_GROUPS", "Pool", "Probe", "fetch", "make_batches"]

T = TypeVar("T")

NO_GROUPS = "query.max_per_group counts groups, and this task's examples have none: leave it out."


def make_batches(
    lengths: NDArray[np.int_], rows: NDArray[np.int_], scoring: ScoringConfig, equal: bool = False
) -> list[Positions]:
    """Cut positions, longest first, into batches of at most ``batch_size`` rows and ``batch_tokens`` tokens.

    Args:
        lengths: (N,) tokens of each example's longest row.
        rows: (N,) model input rows of each example; one of more rows than fit makes a batch of its own.
        scoring: The two limits. A batch is padded to its first, longest example.
        equal: Whether the examples of a batch must be of equal length.
    """
    order = np.argsort(-lengths, kind="stable")
    batches, start, filled = [], 0, 0
    for end, position in enumerate(order):
        filled += int(rows[position])
        longest = int(lengths[order[start]])
        full = filled > scoring.batch_size or filled * longest > scoring.batch_tokens
        if end > start and (full or (equal and lengths[position] < longest)):
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
        labeled: The examples whose labels are known, or None where there are none yet.
        progress: Where the pass over the pool is shown.
        companions: Networks beside the model, which some probes read; none if left out.
        rows: (N,) the rows of ``examples`` that are in the pool, in its order; all if left out. A large dataset is
            never copied or selected from: its rows stay where they are.
        folder: Where measurements lie that are too large for memory; the system's temporary folder if left out.

    Attributes:
        seconds: Time spent in passes over this pool and what was taken of it.

    Example:
        >>> from dal_nlp.strategies import probes
        >>> from dal_nlp.testing import tiny_pool
        >>> pool = tiny_pool(5, batch_size=2)
        >>> (entropy,) = pool.collect(probes.entropy)
        >>> len(pool), entropy.shape
        (5, (5,))
    """

    def __init__(
        self,
        examples: Dataset,
        model: nn.Module,
        task: Task,
        draws: Draws,
        scoring: ScoringConfig,
        labeled: "Pool | None" = None,
        progress: Progress | None = None,
        companions: AuxiliaryModels | None = None,
        rows: Positions | None = None,
        folder: Path | None = None,
    ) -> None:
        self._examples = examples
        self._rows = np.arange(len(examples)) if rows is None else rows
        self.seconds = 0.0
        self._model, self._task, self._draws, self._scoring = model, task, draws, scoring
        self._labeled, self._progress = labeled, Silent() if progress is None else progress
        self._companions = companions or AuxiliaryModels()
        self._measured: dict[Probe, Measured] = {}
        self._also: tuple[Probe, ...] = ()
        self._source: tuple[Pool, Positions] | None = None
        self._folder = folder or Path(tempfile.gettempdir())
        self._scratch = Scratch(self._folder, scoring.memory * 10**6)

    def __len__(self) -> int:
        """Return N."""
        return len(self._rows)

    @property
    def has_labeled(self) -> bool:
        """Whether there are labeled examples."""
        return self._labeled is not None

    @property
    def labeled(self) -> "Pool":
        """The labeled examples, as a pool of their own; raises ``Unsupported`` where there are none."""
        if self._labeled is None:
            raise Unsupported(
                "This strategy compares with labeled examples and there are none yet: choose another one."
            )
        return self._labeled

    @property
    def labelled(self) -> "Pool":
        """The labeled examples: the older spelling, for strategies that were written with it."""
        return self.labeled

    @property
    def targets(self) -> list[Any]:
        """The targets of the examples, as far as they are known (all of them in ``labeled``)."""
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
            self._labeled,
            self._progress,
            self._companions,
            self._rows[positions],
            self._folder,
        )
        taken._source = (self, np.asarray(positions))
        return taken

    def sizes(self) -> list[int]:
        """Return the bytes of each array that has been measured."""
        return [array.nbytes for of in self._measured.values() for array in _arrays(of)]

    def halved(self) -> list[bool]:
        """Tell of each of these arrays whether a file would hold it in half precision."""
        return [isinstance(of, Dense) for of in self._measured.values() for _ in _arrays(of)]

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
            with phase("scoring"):
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
            self._measured[probe] = rows(pool._recall(probe), positions, self._scratch)
        return self._measured[probe]

    def _measure(self, probes: Sequence[Probe]) -> list[Measured]:
        """Run probes over the pool in one pass."""
        batches = self._batches("scoring", lambda forward: [parts(probe(forward)) for probe in probes])
        first = list(islice(batches, 1))
        # A process without a batch learns from the others what the probes give.
        layouts = gather([[Layout.of(value) for value in values] for _, values in first])
        if not layouts:
            return [np.empty((0,), dtype=np.float32) for _ in probes]
        sinks = [ResultBuffer(len(self), layout, self._scratch) for layout in layouts[0]]
        held = [sink for sink in sinks if not sink.spilled]
        mine: list[tuple[Positions, list[Value]]] = []
        for positions, values in chain(first, batches):
            for sink, value in zip(sinks, values, strict=True):
                sink.put(positions, value)
            if process_state().num_processes > 1:
                kept = zip(sinks, values, strict=True)
                mine.append((positions, [value for sink, value in kept if not sink.spilled]))
        if process_state().num_processes > 1:
            for positions, values in gather(mine):  # what lies in files is there for all
                for sink, value in zip(held, values, strict=True):
                    sink.put(positions, value)
        return [sink.result() for sink in sinks]

    def predict(self) -> list[Prediction]:
        """Return the model's answer to every example, in pool order."""
        mine: list[tuple[int, Prediction]] = []
        with phase("predicting"):
            for positions, predictions in self._batches("predicting", self._predictions):
                mine.extend(zip(positions.tolist(), predictions, strict=True))
            return [prediction for _, prediction in sorted(gather(mine), key=lambda pair: pair[0])]

    def _predictions(self, forward: Forward) -> list[Prediction]:
        """Return the model's answers to a batch."""
        return self._task.predict(forward.categoricals, forward.batch, forward.examples)

    def _batches(self, label: str, read: Callable[[Forward], T]) -> Iterator[tuple[Positions, T]]:
        """Yield positions and what is read of them, of this process's share of the batches.

        Of P processes, process r takes batches r, r + P, ... One that does not fit into the device's memory is halved,
        and so are those after it.
        """
        started = time.perf_counter()
        sizes = self._examples.with_format("arrow", columns=["length", "rows"])[:]
        lengths, rows = (sizes[name].to_numpy()[self._rows] for name in ("length", "rows"))
        feeding = self._task.feeding
        feeding.check(int(lengths.max(initial=0)))
        batches = make_batches(lengths, rows, self._scoring, feeding.equal_lengths)
        state = process_state()
        training = self._model.training
        self._model.eval()
        halved, states = 0, False  # what the first batch reads, the others will
        try:
            for batch in self._progress.track(batches[state.process_index :: state.num_processes], label):
                check_ctrl_c()
                waiting = [batch]
                while waiting:
                    positions = waiting.pop()
                    if len(positions) > -(-len(batch) // 2**halved):
                        waiting += np.array_split(positions, 2)[::-1]
                        continue
                    longest = int(lengths[positions].max())
                    most = min(self._scoring.batch_size, self._scoring.batch_tokens // longest) // 2**halved
                    result = self._fitting(positions, max(1, most), read, states)
                    if result is None:
                        halved += 1
                        waiting.append(positions)
                    else:
                        value, states = result
                        yield positions, value
        finally:
            self._model.train(training)
            self._spend(time.perf_counter() - started)

    def _fitting(
        self, positions: Positions, most: int, read: Callable[[Forward], T], states: bool
    ) -> tuple[T, bool] | None:
        """Return what is read of a batch, and whether hidden states were; None where the device's memory is too small.

        Raises:
            UserError: Less than this batch, one row of input, cannot be tried.
        """
        examples = fetch(self._examples, self._rows[positions])
        device = next(self._model.parameters()).device
        try:
            batch = self._task.collate(examples).to(device)
            forward = Forward(
                self._model, self._task, batch, examples, self._draws, most, self._companions, states=states
            )
            return read(forward), forward.reads_states
        except (RuntimeError, MemoryError) as error:
            if not isinstance(error, MemoryError) and not should_reduce_batch_size(error):
                raise
            if len(positions) == 1 and most == 1:
                raise UserError(
                    f"One text alone does not fit into the memory of {device}: lower max_length, or take a smaller "
                    "--model."
                ) from None
        clear_device_cache(garbage_collection=True)  # here, where the error holds on to nothing any more
        return None

    def _spend(self, seconds: float) -> None:
        """Count time here and wherever this pool was taken from."""
        self.seconds += seconds
        if self._source is not None:
            self._source[0]._spend(seconds)


def _arrays(measured: Measured) -> tuple[NDArray[Any], ...]:
    return (measured,) if isinstance(measured, np.ndarray) else tuple(measured.parts())


def fetch(examples: Dataset, positions: Sequence[int] | Positions) -> list[dict[str, Any]]:
    """Read some rows of a dataset as dictionaries, their targets decoded."""
    columns = examples[[int(position) for position in positions]]
    if "target" in columns:
        columns["target"] = [decode(text) for text in columns["target"]]
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def gives_states(pool: Pool) -> bool:
    """Tell whether the model of a pool gives a hidden state for each token of its examples."""
    try:
        pool.collect(lambda forward: forward.hidden)
    except NoStates:
        return False
    return True
