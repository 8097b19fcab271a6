"""A disk that is full at any write of a run: a sentence, and with room the same command ends as if it never was."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dal_nlp import RunConfig, Session, UserError
from tests import tiny
from tests.session.test_loop import timeless
from tests.tiny import write


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Have the system take no file larger than ``size`` bytes: a full disk, for one process."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def run(base: Path, out: Path) -> None:
    flags = {
        **{"task": "sentiment", "data": str(base / "pool.jsonl"), "test": str(base / "test.jsonl")},
        **{"model": str(base / "model"), "out": str(out), "cache": str(out / "features")},
        **{"initial": 6, "query_size": 4, "rounds": 1, "training": {"mode": "head"}, "finish": "full"},
    }
    Session(RunConfig.load(flags={**flags, "initial_strategy": "random"})).run()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("disk")
    write(folder / "pool.jsonl", tiny.sentences(40))
    write(folder / "test.jsonl", tiny.sentences(12, seed=1))
    tiny.save_model(folder / "model")
    run(folder, folder / "whole")
    return folder


@pytest.mark.long
def test_whatever_is_written_when_the_disk_is_full_is_named(base: Path, tmp_path: Path) -> None:
    """The disk takes one file more each time, until the run is through."""
    out, whole = tmp_path / "run", base / "whole"
    sizes = sorted({path.stat().st_size for path in whole.rglob("*") if path.stat().st_size and path.is_file()})
    refused: list[str] = []
    for size in [*(size - 1 for size in sizes), 2 * sizes[-1]]:
        with files_of_at_most(size):
            try:
                run(base, out)
            except UserError as error:
                assert "make room" in str(error) or "(ulimit -f)" in str(error)
                refused.append(str(error))
    for name in ("cache/test.arrow", "cache/pool.arrow", "cache/pool-encoded", "features/", "finish/checkpoints/"):
        assert any(f"{out}/{name}" in text for text in refused), (name, refused)
    assert timeless(out)[1:] == timeless(whole)[1:]
    weights = [(folder / "model" / "model.safetensors").read_bytes() for folder in (out, whole)]
    assert weights[0] == weights[1]
