"""People who answer in Label Studio: the tasks and projects that the oracle makes of a run, and which it refuses."""

from pathlib import Path
from typing import Any

import pytest

from dal_nlp.annotation import make_oracle
from dal_nlp.annotation.answer_store import open_answer_store
from dal_nlp.core.errors import UserError
from tests import waiting_runs as asking
from tests.annotation.label_studio.stub import ANNA, BEN, FakeServer, Interrupted, answering, results, run
from tests.listening import Listening
from tests.waiting_runs import events, gold, state


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
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
