"""A run for services: its queries come as an asynchronous iterator, while it computes in a thread."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from queue import SimpleQueue

from dal_nlp.annotation.oracle import Answer, Label, Oracle, Origin, Query, Setting, Skip
from dal_nlp.core.errors import DalNlpError, UserError
from dal_nlp.core.progress import Progress
from dal_nlp.core.targets import Target
from dal_nlp.ledger.events import AnswerEvent, Event
from dal_nlp.session.config import RunConfig
from dal_nlp.session.loop import Session
from dal_nlp.session.result import Result


class AsyncSession:
    """A run whose queries are iterated over, and answered in any order, from an event loop.

    All queries of a round come at once, the next ones when all of these are answered and the model is trained. Answers
    are in the ledger before the next step, as in every run. Where the iteration ends early, or its task is cancelled,
    the run ends after the step it is in; the same configuration with the same ``out`` then goes on.

    Args:
        config: What to run.
        progress: Where the run is shown; nowhere if left out.

    Attributes:
        result: What came out; None until the iteration has come to its end.

    Example:
        >>> from dal_nlp import AsyncSession, RunConfig
        >>> async def label(config: RunConfig) -> None:
        ...     session = AsyncSession(config)
        ...     async for query in session.queries():
        ...         session.answer(query.id, "positive" if "good" in query.text else "negative")
        ...     print(session.result)
    """

    def __init__(self, config: RunConfig, progress: Progress | None = None) -> None:
        self.config, self._progress = config, progress
        self.result: Result | None = None
        self._bridge: _Bridge | None = None

    async def queries(self) -> AsyncIterator[Query]:
        """Yield each query as soon as it is known; close the iterator (``contextlib.aclosing``) to end the run early.

        Raises:
            UserError: See ``Session.run``.
        """
        loop, queue = asyncio.get_running_loop(), asyncio.Queue[Query | None]()
        self._bridge = bridge = _Bridge(lambda query: loop.call_soon_threadsafe(queue.put_nowait, query))
        session = Session(self.config, oracle=bridge, progress=self._progress, on_event=bridge.check)
        running = asyncio.ensure_future(asyncio.to_thread(session.run))
        running.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            while (query := await queue.get()) is not None:
                yield query
            self.result = await running
        finally:
            bridge.close()
            with suppress(_Closed):  # the step under way is waited for: the run folder is free then
                await asyncio.shield(running)

    def answer(self, id: str, target: Target, origin: Origin | None = None) -> None:
        """Answer the query of an example; the task's own form of answers, see ``Label``.

        Raises:
            UserError: It was not asked about, or cannot have that answer; the run goes on, and the query is still open.
        """
        self._give(Label(id, target, origin))

    def skip(self, id: str, reason: str, origin: Origin | None = None) -> None:
        """Leave an example without an answer; it is not asked about again. Raises as ``answer`` does."""
        self._give(Skip(id, reason, origin))

    def _give(self, answer: Answer) -> None:
        if self._bridge is None:
            raise RuntimeError("Nothing is asked yet: iterate over queries() first.")
        self._bridge.give(answer)


class _Closed(DalNlpError):
    """The end of a run whose queries nobody listens to any more."""


class _Bridge(Oracle):
    """An oracle that hands its queries to another thread and waits for the answers from there.

    Args:
        hand: Takes each query.
    """

    def __init__(self, hand: Callable[[Query], object]) -> None:
        self._hand = hand
        self._answers: SimpleQueue[Answer | None] = SimpleQueue()
        self._setting: Setting | None = None
        self._closed = False

    def open(self, setting: Setting) -> None:
        """Keep what tells whether an answer can be used."""
        self._setting = setting

    def label(self, queries: Sequence[Query]) -> Iterator[Answer]:
        """Yield answers as they come, until there is one to each query or nobody listens; what was given is kept."""
        open_ids = {query.id for query in queries}
        for query in queries:
            self._hand(query)
        while open_ids and (answer := self._answers.get()) is not None:
            open_ids.discard(answer.id)
            yield answer
        if open_ids:
            self._answers.put(None)  # nobody listens the next time either

    def give(self, answer: Answer) -> None:
        """Take an answer, from any thread; raises ``UserError`` for one that would end the run."""
        setting = self._setting
        if setting is None or answer.id not in setting.state.ever_asked:
            raise UserError(f"{answer.id!r} was not asked about: answer queries of this run.")
        if isinstance(answer, Label):
            try:
                setting.task.check(answer.target, setting.example(answer.id))
            except ValueError as error:
                raise UserError(f"The answer to {answer.id!r} cannot be used: {str(error).rstrip('.')}.") from None
        self._answers.put(answer)

    def close(self) -> None:
        """End the waiting."""
        self._closed = True
        self._answers.put(None)

    def check(self, event: Event) -> None:
        """End the run where nobody listens; called after each event. Answers were given before that: all are kept."""
        if self._closed and not isinstance(event, AnswerEvent):
            raise _Closed("Nobody listens to the queries any more.")
