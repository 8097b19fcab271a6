"""Undo on the page: what is taken back, once, and what somebody else or a model has made of it stays."""

from collections.abc import Callable
from pathlib import Path

from dal_nlp.ledger.ledger import read_state
from dal_nlp.page.given import PageAnswer
from tests import waiting_runs as asking
from tests.page.rooms import A, B, room_of, shown

Waiting = Callable[[str], Path]


def test_undo_takes_back_what_no_model_has_learnt(folder: Path) -> None:
    with room_of(folder) as queue:
        first, second = queue.store.state.waiting[:2]
        assert queue.undo("anna", A) is None
        for id in (first, second):
            queue.answer("anna", A, PageAnswer(id, "positive"))
        for id in (second, first):
            item = queue.undo("anna", A)
            assert item is not None and item["id"] == id and item["answer"] is None
            assert item["taken"]["typed"] == "positive"
            assert id in queue.store.state.waiting
        assert queue.undo("anna", A) is None and queue.progress("anna", A, False)["mine"] == 0


def test_undo_counts_once_however_often_it_is_sent_and_an_old_answer_stays_old(folder: Path) -> None:
    with room_of(folder) as queue:
        first, second = queue.store.state.waiting[:2]
        for id in (first, second):
            queue.answer("anna", A, PageAnswer(id, "positive", request=f"answer {id}"))
        queue.answer("anna", A, PageAnswer(second, "negative", request="correction"))
    for _ in range(2):  # the reply was lost; then the server was started again
        with room_of(folder) as queue:
            for _ in range(2):
                item = queue.undo("anna", A, "undo")
                assert item is not None and item["id"] == second
            assert set(queue.store.state.answers) == {first}
            queue.answer("anna", A, PageAnswer(second, "positive", request=f"answer {second}"))  # late, by a slow line
            assert set(queue.store.state.answers) == {first}


def test_undo_of_a_settled_dispute_brings_the_dispute_back(folder: Path) -> None:
    with room_of(folder) as queue:
        first, second = queue.store.state.waiting[:2]
        queue.answer("cem", B, PageAnswer(second, "positive"))
        queue.answer("anna", A, PageAnswer(first, "positive"))
        queue.answer("ben", B, PageAnswer(first, "negative"))
        queue.answer("cem", B, PageAnswer(first, "negative", final=True))
        item = queue.undo("cem", B)
        assert item is not None and item["id"] == first
        assert queue.store.state.answers == {first: "positive", second: "positive"}
        assert [row["id"] for row in queue.disputes()] == [first]
    with room_of(folder) as queue:  # started again
        item = queue.undo("cem", B)
        assert item is not None and item["id"] == second


def test_after_an_undo_what_somebody_else_has_said_counts(folder: Path) -> None:
    with room_of(folder) as queue:
        id = shown(queue, "anna", A)
        queue.answer("anna", A, PageAnswer(id, "positive"))
        queue.answer("ben", B, PageAnswer(id, "negative"))
        queue.undo("anna", A)
        assert read_state(folder).answers == {id: "negative"} and queue.disputes() == []


def test_undo_leaves_what_somebody_else_has_decided(folder: Path) -> None:
    with room_of(folder) as queue:
        id = shown(queue, "anna", A)
        queue.answer("ben", B, PageAnswer(id, "negative"))
        queue.answer("anna", A, PageAnswer(id, "positive"))
        assert queue.undo("anna", A) is not None
        assert read_state(folder).answers == {id: "negative"} and queue.disputes() == []


def test_what_a_model_has_learnt_is_shown_for_a_correction(waiting: Waiting) -> None:
    place = waiting("sentiment")
    with room_of(place / "run") as queue:
        ids = list(queue.store.state.waiting)
        for id in ids:
            queue.answer("anna", A, PageAnswer(id, "positive" if id != ids[0] else "negative"))
    asking.run("sentiment", place)  # trains, and asks for the next ones
    with room_of(place / "run") as queue:
        item = queue.undo("anna", A)
        assert item is not None and item["id"] == ids[-1] and item["answer"]["typed"] == "positive"
        assert ids[-1] in queue.store.state.answers  # the model has learnt from it
        queue.answer("anna", A, PageAnswer(ids[-1], "negative"))
        assert read_state(place / "run").answers[ids[-1]] == "negative"
        assert [row["id"] for row in queue.mine("anna")] == [ids[-1], *reversed(ids[:-1])]
