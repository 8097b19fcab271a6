"""What a person types, without a terminal around it."""

import _thread
import os
import pty
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dal_nlp import RunConfig, Session
from dal_nlp.annotation.answer_store import AnswerStore, open_answer_store
from dal_nlp.answer_formats.label import numbered
from dal_nlp_cli import pages
from dal_nlp_cli import terminal_annotator as sitting
from dal_nlp_cli.keys import forget, keys
from dal_nlp_cli.terminal_annotator import CUT, LabelingSession
from tests.tiny import write
from tests.waiting_runs import flags, typed

Waiting = Callable[[str], Path]
Sit = Callable[..., None]


@pytest.fixture
def sit(monkeypatch: pytest.MonkeyPatch) -> Sit:
    """Return what types lines at a sitting over what is waiting; the input ends after them."""

    def type_lines(store: AnswerStore, *lines: str, queue: list[str] | None = None, keep: bool = False) -> None:
        left: Iterator[str] = iter(lines)

        def read(prompt: str) -> str:
            try:
                return next(left)
            except StopIteration:
                raise EOFError from None

        monkeypatch.setattr("builtins.input", read)
        LabelingSession(store, "anna", False, keep, keep).work_through(queue or store.state.waiting)

    return type_lines


@pytest.mark.parametrize("more", [0, 1000])
def test_a_line_that_a_terminal_cuts_off_is_no_answer(
    waiting: Waiting, sit: Sit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], more: int
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(sitting, "forget", lambda: False)
    with open_answer_store(waiting("summarization") / "run") as store:
        sit(store, "é" * (CUT // 2) + "x" + "y" * more)
        assert not store.state.given and "write it with :e, " in capsys.readouterr().out
        sit(store, "x" * (CUT - 1))
        assert len(store.state.answers) == 1


def test_what_was_typed_before_a_text_is_shown_does_not_answer_it(
    waiting: Waiting, sit: Sit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dropped: list[bool] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(sitting, "forget", lambda: dropped.append(True) or True)
    with open_answer_store(waiting("summarization") / "run") as store:
        sit(store, "the film was good")
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
    with open_answer_store(waiting("sentiment") / "run") as store:
        store.task.labels = ["2", "other"]
        sit(store, "2", ":yes")
        assert list(store.state.answers.values()) == ["other"]


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
    with open_answer_store(waiting("summarization") / "run") as store:
        sit(store, ":edit")
        assert not store.state.given and part in capsys.readouterr().out


def test_an_editor_that_is_no_command_line_is_a_sentence(
    waiting: Waiting, sit: Sit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VISUAL", "vi 'half")
    with open_answer_store(waiting("summarization") / "run") as store:
        sit(store, ":edit")
        assert not store.state.given and "The editor failed (No closing quotation)" in capsys.readouterr().out


def test_passing_a_suspect_over_leaves_its_label(waiting: Waiting, sit: Sit) -> None:
    with open_answer_store(waiting("sentiment") / "run") as store:
        one, two, *_ = store.state.waiting
        for id in (one, two):
            store.write(store.read(id, typed("sentiment")[id], store.origin("ben", "test")))
        before = dict(store.state.answers)
        sit(store, ":skip", ":undo", ":skip", ":skip", queue=[one, two], keep=True)
        assert store.state.answers == before and [len(events) for events in store.state.given.values()] == [1, 1]


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "on_screen", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "20")


def test_long_texts_are_wrapped_at_words_and_come_in_pages(screen: None) -> None:
    text = " ".join(f"word{i}" for i in range(300))
    shown = pages.wrapped(text)
    assert all(len(line) < 40 for line in shown) and " ".join(shown) == text
    made = pages.pages(shown, below=3)
    assert [line for page in made for line in page] == shown and len(made) > 5
    assert {len(page) for page in made[:-1]} == {20 - pages.AROUND - 3}
    assert pages.pages(["a"], 3) == [["a"]] and pages.pages([], 3) == [[]]


def test_many_labels_stand_in_columns(screen: None) -> None:
    assert pages.columns({"1": "bad", "2": "good"}) == ["[1] bad  [2] good"]
    many = {str(i): f"label {i}" for i in range(1, 13)}
    shown = pages.columns(many)
    assert len(shown) == 6 and all(len(line) < 40 for line in shown)
    assert shown[0] == "[1] label 1    [7] label 7" and "[12] label 12" in shown[5]


def test_in_a_pipe_a_text_is_one_page_with_its_own_lines() -> None:
    text = "word " * 1000
    assert pages.wrapped(f"{text}\nb") == [text, "b"] and len(pages.pages(["x"] * 500, 3)) == 1


def test_pages_turn_and_the_help_comes_back_to_the_text(
    waiting: Waiting, sit: Sit, screen: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_answer_store(waiting("sentiment") / "run") as store:
        words = " ".join(f"word{i}" for i in range(200))
        monkeypatch.setattr(store.task, "texts", lambda example: [words])
        sit(store, "", "h", "", "q")
    first, second, helped, again, _ = " ".join(capsys.readouterr().out.split()).split(" q quit")
    assert "word0 " in first and "-- page 1 of" in first and "word0 " not in second and "-- page 2 of" in second
    assert "Every answer is saved" in helped and "shows the text again" in helped
    assert "word0 " in again


@pytest.mark.parametrize("labels", [2, 12])
def test_letters_are_the_same_commands_for_any_number_of_labels(
    tmp_path: Path, sit: Sit, capsys: pytest.CaptureFixture[str], labels: int
) -> None:
    settings = flags("sentiment", tmp_path)
    rows = [{"id": str(i), "text": f"a film number {i}", "label": f"kind {i % labels}"} for i in range(24)]
    write(Path(settings["data"]), rows)
    write(Path(settings["test"]), [{**row, "text": f"{row['text']} b"} for row in rows])
    about = {"guidelines": "Only the food counts.", "descriptions": {"kind 1": "The other kind."}}
    Session(RunConfig.load(flags={**settings, **about, "task": "classification"})).run()
    with open_answer_store(tmp_path / "run") as store:
        one, two, *_ = store.state.waiting
        sit(store, "h", "s", "?", "u", "nonsense", "kind 1", "q")
        state = store.state
        assert "skipped" in state.skipped[one] and state.answers == {two: "kind 1"}
    said = capsys.readouterr().out
    assert "Only the food counts." in said and "kind 1: The other kind." in said
    line = "s skip  ? unsure  e editor  u undo  h help  q quit"
    assert said.count(line) >= 6 and said.index("Not taken") < said.rindex(line)


def test_a_ctrl_c_just_before_the_wait_for_a_key_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    main, child = pty.openpty()
    heard, deaf = threading.Event(), threading.Event()

    def interrupt() -> None:
        _thread.interrupt_main()  # as such a signal: noted, and the wait goes on
        if not heard.wait(10):
            deaf.set()
            os.write(main, b"x")  # or this test would wait for ever

    with os.fdopen(child) as terminal, os.fdopen(main, "w"):
        monkeypatch.setattr("sys.stdin", terminal)
        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # workers of pytest hear no Ctrl-C
        with keys() as next_key, pytest.raises(KeyboardInterrupt):
            timer = threading.Timer(0.3, interrupt)
            timer.start()
            try:
                next_key()
            finally:
                heard.set()
                timer.join()
                signal.signal(signal.SIGINT, before)
    assert not deaf.is_set()
