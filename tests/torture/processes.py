"""Processes that fork from a warm one, so that a start costs no imports."""

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from dal_nlp.core.progress import heed_ctrl_c
from dal_nlp_cli.main import app


def command(words: list[str], log: Path) -> int:
    """Start a command; return the number of its process."""

    def work() -> None:
        heed_ctrl_c()
        app(words, prog_name="dal-nlp")

    return fork(work, log)


def fork(work: Callable[[], Any], log: Path) -> int:
    """Do something in a process of its own, and a process group of its own; return its number."""
    process = os.fork()
    if process:
        return process
    code = 99
    try:
        os.setsid()
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for stream in (1, 2):
            os.dup2(out, stream)
        sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
        work()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        with suppress(Exception):
            sys.stdout.flush()
        os._exit(code)


def wait(process: int, seconds: float) -> int | None:
    """Return the exit code of a process, negative for a signal; None where it still runs after some seconds."""
    end = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= end:
            return None
        time.sleep(0.01)


def children(process: int) -> list[int]:
    """Return the processes that a process has started."""
    with suppress(OSError):
        return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return []


def is_there(process: int) -> bool:
    """Tell whether a process runs; one that has ended and is still listed does not."""
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
