"""Machines that draft what people write: who sees a draft, what is kept of it, and what is asked."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dal_nlp import Label, Oracle, Query, RunConfig, Session, UserError
from dal_nlp.annotation.answers import Origin
from dal_nlp.annotation.parsing import suggested
from dal_nlp.core.config import LanguageModelSection
from dal_nlp.core.progress import Silent
from dal_nlp.ledger.ledger import read_state
from dal_nlp.report.machines import drafts_line
from dal_nlp.session.result import Result
from dal_nlp.signals.base import LabelSet, Making
from dal_nlp.span_witnesses.drafts import DraftEndpoint, DraftWriter
from dal_nlp.span_witnesses.writing import Writer
from dal_nlp.workflows.dry_run import dry_run
from dal_nlp.workflows.show_signals import show_signals
from tests import tiny_summaries
from tests.listening import Listening
from tests.session.test_summarization_run import model as model
from tests.session.test_summarization_run import settings
from tests.signals.server import reply, serve
from tests.tiny import write
from tests.waiting_runs import fill, read_csv


class People(Oracle):
    """Somebody who takes over every second draft, and notes what was shown."""

    def __init__(self) -> None:
        self.seen: dict[str, tuple[int | None, Any]] = {}

    def label(self, queries: Sequence[Query]) -> Iterator[Label]:
        for place, query in enumerate(queries):
            shown = query.suggestion
            self.seen[query.id] = query.round, shown
            text = shown["target"] if shown and place % 2 == 0 else f"my words {query.text[:9]}"
            yield Label(query.id, text, Origin("ada", "2026-01-01", "test", suggested(shown)))


def drafts(folder: Path, without: int = 0) -> str:
    """A file with a draft for every document but the first few."""
    rows = [{"id": row["id"], "draft": f"draft of {row['id']}"} for row in tiny_summaries.documents(40)[without:]]
    return f"file:{write(folder / 'drafts.jsonl', rows)}"


def run(
    folder: Path, model: str, *signals: str, oracle: Oracle | None = None, progress: Any = None, **given: Any
) -> Result:
    flags = settings(folder, model, signals=list(signals), **{"suggest": True, "cache": str(folder / "cache"), **given})
    return Session(RunConfig.load(flags=flags), oracle=oracle, progress=progress).run()


def test_people_see_drafts_in_rounds_and_none_in_the_audit_and_the_report_counts_what_they_took_over(
    tmp_path: Path, model: str
) -> None:
    people = People()
    result = run(tmp_path, model, drafts(tmp_path), oracle=people, audit=4)
    asked = {id: shown for id, (round, shown) in people.seen.items() if round is not None}
    assert len(asked) == 10 and all(shown["target"] == f"draft of {id}" for id, shown in asked.items())
    assert [shown for round, shown in people.seen.values() if round is None] == [None] * 4
    state = read_state(result.folder)
    assert set(state.drafts) == set(asked)  # nothing is asked about what nobody is asked about
    line = "Of 10 drafts of file:drafts.jsonl, people took over 5 unchanged and changed 5."
    assert drafts_line(state) == line and line in (result.folder / "report.html").read_text()
    card = (result.folder / "model" / "README.md").read_text()
    assert (
        "drafts for people, from which no model learns: file:drafts.jsonl" in card and "beside the labels" not in card
    )
    assert state.queries[1].predictions[0]["target"] != state.drafts[state.queries[1].ids[0]]  # what the model writes


def test_where_no_machine_has_a_draft_that_of_the_model_is_shown_and_that_is_said(tmp_path: Path, model: str) -> None:
    people, seen = People(), Listening()
    result = run(tmp_path, model, drafts(tmp_path, without=35), oracle=people, progress=seen)
    none = [id for id, row in read_state(result.folder).drafts.items() if row is None]
    assert none and all("by" not in (people.seen[id][1] or {}) for id in none)
    assert any("No machine has a draft for" in line for line in seen.said)


def test_two_files_of_one_name_are_two_machines_and_an_older_version_knows_that_it_is_older(
    tmp_path: Path, model: str
) -> None:
    for name, first in (("a", 20), ("b", 0)):
        (tmp_path / name).mkdir()
        drafts(tmp_path / name, first)
    files = [f"file:{tmp_path / name / 'drafts.jsonl'}" for name in "ab"]
    state = read_state(run(tmp_path, model, *files, oracle=People()).folder)
    by = {id: draft["by"] for id, draft in state.drafts.items() if draft}
    other = {row["id"] for row in tiny_summaries.documents(40)[:20]}
    assert by == {id: "file:drafts.jsonl'" if id in other else "file:drafts.jsonl" for id in by}
    assert len(set(by.values())) == 2
    lines = [json.loads(line) for line in (tmp_path / "run" / "ledger.jsonl").read_text().splitlines()]
    assert {line["v"] for line in lines if line["event"] == "drafts"} == {3}
    assert {line["v"] for line in lines if line["event"] != "drafts"} == {2}


def test_without_suggest_and_with_what_means_nothing_drafts_are_refused(tmp_path: Path, model: str) -> None:
    with pytest.raises(UserError, match="only --suggest shows it"):
        run(tmp_path, model, drafts(tmp_path), suggest=False)
    config = RunConfig.load(flags=settings(tmp_path, model, signals=[drafts(tmp_path)]))
    with pytest.raises(UserError, match="only --suggest shows it"):
        dry_run(config)
    with pytest.raises(UserError, match="only --suggest shows it"):
        show_signals(config, Silent())
    with pytest.raises(UserError, match="no --keep-witness"):
        run(tmp_path, model, drafts(tmp_path), keep_witness=True)
    with pytest.raises(UserError, match="no --llm-texts"):
        run(tmp_path, model, drafts(tmp_path), llm={"texts": 3})
    with pytest.raises(UserError, match="file, llm"):
        run(tmp_path, model, "model:elsewhere", oracle=People())
    with pytest.raises(UserError, match="nobody does where a file holds the answers"):
        run(tmp_path, model, drafts(tmp_path))
    with pytest.raises(UserError, match="nobody does where a file holds the answers"):
        dry_run(RunConfig.load(flags=settings(tmp_path, model, signals=[drafts(tmp_path)], suggest=True)))


def test_sheets_have_drafts_and_not_that_of_the_audit_and_nobody_sees_them_once_the_run_no_longer_suggests(
    tmp_path: Path, model: str
) -> None:
    given = {"signals": [drafts(tmp_path)], "suggest": True, "oracle": "file", "audit": 3, "rounds": 0}
    config = RunConfig.load(flags=settings(tmp_path, model, **given))
    folder = Session(config).run().folder
    audit = folder / "queries" / "audit.csv"
    rows = read_csv(audit)
    assert len(rows) == 3 and not any(row.get("suggestion") for row in rows)
    fill(audit, {row["id"]: "words" for row in rows})
    Session(config).run()
    rows = read_csv(folder / "queries" / "round-000.csv")
    assert [row["suggestion"] for row in rows] == [f"draft of {row['id']}" for row in rows] and len(rows) == 6
    state, id = read_state(folder), rows[0]["id"]
    shown = {"id": id, "target": f"draft of {id}", "confidence": 0.8, "by": "file:drafts.jsonl", "round": -1}
    assert state.suggestion(id) == pytest.approx(shown)
    state.config = {**(state.config or {}), "suggest": False}
    assert "by" not in (state.suggestion(id) or {})


@pytest.mark.long
def test_what_a_model_on_this_machine_drafts_is_asked_once_and_going_on_gives_what_one_run_gives(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, wrote = list[str](), Writer._write

    def writes(me: Writer, prompts: Sequence[str]) -> list[tuple[float | None, str]]:
        asked.extend(prompts)
        return wrote(me, prompts)

    monkeypatch.setattr(Writer, "_write", writes)
    monkeypatch.setattr(DraftWriter, "most", 6)
    kept = []
    for name, steps in (("one", [1]), ("two", [0, 1])):
        for rounds in steps:
            result = run(tmp_path, model, f"llm:{model}", oracle=People(), out=str(tmp_path / name), rounds=rounds)
        kept.append((read_state(result.folder).drafts, [point["values"] for point in result.curve]))
    assert kept[0] == kept[1] and len(kept[0][0]) == 10
    assert len(asked) == len(set(asked)) == 10 and all("Summarize the text" in prompt for prompt in asked)


def test_the_confidence_of_a_draft_is_the_mean_of_its_tokens_in_logs(tmp_path: Path) -> None:
    writer = DraftWriter(Making("here", {}, LabelSet([])))
    writer.__dict__["_loaded"] = SimpleNamespace(decode=lambda ids, skip_special_tokens: " ".join(ids)), None, True
    written: Any = ["a", "film", "</s>", "x"]
    log_p, raw = writer.read(written, [-1.0, -2.0, -3.0, -9.0], {"</s>"})  # type: ignore[arg-type]
    assert (log_p, raw) == (pytest.approx(-2.0), "a film </s>")
    assert writer.read([" "], [-1.0], set()) == (None, "")  # type: ignore[list-item]


def test_an_endpoint_drafts_and_what_it_fails_at_is_asked_again() -> None:
    said = iter([reply(" A film.\n"), reply(" "), (503, {}, b"")])
    with serve(lambda body, n: next(said)) as (url, asked):
        signal = DraftEndpoint(Making("small", {}, LabelSet([]), LanguageModelSection(url=url, parallel=1, tries=1)))
        one, two, three = signal.answers(["Ada", "Bob", "Cid"], ["1", "2", "3"])
    assert one.raw == "A film." and one.log_probs == (pytest.approx(np.log(0.8)),)
    assert two.log_probs is None and two.asked and not three.asked
    assert json.dumps(asked[0]["messages"]).count("Summarize the text in one or two sentences") == 1


def test_a_check_counts_what_is_drafted_and_not_the_pool(tmp_path: Path, model: str) -> None:
    given = {"signals": [drafts(tmp_path)], "suggest": True, "oracle": "file", "audit": 3}
    said = dry_run(RunConfig.load(flags=settings(tmp_path, model, **given))).remarks
    assert any("file:drafts.jsonl would be asked about 10 texts" in line for line in said), said
