"""``dal-nlp end``: a run that people finish before its budget is spent."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import invoke
from tests.waiting_runs import fill, gold, run, state, typed

Waiting = Callable[[str], Path]


@pytest.fixture
def folder(waiting: Waiting) -> Path:
    """A run whose first round is answered and which waits for the second."""
    folder = waiting("sentiment")
    fill(folder / "run" / "queries" / "round-000.csv", typed("sentiment"))
    assert len(run("sentiment", folder).pending) == 4
    return folder


def end(folder: Path) -> str:
    done = invoke("end", str(folder / "run"), "--as", "anna")
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_model_learns_from_all_answers_and_what_is_open_is_back_in_the_pool(folder: Path) -> None:
    asked = state(folder).queries[1].ids
    fill(folder / "run" / "queries" / "round-001.csv", {id: gold("sentiment")[id] for id in asked[:2]})  # not read yet
    said = end(folder)
    assert "Asked no more: 2 texts." in said and "Finished: anna ended it, with 2 labels of the budget left" in said
    now = state(folder)
    assert now.queries[1].ids == asked[:2] and now.waiting == [] and now.metrics[-1].labels == 6
    assert (folder / "run" / "model" / "config.json").is_file()
    assert run("sentiment", folder).stopped == now.stopped  # the same command finds it finished
    assert run("sentiment", folder, budget=16, rounds=3).pending  # another budget goes on
    assert state(folder).ended is None and len(state(folder).queries) == 3


def test_a_round_of_which_nothing_was_answered_has_not_been(folder: Path) -> None:
    assert "Asked no more: 4 texts." in end(folder)
    now = state(folder)
    assert len(now.queries) == len(now.metrics) == 1 and now.stopped is not None
    assert len(run("sentiment", folder, budget=9, rounds=2).pending) == 4
    assert [query.round for query in state(folder).queries] == [0, 1]


def test_it_takes_answers_that_train(waiting: Waiting) -> None:
    folder = waiting("sentiment")
    before = state(folder)
    done = invoke("end", str(folder / "run"))
    assert done.exit_code == 2 and "No answer is there that could train a model" in done.stderr
    assert state(folder).waiting == before.waiting and state(folder).ended is None


def test_it_takes_the_answers_that_measure(waiting: Waiting) -> None:
    folder = waiting("sentiment")
    run("sentiment", folder, test=None, audit=3, budget=11, out=str(folder / "other"))
    done = invoke("end", str(folder / "other"))
    assert done.exit_code == 2 and "texts that measure the model are open (3)" in done.stderr


def test_what_no_people_answer_is_refused(finished: Path) -> None:
    done = invoke("end", str(finished))
    assert done.exit_code == 2 and "is answered by labeled-file" in done.stderr
