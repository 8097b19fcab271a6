"""Several people at one run at the same time: answers, tabs, disputes, refusals, lists, rounds, and who is told."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dal_nlp import UserError
from dal_nlp.annotation.answers import Origin
from dal_nlp.ledger.ledger import read_state
from dal_nlp.page.given import PageAnswer
from dal_nlp.page.queue import PATIENCE, REMEMBERED, AnnotationQueue
from tests import waiting_runs as asking
from tests.ledgers import event
from tests.page.rooms import A, B, Clock, room_of, shown

Waiting = Callable[[str], Path]


@pytest.fixture
def roomy(waiting: Waiting) -> Path:
    """The same run as `folder`, with a budget for remainders."""
    place = waiting("sentiment")
    asking.run("sentiment", place, rounds=9)
    return place / "run"


def kinds(folder: Path, id: str) -> list[str]:
    return [event.name for event in read_state(folder).given.get(id, [])]


def with_remainder(queue: AnnotationQueue, ids: list[str]) -> None:
    values = {"ids": ids, "scores": [0.0] * len(ids), "texts": ids, "strategy": "random"}
    queue.append(
        [event("remainder", {"round": 0, "pool_seconds": 0.0, "choose_seconds": 0.0, "guesses": [], **values})]
    )


def test_an_answer_is_on_the_disk_when_it_returns_and_the_next_text_follows(folder: Path) -> None:
    with room_of(folder) as queue:
        ids = queue.store.state.waiting
        for id in ids:
            assert shown(queue, "anna", A) == id
            assert shown(queue, "anna", A) == id  # a page that is loaded again
            assert queue.answer("anna", A, PageAnswer(id, "positive")) == {"disputed": False, "wanted": True}
            event = read_state(folder).given[id][-1]
            assert (event.name, event.target, event.by, event.via) == ("label", "positive", "anna", "page")
        assert queue.next("anna", A) is None


@pytest.mark.parametrize(
    ("labels", "shown"), [(["0", "1"], [["0", "0"], ["1", "1"]]), (["bad", "1"], [["1", "bad"], ["2", "1"]])]
)
def test_labels_have_the_numbers_that_they_have_in_the_terminal(
    folder: Path, labels: list[str], shown: list[tuple[str, str]]
) -> None:
    with room_of(folder) as queue:
        queue.store.task.labels = labels
        assert queue.views.about()["widget"]["data"]["labels"] == shown


def test_two_tabs_look_at_two_texts_until_one_is_left_alone(folder: Path) -> None:
    clock = Clock()
    with room_of(folder, clock) as queue:
        first, second = queue.store.state.waiting[:2]
        assert shown(queue, "anna", A) == first and shown(queue, "ben", B) == second
        clock.now = PATIENCE - 1
        queue.progress("anna", A, active=True)
        queue.progress("ben", B, active=False)
        clock.now = PATIENCE + 1
        assert shown(queue, "cem", "tab-of-cem") == second  # ben has gone, anna has not


def test_the_same_answer_counts_once_and_a_late_repetition_takes_nothing_back(folder: Path) -> None:
    with room_of(folder) as queue:
        id = shown(queue, "anna", A)
        for _ in range(3):
            queue.answer("anna", A, PageAnswer(id, "positive", request="one"))
        queue.answer("anna", A, PageAnswer(id, "positive", request="the same again"))
        assert kinds(folder, id) == ["label"]
        queue.answer("anna", A, PageAnswer(id, "negative", request="two"))
        for late in ("one", "the same again"):  # from another tab
            queue.answer("anna", A, PageAnswer(id, "positive", request=late))
        assert read_state(folder).answers[id] == "negative" and kinds(folder, id) == ["label", "label"]
        for number in range(REMEMBERED + 2):
            queue._remember(str(number), id)
        assert len(queue._requests) == REMEMBERED


def test_two_people_on_one_text_are_a_dispute_that_anybody_settles(folder: Path) -> None:
    with room_of(folder) as queue:
        id = shown(queue, "anna", A)
        queue.answer("anna", A, PageAnswer(id, "positive"))
        assert queue.answer("ben", B, PageAnswer(id, "negative")) == {"disputed": True, "wanted": True}
        assert read_state(folder).answers[id] == "positive" and queue.progress("ben", B, False)["labels"] == 1
        (row,) = queue.disputes()
        assert row["id"] == id and {one["by"]: one["typed"] for one in row["said"]} == {
            "anna": "positive",
            "ben": "negative",
        }
        assert queue.open("cem", B, id)["said"] == row["said"]
        assert queue.answer("cem", B, PageAnswer(id, "negative", final=True)) == {"disputed": False, "wanted": True}
        assert queue.disputes() == [] and read_state(folder).answers[id] == "negative"
        with pytest.raises(UserError, match="not disputed"):
            queue.open("cem", B, id)


def test_what_no_round_could_learn_from_is_not_taken(roomy: Path) -> None:
    with room_of(roomy) as queue:
        ids = list(queue.store.state.waiting)
        rest = [row["id"] for row in asking.rows_of("sentiment", 24) if row["id"] not in ids]
        with_remainder(queue, rest)
        queue.store.config.budget = 4 + 2 + 4  # two of the overflow, and a whole round
        for id in (*ids, *rest[:2]):
            assert queue.answer("anna", A, PageAnswer(id, "positive"))["wanted"]
        assert queue.next("anna", A) is None
        for stale in rest[2:]:
            assert queue.answer("anna", A, PageAnswer(stale, "positive")) == {"disputed": False, "wanted": False}
        assert queue.store.state.spent == 6
        assert queue.answer("anna", A, PageAnswer(rest[0], "negative"))["wanted"]  # a correction
        queue.append([event("stopped", {"why": "enough", "read_test": False})])
        queue.store.config.budget = 1000
        assert not queue.answer("anna", A, PageAnswer(rest[5], "positive"))["wanted"]


def test_who_leaves_lets_others_have_the_text(folder: Path) -> None:
    with room_of(folder) as queue:
        first = shown(queue, "anna", A)
        assert shown(queue, "ben", B) != first
        queue.leave(A)
        queue.leave(B)
        assert shown(queue, "ben", B) == first


def test_names_ids_and_answers_that_cannot_be_right_leave_no_trace(folder: Path) -> None:
    with room_of(folder) as queue:
        id = shown(queue, "anna", A)
        size = queue.store.folder.joinpath("ledger.jsonl").stat().st_size
        for who in ("", " ", " anna", "a\x00b", "a\u202eb", "a\ud800", "majority", "x" * 61, "a\nb"):
            with pytest.raises(UserError, match="A name has 1 to 60 letters"):
                queue.answer(who, A, PageAnswer(id, "positive"))
        for wrong, sentence in [
            ("positve", "did you mean"),
            ("x" * 200_000, "200,000"),
            ("\ud800", "surrogate"),
            ("", "none of"),
        ]:
            with pytest.raises(UserError, match=sentence):
                queue.answer("anna", A, PageAnswer(id, wrong))
        for note in ("\ud800", "\x1b[2J", "a\u202eb"):
            with pytest.raises(UserError, match="A note holds letters"):
                queue.answer("anna", A, PageAnswer(id, refusal="skip", note=note))
        with pytest.raises(UserError, match="has not asked about"):
            queue.answer("anna", A, PageAnswer("../../etc/passwd", "positive"))
        with pytest.raises(UserError, match="not disputed, and 'anna' has not answered it"):
            queue.open("anna", A, id)
        assert queue.store.folder.joinpath("ledger.jsonl").stat().st_size == size
        assert shown(queue, "Ana Íñigo 王", B)  # a name is what people are called


def test_refusals_and_notes(folder: Path) -> None:
    with room_of(folder) as queue:
        first, second = queue.store.state.waiting[:2]
        queue.answer("anna", A, PageAnswer(first, refusal="unsure", note=" hm "))
        queue.answer("anna", A, PageAnswer(second, "positive"))
        queue.answer("anna", A, PageAnswer(second, "positive", note="sure"))
        state = read_state(folder)
        assert "unsure" in state.skipped[first] and state.given[first][-1].note == "hm"
        assert [event.note for event in state.given[second]] == ["", "sure"]
        assert queue.open("anna", A, second)["note"] == "sure"


@pytest.fixture
def suggesting(waiting: Waiting) -> Path:
    """A run in its second round, in which people are shown what the model answers."""
    place = waiting("sentiment")
    asking.fill(place / "run" / "queries" / "round-000.csv", asking.typed("sentiment"))
    asking.run("sentiment", place, suggest=True)
    return place / "run"


def test_a_list_of_one_suggested_label_is_accepted_text_by_text(suggesting: Path) -> None:
    with room_of(suggesting) as queue:
        assert queue.views.about()["lists"]
        waiting_ids = list(queue.store.state.waiting)
        first = queue.suggested("anna", A)
        assert sum(count for _, count in first["groups"]) == len(waiting_ids) == 4
        label, rows = first["label"], [row["id"] for row in first["rows"]]
        assert len(rows) == dict(first["groups"])[label] and all(0 <= row["confidence"] <= 1 for row in first["rows"])
        other = queue.suggested("ben", B)  # what somebody lists is given to nobody else
        assert not set(rows) & {row["id"] for row in other["rows"]} and label not in dict(other["groups"])
        assert queue.accept("anna", A, rows[:1], "request-1") == {"written": 1, "left_out": 0}
        assert queue.accept("anna", A, rows[:1], "request-1") == {"written": 0, "left_out": 0}  # it is sent again
        event = read_state(suggesting).given[rows[0]][-1]
        assert (event.name, event.target, event.by, event.via) == ("label", label, "anna", "page list")
        assert event.suggested is not None and event.suggested["target"] == label
        assert read_state(suggesting).answers.keys() & waiting_ids == {rows[0]}
        queue.answer("ben", B, PageAnswer(rows[-1], "negative"))
        if len(rows) > 1:
            assert queue.accept("anna", A, rows, "request-2")["left_out"] == 1  # her own; ben's is no vote of hers
        with pytest.raises(UserError, match="an old one"):
            queue.accept("anna", A, [next(iter(set(waiting_ids) - set(rows)), "s0-999")], "request-3")
        queue.next("anna", A)
        with pytest.raises(UserError, match="an old one"):
            queue.accept("anna", A, rows[:1], "request-4")
        assert queue.undo("anna", A)


def test_nothing_is_listed_where_people_see_no_suggestions(roomy: Path) -> None:
    with room_of(roomy) as queue:
        assert not queue.views.about()["lists"]
        assert queue.suggested("anna", A) == {"label": "", "groups": [], "rows": []}


def test_earlier_answers_are_found_by_letters_and_by_label(folder: Path) -> None:
    with room_of(folder) as queue:
        first, second, third, _ = queue.store.state.waiting
        queue.answer("anna", A, PageAnswer(first, "positive", note="Odd one"))
        queue.answer("anna", A, PageAnswer(second, "negative"))
        queue.answer("anna", A, PageAnswer(third, refusal="skip"))

        def found(find: str = "", label: str = "") -> list[str]:
            return [row["id"] for row in queue.mine("anna", find, label)]

        assert found() == [third, second, first]
        assert found("oDD") == found(label="positive") == [first]
        assert found(label="skip") == [third] and found(label="negative") == [second]
        word = queue.store.example(second)["text"].split()[-1]
        assert second in found(word.upper()) and found("there is no such word") == []
        assert found("Odd", "negative") == [] and queue.mine("ben") == []


def test_the_pace_is_that_of_the_answers(folder: Path) -> None:
    with room_of(folder) as queue:
        ids = queue.store.state.waiting
        for id, second in zip(ids[:4], (0, 30, 60, 90), strict=True):
            origin = Origin("anna", f"2026-01-31T12:0{second // 60}:{second % 60:02}+00:00", "page")
            progress = queue.progress("anna", A, False)
            queue.store.write(queue.store.read(id, "positive", origin))
        assert progress["seconds_each"] is None and progress["seconds_left"] is None
        progress = queue.progress("anna", A, False)
        assert progress["seconds_each"] == 30 and progress["seconds_left"] == 0
        assert queue.progress("ben", B, False)["seconds_each"] is None


def test_named_annotators_get_their_part_and_the_overlap(waiting: Waiting, tmp_path: Path) -> None:
    place = waiting("sentiment")
    asking.run("sentiment", place, annotators=["anna", "ben"], overlap=0.5, rounds=9)
    with room_of(place / "run") as queue:
        assert queue.views.about()["annotators"] == ["anna", "ben"]
        with pytest.raises(UserError, match="is no annotator"):
            queue.next("cem", A)
        ids = queue.store.state.waiting
        rest = [row["id"] for row in asking.rows_of("sentiment", 24) if row["id"] not in ids][:4]
        with_remainder(queue, rest)
        got: dict[str, list[str]] = {"anna": [], "ben": []}
        for who, mine in got.items():
            while (item := queue.next(who, who)) is not None:
                mine.append(item["id"])
                queue.answer(who, who, PageAnswer(item["id"], "positive"))
        assert len(set(got["anna"]) & set(got["ben"])) == 2  # half of the four
        assert set(got["anna"]) | set(got["ben"]) == {*ids, *rest}
        assert not set(got["anna"][-2:]) & set(got["ben"][-2:])  # an overflow is dealt to one each
        assert sorted(queue.store.state.prefetched) == sorted(rest) and len(queue.store.state.answers) == 8


def test_a_finished_round_is_followed_by_its_remainder(roomy: Path) -> None:
    with room_of(roomy) as queue:
        ids = list(queue.store.state.waiting)
        rest = [row["id"] for row in asking.rows_of("sentiment", 24) if row["id"] not in ids][:3]
        with_remainder(queue, rest)
        for id in [*ids, *rest]:
            assert shown(queue, "anna", A) == id
            queue.answer("anna", A, PageAnswer(id, "positive"))
        assert queue.next("anna", A) is None
        told = queue.progress("anna", A, False)
        assert (told["done"], told["batch"], told["labels"], told["mine"]) == (4, 4, 7, 7)
        assert queue.store.why(rest[0]) == "after round 0, random" and queue.store.round_of(rest[0]) == 0
        assert queue.store.state.prefetched == rest


def test_who_trains_is_told_once_all_answers_are_there(folder: Path) -> None:
    with room_of(folder) as queue:
        ids = list(queue.store.state.waiting)
        told: list[int] = []
        waits = threading.Thread(target=lambda: told.append(queue.wait(ids)), daemon=True)
        waits.start()
        for id in ids:
            assert not told
            queue.answer("anna", A, PageAnswer(id, "positive"))
        waits.join(10)
        assert told == [queue.store.folder.joinpath("ledger.jsonl").stat().st_size]
        queue.say("Round 0")
        queue.fail("The disk is full.")
        told_all = queue.progress("anna", A, False)
        assert (told_all["said"], told_all["trouble"], told_all["learning"]) == ("Round 0", "The disk is full.", False)


def test_many_people_at_once_lose_nothing(roomy: Path) -> None:
    with room_of(roomy) as queue:
        ids = list(queue.store.state.waiting)
        rest = [row["id"] for row in asking.rows_of("sentiment", 24) if row["id"] not in ids]
        with_remainder(queue, rest)

        def work(who: str) -> None:
            while (item := queue.next(who, who)) is not None:
                queue.answer(who, who, PageAnswer(item["id"], "positive"))

        people = [threading.Thread(target=work, args=(f"person {number}",)) for number in range(20)]
        for person in people:
            person.start()
        for person in people:
            person.join()
        state = read_state(roomy)
        assert set(state.answers) == {*ids, *rest} and all(len(events) == 1 for events in state.given.values())


@pytest.mark.parametrize("task", ["qa", "summarization"])
def test_answers_with_a_place_and_texts(waiting: Waiting, task: str) -> None:
    place = waiting(task)
    gold, typed = asking.gold(task), asking.typed(task)
    with room_of(place / "run") as queue:
        assert queue.views.about()["widget"]["name"] == {"qa": "span", "summarization": "text"}[task]
        for id in list(queue.store.state.waiting):
            assert shown(queue, "anna", A) == id
            queue.answer("anna", A, PageAnswer(id, typed[id]))
            before = queue.open("anna", A, id)["answer"]
            if task == "qa" and gold[id]["text"]:
                context = queue.store.example(id)["context"]
                assert context[before["start"] : before["end"]] == gold[id]["text"][0]
            assert before["typed"] == typed[id]
        assert {id: gold[id] for id in queue.store.state.answers} == queue.store.state.answers
