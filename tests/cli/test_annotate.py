"""``dal-nlp annotate``: the command, the run that trains beside it, and what happens when one of them dies."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dal_nlp.ledger.ledger import read_state
from dal_nlp_cli.main import app
from tests import waiting_runs as asking
from tests.page.serving import Served, alive, until

Waiting = Callable[[str], Path]


def answer_next(served: Served, answers: dict[str, str], who: str = "anna") -> str | None:
    """Answer what this person is shown next; return its id, None where nothing is shown."""
    me = {"who": who, "tab": f"tab-of-{who}"}
    item = served.ask("/api/next", **me)["item"]
    if item is None:
        return None
    served.ask("/api/answer", **me, id=item["id"], text=answers[item["id"]], request=f"{who} {item['id']}")
    return str(item["id"])


@pytest.mark.long
def test_a_run_is_answered_to_its_end_though_everything_dies_on_the_way(waiting: Waiting) -> None:
    folder, answers = waiting("sentiment"), asking.typed("sentiment")
    asking.run("sentiment", folder, rounds=3)
    with Served(folder, "--ahead", "2") as served:
        first = answer_next(served, answers)
        assert read_state(served.folder).answers == {first: answers[str(first)]}
        trains = until(served.children)
        served.kill()
        until(lambda: not any(map(alive, trains)))  # two runs in one folder would write over each other
    with Served(folder, "--ahead", "2") as served:
        assert served.token and served.progress()["labels"] == 1
        until(lambda: served.progress()["learning"] is False)
        trains = served.children()
        for process in trains:
            os.kill(process, signal.SIGKILL)
        assert until(lambda: served.progress()["trouble"]) == "The process that trains has died."
        while answer_next(served, answers):  # people are not kept from what is there
            pass
        assert len(read_state(served.folder).answers) >= 4
        code, said = served.interrupt()
        assert code == 3 and "Answers still missing" in said and "The same command goes on" in said
    with Served(folder, "--ahead", "2") as served:
        until(lambda: answer_next(served, answers) is None and served.progress()["stopped"])
        told = served.progress()
        code, said = served.interrupt()
        assert code == 0 and "Finished" in said
    state = read_state(folder / "run")
    assert told["labels"] == len(state.answers) == 16 == state.metrics[-1].labels
    assert {id: answers[id] for id in state.answers} == state.answers
    assert len(asking.events(folder, "label")) == 16  # none twice
    assert len([round for round in state.queries if round.prefetched]) > 0  # somebody went on while it trained
    assert (folder / "run" / "model" / "config.json").is_file()


@pytest.mark.long
def test_twenty_people_at_once_while_a_model_trains(tmp_path: Path) -> None:
    folder, answers = tmp_path / "many", asking.typed("sentiment")
    # Fits that take longer than a round of answers.
    slow = {"min_steps": 150, "epochs": 1, "learning_rate": 1e-3}
    asking.run("sentiment", folder, rounds=2, budget=20, query_size=8, training=slow)
    with Served(folder) as served:

        def work(who: str) -> None:
            until(lambda: answer_next(served, answers, who) is None and served.progress(who)["stopped"])

        people = [threading.Thread(target=work, args=(f"person {number}",)) for number in range(20)]
        for person in people:
            person.start()
        for person in people:
            person.join()
    given = read_state(served.folder).given
    assert all(len(events) == 1 for events in given.values())
    assert {id: events[0].target for id, events in given.items()} == {id: answers[id] for id in given}
    state = read_state(served.folder)
    assert len(state.metrics) == 3 and state.spent == 20 and not state.prefetched


@pytest.mark.long
def test_sheets_that_were_filled_in_before_are_read_and_no_new_ones_written(waiting: Waiting) -> None:
    folder, answers = waiting("sentiment"), asking.typed("sentiment")
    (sheet,) = (folder / "run" / "queries").glob("*.csv")
    row = asking.read_csv(sheet)[0]
    asking.fill(sheet, {row["id"]: answers[row["id"]]})
    with Served(folder) as served:
        until(lambda: served.progress()["labels"] == 1)
        until(lambda: answer_next(served, answers) is None and served.progress()["stopped"])
    assert len(read_state(served.folder).answers) == 8
    assert [path.name for path in (folder / "run" / "queries").glob("*.csv")] == [sheet.name]
    by = {event["by"] for event in asking.events(folder, "label")}
    assert by == {"anna", "round-000"}


def test_what_cannot_be_served_says_so(waiting: Waiting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = waiting("sentiment") / "run"

    def said(*words: str) -> str:
        done = CliRunner().invoke(app, ["annotate", *words])
        assert done.exit_code == 2, done.output
        return " ".join(done.stderr.split())

    assert "is not a run folder: start one with `dal-nlp run --oracle file" in said(str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"Cannot listen on 127.0.0.1:{port}" in said(str(folder), "--port", port)
    assert "Cannot listen on 192.0.2.1:0" in said(str(folder), "--host", "192.0.2.1", "--port", "0")
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("oracle: file", "oracle: labeled-file"))
    assert "is answered by labeled-file" in said(str(folder), "--port", "0")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "pip install 'dal-nlp[page]'" in said(str(folder))


def test_a_page_and_a_run_do_not_write_at_the_same_time(waiting: Waiting) -> None:
    folder = waiting("sentiment")
    with Served(folder) as served:
        done = CliRunner().invoke(app, ["label", str(served.folder), "--as", "ben"])
        assert done.exit_code == 2 and "is in use by another dal-nlp process" in " ".join(done.stderr.split())


def test_another_address_comes_with_a_warning(waiting: Waiting) -> None:
    folder = waiting("sentiment")
    with Served(folder, "--host", "0.0.0.0") as served:
        assert served.host == socket.gethostname()  # what others can open
        assert served.progress()["labels"] == 0
    assert "whoever can reach 0.0.0.0:" in served.errors()
