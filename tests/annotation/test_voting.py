"""Several people and one example."""

from typing import Any

import pytest

from dal_nlp.annotation import Label, Origin, Skip
from dal_nlp.annotation.voting import (
    assign,
    conflicts,
    in_conflict,
    is_new,
    record,
    voters,
)
from dal_nlp.ledger.answer_events import MAJORITY
from dal_nlp.ledger.events import OpinionEvent, read_event
from dal_nlp.ledger.state import State
from dal_nlp.ledger.votes import majority
from dal_nlp.session.config import RunConfig

IDS = [f"e{i}" for i in range(30)]


def config(*names: str, overlap: Any = 0.0) -> RunConfig:
    return RunConfig(task="sentiment", data="pool.csv", test="test.csv", annotators=names or None, overlap=overlap)


def asked(ids: list[str] = IDS) -> State:
    state = State()
    numbers = {"scores": [0.0] * len(ids), "texts": ids, "strategy": "random", "pool_seconds": 0, "choose_seconds": 0}
    state.apply(read_event({"event": "query", "round": 0, "ids": ids, "notes": {}, **numbers}))
    return state


def says(of: RunConfig, state: State, id: str, who: str, answer: str | None, final: bool = False) -> None:
    """Hand an answer in as a session would: each event is folded before the next one is asked for."""
    origin = Origin(who, "2026-01-01T00:00:00+00:00", "test", final=final)
    given = Skip(id, "unsure", origin) if answer is None else Label(id, answer, origin)
    for event in record(of, state, given):
        state.apply(event.event(0))


@pytest.mark.parametrize("overlap", ["10%", 0.1, "0.1"])
def test_a_share_goes_to_everybody_and_the_rest_is_dealt_out(overlap: object) -> None:
    of = config("a", "b", "c", overlap=overlap)
    assigned = assign(of, IDS, 0)
    shared = set.intersection(*map(set, assigned.values()))
    assert len(shared) == 3  # 0.1 x 30 is no more than that
    assert sorted(id for ids in assigned.values() for id in ids if id not in shared) == sorted(set(IDS) - shared)
    assert {len(ids) for ids in assigned.values()} == {12}
    assert all(ids == [id for id in IDS if id in ids] for ids in assigned.values())
    assert assign(of, IDS, 0) == assigned and assign(of, IDS, 1) != assigned
    assert assign(config(), IDS, 0) == {}


def test_one_person_decides_and_may_change_their_mind() -> None:
    of, state = config(), asked()
    says(of, state, "e0", "anna", "good")
    says(of, state, "e0", "anna", "bad")
    assert state.answers == {"e0": "bad"}
    says(of, state, "e0", "anna", None)
    assert not state.answers and state.skipped == {"e0": "unsure"}
    says(of, state, "e0", "ben", "good")  # a refusal is nobody's word against another's
    assert state.answers == {"e0": "good"} and not state.skipped


def test_after_a_removal_everybody_may_say_the_same_again() -> None:
    of, state = config("anna", "ben", overlap="100%"), asked()
    for who in ("anna", "ben"):
        says(of, state, "e0", who, "good")
    state.apply(read_event({"event": "removed", "id": "e0", "by": "judge", "whose": None}))

    def again(who: str, via: str) -> bool:
        return is_new(state, Label("e0", "good", Origin(who, "", via)))

    assert again("anna", "sheet") and again("ben", "sheet")
    assert not again("anna", "test")  # a file that has not changed says nothing new
    says(of, state, "e0", "anna", "good")
    assert again("ben", "sheet") and not again("anna", "sheet")


def test_a_word_against_a_label_that_nobody_signs_is_a_dispute() -> None:
    of, state = config(), asked()
    state.apply(read_event({"event": "label", "round": 0, "id": "e0", "target": "good"}))
    says(of, state, "e0", "ben", "good")
    assert conflicts(of, state) == []
    says(of, state, "e0", "ben", "bad")
    assert conflicts(of, state) == ["e0"] and state.answers == {"e0": "good"}


def test_what_another_person_has_answered_is_disputed_and_not_overwritten() -> None:
    of, state = config(), asked()
    says(of, state, "e0", "anna", "good")
    says(of, state, "e0", "ben", "bad")
    assert state.answers == {"e0": "good"} and conflicts(of, state) == ["e0"]
    says(of, state, "e0", "carl", "good")
    assert conflicts(of, state) == []  # two of three
    says(of, state, "e0", "dora", "bad")
    says(of, state, "e0", "eve", "bad")
    assert conflicts(of, state) == ["e0"] and state.answers == {"e0": "good"}
    says(of, state, "e0", "judge", "bad", final=True)
    assert conflicts(of, state) == [] and state.answers == {"e0": "bad"}
    says(of, state, "e0", "anna", "good")  # later than the last word
    assert conflicts(of, state) == ["e0"] and state.answers == {"e0": "bad"}


def test_a_shared_example_waits_for_all_and_the_majority_counts() -> None:
    of, state = config("a", "b", "c", overlap=1), asked()
    says(of, state, "e0", "a", "good")
    says(of, state, "e0", "b", "bad")
    assert not state.answers and not in_conflict(of, state, "e0")
    says(of, state, "e0", "c", "good")
    assert state.answers == {"e0": "good"}
    settled = state.decision("e0")
    assert settled is not None and settled.by == MAJORITY
    assert [event.by for event in state.given["e0"]] == ["a", "b", "c", MAJORITY]
    says(of, state, "e0", "c", "bad")
    assert state.answers == {"e0": "bad"}  # the majority is another one now
    assert voters(of, state, "e0") == ["a", "b", "c"]


def test_a_tie_is_for_somebody_else_and_refusals_do_not_vote() -> None:
    of, state = config("a", "b", overlap=1), asked()
    says(of, state, "e0", "a", "good")
    says(of, state, "e0", "b", "bad")
    assert conflicts(of, state) == ["e0"] and state.waiting == IDS
    for id, answer in (("e1", "good"), ("e2", None)):
        says(of, state, id, "a", None)
        says(of, state, id, "b", answer)
    assert state.answers == {"e1": "good"} and state.skipped == {"e2": "unsure"}


def test_the_winner_has_more_than_half() -> None:
    def winner(*labels: str) -> Any:
        found = majority({str(i): OpinionEvent(id="e0", target=label) for i, label in enumerate(labels)})
        return found and found.target

    assert winner("x", "y", "x") == "x"
    assert winner("x", "y") is None
    assert winner("x", "y", "z") is None


def test_taking_back_ones_own_answer_leaves_the_others() -> None:
    of, state = config("a", "b", overlap=1), asked()
    says(of, state, "e0", "a", "good")
    says(of, state, "e0", "b", "good")
    state.apply(read_event({"event": "removed", "id": "e0", "by": "a", "whose": "a"}))
    assert list(state.opinions["e0"]) == ["b"] and "e0" not in state.answers
    says(of, state, "e0", "a", "good")
    assert state.answers == {"e0": "good"}


def test_a_file_that_is_read_again_says_nothing_new() -> None:
    state = asked()

    def label(answer: str, by: str = "anna", via: str = "sheet.csv") -> Label:
        return Label("e0", answer, Origin(by, "", via))

    def give(answer: Label) -> None:
        state.apply(answer.event(0))

    assert is_new(state, label("good"))
    give(label("good"))
    assert not is_new(state, label("good")) and is_new(state, label("bad"))
    give(label("bad", via="terminal"))
    assert not is_new(state, label("good"))  # the sheet has not changed since
    assert not is_new(state, label("bad")) and is_new(state, label("bad", by="ben", via="other.csv"))
    state.apply(read_event({"event": "removed", "id": "e0", "by": "ben"}))
    assert not is_new(state, label("good")) and is_new(state, label("good", via="new.csv"))
