"""Labels that are likely wrong."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dal_nlp import Unsupported, UserError
from dal_nlp.annotation.answer_store import AnswerStore, open_answer_store
from dal_nlp.core.progress import Silent
from dal_nlp.workflows.label_errors import find_suspects, out_of_fold, write_suspects
from tests import waiting_runs as asking
from tests.waiting_runs import fill, run, state

Waiting = Callable[[str], Path]


def test_no_example_is_judged_by_a_model_that_has_seen_it() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 200)).astype(np.float32)  # noise: only what was seen can be known
    y = rng.integers(0, 2, 60)
    found = out_of_fold(x, y, seed=0)
    assert found.shape == (60, 2) and np.allclose(found.sum(1), 1)
    assert abs((found.argmax(1) == y).mean() - 0.5) < 0.25
    assert np.array_equal(found, out_of_fold(x, y, seed=0))


def test_wrong_labels_are_found_and_settled(tmp_path: Path) -> None:
    folder = tmp_path / "suspects"
    result = run("sentiment", folder, initial=20, rounds=0)
    gold = asking.gold("sentiment")
    sheet = folder / "run" / "queries" / "round-000.csv"
    wrong = result.pending[3]
    other = {"positive": "negative", "negative": "positive"}
    fill(sheet, {id: other[gold[id]] if id == wrong else gold[id] for id in result.pending})
    run("sentiment", folder, initial=20, rounds=0)
    with open_answer_store(folder / "run") as store:
        found, count = find_suspects(store, Silent())
        assert count == 20 and all(row["target"] != store.state.answers[row["id"]] for row in found)
        doubts = [row["doubt"] for row in found]
        assert doubts == sorted(doubts, reverse=True)
        rows = found if wrong in [row["id"] for row in found] else [{**found[0], "id": wrong}, *found]
        path = write_suspects(store, rows)
        assert set(store.suspects()) == {row["id"] for row in rows}
        (cells,) = [row for row in asking.read_csv(path) if row["id"] == wrong]
        assert (cells["label"], cells["answer"]) == (other[gold[wrong]], "")
    fill(path, {wrong: gold[wrong]})
    more = run("sentiment", folder, initial=20, rounds=1)
    assert more.labels[wrong] == gold[wrong]
    assert wrong not in AnswerStore(folder / "run", state(folder)).suspects()


def test_too_few_labels_and_no_labels_at_all(waiting: Waiting) -> None:
    with open_answer_store(waiting("sentiment") / "run") as store, pytest.raises(UserError, match="too few labels"):
        find_suspects(store, Silent())
    with open_answer_store(waiting("qa") / "run") as store, pytest.raises(Unsupported, match="Only labels"):
        find_suspects(store, Silent())
