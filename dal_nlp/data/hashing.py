"""64-bit hashes that stand for ids and contents, so that a million texts need not be in memory to be compared."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Mask = NDArray[np.bool_]


_CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True)
#: Which hashes a file holds; what was written with others is made anew.
VERSION = "xxh3"
#: Odd numbers that mix the two hashes of a row into one (the constants of xxHash).
_MIX = np.array([0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)


def hash64(text: str) -> int:
    """Return a hash of a text that is the same on every machine."""
    return xxhash.xxh3_64_intdigest(text.encode())


def hash_all(texts: Sequence[bytes]) -> Hashes:
    """Return ``hash64`` of each of several texts in UTF-8."""
    return np.fromiter(map(xxhash.xxh3_64_intdigest, texts), np.uint64, len(texts))


def id_of_content(fields: Mapping[str, Any]) -> str:
    """Return the id of a row that has none: 16 hex digits of a hash of its fields."""
    canonical = _CANONICAL.encode(fields).encode()
    return f"{int.from_bytes(hashlib.blake2b(canonical, digest_size=8).digest(), 'little'):016x}"


def hash_content(fields: Mapping[str, Any]) -> int:
    """Return a hash of fields: of the text, where one text is all there is, else of the fields as JSON."""
    texts = [value for value in fields.values() if value is not None]
    return hash64(texts[0] if len(texts) == 1 and isinstance(texts[0], str) else _CANONICAL.encode(fields))


def digest(ids: Hashes, contents: Hashes) -> str:
    """Return a text that stands for a set of (id, content), whatever its order."""
    with np.errstate(over="ignore"):
        pairs = np.sort((ids * _MIX[0]) ^ ((contents + _MIX[1]) * _MIX[2]))
    return f"{VERSION}:{hashlib.blake2b(pairs.astype('<u8').tobytes(), digest_size=16).hexdigest()}"


def has_repeats(hashes: Hashes) -> bool:
    """Tell whether a hash is there twice."""
    ordered = np.sort(hashes)
    return bool((ordered[1:] == ordered[:-1]).any())


def comparable(one: str | None, other: str | None) -> bool:
    """Tell whether two digests were made in the same way; those of an earlier version of the package were not."""
    return one is None or other is None or one.startswith(VERSION) == other.startswith(VERSION)


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
