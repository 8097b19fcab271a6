"""The tutorial of a whole labeled file: its commands, in their order, end in one."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dal_nlp_cli.main import app
from tests import tiny
from tests.inquiries.rows import rows_of
from tests.waiting_runs import fill, write_csv

PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "whole-file.md"


def commands() -> list[list[str]]:
    """The calls of the page's blocks that are of one run."""
    blocks = re.findall(r"^```\n(dal-nlp .*?)\n```$", PAGE.read_text(), re.M | re.S)
    return [shlex.split(block.replace("\\\n", " "))[1:] for block in blocks]


def plain_rows(n: int, seed: int) -> list[dict[str, str]]:
    """Rows that a layer on random states tells apart: all words of a text are of one kind."""
    rng = np.random.default_rng(seed)
    kinds = {"negative": tiny.NEGATIVE, "positive": tiny.POSITIVE}
    names = [list(kinds)[i % 2] for i in range(n)]
    return [
        {"id": f"{seed}-{i}", "text": " ".join(rng.choice(kinds[name], 14)), "label": name}
        for i, name in enumerate(names)
    ]


@pytest.mark.long
def test_its_commands_end_in_a_whole_labeled_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows, new = plain_rows(600, 0), plain_rows(150, 1)
    truth = {row["id"]: row["label"] for row in [*rows, *new]}
    write_csv(Path("reviews.csv"), [{"id": row["id"], "text": row["text"]} for row in rows])
    write_csv(Path("new.csv"), [{"id": row["id"], "text": row["text"]} for row in new])
    model = [
        "--model",
        tiny.save_model(tmp_path / "model"),
        "--cache",
        str(tmp_path / "features"),
        "--query-size",
        "90",
    ]
    said, names = "", [words[0] for words in commands()]
    assert names == ["run", "autolabel", "test"]
    for words in commands():
        for _ in range(6):
            result = CliRunner().invoke(app, [*words, *(model if words[0] == "run" else [])])
            said += result.output
            if result.exit_code != 3:
                break
            for sheet in Path("runs").rglob("queries/*.csv"):
                fill(sheet, truth)
        assert result.exit_code == 0, (words, result.output)
    said = " ".join(said.split())
    for sentence in ("Finished", "Nothing is labeled yet", "error of the file at most 10 %"):
        assert sentence in said
    folder = Path("runs/mine/whole-file")
    labeled = rows_of(folder / "labeled.csv")
    assert [row["id"] for row in labeled] == [row["id"] for row in rows]
    assert {row["by"] for row in labeled} == {"model", "people"}
    assert sum(truth[row["id"]] != row["label"] for row in labeled) <= 0.1 * len(rows)
    assert rows_of(folder / "people.csv") == [] == rows_of(folder / "rejected.csv")
