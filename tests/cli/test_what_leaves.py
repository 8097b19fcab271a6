"""What is made to leave the machine names no folder of it; what ``push`` sends is looked at in ``tests/publishing``."""

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Files, invoke

#: What is for this machine alone, see docs/security.md.
STAYS = {"config.yaml", "ledger.jsonl"}


@pytest.mark.long
@pytest.mark.parametrize("mode", ["head", "full"])
def test_nothing_that_leaves_the_machine_names_a_folder_of_it(files: Files, tmp_path: Path, mode: str) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    done = invoke("run", *files.flags(run), "--train", mode, "--audit", "6")
    assert done.exit_code == 0, done.output
    for format in ("csv", "jsonl", "hf-dataset", "label-studio"):
        assert invoke("export", str(run), "--format", format, "--out", str(out / format)).exit_code == 0
    assert invoke("predict", str(run), files.more, "--out", str(out / "predictions.csv")).exit_code == 0
    assert invoke("autolabel", str(run), files.more, "--out", str(out / "autolabel")).exit_code == 0
    assert invoke("report", str(run), "--out", str(out / "report")).exit_code == 0
    shutil.rmtree(run / "cache", ignore_errors=True)
    places = [str(tmp_path), str(Path(files.pool).parent), str(Path.home() / ".cache"), str(Path(__file__).parents[2])]
    looked = [path for place in (run, out) for path in place.rglob("*") if path.is_file() and path.name not in STAYS]
    for name in ("config.json", "report.html", "model.safetensors", "README.md", "rejected.csv", "people.csv"):
        assert name in {path.name for path in looked}
    for path in looked:
        content = path.read_bytes()
        assert not [place for place in places if place.encode() in content], path
    assert places[1] in (run / "ledger.jsonl").read_text()  # as it would look
