"""The state of a run: what the events of its ledger add up to. It is folded event by event, and never rebuilt."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dal_nlp.core.config import Settings
from dal_nlp.core.errors import RunFolderError
from dal_nlp.core.targets import Target
from dal_nlp.ledger.answer_events import MAJORITY
from dal_nlp.ledger.events import (
    AnswerEvent,
    AuditEvent,
    ChannelEvent,
    ConfigEvent,
    DraftsEvent,
    Event,
    FinishedEvent,
    InquiryEvent,
    LabelEvent,
    MetricsEvent,
    NoteEvent,
    OpinionEvent,
    OverflowEvent,
    PoolEvent,
    PseudoLabelsEvent,
    QueryEvent,
    RemeasuredEvent,
    RemovedEvent,
    SignalEvent,
    SkipEvent,
    StoppedEvent,
    SuspectsEvent,
    TraceEvent,
)
from dal_nlp.ledger.settings import as_now
from dal_nlp.ledger.votes import after


@dataclass
class State:
    """What the ledger's events add up to.

    A label or a skip decides on an example, a later one corrects it. An opinion is one of several answers that an
    example is to get: it is kept, and decides nothing. A removal takes back what one annotator (``whose``) or everybody
    had answered, and what was decided by that; an example of a finished round is back in the pool then. An overflow is
    what people may go on with while the model of a round trains: what they say of it belongs to the next round.
    """

    config: dict[str, Any] | None = None
    digests: dict[str, str] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)  # the label set, in the order of the outputs
    pool: PoolEvent | None = None  # the last one
    audit: list[str] | None = None
    audit_texts: list[str] = field(default_factory=list)
    audit_probabilities: dict[str, float] = field(default_factory=dict)  # by id; empty for a uniform sample
    audit_grown: bool = False  # since the last numbers
    inquiry: InquiryEvent | None = None  # in folders of questions about a file
    queries: list[QueryEvent] = field(default_factory=list)
    overflows: dict[int, OverflowEvent] = field(default_factory=dict)  # by round
    answers: dict[str, Target] = field(default_factory=dict)  # by id, audit and queries together
    skipped: dict[str, str] = field(default_factory=dict)  # id -> reason
    asked: dict[int | None, list[str]] = field(default_factory=dict)  # what each round asked at first; None: the audit
    ever_asked: set[str] = field(default_factory=set)  # removed ones and those of overflows included
    given: dict[str, list[AnswerEvent | RemovedEvent]] = field(default_factory=dict)  # by id, in order
    opinions: dict[str, dict[str, AnswerEvent]] = field(default_factory=dict)  # by id, the last of each annotator
    decided: list[str] = field(default_factory=list)  # the id of each decision, and of what took one back, in order
    seen: int = 0  # how many of them there were at the last fit
    suspects: list[dict[str, Any]] = field(default_factory=list)  # the last search for wrong labels
    channel: ChannelEvent | None = None  # where people answer outside of the run
    pseudo: dict[int, PseudoLabelsEvent] = field(default_factory=dict)  # by the round whose fit uses them
    metrics: list[MetricsEvent] = field(default_factory=list)  # one per finished round
    notes: list[str] = field(default_factory=list)  # what the user should know, in sentences
    finished: FinishedEvent | None = None  # what one training of all weights after the last round came to
    signals: dict[tuple[str, str], dict[str, dict[str, Any]]] = field(default_factory=dict)  # by (signal, set)
    drafts: dict[str, dict[str, Any] | None] = field(default_factory=dict)  # of machines, by id; None: they have none
    traces: dict[int, list[dict[str, Any]]] = field(default_factory=dict)  # of the stopping rules, by round
    stopped: str | None = None
    read_test: bool = False  # test labels stopped the run
    _place: dict[str, int] = field(default_factory=dict, repr=False)  # the round whose query holds an id now
    _last_asked: dict[str, int | None] = field(default_factory=dict, repr=False)  # the last round that asked
    _open: Counter[int | None] = field(default_factory=Counter, repr=False)  # by round, how many ids want an answer
    _predictions: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)  # of queries, by id
    _next_predictions: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)  # of overflows, by id
    _next_scores: dict[str, float] = field(default_factory=dict, repr=False)  # of overflows, by id

    @property
    def round(self) -> int:
        """The first round without metrics."""
        return len(self.metrics)

    def query(self, round: int) -> QueryEvent | None:
        """Return the query of a round, if it was asked."""
        return self.queries[round] if round < len(self.queries) else None

    @property
    def training_ids(self) -> list[str]:
        """Ids with an answer that may train, in the order in which they were asked for."""
        return self.trained_by(len(self.queries) - 1)

    def trained_by(self, round: int) -> list[str]:
        """Return the ids with an answer that train the model of a round, in the order in which they were asked for."""
        return [id for query in self.queries[: round + 1] for id in query.ids if id in self.answers]

    def overflow(self, round: int) -> list[str]:
        """Return the ids of the overflow of a round, [] where there is none."""
        return self.overflows[round].ids if round in self.overflows else []

    @property
    def prefetched(self) -> list[str]:
        """Ids of overflows that have an answer or a skip and belong to no round yet, best of the last one first."""
        ids = dict.fromkeys(id for round in reversed(self.overflows) for id in self.overflow(round))
        return [id for id in ids if self._is_settled(id) and id not in self._place and not self._is_audited(id)]

    def overflow_scores(self, ids: Sequence[str]) -> list[float]:
        """Return the strategy's last scores of ids that are in overflows."""
        return [self._next_scores[id] for id in ids]

    @property
    def late(self) -> set[str]:
        """Ids about which something was decided after the last fit had begun, and which would train the next one."""
        return {id for id in self.decided[self.seen :] if not self._is_audited(id)}

    @property
    def spent(self) -> int:
        """Answers paid for: those of the queries and their overflows, and those of the audit sample."""
        return len(self.answers)

    @property
    def waiting(self) -> list[str]:
        """Ids that want an answer: of the audit sample, else of the rounds that have been asked about."""
        if self._open[None]:
            return self.pending(self.audit or [])
        return [id for query in self.queries if self._open[query.round] for id in self.pending(query.ids)]

    def prefetch_limit(self, budget: int, rounds: int, query_size: int) -> int:
        """Return how many answers ahead of the next round a run has a use for; 0 where no round is to come.

        The budget always keeps a whole round that can be chosen by what was learnt.
        """
        if self.stopped is not None or len(self.queries) > rounds:
            return 0
        return max(0, budget - self.spent - self._open.total() - query_size)

    def asks(self, id: str) -> bool:
        """Tell whether an answer counts: not where its label was removed after its round, but to overflows always."""
        return id in self._place or id in self._next_scores or self._is_audited(id)

    def asked_by(self, id: str) -> int | None:
        """Return the last round that asked about an example, or put it into its overflow; None for the audit sample.

        Raises:
            KeyError: None has.
        """
        return self._last_asked[id]

    def query_of(self, id: str) -> QueryEvent | None:
        """Return the query that holds an example now, if one does."""
        return self.queries[self._place[id]] if id in self._place else None

    def decision(self, id: str) -> AnswerEvent | None:
        """Return the event that says what an example's answer is now."""
        if not self._is_settled(id):
            return None
        return next(event for event in reversed(self.given[id]) if isinstance(event, LabelEvent | SkipEvent))

    def suggestion(self, id: str) -> dict[str, Any] | None:
        """Return what the model that chose an example would answer: {"target", "confidence", "round"} of that model.

        With ``suggest`` it is what a machine has drafted, where one has; then "by" says which. None for the audit.
        """
        draft = self.drafts.get(id) if (self.config or {}).get("suggest") else None
        shown = draft or self._predictions.get(id) or self._next_predictions.get(id)
        return None if self._is_audited(id) else shown  # it may have been in an overflow

    def pending(self, ids: Sequence[str]) -> list[str]:
        """Return those of ``ids`` that have neither an answer nor a skip."""
        return [id for id in ids if not self._is_settled(id)]

    def _is_settled(self, id: str) -> bool:
        return id in self.answers or id in self.skipped

    def _is_audited(self, id: str) -> bool:
        return self._last_asked.get(id, 0) is None

    def apply(self, event: Event) -> None:
        """Fold one event into the state.

        Raises:
            ValueError: It cannot come after those before it; nothing of it is folded then.
        """
        match event:
            case ConfigEvent():
                self.config, self.digests, self.labels = event.config, event.digests, event.labels
                self._go_on()
            case PoolEvent():
                self.pool = event
                self._go_on()
            case AuditEvent():
                self._sample(event)
            case InquiryEvent():
                self.inquiry = event
            case OverflowEvent():
                self._prefetch(event)
            case QueryEvent():
                self._query(event)
            case AnswerEvent() | RemovedEvent():
                self._answer(event)
            case SuspectsEvent():
                self.suspects = event.rows
            case ChannelEvent():
                self.channel = event
            case PseudoLabelsEvent():
                self.pseudo[event.round] = event
            case MetricsEvent():
                self._measure(event)
            case RemeasuredEvent():
                self._remeasure(event)
            case FinishedEvent():
                self.finished, self.seen = event, len(self.decided) if event.seen is None else event.seen
            case TraceEvent():
                self.traces[event.round] = event.rules
            case NoteEvent():
                self.notes.append(event.text)
            case SignalEvent():
                self.signals.setdefault((event.signal, event.on), {}).update(event.by_key())
            case DraftsEvent():
                self.drafts |= event.by_id()
            case StoppedEvent():
                self.stopped, self.read_test = event.why, event.read_test

    def _go_on(self) -> None:
        """Take a run up that had ended."""
        self.stopped, self.read_test, self.finished = None, False, None

    def _ask(self, round: int | None, ids: Sequence[str]) -> None:
        self.ever_asked.update(ids)
        self._last_asked.update(dict.fromkeys(ids, round))

    def _sample(self, event: AuditEvent) -> None:
        if event.ids[: len(self.audit or [])] != (self.audit or []):
            raise ValueError("it holds another audit sample than the one that was drawn")
        self.audit_grown = self.audit is not None
        self.audit, self.audit_texts = event.ids, event.texts
        self.audit_probabilities = dict(zip(event.ids, event.probabilities, strict=False))
        self.asked[None] = event.ids
        self._ask(None, event.ids)
        self._open[None] = len(self.pending(event.ids))

    def _remeasure(self, event: RemeasuredEvent) -> None:
        if event.round != len(self.metrics) - 1:
            raise ValueError(_out_of_turn("new numbers", event.round, len(self.metrics) - 1))
        values = {name: value for name, value in vars(event).items() if name != "at"}
        self.metrics[-1], self.audit_grown = replace(self.metrics[-1], **values), False

    def _query(self, event: QueryEvent) -> None:
        if event.round != len(self.queries):
            raise ValueError(_out_of_turn("query", event.round, len(self.queries)))
        if not len(event.ids) == len(event.scores) == len(event.texts):
            raise ValueError("its ids, scores and texts are not equally many")
        self.queries.append(event)
        new = self.asked[event.round] = event.ids[event.prefetched :]
        self._ask(event.round, new)
        self._place.update(dict.fromkeys(event.ids, event.round))
        self._open[event.round] = len(self.pending(event.ids))
        self._predictions |= event.suggestions()

    def _prefetch(self, event: OverflowEvent) -> None:
        self.overflows[event.round] = event
        self._ask(event.round, event.ids)
        self._next_scores |= zip(event.ids, event.scores, strict=True)
        self._next_predictions |= event.suggestions()

    def _measure(self, event: MetricsEvent) -> None:
        if event.round != len(self.metrics):
            raise ValueError(_out_of_turn("numbers", event.round, len(self.metrics)))
        self.metrics.append(event)
        self.audit_grown = False
        self.seen = len(self.decided) if event.seen is None else event.seen
        if event.rules:
            self.traces[event.round] = event.rules
        if event.attempts > 1:
            self.notes.append(_collapse_note(event))

    def _answer(self, event: AnswerEvent | RemovedEvent) -> None:
        """Fold an answer, or its removal, into the state."""
        id, standing = event.id, self.decision(event.id)
        self.given.setdefault(id, []).append(event)
        self._vote(event)
        if isinstance(event, OpinionEvent):
            return
        whose = event.whose if isinstance(event, RemovedEvent) else None
        if whose and standing and standing.by not in (whose, MAJORITY):
            return  # what somebody else has decided stays
        self.decided.append(id)
        self.answers.pop(id, None)
        self.skipped.pop(id, None)
        if isinstance(event, LabelEvent):
            self.answers[id] = event.target
        elif isinstance(event, SkipEvent):
            self.skipped[id] = event.reason
        self._count(id, standing is None, not self._is_settled(id))
        if isinstance(event, RemovedEvent):
            self._put_back(id)
            self._go_on()

    def _vote(self, event: AnswerEvent | RemovedEvent) -> None:
        votes = after(self.opinions.pop(event.id, {}), event)
        if votes:
            self.opinions[event.id] = votes

    def _count(self, id: str, was_open: bool, is_open: bool) -> None:
        """Keep up how many ids want an answer, in the query and the audit sample that hold an id."""
        if was_open == is_open:
            return
        more = 1 if is_open else -1
        if id in self._place:
            self._open[self._place[id]] += more
        if self._is_audited(id):
            self._open[None] += more

    def _put_back(self, id: str) -> None:
        """Leave an example without an answer out of the query of a finished round."""
        round = self._place.get(id, self.round)
        if round >= self.round:
            return
        self.queries[round] = self.queries[round].without(id)
        self._open[round] -= 1
        del self._place[id]
        self._predictions.pop(id, None)


def _out_of_turn(what: str, round: int, due: int) -> str:
    if round < due:
        return f"it holds the {what} of round {round} a second time"
    return f"it holds the {what} of round {round}, and those of round {due} are not there"


def _collapse_note(event: MetricsEvent) -> str:
    outcome = "and again with another" if event.collapsed else "so another seed was used"
    return f"Round {event.round}: training collapsed to one answer for everything with one seed, {outcome}."


def stored_settings(folder: Path, state: State) -> Settings:
    """Return the settings of a run as its ledger holds them; raises ``UserError`` where there are none yet."""
    if state.config is None:
        raise RunFolderError(f"{folder} has not begun: let `dal-nlp run` come past its checks first.")
    return Settings(**as_now(state.config))
