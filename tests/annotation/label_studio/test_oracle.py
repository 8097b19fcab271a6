"""People who answer in Label Studio: what the oracle asks of a server, and what it makes of its answers."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dal_nlp.annotation import make_oracle
from dal_nlp.annotation.answer_store import open_answer_store
from dal_nlp.annotation.label_studio.client import Annotation
from dal_nlp.core.errors import UserError
from tests import waiting_runs as asking
from tests.annotation.label_studio.stub import ANNA, BEN, FakeServer, Interrupted, answering, results, run
from tests.listening import Listening
from tests.waiting_runs import events, gold, state


@pytest.mark.parametrize("task", asking.TASKS)
def test_a_run_to_the_end(tmp_path: Path, task: str) -> None:
    server, heard = FakeServer(answering(task)), Listening()
    end = run(server, task, tmp_path, heard=heard)
    assert end.stopped and not end.pending and not end.remarks
    assert end.labels == {id: gold(task)[id] for id in end.labels} and len(end.labels) == 8
    assert server.ids() == [id for query in state(tmp_path).queries for id in query.ids]
    (channel,) = {event["project"] for event in events(tmp_path, "channel") if event["project"]}
    assert channel == 42 and server.projects[42]["annotators"] == 1
    counts = [text for text in heard.said if "answered in Label Studio" in text]
    assert counts[:2] == [
        "0 of 4 answered in Label Studio, http://studio:8080/projects/42",
        "1 of 4 answered in Label Studio, http://studio:8080/projects/42",
    ]
    assert len(counts) == 10
    kept = events(tmp_path, "label")[0]
    assert (kept["by"], kept["via"]) == (ANNA, "label-studio 1") and kept["at"].startswith("2026-01-01T00:00:0")


def test_what_a_task_holds(tmp_path: Path) -> None:
    server = FakeServer(answering("sentiment", 4))
    run(server, "sentiment", tmp_path, suggest=True)
    first, later = server.there[1], server.there[5]
    query = state(tmp_path).queries[1]
    ours = {name: value for name, value in later["data"].items() if name != "text"}
    assert ours == {
        "dal_nlp_id": query.ids[1],
        "dal_nlp_times": "1",
        "dal_nlp_round": 1,
        "dal_nlp_rank": 2,
        "dal_nlp_score": query.scores[1],
        "dal_nlp_why": "random, rank 2 of 4",
    }
    texts = {row["id"]: row["text"] for row in asking.rows_of("sentiment", 24)}
    assert later["data"]["text"] == texts[query.ids[1]]
    assert first["predictions"] == []  # in round 0 nothing was learnt
    (prediction,) = later["predictions"]
    guess = query.predictions[1]
    assert (prediction["model_version"], prediction["score"]) == ("dal-nlp", guess["confidence"])
    assert prediction["result"][0]["value"] == {"choices": [guess["target"]]}
    label = next(event for event in events(tmp_path, "label") if event["id"] == query.ids[1])
    assert label["suggested"]["target"] == guess["target"]


def test_without_suggest_nothing_is_suggested(tmp_path: Path) -> None:
    server = FakeServer(answering("sentiment", 4))
    run(server, "sentiment", tmp_path)
    assert not any(task["predictions"] for task in server.there)
    assert [event["suggested"] for event in events(tmp_path, "label")] == [None] * 8


@pytest.mark.parametrize(
    "where", ["after create", "push", "after push", "share out", "tasks", "dead after create", "dead after push"]
)
def test_a_server_or_a_run_that_dies_makes_nothing_twice(tmp_path: Path, where: str) -> None:
    server, heard = FakeServer(answering("sentiment"), down=[where]), Listening()
    people: dict[str, Any] = {"annotators": [ANNA, BEN], "overlap": 0.5} if where == "share out" else {}
    if people:
        server.person = lambda there: [answering("sentiment", 1, by)(there) for by in (1, 2)] and None
    if where.startswith("dead"):
        with pytest.raises(Interrupted):
            run(server, "sentiment", tmp_path)
    end = run(server, "sentiment", tmp_path, heard=heard, **people)
    assert end.stopped and not server.down
    assert len(server.projects) == 1 and len(set(server.ids())) == len(server.ids()) == 8
    assert len(events(tmp_path, "label")) == 8
    if not where.startswith("dead"):
        away = [text for text in heard.said if "does not answer" in text or "is back" in text]
        assert away == [
            "Label Studio does not answer at http://studio:8080 (connection refused): waiting until it does.",
            "Label Studio is back.",
        ]


def test_a_run_that_is_interrupted_at_any_look_goes_on(tmp_path: Path) -> None:
    server = FakeServer()

    def person(there: FakeServer) -> None:
        answering("sentiment")(there)
        if there.looks % 2:
            raise Interrupted

    server.person = person
    for _ in range(20):
        try:
            end = run(server, "sentiment", tmp_path)
        except Interrupted:
            continue
        break
    assert end.stopped and end.labels == {id: gold("sentiment")[id] for id in end.labels}
    assert len(server.ids()) == len(set(server.ids())) == len(events(tmp_path, "label")) == 8
    assert len(server.projects) == 1


def test_the_instruction_of_a_project_holds_the_guidelines(tmp_path: Path) -> None:
    server = FakeServer()
    server.person = answering("sentiment")
    run(server, "sentiment", tmp_path, guidelines="Only the *food* <b>counts</b>.", descriptions={"negative": "Poor."})
    (project,) = server.projects.values()
    assert "<em>food</em> &lt;b&gt;counts" in project["instruction"] and "<dd>Poor.</dd>" in project["instruction"]


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


def test_what_was_removed_is_put_as_a_new_task(tmp_path: Path) -> None:
    server = FakeServer()

    def person(there: FakeServer) -> None:
        if there.looks > 1:
            raise Interrupted
        answering("sentiment", 2)(there)

    server.person = person
    with pytest.raises(Interrupted):
        run(server, "sentiment", tmp_path)
    (id, *_) = server.ids()
    with open_answer_store(tmp_path / "run") as store:
        store.remove(id, "ben", "relabel")
    server.person = answering("sentiment", 4)
    end = run(server, "sentiment", tmp_path, rounds=0)
    assert end.labels[id] == gold("sentiment")[id]
    assert sorted(server.ids()) == sorted([*end.labels, id]) and len(server.there) == 5


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


def test_tasks_that_are_not_ours_are_left_alone(tmp_path: Path) -> None:
    server = FakeServer(answering("sentiment", 4))
    project = server.create("theirs", "", "<View></View>", 1, "")
    server.push(42, [{"data": {"text": "theirs"}}, {"data": {"dal_nlp_id": "nobody", "text": "theirs"}}])
    for task in server.there:
        server.annotate(task, results("sentiment", "s0-0"))
    end = run(server, "sentiment", tmp_path, project=project.number)
    assert len(end.labels) == 8 and len(server.there) == 10 and len(server.projects) == 1
    assert end.remarks == ["Left alone in http://studio:8080/projects/42, as not of this run: 2 tasks."]
    assert "<Choices" in server.projects[42]["interface"]  # it had none
    assert len(run(server, "sentiment", tmp_path).labels) == 8  # it is known without its number, too


def test_columns_and_labels_that_label_studio_would_misread(tmp_path: Path) -> None:
    from xml.etree import ElementTree

    from dal_nlp.annotation.label_studio.format import data, interface
    from dal_nlp.tasks.classification import Classification

    labels = ['<script>alert("1")</script>', "a & b", "\U0001f600 'x'", "$text"]
    task = Classification(columns=["a.b", "dal_nlp_id"], labels=labels)
    names = [element.get("value", "") for element in ElementTree.fromstring(interface(task)).iter("Text")]
    assert names == ["$dal_nlp_text0", "$dal_nlp_text1"]
    choices = [element.get("value") for element in ElementTree.fromstring(interface(task)).iter("Choice")]
    assert choices == labels
    shown = data(task, {"id": "=1", "text": "one", "pair": "<b>two</b>"})
    assert shown == {"dal_nlp_id": "=1", "dal_nlp_text0": "one", "dal_nlp_text1": "<b>two</b>"}


def change(server: FakeServer, **values: Any) -> None:
    server.projects[42].update(values)


@pytest.mark.parametrize(
    ("mend", "part"),
    [
        (lambda server: server.projects.clear(), "has no project 42 that your account may see"),
        (
            lambda server: change(server, created="2020-01-01T00:00:00+00:00"),
            "is another one than the run has asked in",
        ),
        (
            lambda server: change(server, interface='<View><Text name="about" value="$text"/></View>'),
            "The labeling interface of project 42 has no Choice negative",
        ),
        (
            lambda server: server.down.append("people"),
            "does not answer at http://studio:8080 (connection refused): start",
        ),
    ],
)
def test_a_project_that_cannot_be_used_is_a_sentence(tmp_path: Path, mend: Any, part: str) -> None:
    server = FakeServer(answering("sentiment", 4))
    run(server, "sentiment", tmp_path)
    mend(server)
    with pytest.raises(UserError) as error:
        run(server, "sentiment", tmp_path)
    assert part in str(error.value)


def test_an_annotator_without_an_account_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--annotators carl has no account in Label Studio.*anna@example.org"):
        run(FakeServer(), "sentiment", tmp_path, annotators=[ANNA, "carl"])


@pytest.mark.parametrize(
    "name", ["label-studio:", "label-studio:x", "label-studio:0", "label-studio:-1", "label-studio:" + "1" * 5000]
)
def test_a_number_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="names no project: give its number, such as label-studio:42"):
        make_oracle(name)


def test_the_server_needs_its_sdk_an_address_and_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from dal_nlp.annotation.label_studio.client import SdkServer

    monkeypatch.setitem(sys.modules, "label_studio_sdk", None)
    with pytest.raises(UserError, match=r"needs label-studio-sdk: pip install 'dal-nlp\[label-studio\]'\."):
        SdkServer()


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
