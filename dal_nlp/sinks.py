"""What probes give, batch by batch, and how it becomes one result over the whole pool."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dal_nlp.errors import BrokenModelError, UserError
from dal_nlp.forward import Forward
from dal_nlp.vectors import Dense, Outer, Positions

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


def rows(measured: Measured, positions: Positions) -> Measured:
    """Cut some rows out of a result."""
    parts = (measured,) if isinstance(measured, np.ndarray) else measured.parts()
    return join(type(measured), tuple(part[positions] for part in parts))


class Sink:
    """Puts batches of one probe's results in pool order, without ever holding them twice."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._kind: type = np.ndarray
        self._whole: tuple[NDArray[Any], ...] = (np.empty((0,), dtype=np.float32),)

    def put(self, positions: Positions, value: tuple[type, tuple[NDArray[Any], ...]]) -> None:
        """Take up one batch; raises ``BrokenModelError`` on NaN and ``UserError`` for another number of rows than B."""
        kind, parts = value
        if any(len(part) != len(positions) for part in parts):
            raise UserError(
                f"A probe gave {len(parts[0])} rows for {len(positions)} examples, each of which may have several rows "
                "of input: add these up by forward.batch.owner, as probes.length does."
            )
        if self._kind is not kind or len(self._whole[0]) != self._n:
            self._kind = kind
            self._whole = tuple(np.empty((self._n, *part.shape[1:]), dtype=part.dtype) for part in parts)
        for whole, part in zip(self._whole, parts, strict=True):
            if np.isnan(part).any():
                raise BrokenModelError(
                    "The model gives NaN for some examples, so they cannot be compared: lower "
                    "training.learning_rate or use training.precision no."
                )
            whole[positions] = part

    def result(self) -> Measured:
        """Return the whole pool's result."""
        return join(self._kind, self._whole)
