"""Several processes of one run: the first one decides, all learn what it decided, and none waits for ever.

All communication goes through accelerate. Who communicates says once, with ``phase``, what the processes are at, and
where one of them does not come the sentence names it. Accelerate is imported when it is needed: reading a ledger must
not take the seconds that torch does.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from datetime import timedelta
from importlib import import_module
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any, TypeVar

from dal_nlp.core.errors import Stalled, UserError
from dal_nlp.core.progress import check_ctrl_c

if TYPE_CHECKING:
    from accelerate import PartialState

#: Names of environment variables: seconds that a process waits for the others, and what holds without it.
TIMEOUT, DEFAULT_TIMEOUT = "DAL_NLP_TIMEOUT", 1800.0
#: Environment variables by which launchers tell a process that it has others beside it.
LAUNCHED = ("LOCAL_RANK", "WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
#: Seconds between looks at the parent; within ``GONE`` seconds of its end no child is left.
_GLANCE, GONE = 0.5, 5.0

T = TypeVar("T")

_phase: ContextVar[str] = ContextVar("phase", default="starting")


def timeout() -> float:
    """Return the seconds after which a process that does not come is given up; raises ``UserError`` for a wrong one."""
    text = os.environ.get(TIMEOUT, str(DEFAULT_TIMEOUT))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UserError(f"{TIMEOUT} must be a number of seconds above 0 and is {text!r}: set it to 3600, for example.")
    return seconds


def process_state() -> "PartialState":
    """Return which of how many processes this is; ``ACCELERATE_USE_CPU`` counts as it does for ``Accelerator``."""
    from accelerate import PartialState
    from accelerate.utils import parse_flag_from_env

    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"), timeout=timedelta(seconds=timeout()))


def _is_alone() -> bool:
    """Tell whether this process has no others beside it, without asking a library that takes seconds to load."""
    return "accelerate" not in sys.modules and not any(name in os.environ for name in LAUNCHED)


def is_main() -> bool:
    """Tell whether this is the process that decides and writes."""
    return _is_alone() or bool(process_state().is_main_process)


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Name what all processes do in a block, such as "scoring"."""
    token = _phase.set(name)
    check_ctrl_c()
    try:
        yield
        check_ctrl_c()
    finally:
        _phase.reset(token)


@contextmanager
def timeout_guard() -> Iterator[None]:
    """Guard a block in which processes wait for each other.

    Raises:
        Stalled: The others did not come; the message names the ``phase``.
    """
    started = time.monotonic()
    try:
        yield
    except RuntimeError as error:  # what communication raises: for a timeout, and at once where a process has died
        if process_state().num_processes == 1 or time.monotonic() - started < 0.9 * timeout():
            raise
        raise Stalled(
            f"A process waited {timeout():g} seconds for the others ({_phase.get()}) and they did not come: start the "
            f"same command again, and give slow ones more time with {TIMEOUT}=SECONDS."
        ) from error


def barrier() -> None:
    """Return when every process has come here; all must call it."""
    with timeout_guard():
        process_state().wait_for_everyone()


def broadcast(value: T) -> T:
    """Return the first process's value in every process; all must call it."""
    if _is_alone() or process_state().num_processes == 1:
        return value
    from accelerate.utils import broadcast_object_list

    box = [value]
    with timeout_guard():
        broadcast_object_list(box)
    return box[0]


def gather(items: list[T]) -> list[T]:
    """Return the items of all processes, in the order of the processes, in every process; all must call it."""
    from accelerate.utils import gather_object

    if process_state().num_processes == 1:
        return items
    with timeout_guard():
        gathered: list[T] = gather_object(items)
    return gathered


def check_same(kind: str, values: Mapping[str, Any]) -> None:
    """Raise ``UserError``, in every process, where one of them has another value than the first; all must call it.

    Args:
        kind: What the values are: "setting" or "data set".
        values: Small, by name; a digest in the place of what is large.
    """
    first, *others = gather([dict(values)])
    for number, other in enumerate(others, start=1):
        changed = [name for name in first | other if first.get(name) != other.get(name)]
        if changed:
            raise UserError(
                f"Process {number} has another {kind} than process 0 ({', '.join(changed)}): start all processes of a "
                "run in the same folder, with the same words and the same files."
            )


@contextmanager
def main_first() -> Iterator[None]:
    """Have the first process do a block before the others do it, so that they find what it has kept."""
    if not is_main():
        barrier()
    yield
    if is_main():
        barrier()


def broadcast_each(items: Iterable[T]) -> Iterator[T]:
    """Yield the first process's items in every process, one by one; the others never touch their own ``items``.

    However long an item takes, nobody gives up: whoever is asked may have gone home.
    """
    source = iter(items) if is_main() else iter(())
    while True:
        box = _take_one(source) if process_state().num_processes == 1 else _broadcast_one(source)
        check_ctrl_c()
        if not box:
            return
        yield box[0]


def _broadcast_one(source: Iterator[T]) -> list[T]:
    """Return the next item of the first process, [] behind the last, while others are told to be patient."""
    if is_main():
        with _patience():
            box = _take_one(source)
        return broadcast(box)
    nothing: list[T] | None = None
    while (received := broadcast(nothing)) is None:
        pass
    return received


@contextmanager
def _patience() -> Iterator[None]:
    """Have a thread tell the other processes, well before they give up, that nothing has come yet."""
    done = threading.Event()

    def tell() -> None:
        _use_device()
        with suppress(RuntimeError, Stalled):  # somebody has died: the process learns of it when it goes on
            while not done.wait(timeout() / 3):
                broadcast(None)

    thread = threading.Thread(target=copy_context().run, args=(tell,), name="patience", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _use_device() -> None:
    """Have a new thread work on the device of its process: it starts on the first one."""
    import torch

    device = process_state().device
    if device.type == "cuda":
        torch.cuda.set_device(device)


def _take_one(source: Iterator[T]) -> list[T]:
    for item in source:
        return [item]
    return []


def leave() -> None:
    """End what connects the processes of a command; all call it, at its end.

    NCCL complains of a process that goes without.
    """
    if not _is_alone():
        process_state().destroy_process_group()


def end_with(parent: int) -> None:
    """End this process as soon as it is no child of the process ``parent`` any more."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_GLANCE)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def spawn(work: Callable[..., object], *arguments: object) -> BaseProcess:
    """Start a process that does some work and ends as soon as this one has ended, while it still imports the work too.

    Ctrl-C, which a terminal sends to all processes, is left to this one.

    Args:
        work: A function of a module; that is imported there, which may take seconds.
        arguments: What the function is given, such as numbers, paths and connections: what they are made of is
            imported before the process looks after this one.
    """
    names = work.__module__, work.__qualname__
    process = get_context("spawn").Process(target=_spawned, args=(*names, arguments), daemon=True)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # a child inherits what is blocked
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return process


def _spawned(module: str, name: str, arguments: Sequence[object]) -> None:
    from tqdm import tqdm

    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
    # The lock that it makes holds a semaphore of the system, which a process that others end does not give back.
    tqdm.set_lock(threading.RLock())
    getattr(import_module(module), name)(*arguments)
