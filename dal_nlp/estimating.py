"""What a round will take on this machine, from a small part of it that was measured."""

import time
from dataclasses import dataclass

import numpy as np

from dal_nlp.pool import Pool
from dal_nlp.processes import process_state
from dal_nlp.querying import query
from dal_nlp.summary import duration
from dal_nlp.training import Fit
from dal_nlp.vectors import Positions
from dal_nlp.workspace import Workspace

#: A measurement is repeated on so many times more texts until it takes so many seconds: starting then weighs little.
MORE, ENOUGH = 8, 0.5


@dataclass(frozen=True)
class Estimate:
    """A round, in seconds and bytes, with as many processes as there are now.

    Attributes:
        texts: Of the pool, that a round scores.
        once: Seconds that go before the first round and are kept for all: a frozen encoder reading the pool.
        scoring: Seconds of scoring and choosing.
        training: Seconds of the last round's training, the longest.
        steps: Its optimizer steps; 0 where a fit is one layer.
        memory: Bytes of measurements that are held.
        disk: Bytes in the run folder: the tokens of the pool, and measurements too large for memory.
        sample: Texts that were measured.
        most: Whether this is a bound: a prefilter spares the strategy more of a large pool than of a small part of it.
    """

    texts: int
    once: float
    scoring: float
    training: float
    steps: int
    memory: float
    disk: float
    sample: int
    most: bool

    def __str__(self) -> str:
        """Return the sentence."""
        about = "at most" if self.most else "about"
        once = f"reading the pool once {duration(self.once)}; " if self.once else ""
        fit = f"{self.steps:,} training steps" if self.steps else "fitting the layer"
        return (
            f"A round here: {once}scoring {self.texts:,} texts {about} {duration(self.scoring)} "
            f"({size(self.memory)} in memory, {size(self.disk)} on disk), {fit} {duration(self.training)}; measured on "
            f"{self.sample:,} texts."
        )


def estimate(work: Workspace, fit: Fit, steps: int, rng: np.random.Generator) -> Estimate:
    """Measure scoring and choosing on some texts of the pool, and take a fit's seconds for those of each step.

    Args:
        work: Whose model of round 0 scores; the strategy is that of later rounds.
        fit: A fit of a few steps.
        steps: Of the last round.
        rng: Of the texts.
    """
    free = work.candidates(1)
    texts = min(len(free), work.config.query.candidates or len(free))
    order, sample = rng.permutation(free), min(len(free), 2 * MORE)
    while True:
        once, scoring, pool = _measure(work, order[:sample], rng)
        if sample == len(order) or once + scoring >= ENOUGH:
            break
        sample = min(len(order), sample * MORE)
    arrays = [count * texts / sample for count in pool.sizes()]
    spilled = sum(count for count in arrays if count >= work.config.scoring.memory * 1e6)
    files = sum(path.stat().st_size for path in work.folder.rglob("*") if path.is_file())
    seconds = fit.seconds / max(fit.steps, 1) * steps if steps else fit.seconds
    return Estimate(
        texts=texts,
        once=once * len(work.corpus) / sample / process_state().num_processes if work.learner.instant else 0.0,
        scoring=scoring * texts / sample,
        training=seconds,
        steps=steps,
        memory=sum(arrays) - spilled,
        disk=files + spilled,
        sample=sample,
        most=work.config.query.prefilter is not None,
    )


def _measure(work: Workspace, rows: Positions, rng: np.random.Generator) -> tuple[float, float, Pool]:
    """Return the seconds until some texts can be scored, those of choosing among them, and the pool of them."""
    started = time.perf_counter()
    pool = work.pool(rows, 1)
    ready = time.perf_counter()
    name, strategy = work.strategy(1)
    query(name, strategy, pool, 1, rng, work.config.query)
    return ready - started, time.perf_counter() - ready, pool


def size(count: float) -> str:
    """Return bytes as people write them."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(count / 1e6, 0.1):,.1f} MB"
