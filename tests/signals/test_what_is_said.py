"""What reports, checks and oracles say of machines that answer."""

import html
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from dal_nlp import UserError
from dal_nlp.annotation.quality import by_label, by_pair
from dal_nlp.answer_formats.label import LabelFormat
from dal_nlp.core.progress import Silent
from dal_nlp.ledger.answer_events import MACHINE
from dal_nlp.ledger.events import LabelEvent
from dal_nlp.ledger.ledger import read_state
from dal_nlp.ledger.times import people_time
from dal_nlp.ledger.votes import last_votes
from dal_nlp.report.machines import confusion, labeled_by_machines, machine_rows, saved_line
from dal_nlp.report.model_card import answered_by
from dal_nlp.signals.client import Client
from dal_nlp.tasks.metrics import KAPPA
from dal_nlp.workflows.dry_run import dry_run
from dal_nlp.workflows.show_signals import show_signals
from dal_nlp_cli.main import app
from tests import tiny
from tests.signals.server import Answer, reply, serve
from tests.signals.witness_runs import run, settings, weights


@pytest.mark.long
def test_the_report_says_how_good_a_machine_was(files: Path) -> None:
    asked = {"test": None, "audit": 10, "budget": 20, "rounds": 0}
    result = run(files, "right.jsonl", **asked)
    state = read_state(result.folder)
    (row,) = machine_rows(state)
    assert "right on 100 % [" in row["said"] and "of the 10 audited texts" in row["said"]
    assert sum(seen for _, _, seen in row["by_label"]) == 10
    page = html.unescape((result.folder / "report.html").read_text())
    assert row["said"] in page and '<th scope="col" class="n">file:right.jsonl: negative</th>' in page
    assert sum(row["table"]["rows"][-1][1]) == 10 and row["table"]["rows"][0][1][1] == 0
    beside = state.metrics[0].beside
    assert beside["stack"]["values"]["accuracy"] == 1.0 > beside["people"]["values"]["accuracy"]
    assert sum(count for _, _, count in beside["people"]["confusion"]) == 10
    assert saved_line(state) in page and '<th scope="col" class="n">labels alone: missed</th>' in page
    on_test = read_state(run(files, "right.jsonl", rounds=0, out=str(files / "test")).folder)
    (row,) = machine_rows(on_test)
    assert "unaudited" in row["said"] and list(on_test.metrics[0].beside) == ["people"]


def test_labels_alone_are_what_a_run_without_machines_makes_of_them(files: Path) -> None:
    """And a fit that was killed before it was measured has them still."""
    alone = run(files, out=str(files / "alone"))
    heard = run(files, "right.jsonl")
    found = [event.beside["people"]["values"] for event in read_state(heard.folder).metrics]
    assert found == [row["values"] for row in alone.curve]


def test_a_table_counts_what_people_and_a_machine_said_of_the_same_texts() -> None:
    said = [("a", "a"), ("a", "b"), ("a", "b"), ("b", None), ("b", "b")]
    table = confusion(said, ["a", "b", "c"])
    assert table["said"] == ["a", "b", "no answer"]
    assert table["rows"] == [("a", [1, 2, 0]), ("b", [0, 1, 1]), ("all", [1, 3, 1])]
    assert confusion([], ["a", "b"])["rows"] == []


def test_a_check_asks_nobody(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "ask", lambda self, body: pytest.fail("it asked"))
    config = settings(files, signals=["llm:small"], llm={"url": "http://127.0.0.1:9/v1", "price_in": 1e6})
    said = str(dry_run(config))
    assert "llm:small would be asked about 80 texts: about" in said and "by the prices given" in said
    (shown,) = show_signals(config, Silent())
    config = settings(files, signals=["llm:small"], llm={"url": "http://127.0.0.1:9/v1"}, keep_witness=True)
    assert "about 120 texts" in show_signals(config, Silent())[0].lines()[0]  # of the test set too
    assert "A) negative" in shown.question and tiny.sentences(80)[0]["text"] in shown.question


def test_a_check_ranks_machines_on_the_labels_that_are_there(files: Path) -> None:
    said = str(dry_run(settings(files, "wrong.jsonl", "right.jsonl")))
    right, wrong = (said.index(f"file:{name}.jsonl would be asked") for name in ("right", "wrong"))
    assert right < wrong
    assert "It is right on 100 % of 80 known labels." in said[right:wrong]
    assert "It is right on 0 % of 80 known labels." in said[wrong:]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"training": {"mode": "full"}, "keep_witness": True}, "leave --keep-witness out"),
        ({"training": {"mode": "full"}, "strategy": "disagreement"}, "needs machine-made answers"),
        ({"task": "multilabel", "label_column": "label"}, "that give each text one label"),
    ],
)
def test_a_check_refuses_what_the_run_refuses(files: Path, changes: dict[str, Any], why: str) -> None:
    config = settings(files, "right.jsonl", **changes)
    with pytest.raises(UserError, match=why):
        dry_run(config)
    with pytest.raises(UserError, match=why):
        show_signals(config, Silent())
    with pytest.raises(UserError, match=why):
        run(files, "right.jsonl", **changes)


def test_of_a_pool_so_many_random_texts_are_asked_and_a_larger_number_asks_the_others(files: Path) -> None:
    asked: list[str] = []

    def answer(body: dict[str, Any], number: int) -> Answer:
        asked.append(body["messages"][0]["content"])
        return reply("A", {"A": -0.1})

    with serve(answer) as (url, _):
        given = {"llm": {"url": url, "texts": 30}, "rounds": 0}
        first = run(files, signals=["llm:small"], **given)
        assert len(asked) == len(set(asked)) == 30
        (said,) = read_state(first.folder).signals.values()
        assert len(said) == 30
        given["llm"] = {"url": url, "texts": 50}
        (told,) = show_signals(settings(files, signals=["llm:small"], **given), Silent())
        assert "about 20 texts" in told.lines()[0]
        run(files, signals=["llm:small"], **given, out=str(files / "more"))
        assert len(asked) == len(set(asked)) == 50


def test_a_witness_to_its_own_labels_is_named(files: Path) -> None:
    with serve(lambda body, number: reply("A", {"A": -0.1})) as (url, _):
        given = {"llm": {"url": url, "model": "small"}, "rounds": 0, "signals": ["llm:small"]}
        alone = run(files, **given, oracle="llm:small")
        assert any("the same model" in note for note in read_state(alone.folder).notes)
        other = run(files, **{**given, "llm": {"url": url}}, oracle="llm:large", out=str(files / "other"))
        assert not any("the same model" in note for note in read_state(other.folder).notes)


def test_a_language_model_is_shown_texts_of_labeled_alone_and_the_run_keeps_which(files: Path) -> None:
    tiny.write(files / "own.jsonl", tiny.sentences(12, seed=7))
    own, asked = {row["text"]: row["label"] for row in tiny.sentences(12, seed=7)}, []

    def answer(body: dict[str, Any], number: int) -> Answer:
        asked.append(body["messages"][0]["content"])
        return reply("A", {"A": -0.1})

    with serve(answer) as (url, _):
        given = {"labeled": str(files / "own.jsonl"), "llm": {"url": url, "examples": 2}, "rounds": 0}
        run(files, signals=["llm:small"], **given)
        shown = yaml.safe_load((files / "run" / "config.yaml").read_text())["llm"]["demonstrations"]
        assert {label: len(texts) for label, texts in shown.items()} == {"negative": 2, "positive": 2}
        assert all(own[text] == label for label, texts in shown.items() for text in texts)
        block = "".join(
            f"Text: {text}\nIs this text negative or positive?\n{label}\n\n"
            for text, label in zip(
                [shown[k][i] for i in (0, 1) for k in shown], [k for _ in (0, 1) for k in shown], strict=True
            )
        )
        assert len(asked) == 80 and all(question.startswith(block) for question in asked)
        run(files, signals=["llm:small"], **{**given, "rounds": 1, "budget": 12})
        assert len(asked) == 80
        (told,) = show_signals(settings(files, signals=["llm:small"], **given), Silent())
        assert told.question.startswith(block) and told.texts == 0
    with pytest.raises(UserError, match="give some with --labeled FILE"):
        run(files, signals=["llm:small"], llm={"url": url, "examples": 2}, out=str(files / "none"))


def test_a_check_of_a_run_that_compares_with_machines_asks_none(files: Path) -> None:
    config = settings(files, "right.jsonl", strategy="disagreement", initial_strategy="disagreement")
    assert "asked about 80 texts" in str(dry_run(config))
    run(files, "right.jsonl", strategy="disagreement", rounds=1)
    assert "asked about" in str(dry_run(config))  # beside the run that is there


@pytest.mark.long
def test_a_language_model_as_oracle_signs_its_labels_and_the_report_says_so_first(files: Path) -> None:
    silent = tiny.sentences(80)[3]["text"]

    def answer(body: dict[str, Any], number: int) -> Answer:
        asked = body["messages"][0]["content"]
        letter = "B" if any(f"{word} " in asked.replace("\n", " ") for word in tiny.POSITIVE) else "A"
        return reply(letter, {"Z" if silent in asked else letter: -0.1})

    truth = {row["id"]: row["label"] for row in tiny.sentences(80)}
    tiny.write(files / "plain.jsonl", [{"id": row["id"], "text": row["text"]} for row in tiny.sentences(80)])
    with serve(answer) as (url, asked):
        given = {"data": str(files / "plain.jsonl"), "oracle": "llm:small", "initial": 79}
        given |= {"labels": ["negative", "positive"], "rounds": 0, "query": {"dedupe": None}}
        given |= {"llm": {"url": url, "price_in": 1e6}}  # 10 a question
        result = run(files, **given)
        assert f"llm:small has cost {10 * len(asked)}.00 in this start." in result.remarks
        state = read_state(result.folder)
        labels = [event for events in state.given.values() for event in events if isinstance(event, LabelEvent)]
        assert len(labels) >= 78 and all(event.target == truth[event.id] for event in labels)
        assert {(event.by, event.via) for event in labels} == {("llm:small", MACHINE)}
        page = html.unescape((result.folder / "report.html").read_text())
        line = f"{len(labels)} labels of {len(labels)} were given by a machine (llm:small), not by people."
        assert labeled_by_machines(state) == line and line in page
        for command in (["status", str(result.folder)], ["run", "--config", str(result.folder / "config.yaml")]):
            assert line in " ".join(CliRunner().invoke(app, command).output.split())
        assert people_time(state) is None and "a machine (llm:small), not people" in " ".join(answered_by(state))
        before = len(asked)
        assert 79 <= before <= 80 and run(files, **given).curve == result.curve and len(asked) == before
        with pytest.raises(UserError, match=r"would answer the audit sample too.*--audit-by-llm"):
            settings(files, **{**given, "test": None, "audit": 10})
        measured = {"test": None, "audit": 10, "audit_by_llm": True, "initial": 6, "out": str(files / "audited")}
        done = read_state(run(files, **{**given, **measured}).folder)
        assert "10 of the audit sample: the score says how far the model agrees" in labeled_by_machines(done)
    assert labeled_by_machines(read_state(run(files, rounds=0, out=str(files / "people")).folder)) == ""


def test_a_machine_is_not_counted_where_people_agree() -> None:
    said = {"anna": ("terminal", "a"), "bo": ("terminal", "a"), "llm:small": (MACHINE, "b")}
    votes = last_votes([LabelEvent(id="e1", target=target, by=by, via=via) for by, (via, target) in said.items()])
    task = SimpleNamespace(answer_format=LabelFormat(["a", "b"], KAPPA), labels=["a", "b"])
    store: Any = SimpleNamespace(state=SimpleNamespace(opinions={"e1": votes}), task=task)
    assert [(one.names, one.same) for one in by_pair(store)] == [(("anna", "bo"), 1.0)]
    assert all(one.same == 1.0 and one.count == 1 for one in by_label(store))


def test_other_signals_in_a_later_start_are_heard(files: Path) -> None:
    run(files, "right.jsonl", rounds=0)
    result = run(files, "right.jsonl", "wrong.jsonl", rounds=1, budget=12)
    assert len(result.curve) == 2 and list(weights(files / "run")[1]) == ["file:right.jsonl", "file:wrong.jsonl"]
    assert len(run(files, rounds=2, budget=18).curve) == 3
