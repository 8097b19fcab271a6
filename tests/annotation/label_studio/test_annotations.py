"""What the oracle makes of annotations: skips, corrections, wrong marks, several people, and spoilt ones."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dal_nlp.annotation.answer_store import open_answer_store
from dal_nlp.annotation.label_studio.client import Annotation
from tests.annotation.label_studio.stub import ANNA, BEN, FakeServer, answering, results, run
from tests.listening import Listening
from tests.waiting_runs import events, gold, state


def test_skips_corrections_and_what_is_no_answer(tmp_path: Path) -> None:
    server, heard = FakeServer(), Listening()

    def person(there: FakeServer) -> None:
        if there.looks == 1:
            for task, result in zip(there.there, [[], [], [{"from_name": "answer"}], []], strict=True):
                there.annotate(task, result, cancelled=task is there.there[0])
            there.change(there.there[1]["annotations"][0], results("sentiment", there.ids()[1]))
        elif there.looks == 3:
            for task in there.there[2:]:
                there.change(task["annotations"][0], results("sentiment", task["data"]["dal_nlp_id"]))

    server.person = person
    end = run(server, "sentiment", tmp_path, heard=heard, rounds=0)
    first, *others = server.ids()
    assert end.labels == {id: gold("sentiment")[id] for id in others}
    assert state(tmp_path).skipped == {first: "skipped by the annotator"}
    wrong = [text for text in heard.said if "no answer" in text]
    assert wrong == [
        f"Label Studio, task {i}: an annotation holds no answer: give one, or skip the task." for i in (3, 4)
    ]
    assert not end.remarks


WRONG: dict[str, tuple[Callable[[str], dict[str, Any]], str]] = {
    "ner": (
        lambda text: {"start": 0, "end": 2, "text": text[:2], "labels": ["good"]},
        r"Label Studio, task 1: the entity .* cuts the word .*: mark whole words\.",
    ),
    "qa": (
        lambda text: {"start": 0, "end": 3, "text": "not there", "labels": ["answer"]},
        r".*task 1: it has a span whose text is not at its place.*",
    ),
}


@pytest.mark.parametrize("task", WRONG)
def test_a_wrong_mark_is_said_and_the_rest_is_kept(tmp_path: Path, task: str) -> None:
    server, heard, (mark, said) = FakeServer(), Listening(), WRONG[task]

    def person(there: FakeServer) -> None:
        if there.looks == 1:
            value = mark(there.there[0]["data"].get("tokens", ""))
            there.annotate(there.there[0], [{"from_name": "answer", "value": value}])
            answering(task, 3)(there)
        elif there.looks == 3:
            assert len(state(tmp_path).answers) == 3  # it waits for the one, and has written down the others
            there.change(there.there[0]["annotations"][0], results(task, there.ids()[0]))

    server.person = person
    end = run(server, task, tmp_path, heard=heard, rounds=0)
    assert end.labels == {id: gold(task)[id] for id in server.ids()}
    assert len([text for text in heard.said if re.fullmatch(said, text, re.DOTALL)]) == 1


def test_offsets_in_utf_16_are_read(tmp_path: Path) -> None:
    from dal_nlp.annotation.label_studio.format import interface, read_results
    from tests import tiny

    task, context = tiny.qa_task(), "\U0001f600 <b>the</b> film & \U0001f3ac a cast"
    row = {"id": "x", "question": "?", "context": context}
    start = context.index("cast")
    value = {"start": start + 2, "end": start + 6, "text": "cast", "labels": ["answer"]}
    said = read_results(task, [{"from_name": "answer", "value": value}], row)
    assert task.answer_format.parse_answer(said, row) == {"text": ["cast"], "answer_start": [start]}
    assert "<Text" in interface(task)


def test_a_correction_in_an_old_round_is_read_and_counted_once(tmp_path: Path) -> None:
    server = FakeServer(answering("sentiment", 4))
    end = run(server, "sentiment", tmp_path)
    (id, *_) = server.ids()
    other = {"negative": "positive", "positive": "negative"}[end.labels[id]]
    server.change(server.there[0]["annotations"][0], results("sentiment", id, {id: other}))
    for _ in range(2):
        again = run(server, "sentiment", tmp_path)
        assert again.labels[id] == other and "Changed after the last fit: 1 answer" in again.remarks[0]
    assert len(events(tmp_path, "label")) == 9


def test_a_later_answer_elsewhere_outlives_the_annotation(tmp_path: Path) -> None:
    server = FakeServer(answering("sentiment", 4))
    end = run(server, "sentiment", tmp_path)
    (id, *_) = server.ids()
    other = {"negative": "positive", "positive": "negative"}[end.labels[id]]
    with open_answer_store(tmp_path / "run") as store:
        store.write(store.read(id, other, store.origin("ben", "relabel", final=True)))
    assert run(server, "sentiment", tmp_path).labels[id] == other


def test_two_who_agree_two_who_do_not_and_who_is_asked_alone(tmp_path: Path) -> None:
    server, heard = FakeServer(), Listening()
    both: list[str] = []

    def person(there: FakeServer) -> None:
        shared = [task for task in there.there if task["overlap"] == 2]
        if there.looks == 1:
            both.extend(task["data"]["dal_nlp_id"] for task in shared)
            answering("sentiment", 4, 1)(there)
            there.annotate(shared[0], results("sentiment", both[0]), 2)
            there.annotate(shared[1], results("sentiment", both[1], wrong), 2)
        elif there.looks == 4:
            there.change(shared[1]["annotations"][1], results("sentiment", both[1]))

    wrong = {id: {"negative": "positive", "positive": "negative"}[label] for id, label in gold("sentiment").items()}
    server.person = person
    people: dict[str, Any] = {"annotators": [ANNA.upper(), BEN], "overlap": 0.5}
    end = run(server, "sentiment", tmp_path, heard=heard, rounds=0, **people)
    assert server.projects[42]["annotators"] == 2
    assert len(both) == 2 and end.labels == {id: gold("sentiment")[id] for id in server.ids()}
    said = {(event["id"], event["by"], event["target"]) for event in events(tmp_path, "answer")}
    assert said == {
        (id, by, label)
        for id, by, label in [
            (both[0], ANNA.upper(), gold("sentiment")[both[0]]),
            (both[0], BEN, gold("sentiment")[both[0]]),
            (both[1], ANNA.upper(), gold("sentiment")[both[1]]),
            (both[1], BEN, wrong[both[1]]),
            (both[1], BEN, gold("sentiment")[both[1]]),
        ]
    }
    assert [text for text in heard.said if "3 of 4" in text and "1 disputed: have one of the annotations" in text]


def test_of_two_annotations_of_one_person_the_later_one_counts_once(tmp_path: Path) -> None:
    server = FakeServer()

    def person(there: FakeServer) -> None:
        if there.looks == 1:
            id = there.ids()[0]
            wrong = {"negative": "positive", "positive": "negative"}[gold("sentiment")[id]]
            there.annotate(there.there[0], results("sentiment", id, {id: wrong}))
            there.annotate(there.there[0], results("sentiment", id))
        elif there.looks == 3:
            answering("sentiment", 4)(there)

    server.person = person
    end = run(server, "sentiment", tmp_path, rounds=0)
    id = server.ids()[0]
    assert end.labels[id] == gold("sentiment")[id]
    assert len([event for event in events(tmp_path, "label") if event["id"] == id]) == 2


def test_a_correction_that_comes_while_others_are_awaited_is_in_the_fit(tmp_path: Path) -> None:
    server = FakeServer()
    wrong: dict[str, str] = {}

    def person(there: FakeServer) -> None:
        id = there.ids()[0]
        if there.looks == 1:
            wrong[id] = {"negative": "positive", "positive": "negative"}[gold("sentiment")[id]]
            there.annotate(there.there[0], results("sentiment", id, wrong))
        elif there.looks == 2:
            there.change(there.there[0]["annotations"][0], results("sentiment", id))
            answering("sentiment", 3)(there)

    server.person = person
    end = run(server, "sentiment", tmp_path, rounds=0)
    assert end.labels == {id: gold("sentiment")[id] for id in server.ids()}
    assert not end.remarks  # nothing was changed after the fit


RIGHT = {"id": 1, "completed_by": 1, "updated_at": "2026-01-01T00:00:00Z", "was_cancelled": False, "result": []}
ODD = (None, "nonsense", [], [[]], {}, -1, 10**30, "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", math.nan)


@pytest.mark.parametrize("key", RIGHT)
def test_an_annotation_is_read_or_refused_in_words(key: str) -> None:
    with pytest.raises(ValueError, match=f"{key}: Field required"):
        Annotation.of({name: value for name, value in RIGHT.items() if name != key})
    for value in ODD:
        try:
            assert Annotation.of({**RIGHT, key: value}).id is not None
        except ValueError as error:
            assert str(error).startswith("an annotation is not as Label Studio writes it")


@pytest.mark.parametrize("values", [None, 1, [], "x"])
def test_what_is_no_annotation_at_all_is_refused_in_words(values: Any) -> None:
    with pytest.raises(ValueError, match="not as Label Studio writes it"):
        Annotation.of(values)


def test_a_spoilt_annotation_is_said_once_and_ends_nothing(tmp_path: Path) -> None:
    def person(server: FakeServer) -> None:
        if server.looks == 1:
            answering("sentiment", 4)(server)
        for task, key in zip(server.there, ("updated_at", "result", "was_cancelled", "completed_by"), strict=False):
            if server.looks == 1:
                del task["annotations"][0][key]
            elif server.looks == 3:
                task["annotations"].clear()
                server.annotate(task, results("sentiment", task["data"]["dal_nlp_id"]))

    heard = Listening()
    end = run(FakeServer(person), "sentiment", tmp_path, rounds=0, heard=heard)
    assert end.stopped and len(end.labels) == 4
    assert end.labels == {id: gold("sentiment")[id] for id in end.labels}
    said = [text for text in heard.said if "not as Label Studio writes it" in text]
    assert len([text for text in said if "updated_at: Field required" in text]) == 1


def test_who_signs_may_be_spelt_out(tmp_path: Path) -> None:
    def person(server: FakeServer) -> None:
        for task in server.there:
            if not task["annotations"]:
                made = server.annotate(task, results("sentiment", task["data"]["dal_nlp_id"]))
                made["completed_by"] = {"id": 7, "email": "carl@example.org"}

    run(FakeServer(person), "sentiment", tmp_path, rounds=0)
    assert {event["by"] for event in events(tmp_path, "label")} == {"carl@example.org"}
