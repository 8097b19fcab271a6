"""The runs of a comparison: one ordinary run folder for each strategy and seed, several at a time."""

import os
import queue
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from dal_nlp.compare.arm_names import RANDOM, parts, settings_of
from dal_nlp.core.config import merge
from dal_nlp.core.distributed import spawn
from dal_nlp.core.errors import UserError
from dal_nlp.core.progress import Progress, check_ctrl_c
from dal_nlp.ledger.ledger import read_state
from dal_nlp.ledger.state import State
from dal_nlp.session.config import RunConfig
from dal_nlp.session.folder import with_chosen

T = TypeVar("T")

#: Stands for the run on all labels, of which there is one.
FULL = "full"
#: Seconds to wait for a worker that is told to end.
_GRACE = 5
#: Seconds between looks for Ctrl-C.
_GLANCE = 1.0


@dataclass(frozen=True, eq=False)
class Job:
    """One run: an arm is a name of ``arm_names``, or ``FULL``."""

    arm: str
    seed: int
    config: RunConfig

    @property
    def folder(self) -> Path:
        """The run folder."""
        assert self.config.out is not None
        return Path(self.config.out)

    @property
    def name(self) -> str:
        """What people call it."""
        return "all labels" if self.arm == FULL else f"{self.arm}, seed {self.seed}"

    def state(self) -> State | None:
        """Return what its ledger says, None where there is none."""
        return read_state(self.folder) if (self.folder / "ledger.jsonl").is_file() else None

    def finished(self) -> bool:
        """Tell whether the run has ended with this very configuration, and has written its report, which comes last."""
        state, report = self.state(), self.folder / "report.html"
        if state is None or state.stopped is None or not report.is_file():
            return False
        if report.stat().st_mtime_ns < (self.folder / "ledger.jsonl").stat().st_mtime_ns:
            return False
        return state.config == with_chosen(self.config, state.config).model_dump(mode="json", exclude={"out"})


def make_jobs(config: RunConfig, values: Mapping[str, Any], arms: Sequence[str], seeds: int, out: Path) -> list[Job]:
    """Return a job for each seed and arm, all arms of a seed one after the other.

    What is the same seed's alone is the same in every arm: the initial choice, the new weights, the order of training
    and the test set; see ``core.rng``. Only the strategy and the learner differ. Further seeds begin as those that are
    there, unless what chooses the first batch is named.

    Args:
        config: Of all runs.
        values: What it was built from; they decide anew for each arm, as a strategy may stand for more.
        arms: See ``arm_names``; a random one is among them.
        seeds: How many, from ``config.seed`` on.
        out: Folder of the comparison.

    Raises:
        UserError: An arm is no strategy.
    """
    jobs = []
    for seed in range(config.seed, config.seed + seeds):
        for arm in arms:
            strategy, _ = parts(arm)
            own: dict[str, Any] = {"strategy_options": {}} if strategy == RANDOM else {}
            folder = out / "runs" / arm.replace(":", "-") / f"seed-{seed}"
            own |= {"strategy": strategy, "seed": seed, "out": str(folder), "whole": False}
            own |= {"initial_strategy": config.initial_strategy}
            jobs.append(Job(arm, seed, RunConfig.of({**merge(values, settings_of(arm)), **own})))
    return jobs if "initial_strategy" in config.model_fields_set else _begun_alike(jobs)


def _begun_alike(jobs: Sequence[Job]) -> list[Job]:
    """Return jobs that choose the first batch as runs that are there: their own, else one of their arm, else any."""
    states = {job: state for job in jobs if (state := job.state()) is not None}
    begun = {job: str(state.config["initial_strategy"]) for job, state in states.items() if state.config}
    alike = []
    for job in jobs:
        of_arm = [first for other, first in begun.items() if other.arm == job.arm]
        first = begun.get(job, [*of_arm, *begun.values(), job.config.initial_strategy][0])
        alike.append(Job(job.arm, job.seed, job.config.model_copy(update={"initial_strategy": first})))
    return alike


def full_job(config: RunConfig, values: Mapping[str, Any], out: Path, arm: str = RANDOM) -> Job:
    """Return the run that trains an arm's learner once on every label of the pool."""
    everything = {"initial": 10**9, "rounds": 0, "budget": None, "target": None}
    choice = {"strategy": RANDOM, "strategy_options": {}, "initial_strategy": RANDOM}
    query = {**dict(values.get("query") or {}), "dedupe": None, "candidates": None}
    own = {"seed": config.seed, "out": str(out / "runs" / FULL), "whole": False}
    return Job(
        FULL,
        config.seed,
        RunConfig.of({**merge(values, settings_of(arm)), **everything, **choice, "query": query, **own}),
    )


def run_all(jobs: Sequence[Job], workers: int, progress: Progress) -> Iterator[tuple[Job, str | None]]:
    """Run what is not finished yet; yield each job as it ends, with what went wrong or None.

    A job that fails costs no other one. The ledgers say how far each has come, so the same call goes on after a crash.

    Args:
        jobs: Each with a folder of its own.
        workers: Runs at a time. One runs here; more are processes that live for many runs, each with its share of the
            cores, and with a GPU of its own where there are some.
        progress: Where the runs of a single worker are shown.
    """
    waiting = [job for job in jobs if not job.finished()]
    yield from ((job, None) for job in jobs if job not in waiting)
    if workers == 1:
        for job in waiting:
            yield job, _attempt(job.config.model_dump(mode="json"), progress)
        return
    started = [_Worker(number, workers) for number in range(workers)]
    places: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
    for worker in started:
        places.put(worker)

    def run(job: Job) -> tuple[Job, str | None]:
        worker = places.get()
        try:
            return job, worker.run(job)
        finally:
            places.put(worker)

    with ThreadPoolExecutor(workers) as threads:
        futures = [threads.submit(run, job) for job in waiting]
        try:
            for future in _as_completed(futures):
                yield future.result()
        finally:
            for future in futures:
                future.cancel()
            for worker in started:
                worker.stop()


def _as_completed(futures: Sequence[Future[T]]) -> Iterator[Future[T]]:
    """Yield futures as they are done, looking for Ctrl-C meanwhile."""
    waiting: set[Future[T]] = set(futures)
    while waiting:
        done, waiting = wait(waiting, timeout=_GLANCE, return_when=FIRST_COMPLETED)
        check_ctrl_c()
        yield from done


class _Worker:
    """A process that serves one run after the other; where it dies, a new one takes its place."""

    def __init__(self, number: int, workers: int) -> None:
        self._setting = (number, workers)
        self._stopped = False
        self._start()

    def _start(self) -> None:
        self._line, line = Pipe()
        self._process = spawn(_serve, line, *self._setting)
        line.close()

    def run(self, job: Job) -> str | None:
        """Run a job; return what went wrong."""
        try:
            self._line.send((_attempt, job.config.model_dump(mode="json")))
            problem: str | None = self._line.recv()
            return problem
        except (EOFError, OSError):  # it has died
            if not self._stopped:
                self._start()
            return "its process was killed, perhaps for memory"

    def stop(self) -> None:
        """End the process; what its run has not finished is done again by the next one."""
        self._stopped = True
        self._process.terminate()
        self._process.join(_GRACE)
        self._process.kill()


def _serve(line: Connection, number: int, workers: int) -> None:
    """Attempt what is sent, one configuration after the other: what a worker does."""
    _settle(number, workers)
    with suppress(EOFError):
        while True:
            attempt, dump = line.recv()
            line.send(attempt(dump))


def _settle(number: int, workers: int) -> None:
    """Give a worker its share of the machine."""
    import torch

    if gpus := torch.cuda.device_count():
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        own = number % gpus
        os.environ["CUDA_VISIBLE_DEVICES"] = visible.split(",")[own] if visible else str(own)
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))


def _attempt(dump: dict[str, Any], progress: Progress | None = None) -> str | None:
    """Run a configuration; return in words what went wrong, None where nothing did."""
    from dal_nlp.session.loop import Session

    try:
        result = Session(RunConfig(**dump), progress=progress).run()
    except UserError as error:
        return str(error)
    except Exception as error:
        return " ".join(f"{type(error).__name__}: {error}".split())
    return "its oracle has not answered yet: a comparison needs all answers" if result.pending else None
