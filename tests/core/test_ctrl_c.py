"""Ctrl-C, heeded wherever it falls."""

import os
import signal
import sys
from collections.abc import Iterator

import pytest

from dal_nlp.core.distributed import broadcast_each, phase
from dal_nlp.core.progress import check_ctrl_c, heed_ctrl_c


class Swallowing:
    """Presses Ctrl-C while it is collected, where Python lets no exception out."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):  # a signal is seen between two steps of the interpreter
            pass


@pytest.fixture
def installed() -> Iterator[None]:
    hook = sys.unraisablehook
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background of a shell it is ignored
    heed_ctrl_c()
    yield
    signal.signal(signal.SIGINT, handler)
    sys.unraisablehook = hook


@pytest.fixture
def pressed(installed: None, capsys: pytest.CaptureFixture[str]) -> None:
    thing = Swallowing()
    del thing
    assert capsys.readouterr().err == ""


def test_what_a_callback_swallowed_is_raised_at_the_next_look(pressed: None) -> None:
    with pytest.raises(KeyboardInterrupt):
        check_ctrl_c()
    check_ctrl_c()


def test_every_step_looks(pressed: None) -> None:
    with pytest.raises(KeyboardInterrupt), phase("scoring"):
        raise AssertionError("it went on")


def test_an_answer_is_not_followed_by_another(installed: None) -> None:
    def answers() -> Iterator[int]:
        yield 1
        thing = Swallowing()
        del thing
        yield 2

    each = broadcast_each(answers())
    assert next(each) == 1
    with pytest.raises(KeyboardInterrupt):
        next(each)


def test_ctrl_c_is_raised_at_once_where_it_can_be(installed: None) -> None:
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        check_ctrl_c()


def test_who_ignores_ctrl_c_goes_on_ignoring_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        heed_ctrl_c()
        os.kill(os.getpid(), signal.SIGINT)
        check_ctrl_c()
    finally:
        signal.signal(signal.SIGINT, before)
