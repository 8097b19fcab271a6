"""Files in place of memory: arrays too large for it, mapped, read by all processes, gone with their readers."""

import errno
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from dal_nlp.errors import UserError
from dal_nlp.processes import share, wait


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


def _mapped(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Open a file, make it as large as the array, and map it."""
    needed = size(shape, dtype)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            # Without its room a file is only as long as the array, and writing to it on a full disk kills the process.
            os.posix_fallocate(handle, 0, needed)
        finally:
            os.close(handle)
        return np.memmap(path, dtype=dtype, mode="r+", shape=shape)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise UserError(
            f"{path.parent} has no room for {needed / 1e9:.1f} GB of measurements: free some, set query.candidates to "
            "score fewer texts, or raise scoring.memory to keep them in memory."
        ) from None
