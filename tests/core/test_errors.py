"""The exceptions: one tree, drawn at the top of the module, and what a user's code may catch."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import dal_nlp
from dal_nlp.core import errors
from dal_nlp.core.errors import DalNlpError, UserError
from dal_nlp.core.progress import Silent
from dal_nlp.ledger.ledger import Ledger, read_state
from dal_nlp.pretrained.loading import resolve
from dal_nlp.readers.sources import read_rows
from dal_nlp.session.stopping_language import parse


def test_the_picture_shows_the_tree() -> None:
    drawn: dict[str, str | None] = {}
    above: list[str] = []
    for branch, name in re.findall(r"^ {4}([│├└─ ]*)([A-Z]\w+)", errors.__doc__ or "", re.MULTILINE):
        above[len(branch) // 4 :] = [name]
        drawn[name] = above[-2] if len(above) > 1 else None
    classes = {name: value for name, value in vars(errors).items() if isinstance(value, type)}
    ours = {name: value for name, value in classes.items() if issubclass(value, Exception)}
    assert drawn.keys() == ours.keys()
    for name, over in drawn.items():
        assert over is None or ours[over] in ours[name].__bases__, name
    assert ours["RowError"]("no text").__class__.__mro__[2] is ValueError


def open_twice(folder: Path) -> None:
    with Ledger(folder), Ledger(folder, patience=0):
        pass


@pytest.mark.parametrize(
    ("name", "mistake"),
    [
        ("ConfigError", lambda folder: dal_nlp.RunConfig(task="sentimnt")),
        ("ConfigError", lambda folder: dal_nlp.RunConfig(task="sentiment", strategy="margn")),
        ("ConfigError", lambda folder: parse("plateu")),
        ("DataError", lambda folder: list(read_rows(str(folder / "nowhere.csv")))),
        ("ModelError", lambda folder: resolve(str(folder / "no-model"), Silent())),
        ("RunFolderError", lambda folder: read_state(folder)),
        ("Locked", open_twice),
    ],
)
def test_a_mistake_is_of_the_class_that_names_its_place(
    tmp_path: Path, name: str, mistake: Callable[[Path], object]
) -> None:
    (tmp_path / "ledger.jsonl").write_text("{\n{}\n" if name == "RunFolderError" else "")
    with pytest.raises(UserError) as caught:
        mistake(tmp_path)
    assert type(caught.value).__name__ == name and isinstance(caught.value, DalNlpError)
