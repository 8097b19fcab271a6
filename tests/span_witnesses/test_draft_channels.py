"""Drafts of machines on the page, in the terminal, in sheets and in Label Studio: who sees them, whose answer it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dal_nlp import RunConfig, Session
from dal_nlp.annotation.answer_store import AnswerStore
from dal_nlp.annotation.label_studio.oracle import LabelStudio
from dal_nlp.ledger.answer_events import AnswerEvent
from dal_nlp.ledger.ledger import Ledger, read_state
from dal_nlp.page.given import PageAnswer
from dal_nlp.page.queue import AnnotationQueue
from dal_nlp.report.machines import drafts_line
from tests import waiting_runs as asking
from tests.annotation.label_studio import stub
from tests.cli.terminals import Terminal
from tests.tiny import write

#: The machine, as people read its name.
MACHINE = "file:drafts.jsonl"


def flags(folder: Path, **changes: Any) -> dict[str, Any]:
    """A run of four summaries after an audit sample of two, with a draft for each document of the pool."""
    rows = [{"id": row["id"], "draft": f"draft of {row['id']}"} for row in asking.rows_of("summarization", 24)]
    drafts = write(folder / "drafts.jsonl", rows)
    given = {"signals": [f"file:{drafts}"], "suggest": True, "audit": 2, "rounds": 0, "cache": str(folder / "cache")}
    return {**asking.flags("summarization", folder), **given, **changes}


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """The folder of such a run, whose audit sample is still to be answered."""
    Session(RunConfig.load(flags=flags(tmp_path))).run()
    return tmp_path


def go_on(folder: Path) -> list[str]:
    """Answer what is asked of the audit sample, and go on; return the ids that are asked then."""
    sheet = folder / "run" / "queries" / "audit.csv"
    asking.fill(sheet, {row["id"]: "words" for row in asking.read_csv(sheet)})
    Session(RunConfig.load(flags=flags(folder))).run()
    return list(read_state(folder / "run").queries[0].ids)


def check_kept(folder: Path, said: Mapping[str, str]) -> None:
    """See that answers are those of people, whatever they took over, and that it is kept which machine was shown."""
    state = read_state(folder / "run")
    for id, text in said.items():
        last = state.given[id][-1]
        assert isinstance(last, AnswerEvent) and last.of_person and last.target == text
        assert last.suggested and (last.suggested["by"], last.suggested["target"]) == (MACHINE, f"draft of {id}")
    taken = sum(text == f"draft of {id}" for id, text in said.items())
    changed = f"took over {taken:,} unchanged and changed {len(said) - taken:,}"
    assert f"of {MACHINE}, people {changed}" in drafts_line(state)
    assert all(event.suggested is None for id in state.audit or [] for event in state.given.get(id, []))  # type: ignore[union-attr]


def test_on_the_page(asked: Path) -> None:
    def shown(tab: str) -> tuple[str, Any]:
        found: Any = queue.next("anna", tab)
        return found["id"], found["suggestion"]

    with Ledger(asked / "run") as ledger:
        queue = AnnotationQueue(AnswerStore(asked / "run", ledger.state, ledger), ledger, lambda: 0.0)
        audited = [shown(tab) for tab in ("one", "two")]
        assert {id for id, _ in audited} == set(ledger.state.audit or []) and not any(given for _, given in audited)
    ids = go_on(asked)
    with Ledger(asked / "run") as ledger:
        queue = AnnotationQueue(AnswerStore(asked / "run", ledger.state, ledger), ledger, lambda: 0.0)
        said = {}
        for tab, text in (("one", None), ("two", "my own words")):
            id, given = shown(tab)
            assert id in ids and (given["by"], given["typed"]) == (MACHINE, f"draft of {id}")
            said[id] = text or given["typed"]
            queue.answer("anna", tab, PageAnswer(id, said[id]))
    check_kept(asked, said)


def test_in_the_terminal(asked: Path) -> None:
    with Terminal("label", "run", "--as", "anna", cwd=asked) as terminal:
        assert "suggests" not in terminal.wait_for("\n> ")
        terminal.type(":quit\n")
        terminal.end()
    ids, said = go_on(asked), {}
    with Terminal("label", "run", "--as", "anna", cwd=asked) as terminal:
        for keys in (":y\n", "my own words\n"):
            screen = terminal.wait_for("\n> ")
            id = next(id for id in ids if f"({id}; " in screen and id not in said)
            assert f"{MACHINE} suggests (0.80; :y takes it): draft of {id}" in screen
            said[id] = f"draft of {id}" if keys == ":y\n" else "my own words"
            terminal.type(keys)
        terminal.wait_for("\n> ")
        terminal.type(":quit\n")
        terminal.end()
    check_kept(asked, said)


def test_in_sheets(asked: Path) -> None:
    assert not any(row.get("suggestion") for row in asking.read_csv(asked / "run" / "queries" / "audit.csv"))
    ids = go_on(asked)
    sheet = asked / "run" / "queries" / "round-000.csv"
    rows = {row["id"]: row["suggestion"] for row in asking.read_csv(sheet)}
    assert rows == {id: f"draft of {id}" for id in ids}
    said = {id: rows[id] if place else "my own words" for place, id in enumerate(ids)}
    asking.fill(sheet, said)
    Session(RunConfig.load(flags=flags(asked))).run()
    check_kept(asked, said)


def test_in_label_studio(tmp_path: Path) -> None:
    words = {row["id"]: "my own words" for row in asking.rows_of("summarization", 24)}
    said: dict[str, str] = {}

    def person(server: stub.FakeServer) -> None:
        for task in server.there:
            id, drafted = task["data"]["dal_nlp_id"], task["predictions"]
            if not task["annotations"]:
                taken = drafted[0]["result"] if drafted and len(said) % 2 else stub.results("summarization", id, words)
                if drafted:
                    said[id] = f"draft of {id}" if len(said) % 2 else "my own words"
                server.annotate(task, taken, 1)
                return

    server = stub.FakeServer(person)
    config = RunConfig.load(flags=flags(tmp_path, oracle="label-studio"))
    Session(config, oracle=LabelStudio(None, lambda: server, pause=0)).run()
    drafted = {task["data"]["dal_nlp_id"]: task["predictions"] for task in server.there}
    state = read_state(tmp_path / "run")
    assert [drafted[id] for id in state.audit or []] == [[], []]
    assert all(drafted[id][0]["model_version"] == MACHINE for id in state.queries[0].ids) and len(said) == 4
    check_kept(tmp_path, said)


def test_nobody_sees_them_once_the_run_no_longer_suggests(asked: Path) -> None:
    go_on(asked)
    Session(RunConfig.load(flags=flags(asked, signals=[], suggest=False))).run()
    state = read_state(asked / "run")
    assert state.drafts and all("by" not in (state.suggestion(id) or {}) for id in state.queries[0].ids)
    with Terminal("label", "run", "--as", "anna", cwd=asked) as terminal:
        assert "draft of" not in terminal.wait_for("\n> ")
        terminal.type(":quit\n")
        terminal.end()
