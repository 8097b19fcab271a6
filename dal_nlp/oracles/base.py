"""Who answers: the seam between the loop and the people, or the file, that know the labels."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from dal_nlp.ledger import Target


@dataclass(frozen=True)
class Query:
    """One question: the example's id and what an annotator reads."""

    id: str
    text: str


@dataclass(frozen=True)
class Label:
    """An answer."""

    id: str
    target: Target


@dataclass(frozen=True)
class Skip:
    """A refusal to answer, with the reason; the example is never asked about again."""

    id: str
    reason: str


class Oracle(ABC):
    """Answers queries one by one.

    ``label`` is an iterator so that each answer is on the disk before the next is asked for. Answers that it does not
    give stay pending: the run stops, and the same command asks again.

    Attributes:
        from_file: Whether the answers come from the run's own labelled file; rows without one are then no candidates.
    """

    from_file: ClassVar[bool] = False

    def open(self, answers: Mapping[str, Target]) -> None:  # noqa: B027 - most oracles have no use for them
        """Take up the answers that the run's files hold, by id; called once, before the first query."""

    @abstractmethod
    def label(self, queries: Sequence[Query]) -> Iterator[Label | Skip]:
        """Yield an answer to each query that can be answered now, in any order."""
