"""A run folder as people work on it between two starts of the run: what to answer, and how it is written down."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dal_nlp.annotation.answers import Answer, Label, Origin, Skip
from dal_nlp.annotation.parsing import back_in_the_pool, now, read_answer, suggested
from dal_nlp.annotation.voting import Disputes, assigned, record, resolve
from dal_nlp.core.config import Settings
from dal_nlp.core.errors import UserError, nearest
from dal_nlp.core.task import Task
from dal_nlp.ledger.events import AnswerEvent, RemovedEvent, SuspectsEvent
from dal_nlp.ledger.ledger import Ledger
from dal_nlp.ledger.state import State, stored_settings
from dal_nlp.tasks import make_task

if TYPE_CHECKING:
    from dal_nlp.data.hashing import PoolCopy

#: The channel of an earlier decision that is put back in its place.
UNDO = "undo"
#: Examples that are kept once they were read from the disk, which takes milliseconds.
KEPT = 4096


class AnswerStore:
    """What the ledger and the pool of a run folder say about its answers; with a ``Ledger``, answers are written there.

    Args:
        folder: The run folder.
        state: Of its ledger.
        ledger: Open for writing; None for looking only.

    Attributes:
        config: Of the run, as far as it concerns reading and answering.
        task: With the labels of the run.

    Raises:
        UserError: The run has not begun.
    """

    def __init__(self, folder: Path, state: State, ledger: Ledger | None = None) -> None:
        self.folder, self.state, self._ledger = folder, state, ledger
        self.config: Settings = stored_settings(folder, state)
        self.task: Task = make_task(self.config)
        self.task.labels = list(state.labels)

        self._disputes = Disputes(self.config, state)
        self._example = lru_cache(KEPT)(lambda id: self._pool.example(id))
        self._read_ahead: dict[str, dict[str, Any]] = {}

    @cached_property
    def _pool(self) -> "PoolCopy":
        from dal_nlp.data.hashing import PoolCopy  # and numpy, which what shows no text need not wait for

        return PoolCopy(self.folder)

    def example(self, id: str) -> dict[str, Any]:
        """Return the fields of an example of the pool; to be read only, as the next reader gets the same."""
        return self._read_ahead.get(id) or self._example(id)

    def read_ahead(self, ids: Collection[str]) -> None:
        """Read many examples that are wanted soon, which takes far less time than one after the other."""
        self._read_ahead |= self._pool.examples(ids)

    def require(self, id: str) -> None:
        """Raise ``UserError`` for an id that was never asked about, or whose label was taken back for good."""
        asked_ids = self.state.ever_asked
        if id not in asked_ids:
            raise UserError(f"{self.folder} has not asked about {id!r}{nearest(id, asked_ids)}.")
        if not self.state.asks(id):
            raise UserError(f"{back_in_the_pool(id)}.")

    def round_of(self, id: str) -> int | None:
        """Return the last round that asked about an example, None for the audit sample."""
        return self.state.asked_by(id)

    def why(self, id: str) -> str:
        """Return why an example was chosen."""
        round = self.round_of(id)
        if round is None:
            return "drawn at random, to measure on"
        if id in self.state.overflow(round):
            return f"after round {round}, {self.state.overflows[round].strategy}"
        return f"in round {round}, {self.state.queries[round].strategy}"

    def queue(self, who: str) -> list[str]:
        """Return what one person has still to answer, the best first: what is disputed waits for somebody else.

        Raises:
            UserError: The run names its annotators, and this is none of them.
        """
        return self._left_to(who, self.state.waiting)

    def line(self, who: str) -> list[str]:
        """Return ``queue``, and what one person may go on with after it, while others answer or a model trains.

        That is the first round while the audit sample is answered, and then the overflow of the last round.

        Raises:
            UserError: See ``queue``.
        """
        state, round = self.state, len(self.state.queries) - 1
        rest = state.overflow(round) if self._prefetch_limit() else []
        more = [] if state.stopped else state.pending([*state.asked.get(round, []), *rest])
        return self._left_to(who, list(dict.fromkeys([*state.waiting, *more])))

    def _left_to(self, who: str, ids: Sequence[str]) -> list[str]:
        """Return those of some open questions that are one person's to answer."""
        names, disputed = self.config.annotators, set(self.disputed())
        if names and who not in names:
            raise UserError(f"{who!r} is no annotator of this run{nearest(who, names)}: --as {' or '.join(names)}.")
        mine = set(assigned(self.config, self.state, self.state.asked)[who] if names else ids)
        return [id for id in ids if id in mine and id not in disputed and who not in self.state.opinions.get(id, ())]

    def wants(self, id: str) -> bool:
        """Tell whether an answer has a use: not one to an overflow that no round could learn from any more."""
        state = self.state
        is_asked = state.query_of(id) is not None or id in (state.audit or [])
        return is_asked or not state.pending([id]) or self._prefetch_limit() > 0

    def _prefetch_limit(self) -> int:
        config = self.config
        return self.state.prefetch_limit(config.budget or 0, config.rounds or 0, config.query_size)

    def disputed(self) -> list[str]:
        """Return what people disagree about, what the run waits for first."""
        return self._disputes.ids()

    def suspects(self) -> list[str]:
        """Return the labels that the last search took for errors and that nobody has looked at since."""
        events = self.state.given
        return [
            row["id"]
            for row in self.state.suspects
            if row["id"] in self.state.answers and len(events[row["id"]]) == row["answers"]
        ]

    def suggestion(self, id: str) -> dict[str, Any] | None:
        """Return what a model says of an example: the one that suspects its label, else the one that chose it."""
        return next((row for row in self.state.suspects if row["id"] == id), None) or self.state.suggestion(id)

    def read(self, id: str, text: str, origin: Origin) -> Label | Skip:
        """Return what was typed as an answer; raises ``ValueError`` with the reason."""
        return read_answer(self.task, text, self.example(id), origin)

    def origin(
        self,
        who: str,
        via: str,
        shown: dict[str, Any] | None = None,
        final: bool = False,
        note: str = "",
        request: str = "",
    ) -> Origin:
        """Return where an answer that is given now comes from."""
        return Origin(who, now(), via, suggested(shown), note, final, request)

    def write(self, answer: Label | Skip) -> None:
        """Write an answer down, with what it decides; it is on the disk when this returns."""
        for event in record(self.config, self.state, answer):
            self.append(event)

    def append(self, answer: Answer) -> None:
        """Write one event down."""
        assert self._ledger is not None
        self._ledger.append(answer.event(self.round_of(answer.id)))

    def remove(self, id: str, who: str, via: str, whose: str | None = None, request: str = "") -> None:
        """Take back what one person, or everybody, has answered, and what that decided; others' answers count then."""
        assert self._ledger is not None
        self._ledger.append(RemovedEvent(id=id, by=who, at=now(), via=via, whose=whose, request=request))
        for answer in resolve(self.config, self.state, id):
            self.append(answer)

    def restore(self, id: str, before: AnswerEvent, request: str = "") -> None:
        """Put an earlier decision back in its place."""
        # Nobody signs what comes from the labeled file.
        origin = self.origin(before.by, UNDO, final=before.final, request=request) if before.by else None
        self.append(_answer(before, origin))

    def note_suspects(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write down which labels may be wrong."""
        assert self._ledger is not None
        self._ledger.append(SuspectsEvent(rows=[dict(row) for row in rows]))

    def changes(self, answer: Label | Skip) -> bool:
        """Tell whether an answer is another one than what stands."""
        standing = self.state.decision(answer.id)
        return standing is None or answer.key != standing.key


def _answer(event: AnswerEvent, origin: Origin | None) -> Label | Skip:
    if event.reason is None:
        return Label(event.id, event.target, origin)
    return Skip(event.id, event.reason, origin)


@contextmanager
def open_answer_store(folder: Path) -> Iterator[AnswerStore]:
    """Open a run folder for answers; raises ``UserError`` where there is none, ``Locked`` while the run is going."""
    if not (folder / "ledger.jsonl").is_file():
        raise UserError(f"{folder} is not a run folder: it has no ledger.jsonl.")
    with Ledger(folder) as ledger:
        yield AnswerStore(folder, ledger.state, ledger)
