"""The greedy choosers' table: several processes, each with a part of the vectors, choose what one chooses."""

import threading
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dal_nlp.core.errors import BrokenModelError
from dal_nlp.models.vectors import ROWS, Dense, Outer, Vectors
from dal_nlp.strategies import greedy as nearest
from dal_nlp.strategies.badge import kmeans_pp
from dal_nlp.strategies.base import Selection
from dal_nlp.strategies.coreset import k_center
from dal_nlp.strategies.greedy import Nearest, own_part


def in_threads(monkeypatch: pytest.MonkeyPatch, count: int, call: Callable[[], Any]) -> list[Any]:
    """What a call returns in each of ``count`` processes, which threads stand for."""
    own = threading.local()
    meeting = threading.Barrier(count, timeout=60)
    box: list[Any] = [None] * count
    results: list[Any] = [None] * count

    def gather(items: list[Any]) -> list[Any]:
        box[own.rank] = items
        meeting.wait()
        found = [item for items in box for item in items]
        meeting.wait()
        return found

    def run(rank: int) -> None:
        own.rank = rank
        try:
            results[rank] = call()
        except Exception as error:
            results[rank] = error

    monkeypatch.setattr(nearest, "gather", gather)
    monkeypatch.setattr(nearest, "process_state", lambda: SimpleNamespace(process_index=own.rank, num_processes=count))
    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def vectors(n: int, h: int = 6, kinds: int | None = None) -> np.ndarray:
    """Rows of which, with ``kinds``, many are equal."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((kinds or n, h), dtype=np.float32)
    return x if kinds is None else x[rng.integers(kinds, size=n)]


def same(one: Selection, other: Selection) -> bool:
    return one.positions.tolist() == other.positions.tolist() and one.scores.tolist() == other.scores.tolist()


@pytest.mark.parametrize("count", [2, 3, 7])
@pytest.mark.parametrize("kinds", [None, 40])
@pytest.mark.parametrize("known", [0, 5])
def test_k_center_is_that_of_one_process(
    count: int, kinds: int | None, known: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = vectors(4 * ROWS + 17, kinds=kinds)
    choose = lambda: k_center(Dense(x), x[:known], 12, np.random.default_rng(3))  # noqa: E731
    one = choose()
    assert all(same(one, each) for each in in_threads(monkeypatch, count, choose))


def d2_picks(of: Vectors) -> Selection:
    return kmeans_pp(of, 12, np.random.default_rng(3))


@pytest.mark.parametrize("count", [2, 3, 7])
@pytest.mark.parametrize("kinds", [None, 4])  # with 4, the rest of 12 picks is drawn evenly
def test_d2_sampling_is_that_of_one_process(count: int, kinds: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    x = vectors(4 * ROWS + 17, kinds=kinds)
    for of in (Dense(x), Outer(x[:, None, :2], x[:, None, 2:])):
        choose = partial(d2_picks, of)
        one = choose()
        assert len(set(one.positions.tolist())) == 12
        with monkeypatch.context() as patch:
            assert all(same(one, each) for each in in_threads(patch, count, choose))


def test_a_process_computes_its_own_part_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Counted(Dense):
        def sq_dists(self, i: int, part: slice = slice(None)) -> Any:
            asked.append(part.stop - part.start)
            return super().sq_dists(i, part)

    x = Counted(vectors(4 * ROWS))
    in_threads(monkeypatch, 4, lambda: kmeans_pp(x, 3, np.random.default_rng(0)))
    assert asked == [ROWS] * 8


@pytest.mark.parametrize("n", [1, ROWS, ROWS + 1, 10 * ROWS + 3])
@pytest.mark.parametrize("count", [1, 2, 3, 16])
def test_parts_begin_at_blocks_and_cover_all(n: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = in_threads(monkeypatch, count, lambda: own_part(n))
    assert np.concatenate([np.arange(n)[part] for part in parts]).tolist() == list(range(n))
    assert all(part.start % ROWS == 0 or part.start == n for part in parts)
    sizes = [-(-(part.stop - part.start) // ROWS) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_draws_are_in_proportion_to_the_squared_distance() -> None:
    x = np.zeros((2 * ROWS, 1), dtype=np.float32)
    x[[5, ROWS + 7, 2 * ROWS - 1], 0] = [1, 2, 3]
    table = Nearest(Dense(x))
    table.add(0, own=0)
    rng = np.random.default_rng(0)
    drawn = [table.draw(rng) for _ in range(3000)]
    shares = [np.mean([i == at for i, _ in drawn]) for at in (5, ROWS + 7, 2 * ROWS - 1)]
    np.testing.assert_allclose(shares, np.array([1, 4, 9]) / 14, atol=0.03)
    assert dict(drawn) == {5: 1.0, ROWS + 7: 4.0, 2 * ROWS - 1: 9.0}


def test_nan_of_another_process_is_an_error_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    x = vectors(3 * ROWS)

    def choose() -> object:
        table = Nearest(Dense(x), lambda part: np.where(np.arange(len(x))[part] == 10, np.nan, 1.0).astype("f4"))
        return table.farthest(np.random.default_rng(0))

    assert all(isinstance(each, BrokenModelError) for each in in_threads(monkeypatch, 3, choose))
