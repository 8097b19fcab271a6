"""What a person types, without a terminal around it."""

import os
import pty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dal_nlp.annotation.answer_store import AnswerStore, open_answer_store
from dal_nlp.answer_formats.label import numbered
from dal_nlp_cli import terminal_annotator as sitting
from dal_nlp_cli.keys import forget
from dal_nlp_cli.terminal_annotator import CUT, LabelingSession
from tests.waiting_runs import typed

Waiting = Callable[[str], Path]
Sit = Callable[..., None]


@pytest.fixture
def sit(monkeypatch: pytest.MonkeyPatch) -> Sit:
    """Return what types lines at a sitting over what is waiting; the input ends after them."""

    def type_lines(desk: AnswerStore, *lines: str, queue: list[str] | None = None, keep: bool = False) -> None:
        left: Iterator[str] = iter(lines)

        def read(prompt: str) -> str:
            try:
                return next(left)
            except StopIteration:
                raise EOFError from None

        monkeypatch.setattr("builtins.input", read)
        LabelingSession(desk, "anna", False, keep, keep).work_through(queue or desk.state.waiting)

    return type_lines


@pytest.mark.parametrize("more", [0, 1000])
def test_a_line_that_a_terminal_cuts_off_is_no_answer(
    waiting: Waiting, sit: Sit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], more: int
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(sitting, "forget", lambda: False)
    with open_answer_store(waiting("summarization") / "run") as desk:
        sit(desk, "é" * (CUT // 2) + "x" + "y" * more)
        assert not desk.state.given and "write it with :edit" in capsys.readouterr().out
        sit(desk, "x" * (CUT - 1))
        assert len(desk.state.answers) == 1


def test_what_was_typed_before_a_text_is_shown_does_not_answer_it(
    waiting: Waiting, sit: Sit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dropped: list[bool] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(sitting, "forget", lambda: dropped.append(True) or True)
    with open_answer_store(waiting("summarization") / "run") as desk:
        sit(desk, "the film was good")
        assert len(dropped) == 2 and "What was typed before is left out" in capsys.readouterr().out


def test_what_waits_in_a_terminal_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    main, child = pty.openpty()
    with os.fdopen(main, "wb", buffering=0) as keyboard, os.fdopen(child, "rb", buffering=0) as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        assert not forget()
        keyboard.write(b"two\nlines\n")
        assert forget() and not forget()


@pytest.mark.parametrize(
    ("labels", "by_key", "what"),
    [
        (["0", "1"], True, {"0": "0", "1": "1"}),
        (["10", "20"], True, {"1": "10", "2": "20"}),
        (["10", "2"], False, {"10": "10", "2": "2"}),
        (["2", "x"], True, {"1": "2", "2": "x"}),
        (["s", "y"], True, {"1": "s", "2": "y"}),
    ],
)
def test_the_number_that_is_shown_is_the_label_that_is_stored(labels: list[str], by_key: bool, what: object) -> None:
    assert numbered(labels, by_key) == what


def test_a_number_wins_over_a_label_that_looks_like_it(waiting: Waiting, sit: Sit) -> None:
    with open_answer_store(waiting("sentiment") / "run") as desk:
        desk.task.labels = ["2", "other"]
        sit(desk, "2", ":yes")
        assert list(desk.state.answers.values()) == ["other"]


@pytest.mark.parametrize(
    ("edit", "part"),
    [
        (lambda text: text, "nothing was changed"),
        (lambda text: "the film was good", "the line with ==== is gone"),
    ],
)
def test_an_editor_whose_file_is_no_answer(
    waiting: Waiting,
    sit: Sit,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    edit: Callable[[str], str],
    part: str,
) -> None:
    monkeypatch.setattr(sitting, "_edit", edit)
    with open_answer_store(waiting("summarization") / "run") as desk:
        sit(desk, ":edit")
        assert not desk.state.given and part in capsys.readouterr().out


def test_an_editor_that_is_no_command_line_is_a_sentence(
    waiting: Waiting, sit: Sit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VISUAL", "vi 'half")
    with open_answer_store(waiting("summarization") / "run") as desk:
        sit(desk, ":edit")
        assert not desk.state.given and "The editor failed (No closing quotation)" in capsys.readouterr().out


def test_passing_a_suspect_over_leaves_its_label(waiting: Waiting, sit: Sit) -> None:
    with open_answer_store(waiting("sentiment") / "run") as desk:
        one, two, *_ = desk.state.waiting
        for id in (one, two):
            desk.write(desk.read(id, typed("sentiment")[id], desk.origin("ben", "test")))
        before = dict(desk.state.answers)
        sit(desk, ":skip", ":undo", ":skip", ":skip", queue=[one, two], keep=True)
        assert desk.state.answers == before and [len(events) for events in desk.state.given.values()] == [1, 1]
