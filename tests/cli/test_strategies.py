import inspect
from dataclasses import dataclass
from importlib import import_module

import pytest

from dal_nlp.strategies import ALIASES, STRATEGIES
from dal_nlp.strategies.base import Strategy
from dal_nlp.strategies.pseudo_labels import PSEUDO_LABELS
from dal_nlp_cli.strategies import docstring, explain, summary
from tests.cli.conftest import invoke


@dataclass(frozen=True)
class Example(Strategy):
    """The idea of it, over
    two lines.

    More of it.

    Reads: log_probs,
        embedding.
    Cost: one pass, O(N C); more of it.
    Tasks: all.
    Reference: none.
    """

    beta: float = 0.5


def test_summary_reads_the_sections() -> None:
    text = inspect.getdoc(Example) or ""
    assert summary(text) == [
        "The idea of it, over two lines",
        "log_probs, embedding",
        "one pass, O(N C)",
        "all",
    ]


@pytest.mark.parametrize("place", [*STRATEGIES.values(), *PSEUDO_LABELS.values()])
def test_every_strategy_says_what_it_reads_and_costs(place: str) -> None:
    module, _, name = place.partition(":")
    text = docstring(place)
    assert text == inspect.getdoc(vars(import_module(module))[name]) and all(summary(text))


def test_the_table_holds_every_strategy() -> None:
    names = [line.split(" ")[0] for line in invoke("strategies").stdout.splitlines()[3:-2]]
    assert [name for name in names if name] == [*STRATEGIES, *ALIASES]


def test_one_strategy_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert str(docstring(STRATEGIES["margin"])) in invoke("strategies", "margin").stdout
    explain("mine", Example)
    shown = capsys.readouterr().out
    assert "More of it." in shown and "--set strategy_options.beta=0.5" in shown


def test_an_alias_is_explained_too() -> None:
    shown = invoke("strategies", "ceal").stdout
    assert "--strategy entropy --pseudo-labels ceal" in shown and "Wang et al. (2017)" in shown


def test_an_unknown_one_names_the_nearest() -> None:
    result = invoke("strategies", "entropie")
    assert result.exit_code == 2
    assert "'entropy'" in result.stderr
