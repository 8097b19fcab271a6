import inspect
from dataclasses import dataclass
from importlib import import_module

import numpy as np
import pytest

from dal_nlp.core.errors import UserError
from dal_nlp.models.pool import Pool
from dal_nlp.strategies import ALIASES, STRATEGIES
from dal_nlp.strategies.base import Selection, Strategy
from dal_nlp.strategies.pseudo_labels import PSEUDO_LABELS
from dal_nlp_cli.strategies import FAMILIES, docstring, explain, family, summary
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

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        raise NotImplementedError


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
    names = [line.split(" ")[0] for line in invoke("strategies").stdout.splitlines()]
    assert all(names.count(name) == 1 for name in (*STRATEGIES, *ALIASES))


def test_the_table_is_short_has_families_and_says_where_to_start() -> None:
    lines = invoke("strategies").stdout.splitlines()
    said = "the default of --train head (badge for several labels a text, weighted_kmeans for entities)"
    assert " ".join(lines[:3]).startswith(f"Start here: variance_reduction, {said}; margin")
    assert all(any(line.lower() == f"{title}:" for line in lines) for title in FAMILIES.values())
    assert len(lines) < 2.5 * len(STRATEGIES)  # on 80 columns


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("margin", "what the model is unsure of"),
        ("bald", "what several readings of a text disagree about"),
        ("coreset", "unlike each other"),
        ("weighted_kmeans", "unsure and unlike each other"),
        ("badge", "what would change the model"),
        ("random", "neither model nor text"),
    ],
)
def test_what_a_strategy_reads_gives_its_family(name: str, title: str) -> None:
    assert family(summary(docstring(STRATEGIES[name]))[1]) == title


def test_one_strategy_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert str(docstring(STRATEGIES["margin"])) in invoke("strategies", "margin").stdout
    shown = invoke("strategies", "batchbald").stdout
    assert "Needs: " in shown and "dal-nlp run --task TASK --data FILE --strategy batchbald" in shown
    explain("mine", Example)
    assert "--set strategy_options.beta=0.5" in capsys.readouterr().out


def test_the_text_is_there_before_the_class_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    def imported(place: str) -> type:
        raise UserError(f"{place} is imported.")

    monkeypatch.setattr("dal_nlp.core.plugins.built_in", imported)
    done = invoke("strategies", "margin")
    assert "Margin is imported" in done.stderr and docstring(STRATEGIES["margin"]) in done.stdout


def test_one_of_ones_own_in_full() -> None:
    shown = invoke("strategies", "tests.cli.test_strategies:Example").stdout
    assert "More of it." in shown and "--set strategy_options.beta=0.5" in shown


def test_an_alias_is_explained_too() -> None:
    shown = invoke("strategies", "ceal").stdout
    assert "--strategy entropy --pseudo-labels ceal" in shown and "Wang et al. (2017)" in shown


def test_an_unknown_one_names_the_nearest() -> None:
    result = invoke("strategies", "entropie")
    assert result.exit_code == 2
    assert "'entropy'" in result.stderr
