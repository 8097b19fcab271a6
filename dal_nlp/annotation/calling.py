"""Any callable as an oracle."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from inspect import isroutine
from typing import Any

from dal_nlp.annotation.oracle import Answer, Label, Opinion, Oracle, Origin, Query, Setting, Skip
from dal_nlp.annotation.parsing import now, read_answer
from dal_nlp.core.errors import UserError

#: The channel of its answers.
VIA = "python"

#: A callable that answers a query as a person would type it ("skip" and "unsure" too), with a target, a ``Label`` or a
#: ``Skip``; None leaves it unanswered for now.
Answerer = Callable[[Query], Any]


class Calling(Oracle):
    """Asks a callable, one query after the other.

    Args:
        answerer: See ``Answerer``; answers are signed with the name of the function, or of the object's class.
    """

    def __init__(self, answerer: Answerer) -> None:
        self._answerer = answerer
        self._name = answerer.__name__ if isroutine(answerer) else type(answerer).__name__

    def open(self, setting: Setting) -> None:
        """Keep what reads answers."""
        self._setting = setting

    def label(self, queries: Sequence[Query]) -> Iterator[Answer]:
        """Yield what the callable says of each query; raises ``UserError`` for what is no answer to it."""
        for query in queries:
            said = self._answerer(query)
            if said is not None:
                yield self._answer(query, said)

    def _answer(self, query: Query, said: Any) -> Answer:
        origin = Origin(self._name, now(), VIA)
        if isinstance(said, Opinion):
            return said if said.answer.origin else Opinion(replace(said.answer, origin=origin))
        if isinstance(said, Label | Skip):
            return said if said.origin else replace(said, origin=origin)
        if not isinstance(said, str):
            return Label(query.id, said, origin)
        try:
            return read_answer(self._setting.task, said, self._setting.example(query.id), origin)
        except ValueError as error:
            raise UserError(f"The answer to {query.id!r} cannot be used: {str(error).rstrip('.')}.") from None
