"""A run folder as people work on it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dal_nlp import UserError
from dal_nlp.annotation.answer_store import AnswerStore, open_answer_store
from tests.waiting_runs import state

Waiting = Callable[[str], Path]


def says(store: AnswerStore, id: str, who: str, text: str, final: bool = False) -> None:
    store.write(store.read(id, text, store.origin(who, "terminal", final=final)))


def test_the_queue_is_what_nobody_has_answered_in_the_order_of_the_round(waiting: Waiting) -> None:
    with open_answer_store(waiting("sentiment") / "run") as store:
        ids = list(store.state.queries[0].ids)
        assert store.queue("anna") == ids
        says(store, ids[1], "ben", "skip")
        says(store, ids[0], "ben", "positive")
        assert store.queue("anna") == ids[2:]
        says(store, ids[0], "anna", "negative")
        assert store.disputed() == [ids[0]] and store.queue("anna") == ids[2:]


def test_an_earlier_decision_is_put_back_as_it_was(waiting: Waiting) -> None:
    folder = waiting("sentiment")
    with open_answer_store(folder / "run") as store:
        id = store.state.waiting[0]
        says(store, id, "anna", "positive")
        says(store, id, "ben", "negative")
        before = store.state.decision(id)
        assert before is not None
        says(store, id, "judge", "negative", final=True)
        assert store.disputed() == []
        store.restore(id, before)
        assert store.state.answers == {id: "positive"} and store.disputed() == [id]
        says(store, id, "judge", "unsure", final=True)
        skip = store.state.decision(id)
        assert skip is not None
        says(store, id, "judge", "positive", final=True)
        store.restore(id, skip)
        assert not store.state.answers and store.disputed() == []
    assert len(state(folder).given[id]) == 7


def test_folders_that_are_no_runs(tmp_path: Path, waiting: Waiting) -> None:
    with pytest.raises(UserError, match="no ledger"), open_answer_store(tmp_path):
        pass
    (tmp_path / "ledger.jsonl").touch()
    with pytest.raises(UserError, match="has not begun"), open_answer_store(tmp_path):
        pass
    folder = waiting("sentiment") / "run"
    (folder / "cache" / "pool.arrow").unlink()
    with open_answer_store(folder) as store, pytest.raises(UserError, match="no copy of its pool"):
        store.example(store.state.waiting[0])
    with open_answer_store(folder) as store, pytest.raises(UserError, match="has not asked about"):
        store.require("s9")


def test_many_examples_read_ahead_are_those_read_one_by_one(waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dal_nlp.data.hashing.BLOCK", 3)  # so that they are in several
    folder = waiting("sentiment") / "run"
    one_by_one, ahead = (AnswerStore(folder, state(folder.parent)) for _ in range(2))
    ids = list(one_by_one.state.queries[0].ids)
    ahead.read_ahead([*ids, "unknown"])
    with pytest.raises(UserError, match="no usable row with the id 'unknown'"):
        ahead.example("unknown")
    (folder / "cache" / "pool.arrow").rename(folder / "cache" / "elsewhere")
    found = [ahead.example(id) for id in ids]
    (folder / "cache" / "elsewhere").rename(folder / "cache" / "pool.arrow")
    assert found == [one_by_one.example(id) for id in ids] and len(ids) > 3
