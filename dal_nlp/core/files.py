"""Files and folders that are there whole or not at all, whatever ends the process or the machine."""

import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from glob import escape, glob
from pathlib import Path

from dal_nlp.core.errors import UserError, writing

#: Seconds after which a draft whose process is not here is nobody's: another machine may share the folder.
ABANDONED = 3600


def replace_file(path: Path, content: bytes) -> None:
    """Write a file beside its place, flush it to the disk and move it there."""
    with new_file(path) as draft:
        draft.write_bytes(content)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Have a file be written that then appears whole or not at all, in the place of one that is there.

    Raises:
        UserError: A folder or a device is there.
    """
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is there and no file: give another --out.")
    draft = _draft(path)
    for left in path.parent.glob(f".{escape(path.name)}.*.tmp"):
        with suppress(OSError):
            if left != draft and not _is_made(left) and time.time() - left.stat().st_mtime > ABANDONED:
                remove(left)
    try:
        with writing(path):
            yield draft
            sync(draft)
            os.replace(draft, path)
            sync(path.parent)
    finally:
        with suppress(OSError):  # where nothing can be written, nothing can be removed either
            draft.unlink(missing_ok=True)


def check_spared(path: Path, read: Iterable[Path], sources: Iterable[str | None] = ()) -> None:
    """Raise ``UserError`` where what is written would take the place of a file that is read.

    Args:
        path: What is written.
        read: Files and folders.
        sources: What users name as data: a file, FILE:PART, a pattern, a folder for the files in it, a Hub name.
    """
    files = [str(file) for file in read]
    for source in filter(None, sources):
        named = os.path.expanduser(source)
        for one in (named, named.rpartition(":")[0], *glob(named)):
            files += [one, *glob(os.path.join(escape(one), "*"))] if one else []
    for file in files:
        if os.path.exists(path) and os.path.exists(file) and os.path.samefile(path, file):
            raise UserError(f"{path} is read here, and would be overwritten: give another --out.")


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Have a folder be filled that then appears whole or not at all, in the place of one that is there."""
    draft = _draft(target)
    shutil.rmtree(draft, ignore_errors=True)
    try:
        with writing(target):
            draft.mkdir(parents=True)
            yield draft
            for folder, _, names in os.walk(draft):
                for name in names:
                    sync(Path(folder, name))
                sync(Path(folder))
            shutil.rmtree(target, ignore_errors=True)
            os.replace(draft, target)
            sync(target.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def sweep(folder: Path, others: Sequence[str] = ()) -> list[Path]:
    """Remove what killed processes have left of files and folders in the making; return what that was.

    Args:
        folder: Where they lie.
        others: Patterns of further names, which no living process makes there.
    """
    drafts = [path for path in folder.glob(".*.tmp") if not _is_made(path)]
    left = [*drafts, *(path for pattern in others for path in folder.glob(pattern))]
    for path in left:
        remove(path)
    return left


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _draft(path: Path) -> Path:
    """Return the name under which something is made; the process id keeps two writers apart."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _is_made(draft: Path) -> bool:
    """Tell whether the process that makes a draft, another one than this, still lives."""
    number = draft.name.removesuffix(".tmp").rpartition(".")[2]
    if not number.isascii() or not number.isdecimal():
        return True  # it is none of ours
    process = int(number)
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
