"""People who answer in a real Label Studio, for every task; ``make label-studio`` installs what this needs."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dal_nlp import RunConfig, Session
from dal_nlp.annotation.label_studio.client import SdkServer
from dal_nlp.annotation.label_studio.oracle import LabelStudio
from dal_nlp.core.errors import UserError
from dal_nlp.session.loop import Result
from tests import waiting_runs as asking
from tests.annotation.label_studio.process import ANNA, BEN, COMMAND, TOKEN, StudioProcess
from tests.annotation.label_studio.stub import results
from tests.waiting_runs import events, gold, state

pytestmark = [
    pytest.mark.skipif(
        not COMMAND.exists() or importlib.util.find_spec("label_studio_sdk") is None,
        reason="needs a Label Studio and its SDK: make label-studio",
    ),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # the SDK is written for an older pydantic
]
#: Seconds that a process of a run may take until what is waited for is there.
PATIENCE = 120


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioProcess]:
    server = StudioProcess(tmp_path_factory.mktemp("label-studio"))
    try:
        server.start()
        server.sign_up(BEN)
        yield server
    finally:
        server.kill()


@pytest.fixture
def server(running: StudioProcess, monkeypatch: pytest.MonkeyPatch) -> StudioProcess:
    monkeypatch.setenv("LABEL_STUDIO_URL", running.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", TOKEN)
    return running


class Person:
    """Does something each time the run says where it stands, and keeps what it said."""

    def __init__(self, act: Callable[[str], None]) -> None:
        self.said: list[str] = []
        self._act = act

    def track(self, items: Any, label: str) -> Any:
        return iter(items)

    def say(self, text: str) -> None:
        self.said.append(text)
        assert len(self.said) < 100, "the run waits for an answer that does not come"
        if "Label Studio" in text:
            self._act(text)


def run(
    task: str, folder: Path, act: Callable[[str], None] = print, oracle: str = "label-studio", **more: Any
) -> Result:
    config = RunConfig.load(flags={**asking.flags(task, folder), "oracle": oracle, **more})
    return Session(config, progress=Person(act)).run()


def project(folder: Path) -> int:
    return int(state(folder).channel.project)


def id_of(task: dict[str, Any]) -> str:
    return str(task["data"]["dal_nlp_id"])


def open_tasks(server: StudioProcess, folder: Path) -> list[dict[str, Any]]:
    return [task for task in server.tasks(project(folder)) if not task["annotations"]]


def check_end(end: Result, server: StudioProcess, folder: Path, task: str) -> None:
    """Each question was put once, and each answer is there once and as it was given."""
    assert end.stopped and not end.pending
    assert end.labels == {id: gold(task)[id] for id in end.labels} and len(end.labels) == 8
    asked = [id for query in state(folder).queries for id in query.ids]
    assert [id_of(task) for task in server.tasks(project(folder))] == asked
    assert sorted(event["id"] for event in events(folder, "label")) == sorted(asked)
    for path in (folder / "run").rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes()


@pytest.mark.parametrize("task", asking.TASKS)
def test_a_run_to_the_end(server: StudioProcess, tmp_path: Path, task: str) -> None:
    def answer(said: str) -> None:
        waiting = open_tasks(server, tmp_path)
        if waiting:  # in order, and two at a time
            assert server.first(project(tmp_path)) == waiting[0]["id"]
        for one in waiting[:2]:
            server.annotate(one["id"], results(task, id_of(one)))

    end = run(task, tmp_path, answer, suggest=True)
    check_end(end, server, tmp_path, task)
    assert not end.remarks
    there = server.tasks(project(tmp_path))
    query = state(tmp_path).queries[1]
    assert [one["data"]["dal_nlp_rank"] for one in there] == [1, 2, 3, 4] * 2
    assert [one["data"]["dal_nlp_round"] for one in there] == [0] * 4 + [1] * 4
    assert [one["data"]["dal_nlp_score"] for one in there[4:]] == query.scores
    suggested = [one["predictions"][0] for one in there[4:]]
    assert [one["score"] for one in suggested] == pytest.approx([guess["confidence"] for guess in query.predictions])
    wanted = [results(task, id, {id: guess["target"]}) for id, guess in zip(query.ids, query.predictions, strict=True)]
    assert [[part["value"] for part in one["result"]] for one in suggested] == [
        [part["value"] for part in one] for one in wanted
    ]
    assert all(event["by"] == ANNA for event in events(tmp_path, "label"))


class HalfPushed(SdkServer):
    """A server whose run dies while it pushes, where DAL_NLP_TEST_KILL says so."""

    def push(self, project: int, tasks: Any) -> list[int]:
        if os.environ.get("DAL_NLP_TEST_KILL") != "push":
            return super().push(project, tasks)
        super().push(project, tasks[:2])
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


class Oracle(LabelStudio):
    """What the processes of the next test ask."""

    def __init__(self) -> None:
        super().__init__(connect=HalfPushed)


def hears_interrupts() -> None:
    """Take Ctrl-C as in the foreground: what a shell starts in the background ignores it, and all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def started(folder: Path, kill: str = "") -> Iterator["subprocess.Popen[bytes]"]:
    """Start the command that is the same each time."""
    path = folder / "config.json"
    flags = {**asking.flags("sentiment", folder), "oracle": f"{__name__}:Oracle"}
    path.write_text(json.dumps(flags))
    words = [sys.executable, "-m", "dal_nlp", "run", "--config", str(path), "--trust"]
    environment = {**os.environ, "DAL_NLP_TEST_KILL": kill}
    with (
        (folder / "run.log").open("ab") as log,
        subprocess.Popen(words, env=environment, stderr=log, preexec_fn=hears_interrupts) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def until(happened: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + PATIENCE
    while not happened():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.2)


def answered(folder: Path) -> int:
    return len(state(folder).answers) if (folder / "run" / "ledger.jsonl").exists() else 0


def test_a_run_that_is_killed_while_it_pushes_and_while_it_pulls(server: StudioProcess, tmp_path: Path) -> None:
    with started(tmp_path, "push") as process:
        assert process.wait(PATIENCE) == -signal.SIGKILL
    half = server.tasks(project(tmp_path))
    assert len(half) == 2
    for number, (ending, code) in enumerate([(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)], start=1):
        with started(tmp_path) as process:
            until(lambda: len(server.tasks(project(tmp_path))) == 4, process)
            one, *_ = open_tasks(server, tmp_path)
            server.annotate(one["id"], results("sentiment", id_of(one)))
            until(lambda: answered(tmp_path) == number, process)  # noqa: B023 - called at once
            process.send_signal(ending)
            assert process.wait(PATIENCE) == code
    # What is answered while nobody asks is read by the next start.
    for one in open_tasks(server, tmp_path):
        server.annotate(one["id"], results("sentiment", id_of(one)))

    def answer(said: str) -> None:
        for one in open_tasks(server, tmp_path):
            server.annotate(one["id"], results("sentiment", id_of(one)))

    check_end(run("sentiment", tmp_path, answer, f"{__name__}:Oracle"), server, tmp_path, "sentiment")


def test_a_server_that_is_killed_while_the_run_waits(server: StudioProcess, tmp_path: Path) -> None:
    heard: list[str] = []

    def answer(said: str) -> None:
        heard.append(said)
        if "does not answer" in said:
            server.start()
        elif "answered in" in said:
            for one in open_tasks(server, tmp_path)[:2]:
                server.annotate(one["id"], results("sentiment", id_of(one)))
            if said.startswith(("0 of 4", "2 of 4")) and not any("is back" in text for text in heard):
                server.kill()

    check_end(run("sentiment", tmp_path, answer), server, tmp_path, "sentiment")
    assert len([text for text in heard if "does not answer" in text]) == len([t for t in heard if "is back" in t]) == 1


def test_two_annotators_a_skip_and_a_correction_in_an_old_round(server: StudioProcess, tmp_path: Path) -> None:
    wrong = {id: {"negative": "positive", "positive": "negative"}[label] for id, label in gold("sentiment").items()}
    made: dict[str, int] = {}

    def answer(said: str) -> None:
        round = state(tmp_path).round
        tasks = [task for task in server.tasks(project(tmp_path)) if task["data"]["dal_nlp_round"] == round]
        if said.startswith("0 of 4"):
            assert sorted(task["overlap"] for task in tasks) == [1, 1, 2, 2]
            alone = [task for task in tasks if task["overlap"] == 1]
            shared = [task for task in tasks if task["overlap"] == 2]
            server.annotate(alone[0]["id"], [], BEN, cancelled=True)
            made[id_of(alone[1])] = server.annotate(alone[1]["id"], results("sentiment", id_of(alone[1])), BEN)
            for task in shared:
                server.annotate(task["id"], results("sentiment", id_of(task)), ANNA)
            server.annotate(shared[0]["id"], results("sentiment", id_of(shared[0])), BEN)
            made["disputed"] = server.annotate(shared[1]["id"], results("sentiment", id_of(shared[1]), wrong), BEN)
            made["right"] = tasks.index(shared[1])
        elif "disputed" in said:
            server.change(made["disputed"], results("sentiment", id_of(tasks[made["right"]])))

    people: dict[str, Any] = {"annotators": [ANNA, BEN], "overlap": 0.5}
    end = run("sentiment", tmp_path, answer, **people)
    assert end.stopped and not end.remarks
    assert len(end.labels) == 6 and end.labels == {id: gold("sentiment")[id] for id in end.labels}
    assert list(state(tmp_path).skipped.values()) == ["skipped by the annotator"] * 2
    by = [event["by"] for event in events(tmp_path, "label")]
    assert sorted(by) == sorted([BEN, "majority", "majority"] * 2)

    id, annotation = next(iter(made.items()))
    server.change(annotation, results("sentiment", id, wrong))
    for _ in range(2):
        again = run("sentiment", tmp_path, **people)
        assert again.labels[id] == wrong[id] and "Changed after the last fit: 1 answer" in again.remarks[0]
    assert len([event for event in events(tmp_path, "label") if event["id"] == id]) == 2


def test_a_project_that_is_taken(server: StudioProcess, tmp_path: Path) -> None:
    """With texts and labels of all kinds, in an empty project that gets its interface, then in one that has another."""
    number = server.call("POST", "/api/projects/", {"title": "theirs"})["id"]
    labels = ['<script>alert("1")</script>', "a & b 'c' \U0001f600", "$text"]
    texts = [
        '<script>alert(1)</script>\n& "$text" \U0001f600',
        "\u0627\u0644\u0633\u0644\u0627\u0645 \u200fx",
        "the " * 20_000,  # the tokenizer has to know some of the words
    ]
    asking.flags("sentiment", tmp_path)
    rows = [{"id": f"={i}", "a.b[0]": texts[i % 3] + str(i), "label": labels[i % 3]} for i in range(8)]
    asking.write(tmp_path / "pool.jsonl", rows)
    asking.write(tmp_path / "test.jsonl", [{**row, "a.b[0]": f"test {row['a.b[0]']}"} for row in rows])

    def answer(said: str) -> None:
        for task in open_tasks(server, tmp_path):
            row = rows[int(id_of(task)[1:])]
            assert task["data"]["dal_nlp_text0"] == row["a.b[0]"]
            result = {
                "from_name": "answer",
                "to_name": "about",
                "type": "choices",
                "value": {"choices": [row["label"]]},
            }
            server.annotate(task["id"], [result])

    more = {"text_column": "a.b[0]", "labels": labels, "rounds": 0, "oracle": f"label-studio:{number}"}
    end = run("sentiment", tmp_path, answer, **more)
    assert end.labels == {row["id"]: row["label"] for row in rows if row["id"] in end.labels} and len(end.labels) == 4
    assert project(tmp_path) == number
    with pytest.raises(UserError, match=rf"interface of project {number} has no .*label-studio.xml into its settings"):
        run("qa", tmp_path / "qa", oracle=f"label-studio:{number}")


def test_what_is_wrong_with_the_connection_is_a_sentence(
    server: StudioProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def says(part: str, oracle: str = "label-studio") -> None:
        with pytest.raises(UserError) as error:
            run("sentiment", tmp_path, oracle=oracle)
        assert part in str(error.value) and "secret" not in str(error.value)
        assert "\n" not in str(error.value)

    says("has no project 9999 that your account may see", "label-studio:9999")
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "secret")
    says("does not accept the token in LABEL_STUDIO_API_KEY")
    monkeypatch.delenv("LABEL_STUDIO_API_KEY")
    says("LABEL_STUDIO_API_KEY is not set")
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", TOKEN)
    monkeypatch.setenv("LABEL_STUDIO_URL", "http://127.0.0.1:1")
    says("Label Studio does not answer at http://127.0.0.1:1")
    monkeypatch.setenv("LABEL_STUDIO_URL", f"{server.url}/elsewhere")
    says("does not answer as Label Studio does: check LABEL_STUDIO_URL")
    monkeypatch.setenv("LABEL_STUDIO_URL", "http://anna:secret@127.0.0.1")
    says("is no address of a server")
