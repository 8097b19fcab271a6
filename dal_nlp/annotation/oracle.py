"""Who answers: the seam between the loop and the people, or the file, that know the labels."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from dal_nlp.annotation.answers import Answer, Channel, Label, Opinion, Origin, Query, Skip
from dal_nlp.core.targets import Target
from dal_nlp.ledger.state import State

if TYPE_CHECKING:
    from dal_nlp.core.config import Settings
    from dal_nlp.core.progress import Progress
    from dal_nlp.core.task import Example, Task

__all__ = ["Answer", "Channel", "Label", "Opinion", "Oracle", "Origin", "Query", "Setting", "Skip"]


@dataclass(frozen=True)
class Setting:
    """The facts that an oracle may know of the run it answers for.

    Attributes:
        folder: The run folder.
        config: Of the run.
        task: Reads and writes answers.
        state: What has happened; to be read only.
        answers: The answers that the run's files hold, by id.
        example: Returns the fields of an example of the pool by its id.
        progress: Where an oracle that waits says what for.
    """

    folder: Path
    config: "Settings"
    task: "Task"
    state: State
    answers: Mapping[str, Target]
    example: Callable[[str], "Example"]
    progress: "Progress"


class Oracle(ABC):
    """Whoever answers queries, one by one.

    ``label`` is an iterator so that each answer is on the disk before the next is asked for. Answers that it does not
    give stay pending: the run stops, and the same command asks again.

    Attributes:
        from_file: Whether the answers come from the run's own labeled file; rows without one are then no candidates.
        prefetch_limit: How many further examples are chosen with each round, for people who go on with them while a
            model trains; their answers come by the ledger (see ``State.prefetched``).

    Example:
        >>> from dal_nlp import Label, Oracle, Query, Skip
        >>> class Words(Oracle):
        ...     def label(self, queries):
        ...         for query in queries:
        ...             yield Label(query.id, "positive") if "good" in query.text else Skip(query.id, "no idea")
        >>> list(Words().label([Query("e1", "a good film")]))
        [Label(id='e1', target='positive', origin=None)]
        >>> from dal_nlp.testing import check_oracle
        >>> check_oracle(Words())
    """

    from_file: ClassVar[bool] = False
    prefetch_limit: int = 0

    def open(self, setting: Setting) -> None:  # noqa: B027 - most oracles have no use for it
        """Take up what there is to know of the run; called once, before the first query."""

    @abstractmethod
    def label(self, queries: Sequence[Query]) -> Iterator[Answer | Channel]:
        """Yield an answer to each query that can be answered now, in any order.

        A later answer to an earlier query corrects it. A ``Channel`` is written down likewise.
        """

    def remarks(self, pending: Sequence[str]) -> list[str]:
        """Return what to say to the user when a run stops, in sentences: what is missing, and what to do about it."""
        if not pending:
            return []
        return [f"Answers still missing: {len(pending):,}. The same command goes on once they are there."]
