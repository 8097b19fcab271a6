"""The examples run, as a reader would run them."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

from dal_nlp.ledger.ledger import read_state
from tests import tiny, warm_processes
from tests.session.test_loop import write

EXAMPLES = Path(__file__).parent.parent / "examples"


def python(script: str, *arguments: object, typed: str = "") -> str:
    found = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    words, place = [str(argument) for argument in arguments], str(EXAMPLES / script)
    done = warm_processes.run(words, Path.cwd(), found, script=place, typed=typed)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
def test_custom_strategy(tmp_path: Path, model_folder: str) -> None:
    write(tmp_path / "pool.jsonl", tiny.sentences(30))
    write(tmp_path / "test.jsonl", tiny.sentences(10, seed=1))
    files = (tmp_path / "pool.jsonl", tmp_path / "test.jsonl", model_folder, tmp_path / "run")
    assert [line.split()[0] for line in python("custom_strategy.py", *files).splitlines()] == ["8", "12"]
    assert len((EXAMPLES / "custom_strategy.py").read_text().splitlines()) <= 60


def test_the_custom_strategy_works_where_examples_have_several_windows() -> None:
    spec = importlib.util.spec_from_file_location("custom_strategy", EXAMPLES / "custom_strategy.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    selection = module.UncertainAndShort().select(tiny.qa_pool(n=9), 3, np.random.default_rng(0))
    assert len(set(selection.positions.tolist())) == 3


@pytest.mark.long
def test_in_a_training_script(tmp_path: Path, model_folder: str) -> None:
    lines = python("in_a_training_script.py", model_folder, tmp_path / "out").splitlines()
    assert len([line for line in lines if line.startswith("0.")]) == 2


@pytest.mark.long
def test_a_person_decides_what_two_models_disagree_about(tmp_path: Path, model_folder: str) -> None:
    for name, rows, seed in (("pool", 40, 4), ("test", 10, 4), ("labeled", 12, 8)):
        write(tmp_path / f"{name}.jsonl", tiny.sentences(rows, seed=seed))
    files = [tmp_path / f"{name}.jsonl" for name in ("pool", "test", "labeled")]
    said = python("decide_disagreements.py", *files, model_folder, tmp_path / "run", typed="positive\n" * 20)
    state = read_state(tmp_path / "run")
    agreed = [id for id, events in state.given.items() if events[0].by == "two models"]
    asked = [id for id in state.answers if id not in agreed]
    assert said.splitlines()[-1] == f"20 labels, {len(asked)} of them by a person"
    assert set(state.queries[0].ids) <= set(asked) and agreed
    assert all(state.answers[id] == "positive" for id in asked)
    suggested = {id: suggestion["target"] for id in agreed if (suggestion := state.suggestion(id))}
    assert suggested == {id: state.answers[id] for id in agreed}


def test_a_task_of_ones_own_with_its_answer_format_is_short() -> None:
    """It runs in ``tests/test_multi_label.py``."""
    lines = (EXAMPLES / "multi_label.py").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 80


def test_every_example_is_run_here() -> None:
    tests = Path(__file__).parent
    text = "".join(path.read_text() for path in (Path(__file__), tests / "workflows" / "test_async_session.py"))
    assert all(f'"{path.name}"' in text for path in EXAMPLES.glob("*.py"))
