"""What a person sees where there is no terminal, and what a library call prints."""

import pytest

from dal_nlp.core.progress import Console, Silent


def test_without_a_terminal_what_is_short_is_not_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(Console().track([1, 2, 3], "training")) == [1, 2, 3]
    assert capsys.readouterr() == ("", "")


def test_without_a_terminal_there_is_a_line_every_half_minute(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    for _ in Console(lambda: now[0]).track(range(10), "encoding"):
        now[0] += 20
    told = capsys.readouterr().err.splitlines()
    assert told == [
        "Encoding: 2 of 10, 3.0 a minute, about 2 min 40 s left",
        "Encoding: 4 of 10, 3.0 a minute, about 2 min 00 s left",
        "Encoding: 6 of 10, 3.0 a minute, about 1 min 20 s left",
        "Encoding: 8 of 10, 3.0 a minute, about 40.0 s left",
        "Encoding: done in 3 min 20 s",
    ]


def test_what_users_texts_hold_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Console().say("a label \x1b[31m and \u202e more")
    assert capsys.readouterr().err == "a label ␛[31m and <U+202E> more\n"


def test_silence(capsys: pytest.CaptureFixture[str]) -> None:
    silent = Silent()
    silent.say("something")
    assert list(silent.track("ab", "scoring")) == ["a", "b"]
    assert capsys.readouterr() == ("", "")


def test_in_a_notebook_there_is_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert list(Console().track([1, 2, 3], "training")) == [1, 2, 3]
    shown = capsys.readouterr().err
    assert "training:" in shown and "0/3" in shown and shown.endswith("\r")
