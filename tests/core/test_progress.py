"""What a person sees where there is no terminal, and what a library call prints."""

import pytest

from dal_nlp.core.progress import Console, Silent


def test_without_a_terminal_every_phase_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(Console().track([1, 2, 3], "training")) == [1, 2, 3]
    shown = capsys.readouterr()
    assert shown.err == "Training: 3 steps\n" and shown.out == ""


def test_what_users_texts_hold_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Console().say("a label \x1b[31m and \u202e more")
    assert capsys.readouterr().err == "a label ␛[31m and <U+202E> more\n"


def test_silence(capsys: pytest.CaptureFixture[str]) -> None:
    silent = Silent()
    silent.say("something")
    assert list(silent.track("ab", "scoring")) == ["a", "b"]
    assert capsys.readouterr() == ("", "")
