"""People at one queue of a run, without a server: two tabs, a clock that stands, and what is shown."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dal_nlp.annotation.answer_store import AnswerStore
from dal_nlp.ledger.ledger import Ledger
from dal_nlp.page.queue import AnnotationQueue

A, B = "tab-of-anna", "tab-of-ben"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def room_of(folder: Path, clock: Callable[[], float] | None = None) -> Iterator[AnnotationQueue]:
    with Ledger(folder) as ledger:
        yield AnnotationQueue(AnswerStore(folder, ledger.state, ledger), ledger, clock or Clock())


def shown(queue: AnnotationQueue, who: str, tab: str) -> str:
    item = queue.next(who, tab)
    assert item is not None
    return str(item["id"])
