"""``dal-nlp label`` at a real pseudo-terminal, for every task."""

import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from dal_nlp import RunConfig, Session
from tests import waiting_runs as asking
from tests.cli.conftest import invoke
from tests.cli.terminals import Terminal
from tests.waiting_runs import events, read_csv, run, state, typed

Waiting = Callable[[str], Path]
_ID = re.compile(r"-+ \d+ of \d+ \((\S+); ")


def asked_about(screen: str) -> str:
    """Return the id of the last example on the screen."""
    return _ID.findall(screen)[-1]


def answer(task: str, id: str) -> str:
    """Return the keys for the right answer."""
    text = typed(task)[id]
    return {"negative": "1", "positive": "2"}[text] if task == "sentiment" else f"{text}\n"


@pytest.mark.long
@pytest.mark.parametrize("task", asking.TASKS)
def test_a_persons_path(waiting: Waiting, task: str) -> None:
    folder = waiting(task)
    with Terminal("label", "run", "--as", "anna", cwd=folder) as terminal:
        for place in range(1, 5):
            shown = terminal.wait_for("\n> ")
            assert f" {place} of 4 (" in shown
            id = asked_about(shown)
            if task == "sentiment":
                assert next(row["text"] for row in asking.rows_of(task, 24) if row["id"] == id) in shown
            terminal.type(answer(task, id))
        terminal.wait_for("> ")
        terminal.type("q" if task == "sentiment" else ":quit\n")
        assert terminal.end() == 0
        assert "All answers are in" in terminal.screen
    assert len(state(folder).answers) == 4
    assert all(event["by"] == "anna" and event["via"] == "terminal" for event in events(folder, "label"))
    result = run(task, folder)
    assert len(result.curve) == 1 and len(result.pending) == 4
    assert result.labels == {id: asking.gold(task)[id] for id in result.labels}


@pytest.mark.long
def test_undo_skip_unsure_and_what_is_not_taken(waiting: Waiting) -> None:
    folder = waiting("sentiment")
    ids = [row["id"] for row in read_csv(folder / "run" / "queries" / "round-000.csv")]
    with Terminal("label", "run", "--as", "anna", cwd=folder) as terminal:
        for key in "1u2s?x\x1b[Aq":  # an arrow is no answer
            terminal.wait_for("> ")
            terminal.type(key)
        assert terminal.end() == 3
        assert "Not taken: 'x' is none of the labels" in terminal.screen
    now = state(folder)
    assert now.answers == {ids[0]: "positive"}
    assert now.skipped == {ids[1]: "skipped by the annotator", ids[2]: "the annotator was unsure"}
    assert [event.name for event in now.given[ids[0]]] == ["label", "removed", "label"]


def test_twelve_labels_have_the_keys_of_two(tmp_path: Path) -> None:
    settings = asking.flags("sentiment", tmp_path)
    words = "the film was quite a dull story and the scene was warm " * 60
    rows = [{"id": str(i), "text": f"{words} {i}", "label": f"kind {chr(97 + i % 12)}"} for i in range(24)]
    asking.write(Path(settings["data"]), rows)
    asking.write(Path(settings["test"]), [{**row, "text": f"{row['text']} b"} for row in rows])
    more = {"task": "classification", "guidelines": "Only the food counts.", "initial": 5}
    Session(RunConfig.load(flags={**settings, **more})).run()
    with Terminal("label", "run", "--as", "anna", cwd=tmp_path, LINES="24") as terminal:
        shown = terminal.wait_for("\n> ")
        assert "-- page 1 of" in shown and "1-12 label  / name  s skip  ? unsure" in shown
        assert max(map(len, shown.splitlines())) < 100 and not re.search(r"\bfil$", shown, re.MULTILINE)
        terminal.type(" ")
        assert "-- page 2 of" in terminal.wait_for("\n> ")
        terminal.type("h")
        assert "Only the food counts." in terminal.wait_for("\n> ")
        terminal.type("12")
        terminal.wait_for("\n> ")
        terminal.type("1\n")
        terminal.wait_for("\n> ")
        terminal.type("/KIND C\n")
        terminal.wait_for("\n> ")
        terminal.type("?")
        terminal.wait_for("\n> ")
        terminal.type("sq")
        assert terminal.end() == 0
    now = state(tmp_path)
    assert list(now.answers.values()) == ["kind l", "kind a", "kind c"] and len(now.skipped) == 2


def test_typed_ahead_and_the_last_answer_can_be_undone(waiting: Waiting) -> None:
    folder = waiting("sentiment")
    with Terminal("label", "run", "--as", "anna", cwd=folder) as terminal:
        terminal.wait_for("> ")
        terminal.type("1111uu22q")
        assert terminal.end() == 0
    assert list(state(folder).answers.values()) == ["negative", "negative", "positive", "positive"]


def test_killed_at_any_moment_every_answer_so_far_is_kept(waiting: Waiting) -> None:
    folder = waiting("sentiment")
    for count in (1, 2):
        with Terminal("label", "run", "--as", "anna", cwd=folder) as terminal:
            terminal.wait_for("> ")
            terminal.type("1")
            terminal.wait_for("2 of ")
            terminal.kill()
        assert len(state(folder).answers) == count
    with Terminal("label", "run", "--as", "anna", cwd=folder) as terminal:
        assert " 1 of 2 " in terminal.wait_for("> ")
        terminal.type("1")
        terminal.wait_for("> ")
        terminal.type("\x03")
        assert terminal.end() == 130
        assert "every answer before this one is saved" in terminal.screen
    assert len(state(folder).answers) == 3


def test_an_editor_for_summaries(waiting: Waiting) -> None:
    folder = waiting("summarization")
    editor = folder / "editor"
    editor.write_text("#!/bin/sh\nsed -i '1s/^/the film was good/' \"$1\"\n")
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    with Terminal("label", "run", "--as", "anna", cwd=folder, EDITOR=str(editor), VISUAL="") as terminal:
        id = asked_about(terminal.wait_for("\n> "))
        terminal.type(":edit\n")
        terminal.wait_for("2 of 4")
        terminal.wait_for("\n> ")
        terminal.type("\x04")
        assert terminal.end() == 3
    assert state(folder).answers == {id: "the film was good"}


def test_spans_by_offsets_and_what_the_model_suggests(waiting: Waiting) -> None:
    folder = waiting("qa")
    pool = {str(row["id"]): row for row in asking.rows_of("qa", 24)}
    asking.fill(folder / "run" / "queries" / "round-000.csv", typed("qa"))
    run("qa", folder)
    with Terminal("label", "run", "--as", "anna", "--suggest", cwd=folder) as terminal:
        first = asked_about(terminal.wait_for("\n> "))
        assert "0 | " in terminal.screen
        terminal.type("0-3\n")
        second = asked_about(terminal.wait_for("\n> "))
        assert "The model suggests" in terminal.screen
        terminal.type(":yes\n")
        terminal.wait_for("\n> ")
        terminal.type("nowhere\n")
        terminal.wait_for("Not taken: the context does not hold 'nowhere'")
        terminal.wait_for("> ")
        terminal.type(":quit\n")
        assert terminal.end() == 3
    now = state(folder)
    assert now.answers[first] == {"text": [str(pool[first]["context"])[:3]], "answer_start": [0]}
    suggestion = now.suggestion(second)
    assert suggestion is not None and now.answers[second] == suggestion["target"]
    assert now.given[second][-1].suggested["round"] == 0


def test_several_annotators_and_the_queue_of_conflicts(waiting: Waiting) -> None:
    folder = waiting("sentiment")
    run("sentiment", folder, annotators="anna,ben", overlap="25%")
    assert "--as anna or ben" in invoke("label", str(folder / "run"), "--as", "bea").stderr
    for name, key in (("anna", "1"), ("ben", "2")):
        with Terminal("label", "run", "--as", name, cwd=folder) as terminal:
            for _ in range(2 if name == "ben" else 3):
                terminal.wait_for("> ")
                terminal.type(key)
            terminal.wait_for("> ")
            terminal.type("q")
            terminal.end()
    now = state(folder)
    (disputed,) = now.waiting
    assert len(now.answers) == 3 and {event.by for event in now.given[disputed]} == {"anna", "ben"}
    with Terminal("label", "run", "--as", "carl", "--conflicts", cwd=folder) as terminal:
        shown = terminal.wait_for("\n> ")
        assert "anna answered: negative" in shown and "ben answered: positive" in shown
        terminal.type("2q")
        assert terminal.end() == 0
    assert state(folder).answers[disputed] == "positive"
    said = invoke("agreement", str(folder / "run")).stdout
    assert "anna and ben" in said and "Cohen's kappa" in said


def test_control_characters_and_marks_of_direction_do_nothing(waiting: Waiting, tmp_path: Path) -> None:
    folder = tmp_path / "hostile"
    folder.mkdir()
    rows = asking.rows_of("sentiment", 24)
    for row in rows:
        row["text"] += " \x1b[2J\x1b]0;title\x07\u202egood\u2066"
    asking.save_model("sentiment", folder / "model")
    asking.write(folder / "pool.jsonl", rows)
    asking.write(folder / "test.jsonl", asking.rows_of("sentiment", 8, seed=1))
    run("sentiment", folder)
    with Terminal("label", "run", cwd=folder) as terminal:
        terminal.wait_for("\n> ")
        assert not {"\x1b", "\x07", "\u202e", "\u2066"} & set(terminal.screen)
        assert "\u241b[2J" in terminal.screen and "<U+202E>" in terminal.screen
        terminal.type("q")
        assert terminal.end() == 3
