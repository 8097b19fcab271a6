"""64-bit hashes that stand for ids and contents, so that a million texts need not be in memory to be compared."""

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Mask = NDArray[np.bool_]


def hash64(text: str) -> int:
    """Return a hash of a text that is the same on every machine."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def digest(ids: Hashes, contents: Hashes) -> str:
    """Return 32 hex digits that stand for a set of (id, content), whatever its order."""
    order = np.lexsort((contents, ids))
    pairs = np.stack([ids[order], contents[order]]).astype("<u8")
    return hashlib.blake2b(pairs.tobytes(), digest_size=16).hexdigest()


@dataclass(frozen=True, eq=False)
class Index:
    """Finds hashes among N different ones.

    Attributes:
        hashes: (N,) in any order, N > 0.
    """

    hashes: Hashes
    _order: NDArray[np.intp] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_order", np.argsort(self.hashes))

    def find(self, wanted: Hashes) -> tuple[NDArray[np.int64], Mask]:
        """Return the row that each hash has, and whether it has one."""
        places = np.searchsorted(self.hashes, wanted, sorter=self._order)
        rows = self._order[np.minimum(places, len(self.hashes) - 1)].astype(np.int64)
        return rows, self.hashes[rows] == wanted
