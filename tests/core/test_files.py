"""Files and folders that are there whole or not at all, and flushed before they get their names."""

import errno
import os
import time
from pathlib import Path

import pytest

from dal_nlp.core.errors import UserError
from dal_nlp.core.files import ABANDONED, check_spared, new_file, replace_file, sweep, whole_folder


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is flushed and renamed, in order."""
    told: list[str] = []
    fsync, replace = os.fsync, os.replace

    def flush(number: int) -> None:
        told.append(f"flush {Path(os.readlink(f'/proc/self/fd/{number}')).name}")
        fsync(number)

    def rename(old: Path, new: Path) -> None:
        told.append(f"rename to {Path(new).name}")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "replace", rename)
    return told


def test_a_file_is_flushed_then_renamed_then_its_folder_flushed(tmp_path: Path, calls: list[str]) -> None:
    replace_file(tmp_path / "a.txt", b"new")
    assert (tmp_path / "a.txt").read_bytes() == b"new" and [*tmp_path.iterdir()] == [tmp_path / "a.txt"]
    draft = f".a.txt.{os.getpid()}.tmp"
    assert calls == [f"flush {draft}", "rename to a.txt", f"flush {tmp_path.name}"]


def test_a_folder_is_flushed_with_all_that_is_in_it(tmp_path: Path, calls: list[str]) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").touch()
    with whole_folder(tmp_path / "model") as draft:
        (draft / "part").mkdir()
        (draft / "part" / "weights").write_bytes(b"1")
        (draft / "config").write_bytes(b"2")
    assert sorted(path.name for path in (tmp_path / "model").rglob("*")) == ["config", "part", "weights"]
    assert {f"flush {name}" for name in ("weights", "config", "part")} < set(calls)
    assert calls[-2:] == ["rename to model", f"flush {tmp_path.name}"]


def test_what_fails_leaves_what_was_there(tmp_path: Path) -> None:
    replace_file(tmp_path / "a", b"old")
    with pytest.raises(ZeroDivisionError), new_file(tmp_path / "a") as draft:
        draft.write_bytes(b"half")
        1 / 0  # noqa: B018
    with pytest.raises(ZeroDivisionError), whole_folder(tmp_path / "model") as draft:
        (draft / "half").touch()
        1 / 0  # noqa: B018
    assert [*tmp_path.iterdir()] == [tmp_path / "a"] and (tmp_path / "a").read_bytes() == b"old"


def test_what_is_no_file_is_not_replaced_by_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # a device, such as /dev/null, is as this
    for place in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(UserError, match="is there and no file"):
            replace_file(place, b"x")
    assert (tmp_path / "pipe").is_fifo() and [*tmp_path.iterdir()] == [tmp_path / "pipe"]


def test_a_file_that_is_read_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "link").symlink_to("a")
    for read in (str(tmp_path / "a"), tmp_path / "link"):
        with pytest.raises(UserError, match="is read here"):
            check_spared(tmp_path / "a", [Path(read)], [])
    check_spared(tmp_path / "b", [tmp_path / "a"])


def test_nor_is_one_of_the_files_that_a_source_means(tmp_path: Path) -> None:
    written = tmp_path / "in" / "a.csv"
    written.parent.mkdir()
    written.touch()
    others = [None, "user/name-on-the-hub", "x" * 5000]
    for source in ("in/a.csv", "in/a.csv:train", "in", "in/", "in/*.csv"):
        with pytest.raises(UserError, match="is read here"):
            check_spared(written, [], [*others, str(tmp_path / source)])
    check_spared(written, [], [*others, str(tmp_path), str(tmp_path / "in" / "b*")])


def test_a_draft_of_the_same_file_goes_with_the_process_that_made_it(tmp_path: Path) -> None:
    old, made, elsewhere = (tmp_path / f".a[1].{process}.tmp" for process in (2**22 + 1, os.getppid(), 2**22 + 2))
    for draft in (old, made, elsewhere):
        draft.touch()
        os.utime(draft, (0, time.time() - ABANDONED * (0.5 if draft == elsewhere else 2)))
    replace_file(tmp_path / "a[1]", b"x")
    assert {*tmp_path.iterdir()} == {made, elsewhere, tmp_path / "a[1]"}


def test_where_nothing_can_be_written_the_file_is_named_and_not_its_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(UserError, match=f"^{tmp_path}/metrics.csv could not be written"):
        replace_file(tmp_path / "metrics.csv", b"x")


def test_leftovers_of_processes_that_have_ended_are_swept(tmp_path: Path) -> None:
    dead, alive = 2**22 + 1, os.getppid()
    for name in (f".curve.svg.{dead}.tmp", f".b.{alive}.tmp", ".hidden.tmp", "tmpabc", "kept"):
        (tmp_path / name).touch()
    (tmp_path / f".round-1.{dead}.tmp").mkdir()
    (tmp_path / f".round-1.{dead}.tmp" / "weights").touch()
    left = sweep(tmp_path, ["tmp*"])
    assert {path.name for path in left} == {f".curve.svg.{dead}.tmp", f".round-1.{dead}.tmp", "tmpabc"}
    assert {path.name for path in tmp_path.iterdir()} == {f".b.{alive}.tmp", ".hidden.tmp", "kept"}
