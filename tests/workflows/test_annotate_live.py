"""What passes between the process that holds the ledger and the one that trains."""

import threading
from collections.abc import Callable
from multiprocessing import Pipe
from pathlib import Path

import pytest

from dal_nlp import UserError
from dal_nlp.annotation.answer_store import AnswerStore
from dal_nlp.ledger.ledger import Ledger, read_state
from dal_nlp.page.given import PageAnswer
from dal_nlp.page.queue import AnnotationQueue
from dal_nlp.workflows.annotate_live import Followed, Training
from tests.ledgers import event


class Beside(Training):
    """The side of the process that holds the ledger, without a process that trains."""

    def __init__(self, queue: AnnotationQueue) -> None:
        self._queue = queue
        self._line, self.line = Pipe()
        threading.Thread(target=self._serve, daemon=True).start()


def test_events_go_there_and_answers_come_along(waiting: Callable[[str], Path]) -> None:
    folder = waiting("sentiment") / "run"
    with Ledger(folder) as ledger:
        queue = AnnotationQueue(AnswerStore(folder, ledger.state, ledger), ledger)
        with Followed(folder, Beside(queue).line) as followed:
            assert followed.state == ledger.state
            ids = list(ledger.state.waiting)
            queue.answer("anna", "tab-of-anna", PageAnswer(ids[0], "positive"))
            assert not followed.state.answers  # never within a step
            followed.append(event("note", {"text": "hello"}))
            assert followed.state.answers == {ids[0]: "positive"} and followed.state.notes[-1] == "hello"
            rest = threading.Timer(
                0, lambda: [queue.answer("ben", "tab-of-ben", PageAnswer(id, "negative")) for id in ids[1:]]
            )
            rest.start()
            followed.wait(ids)
            assert set(followed.state.answers) == set(ids)
            rest.join()
        assert read_state(folder) == ledger.state


def test_what_cannot_be_written_or_read_ends_the_run_with_a_sentence(
    waiting: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = waiting("sentiment") / "run"
    with Ledger(folder) as ledger:
        queue = AnnotationQueue(AnswerStore(folder, ledger.state, ledger), ledger)
        with Followed(folder, Beside(queue).line) as followed:

            def full(events: object) -> None:
                raise UserError("The disk is full.")

            with monkeypatch.context() as patched:
                patched.setattr(ledger, "extend", full)
                with pytest.raises(UserError, match="The disk is full"):
                    followed.append(event("note", {"text": "hello"}))
            with monkeypatch.context() as patched:
                patched.setattr(AnnotationQueue, "wait", lambda *_: (folder / "gone").stat().st_size)
                with pytest.raises(UserError, match="No such file"):
                    followed.wait([])
            followed.append(event("note", {"text": "and on"}))
            assert ledger.state.notes[-1] == "and on"
