"""Questions and answers as values: what is put to an oracle, and what comes back."""

from dataclasses import asdict, dataclass
from typing import Any

from dal_nlp.core.targets import Target
from dal_nlp.ledger.events import ChannelEvent, LabelEvent, OpinionEvent, SkipEvent, answer_key


@dataclass(frozen=True)
class Query:
    """A question to an oracle.

    Attributes:
        id: Of the example.
        text: What an annotator reads.
        round: Of the question; None for the audit sample.
        why: Why the example was chosen, in words; "" where nobody knows.
        score: The strategy's, None for the audit sample.
        suggestion: What the model that chose would answer: {"target", "confidence", "round"}, the last one of the
            model; None where it has learnt nothing yet.

    Example:
        >>> Query("e1", "a good film").round is None
        True
    """

    id: str
    text: str
    round: int | None = None
    why: str = ""
    score: float | None = None
    suggestion: dict[str, Any] | None = None


@dataclass(frozen=True)
class Origin:
    """The origin of an answer.

    Attributes:
        by: Who gave it.
        at: When, in ISO 8601 and UTC.
        via: The channel: "terminal", or the name of a file.
        suggested: What the annotator was shown as the model's suggestion (see ``Query``), None for nothing.
        note: What the annotator wrote beside it.
        final: Whether it settles the matter, whatever others have answered.
        request: What the page called the request that brought it; a repetition is known by that.
    """

    by: str
    at: str
    via: str
    suggested: dict[str, Any] | None = None
    note: str = ""
    final: bool = False
    request: str = ""

    def values(self) -> dict[str, Any]:
        """Return the fields of the ledger's events."""
        return asdict(self)


@dataclass(frozen=True)
class Label:
    """An answer.

    Attributes:
        id: Of the example.
        target: The answer as the task has it: a label, {"text", "answer_start"}, a summary.
        origin: Who gave it; None where nobody is to be named.

    Example:
        >>> origin = Origin(by="anna", at="2026-01-31T12:00:00+00:00", via="terminal")
        >>> Label("e1", "positive", origin).origin.by
        'anna'
        >>> Skip("e2", "not English").reason
        'not English'
    """

    id: str
    target: Target
    origin: Origin | None = None

    @property
    def key(self) -> str:
        """What two equal answers share."""
        return answer_key(self.target, None)

    def event(self, round: int | None) -> LabelEvent:
        """Return the event of the ledger; ``round`` asked about the example, None for the audit sample."""
        return LabelEvent(id=self.id, target=self.target, round=round, **_of(self.origin))


@dataclass(frozen=True)
class Skip:
    """A refusal to answer, with the reason; the example is not asked about again."""

    id: str
    reason: str
    origin: Origin | None = None

    @property
    def key(self) -> str:
        """What two equal answers share."""
        return answer_key(None, self.reason)

    def event(self, round: int | None) -> SkipEvent:
        """Return the event of the ledger; ``round`` asked about the example, None for the audit sample."""
        return SkipEvent(id=self.id, reason=self.reason, round=round, **_of(self.origin))


@dataclass(frozen=True)
class Opinion:
    """One of several people's answers to an example: it is kept, and decides nothing alone."""

    answer: Label | Skip

    @property
    def id(self) -> str:
        """The example's id."""
        return self.answer.id

    def event(self, round: int | None) -> OpinionEvent:
        """Return the event of the ledger; ``round`` asked about the example, None for the audit sample."""
        fields = {"target": self.answer.target} if isinstance(self.answer, Label) else {"reason": self.answer.reason}
        return OpinionEvent(id=self.id, round=round, **fields, **_of(self.answer.origin))


Answer = Label | Skip | Opinion


@dataclass(frozen=True)
class Channel:
    """Where people answer outside of the run; no answer, and in the ledger because it has to outlive the run.

    Attributes:
        oracle: Which one asks there.
        url: Of the server.
        mark: What the project is found by that the oracle is about to create; "" where it takes one that is there.
        project: The number of the project on that server, None until it is created.
        created: When it was, as the server says: a project of the same number elsewhere is another one.
    """

    oracle: str
    url: str
    mark: str = ""
    project: int | None = None
    created: str = ""

    def event(self, round: int | None) -> ChannelEvent:
        """Return the event of the ledger, which belongs to no round."""
        return ChannelEvent(**asdict(self))


def _of(origin: Origin | None) -> dict[str, Any]:
    return origin.values() if origin else {}
