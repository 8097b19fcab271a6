"""Files in place of memory: arrays too large for it, mapped, read by all processes, gone with their readers."""

import errno
import os
import tempfile
import uuid
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from dal_nlp.core.distributed import barrier, broadcast
from dal_nlp.core.errors import UserError
from dal_nlp.core.text import size as in_words


@dataclass(frozen=True)
class Scratch:
    """Where large arrays lie.

    Attributes:
        folder: On a disk that all processes see; it is made when it is needed.
        limit: Bytes from which on an array lies there.
    """

    folder: Path
    limit: int

    def takes(self, shape: tuple[int, ...], dtype: DTypeLike) -> bool:
        """Tell whether an array lies in a file."""
        return size(shape, dtype) >= max(self.limit, 1)

    def array(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return an array of zeros in a file that has no name: it goes when no process has it open, killed or not.

        All processes must call it, and share its numbers; ``barrier`` before reading what another one wrote.

        Raises:
            UserError: The disk has no room for it.
        """
        path = self.folder / f"{broadcast(uuid.uuid4().hex)}.npy"
        try:
            mapped = _mapped(path, shape, dtype)
            barrier()
        finally:
            path.unlink(missing_ok=True)
        return mapped


class StoredRows:
    """Rows of numbers at places 0..N-1, in a file without a name: disk and memory hold no more than was put.

    They lie in the order in which they came. A disk keeps a list of a file's parts: with 8,000 rows put wherever their
    places are, closing the file took half a minute.

    Args:
        folder: Where the file lies; it is made.
        count: N.
        row: The shape of a row.
        dtype: Of its numbers.
    """

    def __init__(self, folder: Path, count: int, row: Sequence[int], dtype: DTypeLike) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - as long as the rows
        weakref.finalize(self, self._file.close)
        self._rows = np.memmap(self._file, dtype=dtype, mode="w+", shape=(count, *row))
        self._slots = np.full(count, -1, dtype=np.int64)
        self._end = 0

    def put(self, places: NDArray[np.int64], values: NDArray[Any]) -> None:
        """Put rows at places that have none; raises ``UserError`` where the disk has no room for them."""
        start, end, width = self._end, self._end + len(places), self._rows[:1].nbytes
        reserve(self._file, start * width, len(places) * width)
        self._rows[start:end] = values
        self._slots[places], self._end = np.arange(start, end), end

    def get(self, places: NDArray[np.int64]) -> NDArray[Any]:
        """Return the rows at places where rows were put."""
        slots = self._slots[places]
        assert (slots >= 0).all()
        return np.asarray(self._rows[slots])


def size(shape: tuple[int, ...], dtype: DTypeLike) -> int:
    """Return the bytes of an array."""
    return int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize


def reserve(file: IO[bytes], start: int, count: int) -> None:
    """Have the disk keep room for some bytes of a file.

    Without it a mapped file takes no room until it is written to, and then a full disk kills the process.

    Raises:
        UserError: The disk has no room for them.
    """
    try:
        os.posix_fallocate(file.fileno(), start, count)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise UserError(
            f"The run folder's disk has no room for {in_words(count)} of measurements ({file.name}): free some, set "
            "query.candidates to score fewer texts, or choose another --out."
        ) from None


def _mapped(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Open a file, make it as large as the array, and map it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        reserve(file, 0, size(shape, dtype))
    return np.memmap(path, dtype=dtype, mode="r+", shape=shape)
