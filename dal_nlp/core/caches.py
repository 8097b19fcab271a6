"""Results that take long to compute, by key: in memory, or in a file that outlives the process."""

import logging
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

from dal_nlp.core.errors import UserError

logger = logging.getLogger(__name__)

#: Keys in one statement of SQL; older builds of sqlite take no more than 999 variables.
STATEMENT = 900
#: Seconds to wait for another process that writes.
PATIENCE = 60.0


class Cache(Protocol):
    """Bytes by key; what is kept under a key never changes."""

    def get(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return what is there, by key."""

    def put(self, values: Mapping[bytes, bytes]) -> None:
        """Keep values; where a key is there already, the old value stays."""


class InMemory:
    """A cache that goes with the process."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}

    def get(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return what is there, by key."""
        return {key: self._values[key] for key in keys if key in self._values}

    def put(self, values: Mapping[bytes, bytes]) -> None:
        """Keep values; where a key is there already, the old value stays."""
        for key, value in values.items():
            self._values.setdefault(key, value)


class Deferred:
    """A cache that is made when it is first used.

    Args:
        make: Makes it.
    """

    def __init__(self, make: Callable[[], Cache]) -> None:
        self._make = make

    @cached_property
    def _cache(self) -> Cache:
        return self._make()

    def get(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return what is there, by key."""
        return self._cache.get(keys)

    def put(self, values: Mapping[bytes, bytes]) -> None:
        """Keep values; where a key is there already, the old value stays."""
        self._cache.put(values)


class OnDisk:
    """A cache in one SQLite file, which several processes may use at a time.

    A kill at any moment leaves it with the values of every finished ``put``. The file is made at the first use; one
    that is damaged, wherever that comes to light, is said, dropped and made anew: what it held is computed again.

    Args:
        path: The file; its folder is made if need be.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._file = 0  # the number of the file that is open

    def get(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return what is there, by key."""
        wanted = list(keys)
        try:
            return self._get(wanted)
        except sqlite3.DatabaseError as error:
            self._drop(error)
            return self._get(wanted)

    def _get(self, wanted: Sequence[bytes]) -> dict[bytes, bytes]:
        results: dict[bytes, bytes] = {}
        for start in range(0, len(wanted), STATEMENT):
            part = wanted[start : start + STATEMENT]
            marks = ",".join("?" * len(part))
            rows = self._open().execute(f"SELECT key, value FROM results WHERE key IN ({marks})", part)
            results |= dict(rows.fetchall())
        return results

    def put(self, values: Mapping[bytes, bytes]) -> None:
        """Keep values; where a key is there already, the old value stays."""
        try:
            self._put(values)
        except sqlite3.DatabaseError as error:
            self._drop(error)
            self._put(values)

    def _put(self, values: Mapping[bytes, bytes]) -> None:
        with self._open() as transaction:
            transaction.executemany("INSERT OR IGNORE INTO results VALUES (?, ?)", values.items())

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._connection = self._connect()
            except sqlite3.DatabaseError as error:
                self._drop(error)
                self._connection = self._connect()
            self._file = self._path.stat().st_ino
        return self._connection

    def _drop(self, error: sqlite3.DatabaseError) -> None:
        """Remove a damaged file, unless another process has done so; raises ``UserError`` where it is not damaged."""
        if isinstance(error, sqlite3.OperationalError):  # locked, no rights, a full disk; what was kept before stays
            raise UserError(
                f"{self._path} cannot be written ({error}): make room there, or choose another folder with --cache."
            ) from None
        opened = self._connection is not None
        self.close()
        if not opened or (self._path.exists() and self._path.stat().st_ino == self._file):
            self._path.unlink(missing_ok=True)
            logger.warning("%s was damaged (%s) and was dropped: what it held is computed again.", self._path, error)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=PATIENCE)
        try:
            # Nothing here is irreplaceable, so no write waits for the disk: a power cut may cost the file.
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS results (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
            )
        except sqlite3.DatabaseError:
            connection.close()
            raise
        return connection
