"""A disk that does not take what is written: what, where, how much room, and the mend."""

import errno
import os
from pathlib import Path

import pytest
from safetensors import SafetensorError

from dal_nlp.core.errors import UserError, explain, writing
from dal_nlp.core.files import replace_file


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device"),
    ],
)
def test_a_full_disk_is_said_with_what_and_where_and_how_much(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(UserError) as caught, writing(tmp_path / "checkpoints" / "round-1"):
        raise error
    said = str(caught.value)
    assert said.startswith(f"{tmp_path}/checkpoints/round-1 could not be written (No space left on device; ")
    assert f"are free in {tmp_path}): make room, then the same command goes on" in said


@pytest.mark.parametrize(
    "number", [errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.EIO, errno.ENOTDIR]
)
def test_every_other_reason_has_its_mend(tmp_path: Path, number: int) -> None:
    said = explain(OSError(number, "x", str(tmp_path / "a")))
    assert said is not None and said.startswith(f"{tmp_path}/a could not be ")


def test_a_place_whose_name_is_too_long_is_said() -> None:
    assert "(File name too long; " in str(explain(OSError(errno.ENAMETOOLONG, "x", "y" * 5000)))


def test_a_path_of_bytes_that_are_no_utf8_is_said() -> None:
    with pytest.raises(UnicodeEncodeError) as caught:
        os.fsdecode(b"r\xe9").encode()
    assert str(explain(caught.value)).startswith(
        r"r\udce9 holds bytes that are no UTF-8 here: rename it, or set PYTHONUTF8"
    )


@pytest.mark.parametrize(
    "error", [ValueError("x"), BrokenPipeError(errno.EPIPE, "x"), FileNotFoundError(2, "x"), KeyError(28)]
)
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    assert explain(error) is None
    with pytest.raises(type(error)), writing(Path("x")):
        raise error


def test_what_is_replaced_stays_whole_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "a.csv").write_bytes(b"before")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(UserError, match=r"a\.csv could not be written"):
            replace_file(tmp_path / "a.csv", b"after")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.csv", b"before")]


def test_what_a_library_adds_on_its_way_out_does_not_hide_the_reason(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No space left"), writing(tmp_path / "a.arrow"):
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        finally:
            raise ValueError("I/O operation on closed file")


def test_a_failure_in_a_block_is_not_laid_to_a_full_disk_before_it(tmp_path: Path) -> None:
    def fail() -> None:
        with writing(tmp_path / "other"):
            raise KeyError("a mistake of its own")

    try:
        raise OSError(errno.ENOSPC, "No space left on device")
    except OSError:
        with pytest.raises(KeyError):
            fail()
