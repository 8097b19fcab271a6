from pathlib import Path

import pytest
import yaml

from dal_nlp.core.config import DrawsConfig, ScoringConfig, TrainingConfig
from dal_nlp.session.config import RunConfig
from tests.cli.conftest import invoke


def test_the_file_loads_as_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    result = invoke("init", str(file))
    assert result.exit_code == 0 and str(file) in result.stdout
    assert RunConfig.load(file) == RunConfig(task="sentiment")  # the demonstration's settings
    assert RunConfig.load(file, {"data": "pool.csv"}) == RunConfig(task="sentiment", data="pool.csv")


def test_every_key_is_there_with_what_it_means(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    invoke("init", str(file), "--task", "classification")
    text = file.read_text()
    assert "task: classification" in text
    for section in (RunConfig, TrainingConfig, ScoringConfig, DrawsConfig):
        for name, field in section.model_fields.items():
            line = next(line for line in text.splitlines() if line.lstrip("# ").startswith(f"{name}:"))
            assert line.endswith(":") if field.description is None else field.description in text


def test_uncommented_it_holds_the_recipe(tmp_path: Path) -> None:
    """Taking the comment signs away changes nothing: the values are those that the recipe gives."""
    file = tmp_path / "run.yaml"
    invoke("init", str(file))
    head, _, body = file.read_text().partition("\n\n")
    assert all(line.startswith("# ") for line in head.splitlines())
    file.write_text("\n".join(line.removeprefix("# ") for line in body.splitlines()))
    assert "training" in yaml.safe_load(file.read_text())
    flags = {"data": "pool.csv"}
    assert RunConfig.load(file, flags) == RunConfig(task="sentiment", data="pool.csv")


@pytest.mark.parametrize("name", ["there.yaml", "no-folder/run.yaml"])
def test_it_overwrites_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "there.yaml").write_text("mine")
    result = invoke("init", str(tmp_path / name))
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1
    assert (tmp_path / "there.yaml").read_text() == "mine"
