"""Measurements that are too large for memory lie in files, and nothing else changes."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from dal_nlp import RunConfig, Session
from dal_nlp.core.caches import OnDisk
from dal_nlp.core.config import ScoringConfig
from dal_nlp.core.errors import BrokenModelError, UserError
from dal_nlp.models.measurements import Layout, ResultBuffer
from dal_nlp.models.memory_maps import Scratch, StoredRows
from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import Dense
from dal_nlp.strategies import make_strategy, probes
from tests import tiny
from tests.session.test_loop import write


def test_an_array_is_shared_and_leaves_nothing_behind(tmp_path: Path) -> None:
    array = Scratch(tmp_path / "deep" / "er", 0).array((3, 2), np.float32)
    assert isinstance(array, np.memmap) and array.tolist() == [[0, 0]] * 3
    array[1] = 7
    assert array[1].tolist() == [7, 7]
    assert list((tmp_path / "deep" / "er").iterdir()) == []


def test_only_what_is_large_lies_in_a_file(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path, 100)
    assert scratch.takes((25,), np.float32) and not scratch.takes((24,), np.float32)
    assert not Scratch(tmp_path, 0).takes((0, 5), np.float32)


def spilled(n: int, folder: Path) -> Pool:
    return tiny.pool(n=n, scoring=ScoringConfig(batch_size=8, memory=0), folder=folder)


def test_a_pass_gives_the_same_from_a_file(tmp_path: Path) -> None:
    far, near = spilled(30, tmp_path), tiny.pool(n=30)
    asked = (probes.embedding, probes.gradient, probes.entropy, probes.vectors)
    for mine, want in zip(far.collect(*asked), near.collect(*asked), strict=True):
        if isinstance(want, np.ndarray):
            assert isinstance(mine, np.memmap) and np.array_equal(mine, want)
        else:
            assert all(isinstance(part, np.memmap) for part in mine.parts())
            np.testing.assert_allclose(mine.sq_dists(3), want.sq_dists(3), rtol=5e-3, atol=1e-5)
            assert mine.sq_dists(3).dtype == np.float32
    assert far.collect(probes.vectors)[0].x.dtype == np.float16
    assert far.collect(probes.gradient)[0].right.dtype == np.float32
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["kmeans", "coreset", "badge", "typiclust", "entropy", "weighted_kmeans"])
def test_strategies_choose_the_same_from_files(name: str, tmp_path: Path) -> None:
    picks = [
        make_strategy(name, {}).select(pool, 5, np.random.default_rng(0)).positions.tolist()
        for pool in (spilled(40, tmp_path), tiny.pool(n=40))
    ]
    assert picks[0] == picks[1]


def test_numbers_too_large_for_half_precision_are_no_infinities(tmp_path: Path) -> None:
    value = (Dense, (np.array([[1e5, 0]], dtype=np.float32),))
    with pytest.raises(BrokenModelError, match="half precision"):
        ResultBuffer(1, Layout.of(value), Scratch(tmp_path, 0)).put(np.array([0]), value)
    ResultBuffer(1, Layout.of(value), Scratch(tmp_path, 10**6)).put(np.array([0]), value)


def test_a_full_disk_is_said_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(UserError, match=r"no room for 4\.0 GB.*query\.candidates"):
        Scratch(tmp_path, 0).array((10**9,), np.float32)
    assert list(tmp_path.iterdir()) == []


def test_other_faults_of_the_disk_stay_what_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(handle: int, offset: int, length: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "posix_fallocate", break_down)
    with pytest.raises(OSError, match="Input/output error"):
        Scratch(tmp_path, 0).array((3,), np.float32)
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_what_lies_in_a_file_lies_in_a_file(tmp_path: Path) -> None:
    pool = spilled(40, tmp_path)
    whole, vectors = pool.collect(probes.embedding, probes.vectors)
    positions = np.array([30, 2, 7])
    part, some = pool.take(positions).collect(probes.embedding, probes.vectors)
    assert isinstance(part, np.memmap) and isinstance(some.x, np.memmap)
    np.testing.assert_array_equal(part, whole[positions])
    np.testing.assert_array_equal(some.x, vectors.x[positions])


def test_features_on_a_full_disk_are_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mapped file without its room kills the process when it is written to."""

    def refuse(handle: int, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    tiny.save_masked_lm(tmp_path / "model")
    write(tmp_path / "pool.jsonl", tiny.sentences(20))
    monkeypatch.setattr(os, "posix_fallocate", refuse)
    values = {"task": "sentiment", "data": str(tmp_path / "pool.jsonl"), "model": str(tmp_path / "model"), "audit": 4}
    values |= {"training": {"mode": "head"}, "cache": str(tmp_path / "cache"), "out": str(tmp_path / "run")}
    with pytest.raises(UserError, match="no room"):
        Session(RunConfig.load(flags=values)).run()


def test_a_cache_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    cache = OnDisk(tmp_path / "cache.sqlite")
    cache.put({b"a": b"1"})
    cache._open().execute("PRAGMA max_page_count=1")
    with pytest.raises(UserError, match=r"cannot be written.*--cache"):
        cache.put({bytes([i]): bytes(5000) for i in range(99)})
    assert cache.get([b"a"]) == {b"a": b"1"}


def test_stored_rows_lie_in_the_order_in_which_they_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room that is kept wherever the places are takes half a minute to give back."""
    kept: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "posix_fallocate", lambda handle, offset, length: kept.append((offset, length)))
    rows, values = StoredRows(tmp_path, 100, (2, 3), np.float32), np.arange(30, dtype=np.float32).reshape(5, 2, 3)
    rows.put(np.array([90, 3, 40]), values[:3])
    rows.put(np.array([7, 0]), values[3:])
    np.testing.assert_array_equal(rows.get(np.array([0, 40, 3, 3])), values[[4, 2, 1, 1]])
    assert kept == [(0, 72), (72, 48)]
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(AssertionError):
        rows.get(np.array([1]))
