"""Files in place of memory: arrays too large for it, mapped, read by all processes, gone with their readers."""

import errno
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from dal_nlp.core.distributed import share, wait
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

        All processes must call it, and share its numbers; ``wait`` before reading what another one wrote.

        Raises:
            UserError: The disk has no room for it.
        """
        path = self.folder / f"{share(uuid.uuid4().hex)}.npy"
        try:
            mapped = _mapped(path, shape, dtype)
            wait()
        finally:
            path.unlink(missing_ok=True)
        return mapped


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
