"""What the steps of a run took, and people's answers: time by the clock of the answers, money by the given prices."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import median

from dal_nlp.core.text import counted, duration
from dal_nlp.ledger.answer_events import LISTED, MACHINE, AnswerEvent
from dal_nlp.ledger.events import MetricsEvent, QueryEvent
from dal_nlp.ledger.state import State

SECONDS = ("train_seconds", "pool_seconds", "choose_seconds", "eval_seconds", "encode_seconds", "load_seconds")
#: Of these, those that many rounds do not have.
SOMETIMES = ("encode_seconds", "load_seconds")
#: Seconds between two answers of one person beyond which that person was away.
IDLE = 120.0


@dataclass(frozen=True)
class PeopleTime:
    """The time that people spent on answers.

    Attributes:
        seconds: In all.
        answers: On how many answers that is; those of a filled-in sheet have no clock of their own.
        people: How many gave them.
    """

    seconds: float
    answers: int
    people: int

    def __str__(self) -> str:
        """Return the sentence part."""
        who = "" if self.people == 1 else f" of {counted(self.people, 'person').replace('persons', 'people')}"
        return f"{duration(self.seconds)}{who} on {counted(self.answers, 'answer')}"


def seconds_of(times: Sequence[float], idle: float = IDLE) -> tuple[float, int]:
    """Return the seconds that one person spent on answers, and how many answers that counts.

    An answer took the time since the one before it. One after a longer pause than ``idle``, and the first, took the
    median of the others, as nobody knows when its text came up. Answers of the same moment came from a file.

    Args:
        times: When each was given, in seconds, in any order.
        idle: The longest time that an answer takes.
    """
    ordered = sorted(times)
    gaps = [after - before for before, after in pairwise(ordered) if after > before]
    taken = [gap for gap in gaps if gap <= idle]
    if not taken:
        return 0.0, 0
    unseen = 1 + len(gaps) - len(taken)
    return sum(taken) + unseen * median(taken), len(taken) + unseen


def seconds(state: State, event: MetricsEvent) -> list[float | None]:
    """Return the times of a round in the order of ``SECONDS``."""
    query = state.query(event.round)
    pool, choose = (query.pool_seconds, query.choose_seconds) if query else (None, None)
    steps = (event, query) if query else (event,)
    around = [math.fsum(getattr(step, name) for step in steps) for name in SOMETIMES]
    return [event.train_seconds, pool, choose, event.eval_seconds, *around]


def total_seconds(state: State) -> dict[str, float]:
    """Return the seconds of each kind of step, in all rounds."""
    steps: list[QueryEvent | MetricsEvent] = [*state.queries, *state.metrics]
    around = {
        "loading": math.fsum(step.load_seconds for step in steps),
        "encoding": math.fsum(step.encode_seconds for step in steps),
    }
    return {
        **{name: seconds for name, seconds in around.items() if seconds},
        "training": math.fsum(event.train_seconds for event in state.metrics),
        "scoring the pool": math.fsum(query.pool_seconds for query in state.queries),
        "choosing": math.fsum(query.choose_seconds for query in state.queries),
        "evaluating": math.fsum(event.eval_seconds for event in state.metrics),
    }


def people_time(state: State) -> PeopleTime | None:
    """Return what people spent on the answers of a run; None where no answer has a clock."""
    times: dict[str, list[float]] = {}
    listed: dict[str, list[float]] = {}
    for events in state.given.values():
        for event in _with_clock(events):
            moment = datetime.fromisoformat(event.at).timestamp()
            times.setdefault(event.by, []).append(moment)
            if event.via == LISTED:
                listed.setdefault(event.by, []).append(moment)
    # Of a list all answers have one moment and one time, but each is an answer.
    at_once = {who: len(moments) - len(set(moments)) for who, moments in listed.items()}
    totals = {who: seconds_of(moments) for who, moments in times.items()}
    spent = [(seconds, count + at_once.get(who, 0)) for who, (seconds, count) in totals.items() if count]
    if not spent:
        return None
    return PeopleTime(sum(seconds for seconds, _ in spent), sum(count for _, count in spent), len(spent))


def money(state: State) -> float | None:
    """Return what the answers of a run cost, by the label and by people's hours; None without a price.

    What a language model answered is paid by its tokens, and is not in it.
    """
    config = state.config or {}
    by_label, by_hour = config.get("price_per_label"), config.get("price_per_hour")
    time = people_time(state)
    parts = [] if by_label is None else [by_label * (state.spent - _by_machines(state))]
    if by_hour is not None and time is not None:
        parts.append(by_hour * time.seconds / 3600)
    return sum(parts) if parts else None


def _by_machines(state: State) -> int:
    decisions = [state.decision(id) for id in state.answers]
    return sum(event is not None and event.via == MACHINE for event in decisions)


def _with_clock(events: Iterable[object]) -> Iterable[AnswerEvent]:
    return (event for event in events if isinstance(event, AnswerEvent) and event.of_person and event.at)
