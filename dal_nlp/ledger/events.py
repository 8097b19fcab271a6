"""The events of a run: one frozen dataclass each, and the JSON object by which a line of the ledger holds it.

``EVENTS`` is the list of them by name; those of answers are in ``answer_events``,
those of fits in ``measured_events``. A value that is the default of its
field is left out of the JSON. A field that a later version adds gets a default, so that older ledgers still read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from dal_nlp.core.targets import Target
from dal_nlp.ledger.answer_events import (
    AnswerEvent,
    Event,
    LabelEvent,
    OpinionEvent,
    RemovedEvent,
    SignalEvent,
    SkipEvent,
    answer_key,
)
from dal_nlp.ledger.measured_events import FinishedEvent, MetricsEvent, RemeasuredEvent

__all__ = [
    "EVENTS",
    "FORMAT",
    "AnswerEvent",
    "AuditEvent",
    "ChannelEvent",
    "ConfigEvent",
    "DraftsEvent",
    "Event",
    "FinishedEvent",
    "InquiryEvent",
    "LabelEvent",
    "MetricsEvent",
    "NoteEvent",
    "OpinionEvent",
    "OverflowEvent",
    "PoolEvent",
    "PseudoLabelsEvent",
    "QueryEvent",
    "RemeasuredEvent",
    "RemovedEvent",
    "SignalEvent",
    "SkipEvent",
    "StoppedEvent",
    "SuspectsEvent",
    "TraceEvent",
    "answer_key",
    "read_event",
]  # fmt: skip

#: The latest format that is read; ledgers that name none have format 1. An event is written in that of its class.
FORMAT = 3


@dataclass(frozen=True, kw_only=True)
class ConfigEvent(Event):
    """The settings of a run at its first start, and at each later one that has others.

    Attributes:
        config: The settings, without the folder.
        digests: What stands for the rows of the other sets, by "test", "validation" and "labeled".
        labels: The label set, in the order of the outputs.
    """

    name = "config"
    config: dict[str, Any]
    digests: dict[str, str] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class PoolEvent(Event):
    """The pool at the first start of a run, and at each later one that has other rows.

    Attributes:
        file: Where it was read from.
        rows: How many there are.
        digest: What stands for all ids and contents.
        added: Rows that came since the last event of this kind.
        gone: Rows that went since then.
        rejected: How many rows of which file were dropped, by "FILE: REASON".
    """

    name = "pool"
    file: str | None = None
    rows: int
    digest: str = ""
    added: int = 0
    gone: int = 0
    rejected: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AuditEvent(Event):
    """The audit sample: examples drawn at random, on which the run is measured. A later one begins with it, and grows.

    Attributes:
        ids: Of the examples.
        texts: What annotators read; empty in ledgers of early versions.
        probabilities: With which each was drawn, apart from the others; empty where all are equally likely.
    """

    name = "audit"
    ids: list[str]
    texts: list[str] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class InquiryEvent(Event):
    """What the questions of a folder are for that trains nothing: a file at a stated error, or the test of a model.

    Attributes:
        purpose: "error" or "test".
        answers: Stands for what the model says of each text; other answers would make another inquiry.
        size: How many answers measure.
        error: Most share of wrong answers in the whole file; 0 for a test.
    """

    name = "inquiry"
    purpose: str
    answers: str
    size: int
    error: float = 0.0


@dataclass(frozen=True, kw_only=True)
class QueryEvent(Event):
    """The query of a round: what its strategy chose to ask about, best first.

    Attributes:
        round: Of the query.
        ids: Of the examples.
        scores: Of the strategy.
        texts: What annotators read.
        strategy: Its name.
        pool_seconds: What scoring the pool took.
        choose_seconds: What choosing took.
        encode_seconds: What a frozen encoder took to read texts since the event before, apart from all other times.
        load_seconds: What reading files, tokenizing and loading took in the start that came to this event.
        notes: What the strategy, and what is around it, has to say.
        predictions: What the model that chose would answer to each id: {"target", "confidence" (a probability), "marks"
            (the parts of the text that the target points at, [start, end) in characters)}. Empty in round 0, whose
            model has an untrained output layer.
        prefetched: The first so many ids were answered before the round, as part of the overflow of an earlier one.
    """

    name = "query"
    keys: ClassVar = {"predictions": "guesses", "prefetched": "ahead"}  # as in the ledgers of the first release
    round: int
    ids: list[str]
    scores: list[float]
    texts: list[str]
    strategy: str
    pool_seconds: float = 0.0
    choose_seconds: float = 0.0
    encode_seconds: float = 0.0
    load_seconds: float = 0.0
    notes: dict[str, Any] = field(default_factory=dict)
    predictions: list[dict[str, Any]] = field(default_factory=list)
    prefetched: int = 0

    def suggestions(self) -> dict[str, dict[str, Any]]:
        """Return what the model that chose would answer, by id."""
        return {
            id: {"target": prediction["target"], "confidence": prediction["confidence"], "round": self.round - 1}
            for id, prediction in zip(self.ids, self.predictions, strict=False)
        }

    def without(self, id: str) -> Self:
        """Return the query as if an id had not been asked about."""
        stays = [i for i, other in enumerate(self.ids) if other != id]
        if len(stays) == len(self.ids):
            return self
        return replace(
            self,
            ids=[self.ids[i] for i in stays],
            scores=[self.scores[i] for i in stays],
            texts=[self.texts[i] for i in stays],
            predictions=[self.predictions[i] for i in stays] if self.predictions else [],
            prefetched=self.prefetched - (id in self.ids[: self.prefetched]),
        )


@dataclass(frozen=True, kw_only=True)
class OverflowEvent(QueryEvent):
    """What the strategy of a round would have asked next: people may go on with it while the round's model trains."""

    name = "remainder"  # as the ledgers of the first release have it


@dataclass(frozen=True, kw_only=True)
class DraftsEvent(Event):
    """What machines have drafted for people who are asked in a round.

    Attributes:
        round: Which one.
        rows: One for each text that they were asked about: {"id", "target", "confidence", "by"}; of one for which no
            machine has a draft {"id", "target": None}.
    """

    name = "drafts"
    format = 3
    round: int
    rows: list[dict[str, Any]]

    def by_id(self) -> dict[str, dict[str, Any] | None]:
        """Return what people are shown, by id; None where there is no draft."""
        return {row["id"]: row["target"] and {**row, "round": self.round - 1} for row in self.rows}


@dataclass(frozen=True, kw_only=True)
class SuspectsEvent(Event):
    """The labels that a search took for errors, the likeliest first.

    Attributes:
        rows: One for each: {"id", "target", "confidence", "doubt", "round", "answers"}.
    """

    name = "suspects"
    rows: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class ChannelEvent(Event):
    """Where people answer outside of the run.

    Attributes:
        oracle: Which one asks there.
        url: Of the server.
        mark: What the project is found by that the oracle is about to create; "" where it takes one that is there.
        project: The number of the project on that server, None until it is created.
        created: When it was, as the server says: a project of the same number elsewhere is another one.
    """

    name = "channel"
    oracle: str
    url: str
    mark: str = ""
    project: int | None = None
    created: str = ""


@dataclass(frozen=True, kw_only=True)
class PseudoLabelsEvent(Event):
    """The pseudo-labels of a round: answers of the model that chose, for the fit of that round.

    Attributes:
        round: Of the fit.
        ids: Of the examples.
        targets: What the model said of each.
        weight: Of each in the loss, where a label has 1.
        threshold: What decided, in the policy's own unit.
    """

    name = "pseudo"
    round: int
    ids: list[str]
    targets: list[Target]
    weight: float
    threshold: float = 0.0


@dataclass(frozen=True, kw_only=True)
class TraceEvent(Event):
    """What the stopping rules of a round came to, in ledgers of format 1; ``MetricsEvent.rules`` holds it now."""

    name = "trace"
    round: int
    rules: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class NoteEvent(Event):
    """A sentence that the user should read."""

    name = "note"
    text: str


@dataclass(frozen=True, kw_only=True)
class StoppedEvent(Event):
    """The end of a run.

    Attributes:
        why: In a sentence.
        read_test: Whether test labels decided it.
    """

    name = "stopped"
    why: str
    read_test: bool = False


#: All events by name.
EVENTS: Mapping[str, type[Event]] = {
    kind.name: kind
    for kind in (
        ConfigEvent,
        PoolEvent,
        AuditEvent,
        InquiryEvent,
        QueryEvent,
        OverflowEvent,
        LabelEvent,
        SkipEvent,
        OpinionEvent,
        RemovedEvent,
        SuspectsEvent,
        ChannelEvent,
        PseudoLabelsEvent,
        MetricsEvent,
        RemeasuredEvent,
        FinishedEvent,
        TraceEvent,
        NoteEvent,
        SignalEvent,
        DraftsEvent,
        StoppedEvent,
    )
}


def read_event(values: Mapping[str, Any]) -> Event:
    """Return the event that an object holds.

    Raises:
        ValueError: It holds none, with the reason.
    """
    name = values.get("event")
    if not isinstance(name, str) or name not in EVENTS:
        raise ValueError(f"it holds no event that this version knows ({name!r})")
    return EVENTS[name].from_json(values)
