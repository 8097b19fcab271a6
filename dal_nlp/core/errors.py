"""The exceptions: what can go wrong through no fault of the code, in one sentence with its mend.

::

    DalNlpError
    ├── UserError                 (exit 2)
    │   ├── ConfigError           a setting, a flag or a name
    │   ├── DataError             a file, or its rows
    │   ├── RunFolderError
    │   │   └── Locked            by another process
    │   ├── ModelError            a pretrained model
    │   │   └── BrokenModelError  it gave NaN
    │   └── Unsupported           a strategy that has no meaning here
    │       └── NoStates
    ├── Stalled                   a process waited in vain for the others
    └── RowError                  (a ValueError too) a row that stops the run
        └── UnusableRow           one that is dropped and counted
            └── EmptyRow
"""

import difflib
import errno
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dal_nlp.core.text import shortened, size

#: Names that one is compared with at most.
COMPARED = 200

#: The largest number that a setting may be: more is no count of anything, and no float holds it exactly.
LARGEST_NUMBER = 2**53

#: What else than a full disk keeps a file from being written, with its mend.
_MENDS = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room, or have your quota raised",
    errno.EFBIG: "raise the limit on a file's size (ulimit -f)",
    errno.EROFS: "give a folder that can be written to with --out",
    errno.EACCES: "give a folder that you may write to with --out",
    errno.EPERM: "give a folder that you may write to with --out",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENFILE: "close other programs",
    errno.EIO: "look after the disk",
    errno.EEXIST: "give another --out",
    errno.EISDIR: "give another --out",
    errno.ENOTDIR: "give another --out",
    errno.ENAMETOOLONG: "give a shorter --out",
}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


class DalNlpError(Exception):
    """Any error that this package raises on purpose; its message is cut where it quotes too much."""

    def __init__(self, message: str = "") -> None:
        super().__init__(shortened(message))


class UserError(DalNlpError):
    """A mistake in the input, the configuration or the environment; the command line exits with 2.

    Example:
        >>> try:
        ...     raise DataError("There is no file reviews.csv: correct the path.")
        ... except UserError as error:
        ...     print(error)
        There is no file reviews.csv: correct the path.
    """


class ConfigError(UserError):
    """A setting, a flag, or a name that stands for nothing."""


class DataError(UserError):
    """A file that cannot be read, or whose rows cannot be used."""


class RunFolderError(UserError):
    """A run folder that is damaged, is none, or is not at hand."""


class Locked(RunFolderError):
    """A run folder that another living process writes to."""


class ModelError(UserError):
    """A pretrained model that cannot be found, read or fed."""


class BrokenModelError(ModelError):
    """A model that gave NaN, so that nothing measured on it can be compared."""


class Unsupported(UserError):
    """A strategy that has no meaning for the task or the model at hand."""


class NoStates(Unsupported):
    """A model without a hidden state for each token, where one is read."""


class Stalled(DalNlpError):
    """A process of a run waited in vain for the others."""


class RowError(DalNlpError, ValueError):
    """A row that cannot be read as an example, with the reason; it stops the run."""


class UnusableRow(RowError):
    """A row without which the run can do; it is dropped and counted, with the reason (an error with ``--strict``)."""


class EmptyRow(UnusableRow):
    """A row with nothing to read."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean X?)" for the closest known name, or "" when nothing is close."""
    names = list(known)
    if len(names) > COMPARED:  # comparing takes milliseconds for a thousand, and may be done for each row of a file
        names = [other for other in names if other[:1] == name[:1] and abs(len(other) - len(name)) < 3][:COMPARED]
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def unknown(kind: str, name: str, known: Iterable[str]) -> ConfigError:
    """Make the error for a name that is not in a table, with the nearest one and the whole list."""
    names = sorted(known)
    return ConfigError(f"There is no {kind} {name!r}{nearest(name, names)}; there are: {', '.join(names)}.")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name what is written in a block where the disk does not take it.

    Raises:
        UserError: The operating system said so, or a library that wrapped what it said.
    """
    before = sys.exc_info()[1]  # being handled around the block, and no matter of it
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        below: BaseException | None = error
        sentence: str | None = None
        # A library that closes the file after a failure fails once more.
        while below is not None and below is not before and sentence is None:
            sentence, below = explain(below, path), below.__context__
        if sentence is None:
            raise
        raise UserError(sentence) from error


def explain(error: BaseException, path: Path | None = None) -> str | None:
    """Return what kept a file from being written or named, in one sentence with its mend; None for any other error.

    Args:
        error: Of the operating system, or of a library whose message holds its number.
        path: What was written, where that is known; else what the error itself names.
    """
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        word = ascii(error.object[max(0, error.start - 40) : error.end + 40])[1:-1]
        return (
            f"{word} holds bytes that are no UTF-8 here: rename it, or set PYTHONUTF8=1 if the terminal is not UTF-8."
        )
    number = _number(error)
    if number not in _MENDS:
        return None
    named = [error.filename] if isinstance(error, OSError) and isinstance(error.filename, str) else []
    file = path or (Path(named[0]) if named else None)
    what = str(file) if file else "A file"
    room = _room(file)
    done = "written" if path or number in _FULL else "read or written"
    return (
        f"{what} could not be {done} ({os.strerror(number)}; {room}): {_MENDS[number]}, then the same command goes on "
        "from what is there."
    )


def _number(error: BaseException) -> int:
    """Return the operating system's number of an error, 0 where it has none."""
    if isinstance(error, BrokenPipeError | ConnectionError):
        return 0
    if isinstance(error, OSError) and error.errno:
        return error.errno
    match = re.search(r"(?:os error|[Ee]rrno) (\d+)", str(error))
    return int(match[1]) if match and len(match[1]) < 5 else 0


def _room(path: Path | None) -> str:
    """Return how much room there is where a file was to be, in words."""
    folder = path or Path(tempfile.gettempdir())
    while not os.path.isdir(folder) and folder != folder.parent:
        folder = folder.parent
    return f"{size(shutil.disk_usage(folder).free)} are free in {folder}"


def check_letters(text: str, place: str, key: str) -> None:
    """Raise ``UserError`` for half of a letter (a lone surrogate), which no file can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError(f"{place} holds a letter that UTF-8 does not have, at {key!r}: remove it.") from None
