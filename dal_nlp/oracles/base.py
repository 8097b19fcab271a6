"""Who answers: the seam between the loop and the people, or the file, that know the labels."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from dal_nlp.ledger import Event, State, Target

if TYPE_CHECKING:
    from dal_nlp.config import RunConfig
    from dal_nlp.tasks.base import Example, Task


@dataclass(frozen=True)
class Query:
    """One question.

    Attributes:
        id: Of the example.
        text: What an annotator reads.
        round: Of the question; None for the audit sample.
        why: Why the example was chosen, in words; "" where nobody knows.
        score: The strategy's, None for the audit sample.
        suggestion: What the model that chose would answer: {"target", "confidence", "round"}, the last one of the
            model; None where it has learnt nothing yet.
    """

    id: str
    text: str
    round: int | None = None
    why: str = ""
    score: float | None = None
    suggestion: dict[str, Any] | None = None


@dataclass(frozen=True)
class Origin:
    """Where an answer comes from.

    Attributes:
        by: Who gave it.
        at: When, in ISO 8601 and UTC.
        via: The channel: "terminal", or the name of a file.
        suggested: What the annotator was shown as the model's suggestion (see ``Query``), None for nothing.
        note: What the annotator wrote beside it.
        final: Whether it settles the matter, whatever others have answered.
    """

    by: str
    at: str
    via: str
    suggested: dict[str, Any] | None = None
    note: str = ""
    final: bool = False

    def values(self) -> Event:
        """Return what the ledger keeps: what is not empty."""
        return {name: value for name, value in asdict(self).items() if value}


@dataclass(frozen=True)
class Label:
    """An answer."""

    id: str
    target: Target
    origin: Origin | None = None

    def event(self) -> tuple[str, Event]:
        """Return the name and the values of the ledger's event."""
        return "label", {"id": self.id, "target": self.target, **_of(self.origin)}


@dataclass(frozen=True)
class Skip:
    """A refusal to answer, with the reason; the example is not asked about again."""

    id: str
    reason: str
    origin: Origin | None = None

    def event(self) -> tuple[str, Event]:
        """Return the name and the values of the ledger's event."""
        return "skip", {"id": self.id, "reason": self.reason, **_of(self.origin)}


@dataclass(frozen=True)
class Opinion:
    """One of several people's answers to an example: it is kept, and decides nothing alone."""

    answer: Label | Skip

    @property
    def id(self) -> str:
        """The example's id."""
        return self.answer.id

    def event(self) -> tuple[str, Event]:
        """Return the name and the values of the ledger's event."""
        return "answer", self.answer.event()[1]


Answer = Label | Skip | Opinion


def _of(origin: Origin | None) -> Event:
    return origin.values() if origin else {}


@dataclass(frozen=True)
class Setting:
    """What an oracle may know of the run it answers for.

    Attributes:
        folder: The run folder.
        config: Of the run.
        task: Reads and writes answers.
        state: What has happened; to be read only.
        answers: The answers that the run's files hold, by id.
        example: Returns the fields of an example of the pool by its id.
    """

    folder: Path
    config: "RunConfig"
    task: "Task"
    state: State
    answers: Mapping[str, Target]
    example: Callable[[str], "Example"]


class Oracle(ABC):
    """Answers queries one by one.

    ``label`` is an iterator so that each answer is on the disk before the next is asked for. Answers that it does not
    give stay pending: the run stops, and the same command asks again.

    Attributes:
        from_file: Whether the answers come from the run's own labelled file; rows without one are then no candidates.
    """

    from_file: ClassVar[bool] = False

    def open(self, setting: Setting) -> None:  # noqa: B027 - most oracles have no use for it
        """Take up what there is to know of the run; called once, before the first query."""

    @abstractmethod
    def label(self, queries: Sequence[Query]) -> Iterator[Answer]:
        """Yield an answer to each query that can be answered now, in any order.

        A later answer to an earlier query corrects it.
        """

    def remarks(self, pending: Sequence[str]) -> list[str]:
        """Return what to say to the user when a run stops, in sentences: what is missing, and what to do about it."""
        if not pending:
            return []
        return [f"Answers still missing: {len(pending):,}. The same command goes on once they are there."]
