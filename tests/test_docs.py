"""README and the pages of the site: commands and options exist, examples run, links lead somewhere."""

import functools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
import yaml
from typer.core import TyperGroup

import dal_nlp
from dal_nlp.strategies import STRATEGIES
from dal_nlp_cli.main import app
from tests import tiny

ROOT = Path(__file__).parents[1]
PAGES = sorted(path for path in [*ROOT.glob("docs/**/*.md"), ROOT / "README.md"])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


def _blocks(language: str) -> Iterator[Any]:
    for page in PAGES:
        for number, (found, text) in enumerate(BLOCK.findall(page.read_text())):
            if found == language:
                yield pytest.param(text, id=f"{page.relative_to(ROOT)}-{number}")


def _commands() -> Iterator[Any]:
    """Every call of dal-nlp: in blocks, and between backticks."""
    for page in PAGES:
        text = page.read_text()
        calls = [words for _, block in BLOCK.findall(text) for words in _calls(block.replace("\\\n", " "))]
        calls += [words for found in re.findall(r"`(dal-nlp [^`]+)`", BLOCK.sub("", text)) for words in _calls(found)]
        for words in calls:
            yield pytest.param(words, id=f"{page.relative_to(ROOT)}: {' '.join(words)[:60]}")


def _calls(block: str) -> Iterator[list[str]]:
    """The words of each call of a block; one whose quotation goes on has several lines."""
    lines = iter(re.sub(r"\n +", " ", block).splitlines())
    for line in lines:
        while line.startswith("dal-nlp ") and line.count('"') % 2:
            line += "\n" + next(lines)
        if line.startswith("dal-nlp "):
            yield shlex.split(line, comments=True)[1:]


PROGRAM: Any = typer.main.get_command(app)


@pytest.mark.parametrize("words", list(_commands()))
def test_commands_and_their_options_exist(words: list[str]) -> None:
    command = PROGRAM
    while isinstance(command, TyperGroup) and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"no command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    options = {name for parameter in command.params for name in parameter.opts} | {"--help"}
    for word in words:
        if word.startswith("--"):
            assert word.partition("=")[0] in options, f"no option {word}"


@pytest.mark.long
@pytest.mark.parametrize("block", list(_blocks("python")))
def test_python_examples_run(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_folder: str) -> None:
    """Run beside files of the names that the examples use, with a tiny model where none is named."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    monkeypatch.chdir(tmp_path)
    tiny.write(tmp_path / "pool.jsonl", tiny.sentences(40, 1))
    tiny.write(tmp_path / "test.jsonl", tiny.sentences(10, 2))
    (tmp_path / "pool.txt").write_text("\n".join(row["text"] for row in tiny.sentences(60, 3)))
    for place in ("my-model", "runs/demo/model"):
        AutoModelForSequenceClassification.from_pretrained(model_folder).save_pretrained(place)
        AutoTokenizer.from_pretrained(model_folder).save_pretrained(place)
    small = functools.partial(dal_nlp.RunConfig, initial=4, query_size=4, rounds=1, audit=2)
    known = {"model": model_folder, "labels": "negative,positive", "budget": 8}
    monkeypatch.setattr(dal_nlp, "RunConfig", lambda **given: small(**{**given, **known}))
    named: dict[str, Any] = {"texts": [row["text"] for row in tiny.sentences(60, 3)]}
    exec(compile(block, "example", "exec"), named)
    for found in named.values():
        if isinstance(found, type) and issubclass(found, dal_nlp.Strategy) and found is not dal_nlp.Strategy:
            assert len(found().select(tiny.pool(), 3, np.random.default_rng(0)).positions) == 3


@pytest.mark.parametrize("block", list(_blocks("yaml")))
def test_configurations_are_read(block: str) -> None:
    assert yaml.safe_load(block)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", re.sub(r"`[^`]*`", "", BLOCK.sub("", page.read_text()))):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_every_page_is_in_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text()
    for page in ROOT.glob("docs/**/*.md"):
        assert f": {page.relative_to(ROOT / 'docs')}\n" in menu, page


def test_the_page_of_strategies_has_every_one() -> None:
    page = (ROOT / "docs" / "strategies.md").read_text()
    shown = dict(re.findall(r"^#### (\w+)\n\n::: (\S+)$", page, re.M))
    assert shown == {name: place.replace(":", ".") for name, place in STRATEGIES.items()}
