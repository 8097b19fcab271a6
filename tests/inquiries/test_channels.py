"""Who answers about a whole file: people on the page and in Label Studio, to the end."""

from pathlib import Path

import pytest

from dal_nlp.annotation.label_studio import format as studio
from dal_nlp.annotation.label_studio.oracle import LabelStudio
from dal_nlp.inquiries.whole_file import label_file
from dal_nlp.inquiries.written import FileResult
from tests import tiny
from tests.annotation.label_studio.stub import ANNA, FakeServer, Interrupted
from tests.inquiries.rows import new_rows, rows_of
from tests.page.serving import Served
from tests.tiny import write
from tests.waiting_runs import events

ROWS = new_rows(70)
TRUTH = {row["id"]: row["label"] for row in ROWS}


def check(found: FileResult, out: Path) -> None:
    """Every row has its label, and those of people are the right ones."""
    labeled = rows_of(out / "labeled.csv")
    assert found.bound is not None and found.pending == 0 and rows_of(out / "people.csv") == []
    assert [row["id"] for row in labeled] == list(TRUTH)
    assert all(row["label"] == TRUTH[row["id"]] for row in labeled if row["by"] == "people")
    assert len({row["text"] for row in labeled if row["by"] == "people"}) == found.people >= 20


@pytest.mark.long
def test_people_answer_on_the_page(finished: Path, tmp_path: Path) -> None:
    source, out, me = write(tmp_path / "new.jsonl", ROWS), tmp_path / "run", {"who": "anna", "tab": "tab-of-anna"}

    def call() -> FileResult:
        return label_file(finished, source, 0.4, out, draws=20, told=lambda line: None)

    waiting = call()
    while waiting.pending:  # first what was drawn, then what the model may not answer
        with Served(tmp_path) as page:
            item = page.ask("/api/next", **me)["item"]
            for place in range(waiting.pending):
                told = {"id": item["id"], "text": TRUTH[item["id"]], "request": f"request-{waiting.pending}-{place}"}
                item = page.ask("/api/answer", **me, **told)["item"]
            assert item is None
        waiting = call()
    check(waiting, out)
    labels = events(tmp_path, "label")
    assert len(labels) == len({label["id"] for label in labels}) == waiting.people
    assert {(label["by"], label["via"]) for label in labels} == {("anna", "page")}


def test_people_answer_in_label_studio(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, task = {row["id"]: row for row in ROWS}, tiny.task()

    def person(server: FakeServer) -> None:
        unanswered = [one for one in server.there if not one["annotations"]]
        for one in unanswered[:6]:
            id = one["data"]["dal_nlp_id"]
            server.annotate(one, studio.results(task, TRUTH[id], rows[id]))
        if server.looks % 2:
            raise Interrupted  # and the same command goes on

    server = FakeServer(person)
    oracle = "dal_nlp.inquiries.inquiry.make_oracle"
    monkeypatch.setattr(oracle, lambda name: LabelStudio(None, lambda: server, pause=0))
    source, out = write(tmp_path / "new.jsonl", ROWS), tmp_path / "run"
    for _ in range(60):
        try:
            found = label_file(finished, source, 0.4, out, "label-studio", 20, told=lambda line: None)
        except Interrupted:
            continue
        break
    check(found, out)
    assert len(server.projects) == 1 and len(set(server.ids())) == len(server.ids()) == found.people
    assert not any(task["predictions"] for task in server.there)  # nobody sees what the model says
    assert {label["by"] for label in events(tmp_path, "label")} == {ANNA}
