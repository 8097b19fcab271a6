"""The state of a run: an append-only JSONL file, folded into a ``State``.

One line per event, flushed to the disk before anything depends on it; one writer, held off by a lock; a torn last
line (the process died while writing) is dropped at the next start. Corrections are later lines; nothing is edited.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from dal_nlp.core.config import Settings
from dal_nlp.core.distributed import is_main, share
from dal_nlp.core.errors import Locked, UserError

#: Seconds to wait for the lock: longer than a look at whether it is taken, shorter than a person notices.
GRACE = 0.3

#: Who signs what several people's answers come to.
MAJORITY = "majority"

#: A JSON value. People read a text as it is, and of an object what it holds under "text" (see ``readable``).
Target = Any
Event = dict[str, Any]


def readable(target: Target) -> str:
    """Return what people read of a target: of an object its "text", a list of which is several ways to say it."""
    texts = target.get("text") if isinstance(target, dict) else target
    if isinstance(texts, list):
        return " | ".join(dict.fromkeys(map(str, texts))) or "no answer"
    return texts if isinstance(texts, str) else json.dumps(target, ensure_ascii=False)


@dataclass(frozen=True)
class Query:
    """One round's question: ids best first, the strategy's scores, and what choosing took in seconds.

    ``guesses`` holds what the model that chose would answer to each id: {"target", "confidence" (a probability),
    "marks" (the parts of the text that the target points at, [start, end) in characters)}. It is empty in round 0,
    whose model has an untrained output layer, and in ledgers of versions that did not write it. The first ``ahead`` ids
    were answered before the round, as part of the remainder of an earlier one.
    """

    round: int
    ids: list[str]
    scores: list[float]
    texts: list[str]
    strategy: str
    pool_seconds: float
    choose_seconds: float
    notes: dict[str, Any] = field(default_factory=dict)
    guesses: list[dict[str, Any]] = field(default_factory=list)
    ahead: int = 0

    @classmethod
    def of(cls, event: Event) -> "Query":
        """Return what a ``query`` or a ``remainder`` event holds."""
        return cls(**{item.name: event[item.name] for item in fields(cls) if item.name in event})

    def without(self, id: str) -> "Query":
        """Return the query as if an id had not been asked about."""
        stays = [i for i, other in enumerate(self.ids) if other != id]
        if len(stays) == len(self.ids):
            return self
        return replace(
            self,
            ids=[self.ids[i] for i in stays],
            scores=[self.scores[i] for i in stays],
            texts=[self.texts[i] for i in stays],
            guesses=[self.guesses[i] for i in stays] if self.guesses else [],
            ahead=self.ahead - (id in self.ids[: self.ahead]),
        )


@dataclass
class State:
    """What the ledger's events add up to.

    A label or a skip decides on an example, a later one corrects it. An ``answer`` is one of several that an example is
    to get: it is kept, and decides nothing. ``removed`` takes back what one annotator (``whose``) or everybody had
    answered, and what was decided by that; an example of a finished round is back in the pool then. A ``remainder`` is
    what people may go on with once a round is answered and its model trains: what they say of it belongs to the next
    round.
    """

    config: dict[str, Any] | None = None
    digests: dict[str, str] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)  # the label set, in the order of the outputs
    pool: Event | None = None  # the last `pool` event
    audit: list[str] | None = None
    audit_texts: list[str] = field(default_factory=list)
    queries: list[Query] = field(default_factory=list)
    remainders: dict[int, Query] = field(default_factory=dict)  # by round, what its strategy would have asked next
    answers: dict[str, Target] = field(default_factory=dict)  # by id, audit and queries together
    skipped: dict[str, str] = field(default_factory=dict)  # id -> reason
    asked: dict[int | None, list[str]] = field(default_factory=dict)  # what each round asked at first; None: the audit
    given: dict[str, list[Event]] = field(default_factory=dict)  # by id, every answer and removal in order
    decided: list[str] = field(default_factory=list)  # the id of each decision, and of what took one back, in order
    seen: int = 0  # how many of them there were at the last fit
    suspects: list[Event] = field(default_factory=list)  # the last search for wrong labels: {"id", "suggestion", ...}
    channel: Event | None = None  # where people answer outside of the run
    pseudo: dict[int, Event] = field(default_factory=dict)  # by the round whose fit uses them
    metrics: list[Event] = field(default_factory=list)  # one per finished round
    notes: list[str] = field(default_factory=list)  # what the user should know, in sentences
    finished: Event | None = None  # what one training of all weights after the last round came to
    traces: dict[int, list[dict[str, Any]]] = field(default_factory=dict)  # of the stopping rules, by round
    stopped: str | None = None
    read_test: bool = False  # test labels stopped the run

    @property
    def round(self) -> int:
        """The first round without metrics."""
        return len(self.metrics)

    def query(self, round: int) -> Query | None:
        """Return the query of a round, if it was asked."""
        return self.queries[round] if round < len(self.queries) else None

    @property
    def training_ids(self) -> list[str]:
        """Ids with an answer that may train, in the order in which they were asked for."""
        return [id for query in self.queries for id in query.ids if id in self.answers]

    @property
    def ever_asked(self) -> set[str]:
        """Every id that was ever asked about, removed ones and those of remainders included."""
        asked = (*self.asked.values(), *(remainder.ids for remainder in self.remainders.values()))
        return {id for ids in asked for id in ids}

    def remainder(self, round: int) -> list[str]:
        """Return the ids of the remainder of a round, [] where there is none."""
        return self.remainders[round].ids if round in self.remainders else []

    @property
    def ahead(self) -> list[str]:
        """Ids of remainders that have an answer or a skip and belong to no round yet, best of the last one first."""
        known = {id for query in self.queries for id in query.ids}.union(self.audit or [])
        ids = dict.fromkeys(id for round in reversed(self.remainders) for id in self.remainder(round))
        return [id for id in ids if id not in known and (id in self.answers or id in self.skipped)]

    def remainder_scores(self, ids: Sequence[str]) -> list[float]:
        """Return the strategy's last scores of ids that are in remainders."""
        remainders = self.remainders.values()
        known = {id: score for one in remainders for id, score in zip(one.ids, one.scores, strict=True)}
        return [known[id] for id in ids]

    @property
    def late(self) -> set[str]:
        """Ids about which something was decided after the last fit had begun."""
        return set(self.decided[self.seen :])

    @property
    def spent(self) -> int:
        """Answers paid for: those of the queries and their remainders, and those of the audit sample."""
        return len(self.answers)

    @property
    def waiting(self) -> list[str]:
        """Ids that want an answer: of the audit sample, else of the rounds that have been asked about."""
        return self.pending(self.audit or []) or self.pending([id for query in self.queries for id in query.ids])

    def asks(self, id: str) -> bool:
        """Tell whether an answer counts: not where its label was removed after its round, but to remainders always."""
        return id in (self.audit or []) or any(id in asked.ids for asked in (*self.queries, *self.remainders.values()))

    def decision(self, id: str) -> Event | None:
        """Return the event that says what an example's answer is now."""
        if id not in self.answers and id not in self.skipped:
            return None
        return next(event for event in reversed(self.given[id]) if event["event"] in ("label", "skip"))

    def suggestion(self, id: str) -> Event | None:
        """Return what the model that chose an example would answer: {"target", "confidence", "round"} of that model."""
        for query in (*reversed(self.queries), *reversed(self.remainders.values())):
            if id in query.ids and query.guesses:
                guess = query.guesses[query.ids.index(id)]
                return {**{name: guess[name] for name in ("target", "confidence")}, "round": query.round - 1}
        return None

    def pending(self, ids: list[str]) -> list[str]:
        """Return those of ``ids`` that have neither an answer nor a skip."""
        return [id for id in ids if id not in self.answers and id not in self.skipped]

    def apply(self, event: Event) -> None:
        """Fold one event into the state; unknown events are kept in the file and change nothing."""
        match event["event"]:
            case "config":
                self.config, self.digests = event["config"], event["digests"]
                self.labels = event["labels"]
                self.stopped, self.read_test, self.finished = None, False, None
            case "pool":
                self.pool, self.stopped, self.read_test, self.finished = event, None, False, None
            case "audit":
                self.audit, self.audit_texts = event["ids"], event.get("texts", [])
                self.asked[None] = event["ids"]
            case "query":
                self.queries.append(Query.of(event))
                self.asked[event["round"]] = event["ids"][self.queries[-1].ahead :]
            case "remainder":
                self.remainders[event["round"]] = Query.of(event)
            case "label" | "skip" | "answer" | "removed":
                self._take(event)
            case "suspects":
                self.suspects = event["rows"]
            case "channel":
                self.channel = event
            case "pseudo":
                self.pseudo[event["round"]] = event
            case "metrics":
                self.metrics.append(event)
                self.seen = event.get("seen", len(self.decided))
                if event["attempts"] > 1:
                    self.notes.append(_collapse_note(event))
            case "finished":
                self.finished, self.seen = event, event.get("seen", len(self.decided))
            case "trace":
                self.traces[event["round"]] = event["rules"]
            case "note":
                self.notes.append(event["text"])
            case "stopped":
                self.stopped, self.read_test = event["why"], event["read_test"]

    def _take(self, event: Event) -> None:
        """Fold an answer, or its removal, into the state."""
        id, kind = event["id"], event["event"]
        standing = self.decision(id)
        self.given.setdefault(id, []).append(event)
        if kind == "answer":
            return
        whose = event.get("whose") if kind == "removed" else None
        if whose and standing and standing.get("by") not in (whose, MAJORITY):
            return  # what somebody else has decided stays
        self.decided.append(id)
        self.answers.pop(id, None)
        self.skipped.pop(id, None)
        if kind == "label":
            self.answers[id] = event["target"]
        elif kind == "skip":
            self.skipped[id] = event["reason"]
        else:
            self.queries = [query.without(id) if query.round < self.round else query for query in self.queries]
            self.stopped, self.read_test, self.finished = None, False, None


def _collapse_note(event: Event) -> str:
    outcome = "and again with another" if event["collapsed"] else "so another seed was used"
    return f"Round {event['round']}: training collapsed to one answer for everything with one seed, {outcome}."


def read_events(path: Path, start: int = 0) -> Iterator[tuple[Event, int]]:
    """Yield each whole event of a ledger with the file offset at which it ends; a torn last line is left out.

    Args:
        path: Of the file.
        start: The offset at which the first event begins.

    Raises:
        UserError: A line that is not the last one is damaged.
    """
    with path.open("rb") as file:
        file.seek(start)
        data = file.read()
    offset = start
    for number, line in enumerate(data.splitlines(keepends=True), start=1):
        offset += len(line)
        if not line.endswith(b"\n"):
            return
        try:
            event = json.loads(line)
        except ValueError:
            raise UserError(
                f"{path}, line {number} is damaged: restore the file from a copy, or start with another --out."
            ) from None
        yield event, offset


def read_state(folder: Path) -> State:
    """Fold the ledger of a run folder without taking the lock; raises ``UserError`` where there is none."""
    path = folder / "ledger.jsonl"
    if not path.is_file():
        raise UserError(f"{folder} is not a run folder: it has no ledger.jsonl.")
    state = State()
    for event, _ in read_events(path):
        state.apply(event)
    return state


class Ledger:
    """The one writer of a run folder's events.

    Use it as a context manager. Raises ``Locked`` where another living process holds the folder; the operating system
    gives the lock back when a process dies, however it dies. Of several processes of one run the main one holds the
    file and the lock, and the others fold what it wrote.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "ledger.jsonl"
        self.state = State()
        self._lock = FileLock(folder / ".lock")

    def __enter__(self) -> Self:
        events: list[Event] = []
        if is_main():
            self._acquire()
            try:
                events = self._open()
            except BaseException:
                self._lock.release()
                raise
        for event in share(events):
            self.state.apply(event)
        return self

    def _acquire(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=GRACE)
        except Timeout:
            raise Locked(
                f"{self.folder} is in use by another dal-nlp process: wait for it, or choose another --out."
            ) from None
        except OSError as error:
            raise UserError(f"{self.folder} cannot be written to ({error.strerror}): choose another --out.") from None

    def _open(self) -> list[Event]:
        """Read what is there, cut a torn line off, and open the file for appending."""
        events, end = [], 0
        if self.path.exists():
            for event, offset in read_events(self.path):
                events.append(event)
                end = offset
        self._file = self.path.open("ab", buffering=0)
        self._file.truncate(end)
        self._end = end
        return events

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if is_main():
            self._file.close()
            self._lock.release()

    def append(self, event: str, values: Event) -> None:
        """Write one event through to the disk, then fold it into ``state``; all processes of a run call it together.

        Raises:
            UserError: The disk did not take it; nothing of the event is left then, neither there nor in ``state``.
        """
        whole = share({"event": event, **values})
        if is_main():
            self._write(json.dumps(whole, ensure_ascii=False).encode() + b"\n")
        self.state.apply(whole)

    def _write(self, line: bytes) -> None:
        try:
            written = 0
            while written < len(line):
                written += self._file.write(line[written:])
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(self._end)
            raise UserError(
                f"{self.path} cannot be written ({error.strerror}), so the last step or answer was not kept: make room "
                "on the disk, then go on with the same command."
            ) from None
        self._end += len(line)


def room(config: Settings, state: State) -> int:
    """Return how many answers ahead of the next round the run has a use for; 0 where no round is to come.

    The budget always keeps a whole round that can be chosen by what was learnt.
    """
    if state.stopped is not None or len(state.queries) > (config.rounds or 0):
        return 0
    open_ids = state.pending([*(state.audit or []), *(id for query in state.queries for id in query.ids)])
    return max(0, (config.budget or 0) - state.spent - len(open_ids) - config.query_size)


def stored_settings(folder: Path, state: State) -> Settings:
    """Return the settings of a run as its ledger holds them; raises ``UserError`` where there are none yet."""
    if state.config is None:
        raise UserError(f"{folder} has not begun: let `dal-nlp run` come past its checks first.")
    return Settings(**state.config)
