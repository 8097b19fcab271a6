"""Every source of chance, derived from (seed, round, purpose) so that no draw can disturb another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def seed_for(seed: int, round: int, purpose: str) -> int:
    """Return a 63-bit seed that depends on all three arguments and on nothing else."""
    digest = hashlib.blake2b(f"{seed}/{round}/{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def rng_for(seed: int, round: int, purpose: str) -> np.random.Generator:
    """Return the numpy generator of one purpose in one round."""
    import numpy as np  # a tenth of a second, which commands that draw nothing need not wait for

    return np.random.default_rng(seed_for(seed, round, purpose))


@contextmanager
def torch_seeded(seed: int) -> Iterator[None]:
    """Run a block of torch code (weight initialisation, dropout) from ``seed`` and restore torch's state.

    Libraries draw these from torch's global state, so the state is borrowed for the block.
    """
    import torch

    devices = list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices=devices):
        seed_torch(seed)
        yield


def seed_torch(seed: int) -> None:
    """Set the seed of torch's global state, as ``torch.manual_seed`` does, on the devices that are there.

    Without a GPU ``torch.manual_seed`` formats a stack trace for a later start of CUDA at every call: with a mask a
    batch and draw that was a seventh of the time of a small model.
    """
    import torch

    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)
