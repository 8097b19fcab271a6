"""What a round will take on this machine, from a small part of it that was measured."""

import time
from dataclasses import dataclass

import numpy as np

from dal_nlp.core.text import counted, duration, size
from dal_nlp.ledger.stages import Stages
from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import Positions
from dal_nlp.session.context import Context
from dal_nlp.session.query import select_batch

#: Texts of the first measurement; the second is on so many times more, again and again until it takes so many seconds.
FIRST, MORE, ENOUGH = 8, 8, 0.5


@dataclass(frozen=True)
class RoundCost:
    """A round, in seconds and bytes, in as many processes as measured it: in one, unless a launcher started more.

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
        once = f"The first round encodes the pool, which takes about {duration(self.once)}.\n" if self.once else ""
        fit = counted(self.steps, "training step") if self.steps else "fitting the layer"
        return (
            f"{once}A round here: scoring {counted(self.texts, 'text')} {about} {duration(self.scoring)} "
            f"({size(self.memory)} in memory, {size(self.disk)} on disk), {fit} {duration(self.training)}; measured on "
            f"{counted(self.sample, 'text')}."
        )


def estimate(work: Context, steps: int, rng: np.random.Generator) -> RoundCost:
    """Measure scoring and choosing on two numbers of texts, and a few training steps; what both cost alike is no rate.

    Args:
        work: Whose model of round 0 scores; the strategy is that of later rounds. Its last fit is replaced.
        steps: Of the last round; 0 where a fit is one layer.
        rng: Of the texts.
    """
    free = rng.permutation(work.candidates(1))
    texts = min(len(free), work.config.query.candidates or len(free))
    _measure(work, free[:FIRST], rng)  # what is loaded once
    few = _measure(work, free[FIRST : 2 * FIRST] if len(free) >= 2 * FIRST else free[:FIRST], rng)
    seen, sample = 2 * FIRST, min(len(free), FIRST * MORE)
    while True:
        many = _measure(work, free[seen : seen + sample] if seen + sample <= len(free) else free[:sample], rng)
        if seen + sample * MORE > len(free) or many.reading + many.scoring >= ENOUGH:
            break
        seen, sample = seen + sample, sample * MORE
    arrays = [count * texts / sample for count in many.pool.sizes()]
    limit = work.config.scoring.memory * 1e6
    spilled = sum(
        count / (2 if half else 1) for count, half in zip(arrays, many.pool.halved(), strict=True) if count >= limit
    )
    files = sum(path.stat().st_size for path in work.folder.rglob("*") if path.is_file())
    return RoundCost(
        texts=texts,
        once=encoding(work.learner.stages, few, many, len(work.corpus)),
        scoring=_line(few.scoring, len(free[:FIRST]), many.scoring, sample, texts),
        training=_training(work, steps),
        steps=steps,
        memory=sum(count for count in arrays if count < limit),
        disk=files + spilled + work.learner.kept * len(work.corpus),
        sample=sample,
        most=work.config.query.prefilter is not None,
    )


@dataclass(frozen=True)
class Timings:
    """Seconds until some texts could be scored, and of scoring and choosing; the pool of them.

    Attributes:
        reading: The former.
        scoring: The latter.
        pool: Of the texts.
        encoding: Seconds of ``reading`` that a frozen encoder took.
        encoded: Texts that it has read in them: those that were in no cache.
    """

    reading: float
    scoring: float
    pool: Pool
    encoding: float = 0.0
    encoded: int = 0


def _measure(work: Context, rows: Positions, rng: np.random.Generator) -> Timings:
    stages = work.learner.stages
    encoding, encoded = stages.encode_seconds, stages.encoded
    started = time.perf_counter()
    pool = work.pool(rows, 1)
    ready = time.perf_counter()
    name, strategy = work.strategy(1)
    select_batch(name, strategy, pool, min(work.config.query_size, len(rows)), rng, work.config.query)
    scoring = time.perf_counter() - ready
    return Timings(ready - started, scoring, pool, stages.encode_seconds - encoding, stages.encoded - encoded)


def _line(few_seconds: float, few: int, many_seconds: float, many: int, texts: int) -> float:
    """Return the seconds of so many texts, on the line through two measurements, or in proportion to the larger one."""
    slope = (many_seconds - few_seconds) / (many - few) if many > few else 0.0
    if slope <= 0:
        return many_seconds / many * texts
    return many_seconds + slope * (texts - many)


def encoding(stages: Stages, few: Timings, many: Timings, texts: int) -> float:
    """Return the seconds that a frozen encoder takes to read a pool; 0 without one, or where the cache holds all.

    They lie on the line through two measurements, as loading the encoder takes as long for few texts as for many. What
    was read before these has warmed libraries up; it counts where one of the two has read nothing.
    """
    if few.encoded and many.encoded > few.encoded:
        return _line(few.encoding, few.encoded, many.encoding, many.encoded, texts)
    return stages.encode_seconds / stages.encoded * texts if stages.encoded else 0.0


def _training(work: Context, steps: int) -> float:
    """Return the seconds of a fit, from steps as large as they will be, on the labels there are again and again."""
    examples, weights = work.training.of_round(0)
    if steps:
        training = work.config.training
        wanted = training.batch_size * training.accumulation
        rows = np.resize(np.arange(len(examples)), max(wanted, len(examples)))
        examples, weights = examples.select(rows), weights[rows]
    fit = work.fit(0, examples, weights)
    return fit.seconds / fit.steps * steps if steps else fit.seconds
