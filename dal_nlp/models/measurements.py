"""What probes give, batch by batch, and how it becomes one result over the whole pool."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dal_nlp.core.errors import BrokenModelError, UserError
from dal_nlp.models.forward import Forward
from dal_nlp.models.memory_maps import Scratch
from dal_nlp.models.vectors import EVERYTHING, Dense, Outer, Positions, cuts

#: The largest number of half precision.
LARGEST_HALF = float(np.finfo(np.float16).max)

Measure = Tensor | Outer | Dense
Probe = Callable[[Forward], Measure]
Measured = Any  # a numpy array for a Tensor, else Outer or Dense, over the whole pool


def parts(measure: Measure) -> tuple[type, tuple[NDArray[Any], ...]]:
    """Split what a probe gave into numpy arrays of B rows, and what to make of these."""
    if isinstance(measure, Tensor):
        return np.ndarray, (measure.detach().cpu().numpy(),)
    return type(measure), measure.parts()


def join(kind: type, parts: tuple[NDArray[Any], ...]) -> Measured:
    """Make of numpy arrays of N rows, read-only from here on, what ``parts`` took apart."""
    for part in parts:
        part.flags.writeable = False
    return parts[0] if kind is np.ndarray else kind.of(parts)  # type: ignore[attr-defined]


def rows(measured: Measured, positions: Positions, scratch: Scratch) -> Measured:
    """Cut some rows out of a result; what is too large for memory goes from file to file."""
    whole = isinstance(measured, np.ndarray)
    parts = (measured,) if whole else measured.parts()
    return join(np.ndarray if whole else type(measured), tuple(_rows(part, positions, scratch) for part in parts))


def _rows(part: NDArray[Any], positions: Positions, scratch: Scratch) -> NDArray[Any]:
    shape = (len(positions), *part.shape[1:])
    if not scratch.takes(shape, part.dtype):
        return np.asarray(part[positions])
    values = scratch.array(shape, part.dtype)  # all processes write the same
    for block in cuts(EVERYTHING, len(positions)):
        values[block] = part[positions[block]]
    return values


@dataclass(frozen=True)
class Layout:
    """What a probe gives of one example.

    Attributes:
        kind: What is made of the arrays.
        rows: Shape and type of each array's row.
    """

    kind: type
    rows: tuple[tuple[tuple[int, ...], np.dtype[Any]], ...]

    @classmethod
    def of(cls, value: "Value") -> "Layout":
        """Read it off one batch."""
        kind, parts = value
        return cls(kind, tuple((part.shape[1:], part.dtype) for part in parts))


#: What a probe gave of one batch: numpy arrays of B rows, and what to make of these.
Value = tuple[type, tuple[NDArray[Any], ...]]


class ResultBuffer:
    """Puts batches of one probe's results in pool order, without ever holding them twice.

    Args:
        n: Examples in the pool.
        layout: What the probe gives.
        scratch: Where arrays lie that are too large for memory. Plain vectors lie there in half precision: those who
            take vectors ask for blocks, norms and distances, and compute in single precision.
    """

    def __init__(self, n: int, layout: Layout, scratch: Scratch) -> None:
        self._layout = layout
        arrays = [((n, *shape), dtype) for shape, dtype in layout.rows]
        self.spilled = any(scratch.takes(shape, dtype) for shape, dtype in arrays)
        if not self.spilled:
            self._whole = tuple(np.empty(shape, dtype=dtype) for shape, dtype in arrays)
            return
        half = layout.kind is Dense
        self._whole = tuple(scratch.array(shape, np.float16 if half else dtype) for shape, dtype in arrays)

    def put(self, positions: Positions, value: Value) -> None:
        """Take up one batch.

        Raises:
            BrokenModelError: It holds NaN, or what is too large for half precision where it is kept in that.
            UserError: It has another number of rows than B.
        """
        _, parts = value
        if any(len(part) != len(positions) for part in parts):
            raise UserError(
                f"A probe gave {len(parts[0])} rows for {len(positions)} examples, each of which may have several rows "
                "of input: add these up by forward.batch.owner, as probes.length does."
            )
        for whole, part in zip(self._whole, parts, strict=True):
            if np.isnan(part).any():
                raise BrokenModelError(
                    "The model gives NaN for some examples, so they cannot be compared: lower "
                    "training.learning_rate or use training.precision no."
                )
            if whole.dtype == np.float16 and np.abs(part).max(initial=0) > LARGEST_HALF:
                raise BrokenModelError(
                    "The model's embeddings are too large to be kept in half precision: raise scoring.memory, or set "
                    "query.candidates to score fewer texts."
                )
            whole[positions] = part

    def result(self) -> Measured:
        """Return the whole pool's result."""
        return join(self._layout.kind, self._whole)
