"""``--processes N``: the same command in N processes, started and watched by torch's elastic launcher."""

import logging
import os
import signal
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dal_nlp.core.errors import UserError
from dal_nlp_cli.command import CRASH, PENDING
from dal_nlp_cli.terminal import LAUNCHED, complain

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

#: Seconds between looks at the processes: one mistake that all of them make is read from all of them.
_GLANCE = 0.5
#: Seconds that a process has to end in before it is killed.
_GRACE = 10


def to_launch(processes: int | None) -> bool:
    """Tell whether this process is to start others; raises ``UserError`` for a number that cannot be."""
    if processes is None:
        return False
    if processes < 1:
        raise UserError(f"--processes must be at least 1 and is {processes}: leave it out for one process.")
    there = int(os.environ.get("WORLD_SIZE", "1"))
    if "RANK" in os.environ:
        if there != processes:
            raise UserError(f"--processes {processes} is within a launcher that started {there}: give it to one only.")
        return False
    if processes > 1:
        _check_devices(processes)
    return processes > 1


def _check_devices(processes: int) -> None:
    """Raise ``UserError`` where two processes would share a GPU."""
    gpus = _gpus()
    if 0 < gpus < processes:
        raise UserError(
            f"--processes {processes} needs as many GPUs and there {'is' if gpus == 1 else 'are'} {gpus}: lower it, or "
            "set ACCELERATE_USE_CPU=true to leave the GPUs alone."
        )


def _gpus() -> int:
    """Return how many GPUs accelerate would use; no memory is taken on any."""
    import torch
    from accelerate.utils import parse_flag_from_env

    return 0 if parse_flag_from_env("ACCELERATE_USE_CPU") else torch.cuda.device_count()


def launch(processes: int, words: Sequence[str], debug: bool) -> int:
    """Run a command in several processes of this machine and return its exit code, after one sentence if it failed.

    Args:
        processes: How many.
        words: The command line, without the program's name.
        debug: Show what every process prints.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ.update(_environment(processes))
    if not debug:
        logging.disable()  # the launcher's own account of how a process ended
    with tempfile.TemporaryDirectory(prefix="dal-nlp-") as folder:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            logs_specs=DefaultLogsSpecs(folder, local_ranks_filter=None if debug else {0}),
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=0,
            monitor_interval=_GLANCE,
            shutdown_timeout=_GRACE,
        )
        try:
            elastic_launch(config, sys.executable)("-P", "-m", "dal_nlp", *words)
        except ChildFailedError as error:
            return _report(error.failures)
        except SignalException as stopped:
            if stopped.sigval == signal.SIGINT:
                raise KeyboardInterrupt from None
            return 128 + stopped.sigval
    return 0


def _environment(processes: int) -> dict[str, str]:
    """Return what the processes are to find: the modules of this one, a share of the cores, a device."""
    from joblib import cpu_count  # knows what a container may use

    variables = {LAUNCHED: str(os.getpid()), "PYTHONPATH": os.pathsep.join(sys.path)}
    if "OMP_NUM_THREADS" not in os.environ:
        variables["OMP_NUM_THREADS"] = str(max(1, cpu_count() // processes))
    if not _gpus():
        variables["ACCELERATE_USE_CPU"] = "true"
    return variables


def _report(failures: Mapping[int, "ProcessFailure"]) -> int:
    """Print what ended the process that failed first, and return the exit code that stands for it."""
    number = min(failures, key=lambda rank: _order(failures[rank]))
    first, main = failures[number], failures.get(0)
    code = first.error_file_data.get("code")
    if code is None and first.exitcode == PENDING:
        return PENDING
    where = "" if main and main.message == first.message else f"Process {number}: "
    if code is not None:
        complain(where + first.message)
        return int(code)
    how = f"was ended by {first.signal_name()}" if first.exitcode < 0 else f"ended with exit code {first.exitcode}"
    complain(
        f"Error: process {number} {how}, so the others were ended too; "
        "what was done is saved, and the same command goes on from here."
    )
    return CRASH


def _order(failure: "ProcessFailure") -> tuple[bool, float]:
    """Sort by time; what another failure may have caused comes last, and so does who was told to end."""
    data = failure.error_file_data
    return data.get("consequence", failure.exitcode == -signal.SIGTERM), data.get("time", failure.timestamp)
