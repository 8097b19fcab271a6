"""64-bit hashes that stand for ids and contents, so that a million texts need not be in memory to be compared."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from dal_nlp.core.errors import DataError
from dal_nlp.core.targets import decode

if TYPE_CHECKING:
    import pyarrow as pa

Hashes = NDArray[np.uint64]
Mask = NDArray[np.bool_]


#: Columns of a copy of examples, and the key of its metadata.
ID_HASH, CONTENT_HASH, HEADER = "id_hash", "content_hash", "dal_nlp"
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


def _numbers(chunk: "pa.UInt64Array") -> Hashes:
    return np.frombuffer(chunk.buffers()[1], np.uint64, len(chunk), 8 * chunk.offset)


#: Rows of a copy that are read at once where many are wanted, which takes a hundredth of the time of one by one.
BLOCK = 1024


class PoolCopy:
    """The examples of the copy of its pool that a run folder holds, by id; reading one loads nothing else.

    Args:
        folder: The run folder.

    Raises:
        UserError: There is no copy, or it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        import pyarrow as pa

        self._path = folder / "cache" / "pool.arrow"
        if not self._path.is_file():
            raise DataError(f"{folder} has no copy of its pool: let `dal-nlp run` begin there once.")
        try:
            with pa.memory_map(str(self._path)) as file, pa.ipc.open_stream(file) as stream:
                header = json.loads(stream.schema.metadata[HEADER.encode()])
                table = stream.read_all()
            # Not ``to_numpy``, which imports pandas: a second, which a command that shows one text need not wait for.
            hashes = np.concatenate([_numbers(chunk) for chunk in table.column(ID_HASH).chunks])
            if header.get("hashes") != VERSION:
                hashes = hash_all(table.column("id").cast(pa.binary()).to_pylist())
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{self._path} cannot be read ({error}): the same `dal-nlp run` makes it again.") from None
        self._table, self._ids = table.drop_columns([ID_HASH, CONTENT_HASH]), Index(hashes)

    def example(self, id: str) -> dict[str, Any]:
        """Return the id, the target and the task's fields of an example; raises ``UserError`` for an unknown id."""
        (position,), (known,) = self._ids.find(np.array([hash64(id)], dtype=np.uint64))
        row = self._table.slice(int(position), 1).to_pylist()[0] if known else {}
        if row.get("id") != id:
            raise DataError(
                f"{self._path} has no usable row with the id {id!r}: put the row back, or check --id-column."
            )
        return {**row, "target": decode(row["target"])}

    def examples(self, ids: Collection[str]) -> dict[str, dict[str, Any]]:
        """Return those of many examples that are there, by id, each as ``example`` returns it."""
        positions, known = self._ids.find(hash_all([id.encode() for id in ids]))
        by_id: dict[str, dict[str, Any]] = {}
        for block, places in groupby(sorted(positions[known].tolist()), lambda position: position // BLOCK):
            rows = self._table.slice(block * BLOCK, BLOCK).to_pylist()
            for index in places:
                row = rows[index - block * BLOCK]
                by_id[row["id"]] = {**row, "target": decode(row["target"])}
        return {id: by_id[id] for id in ids if id in by_id}
