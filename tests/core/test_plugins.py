"""Names that stand for classes: each kind takes its own, and code that lies about runs only where it was named."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dal_nlp.annotation import make_oracle
from dal_nlp.core.config import PseudoLabelsConfig
from dal_nlp.core.errors import UserError
from dal_nlp.core.plugins import trust_all, trust_only
from dal_nlp.strategies import make_strategy
from dal_nlp.strategies.pseudo_labels import make_policy
from dal_nlp.tasks import task_class


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with a module of which nobody knows who wrote it."""
    code = "from dal_nlp.strategies.uncertainty import Margin\nclass S(Margin):\n    pass\n"
    (tmp_path / "lying_about.py").write_text(code)
    (tmp_path / "broken_module.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", str(tmp_path))])
    yield tmp_path
    trust_all()
    for name in ("lying_about", "broken_module"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    "name", ["builtins:int", "os:PathLike", "builtins:object", ".a:B", ":B", "os:", "a b:c", "..:x"]
)
def test_a_class_of_another_kind_is_refused(name: str) -> None:
    for make in (
        task_class,
        make_oracle,
        lambda name: make_strategy(name, {}),
        lambda name: make_strategy(f"stochastic:{name}", {}),
        lambda name: make_policy(PseudoLabelsConfig(policy=name)),
    ):
        with pytest.raises(UserError):
            make(name)


def test_an_unfinished_class_says_what_it_lacks() -> None:
    with pytest.raises(UserError, match=r"write select\(\)"):
        make_strategy("dal_nlp.strategies.base:Strategy", {})


def test_an_oracle_with_arguments_is_refused() -> None:
    with pytest.raises(UserError, match="cannot be built without options"):
        make_oracle("dal_nlp.annotation.simulated:Calling")


def test_a_module_that_breaks_is_one_sentence(folder: Path) -> None:
    with pytest.raises(UserError, match="ZeroDivisionError: division by zero"):
        make_strategy("broken_module:S", {})


def test_what_lies_in_the_folder_runs_where_it_was_typed(folder: Path) -> None:
    trust_only(["run", "--strategy=lying_about:S"])
    assert type(make_strategy("lying_about:S", {})).__name__ == "S"


def test_what_lies_in_the_folder_does_not_run_where_it_was_not(folder: Path) -> None:
    trust_only(["label", "runs/theirs", "--as", "lying_about"])
    with pytest.raises(UserError, match="give --trust"):
        make_strategy("lying_about:S", {})
    assert "lying_about" not in sys.modules


def test_python_m_puts_no_trust_in_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    trust_only([])
    with pytest.raises(UserError, match="give --trust"):
        make_strategy("lying_about:S", {})


def test_what_is_installed_runs_wherever_it_was_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    trust_only([])
    assert type(make_strategy("lying_about:S", {})).__name__ == "S"


def test_all_runs_under_trust(folder: Path) -> None:
    trust_only([])
    trust_all()
    assert type(make_strategy("lying_about:S", {})).__name__ == "S"


@pytest.mark.parametrize("name", ["noisy:" + "a" * 300, "noisy:\0", "noisy:2", "noisy:nan"])
def test_a_share_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UserError):
        make_oracle(name)
