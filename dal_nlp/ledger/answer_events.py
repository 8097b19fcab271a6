"""What all events have in common, and the events of answers: what people, or a simulation, say of an example."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, Self

from pydantic import ConfigDict, TypeAdapter, ValidationError

from dal_nlp.core.targets import Target

#: Who signs what several people's answers come to.
MAJORITY = "majority"
#: The channel of answers that a machine gave.
MACHINE = "machine"
#: The channel of answers that a person gave to many texts at once, in a list on the page.
LISTED = "page list"
#: The channel of answers that a callable of the caller's own gave, whoever is behind it.
FUNCTION = "python"


def answer_key(target: Target, reason: str | None) -> str:
    """Return what two equal answers share: of the target, or of the reason why there is none."""
    return json.dumps(target, ensure_ascii=False, sort_keys=True) if reason is None else f"skip {reason}"


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened in a run.

    Attributes:
        name: What the ledger calls the kind of event.
        keys: What the ledger calls a field, where that is another name than the field's.
        format: The first format of ledgers that has the kind of event: a version that reads earlier ones alone then
            says so, in place of calling the line damaged.
    """

    name: ClassVar[str]
    format: ClassVar[int] = 2
    keys: ClassVar[Mapping[str, str]] = {}
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``from_json`` reads, without what is the default of its field."""
        defaults = _kind(type(self)).defaults
        whole = self.as_dict().items()
        kept = {name: value for name, value in whole if name not in defaults or value != defaults[name]}
        return {self.keys.get(name, name): value for name, value in kept.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the event of this kind that an object holds.

        Raises:
            ValueError: It holds none, with the reason.
        """
        names = {key: name for name, key in cls.keys.items()}
        by_field = {names.get(key, key): value for key, value in values.items() if key != "event"}
        try:
            event: Self = _kind(cls).adapter.validate_python(by_field)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            what = f"{'.'.join(map(str, first['loc']))}, {first['msg'].lower()}"
            raise ValueError(f"its {cls.name!r} event is not as one is: {what}") from None
        return event

    def as_dict(self) -> dict[str, Any]:
        """Return the name under "event" and all fields, also those that ``to_json`` leaves out."""
        return {"event": self.name} | {name: getattr(self, name) for name in _kind(type(self)).names}


@dataclass(frozen=True)
class _Kind:
    """The names of the fields of a class of events, the defaults of those that have one, and what reads its JSON."""

    names: tuple[str, ...]
    defaults: Mapping[str, Any]
    adapter: TypeAdapter[Any]


_kinds: dict[type[Event], _Kind] = {}


def _kind(of: type[Event]) -> _Kind:
    if of not in _kinds:
        plain = {item.name: item.default for item in fields(of) if item.default is not MISSING}
        made = {item.name: item.default_factory() for item in fields(of) if item.default_factory is not MISSING}
        _kinds[of] = _Kind(tuple(item.name for item in fields(of)), plain | made, TypeAdapter(of))
    return _kinds[of]


@dataclass(frozen=True, kw_only=True)
class AnswerEvent(Event):
    """An answer to an example, or a refusal with its reason; it decides unless it is an ``OpinionEvent``.

    Attributes:
        id: Of the example.
        round: That asked about it; None for the audit sample.
        target: The answer.
        reason: Why there is none; None where there is one.
        by: Who gave it; "" for the file of a simulation.
        at: When, in ISO 8601 and UTC.
        via: The channel: "terminal", or the name of a file.
        suggested: What the annotator was shown as the model's answer: {"target", "confidence", "round"}, and
            "by" where a machine has drafted it.
        note: What the annotator wrote beside it.
        final: Whether it settles the matter, whatever others have answered.
        request: What the page called the request that brought it.
    """

    name: ClassVar[str] = ""
    id: str
    round: int | None = None
    target: Target = None
    reason: str | None = None
    by: str = ""
    at: str = ""
    via: str = ""
    suggested: dict[str, Any] | None = None
    note: str = ""
    final: bool = False
    request: str = ""

    @property
    def answered(self) -> bool:
        """Whether there is a target, and not a reason."""
        return self.reason is None

    @property
    def signed(self) -> bool:
        """Whether it is one answerer's own: not what several people's answers come to, and not a machine's."""
        return self.by not in ("", MAJORITY) and self.via != MACHINE

    @property
    def of_person(self) -> bool:
        """Whether it is known to be a person's own."""
        return self.signed and self.via != FUNCTION

    @property
    def key(self) -> str:
        """What two events with the same answer share."""
        return answer_key(self.target, self.reason)


@dataclass(frozen=True, kw_only=True)
class LabelEvent(AnswerEvent):
    """An answer that decides on an example; a later one corrects it."""

    name = "label"
    target: Target = field()
    reason: None = None


@dataclass(frozen=True, kw_only=True)
class SkipEvent(AnswerEvent):
    """A refusal that decides on an example, which is not asked about again."""

    name = "skip"
    target: None = None
    reason: str = field()


@dataclass(frozen=True, kw_only=True)
class OpinionEvent(AnswerEvent):
    """One of several people's answers to an example: it is kept, and decides nothing alone."""

    name = "answer"


@dataclass(frozen=True, kw_only=True)
class RemovedEvent(Event):
    """The removal of what one annotator, or everybody, has answered to an example, and of what that decided.

    Attributes:
        id: Of the example.
        by: Who removed it.
        at: When, in ISO 8601 and UTC.
        via: The channel.
        whose: The annotator; None for everybody.
        request: What the page called the request that brought it.
    """

    name = "removed"
    id: str
    by: str = ""
    at: str = ""
    via: str = ""
    whose: str | None = None
    request: str = ""


@dataclass(frozen=True, kw_only=True)
class SignalEvent(Event):
    """What a machine said of some texts.

    Attributes:
        signal: Its name.
        on: The set that they are of: "pool", "test", ...
        answers: By id {"key" (what stands for machine, prompt and text), "log_probs" (of each label, None: no answer),
            "raw", "tokens_in", "tokens_out", "cost"}.
    """

    name = "signal"
    signal: str
    on: str = "pool"
    answers: dict[str, dict[str, Any]]

    def by_key(self) -> dict[str, dict[str, Any]]:
        """Return the answers by what stands for the question, each with the "id" of its text."""
        return {answer["key"]: {**answer, "id": id} for id, answer in self.answers.items()}
