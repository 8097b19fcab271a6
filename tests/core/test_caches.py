"""Caches: what was put stays, also for the next process and after a kill."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dal_nlp.core.caches import STATEMENT, Cache, Deferred, InMemory, OnDisk
from dal_nlp.core.errors import UserError


@pytest.fixture(params=["memory", "disk"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Cache:
    return InMemory() if request.param == "memory" else OnDisk(tmp_path / "new" / "cache.sqlite")


def test_what_was_put_is_there_and_the_first_value_stays(cache: Cache) -> None:
    assert cache.get([b"a"]) == {}
    cache.put({b"a": b"1", b"b": b""})
    cache.put({b"a": b"2", b"c": b"\x00"})
    assert cache.get([b"c", b"a", b"x", b"b", b"a"]) == {b"a": b"1", b"b": b"", b"c": b"\x00"}
    assert cache.get([]) == {}
    cache.put({})


def test_more_keys_than_a_statement_takes(cache: Cache) -> None:
    values = {f"{i}".encode(): f"{i * i}".encode() for i in range(2 * STATEMENT + 5)}
    cache.put(values)
    assert cache.get(values) == values


@given(st.dictionaries(st.binary(max_size=20), st.binary(max_size=50)))
def test_bytes_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, values: dict[bytes, bytes]) -> None:
    path = tmp_path_factory.mktemp("cache") / "cache.sqlite"
    first = OnDisk(path)
    first.put(values)
    first.close()
    again = OnDisk(path)
    assert again.get(values) == values
    again.close()


def _write_and_die(path: Path) -> None:
    cache = OnDisk(path)
    cache.put({b"kept": b"1"})
    connection = cache._open()
    connection.execute("INSERT INTO results VALUES (?, ?)", (b"half", b"2"))  # a transaction that never ends
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_kill_leaves_every_finished_put(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    process = multiprocessing.get_context("fork").Process(target=_write_and_die, args=(path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    cache = OnDisk(path)
    assert cache.get([b"kept", b"half"]) == {b"kept": b"1"}
    cache.put({b"half": b"3"})
    cache.close()


def test_a_damaged_file_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    path.write_bytes(b"no database" * 100)
    cache = OnDisk(path)
    assert cache.get([b"a"]) == {}
    cache.put({b"a": b"1"})
    assert cache.get([b"a"]) == {b"a": b"1"}
    cache.close()


def test_a_deferred_cache_is_made_when_it_is_used() -> None:
    made: list[InMemory] = []

    def make() -> InMemory:
        made.append(InMemory())
        return made[-1]

    cache = Deferred(make)
    assert not made
    cache.put({b"a": b"1"})
    assert cache.get([b"a"]) == {b"a": b"1"}
    assert len(made) == 1


def test_two_users_of_one_file(tmp_path: Path) -> None:
    first, second = OnDisk(tmp_path / "cache.sqlite"), OnDisk(tmp_path / "cache.sqlite")
    first.put({b"a": b"1"})
    second.put({b"a": b"2", b"b": b"2"})
    assert first.get([b"a", b"b"]) == {b"a": b"1", b"b": b"2"}
    first.close()
    second.close()


@pytest.mark.parametrize("use", ["get", "put"])
def test_a_file_that_cannot_be_opened_is_a_sentence(tmp_path: Path, use: str) -> None:
    (tmp_path / "cache.sqlite").mkdir()  # as in a folder without rights
    cache = OnDisk(tmp_path / "cache.sqlite")
    with pytest.raises(UserError, match=r"cache.sqlite cannot be written \(unable to open .* --cache"):
        cache.get([b"a"]) if use == "get" else cache.put({b"a": b"1"})


@pytest.mark.parametrize("use", ["get", "put"])
def test_damage_behind_the_first_page_is_said_and_the_file_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, use: str
) -> None:
    path = tmp_path / "cache.sqlite"
    values = {f"{i:04}".encode(): bytes(500) for i in range(500)}
    cache = OnDisk(path)
    cache.put(values)
    cache.close()
    data = path.read_bytes()
    path.write_bytes(data[:4096] + bytes(len(data) - 4096))  # the first page is whole, so the file opens
    if use == "get":
        assert cache.get(values) == {}
    else:
        cache.put({b"new": b"1"})
    assert f"{path} was damaged" in caplog.text and "computed again" in caplog.text
    cache.put(values)
    assert cache.get(values) == values
    cache.close()


def test_a_file_that_another_process_has_made_anew_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    values = {f"{i:04}".encode(): bytes(500) for i in range(500)}
    first = OnDisk(path)
    first.put(values)
    first.close()
    data = path.read_bytes()
    path.write_bytes(data[:4096] + bytes(len(data) - 4096))
    first.get([])
    first._open()
    path.unlink()  # another process has found the damage
    other = OnDisk(path)
    other.put({b"theirs": b"1"})
    assert first.get(values) == {}
    assert first.get([b"theirs"]) == {b"theirs": b"1"}
    first.close()
    other.close()
