"""What every strategy of the table keeps to."""

import inspect
from functools import cache
from typing import Any

import numpy as np
import pytest

from dal_nlp.core.errors import Unsupported, UserError
from dal_nlp.models.forward import Forward
from dal_nlp.models.pool import Pool
from dal_nlp.strategies import STRATEGIES, check_fit, make_strategy, strategy_class
from dal_nlp.strategies.base import Selection, Strategy, checked
from tests import tiny

POOLS = {
    "classification": lambda n, batch_size=8: tiny.pool(n=n, labels=3, batch_size=batch_size),
    "qa": lambda n, batch_size=8: tiny.qa_pool(n=n, batch_size=batch_size, unanswerable=True),
    "summarization": lambda n, batch_size=8: tiny.summary_pool(n=n, batch_size=batch_size),
}
OFFERS = {
    "classification": tiny.task().offers | tiny.OFFERS,
    "qa": tiny.qa_task().offers | tiny.OFFERS,
    "summarization": tiny.summary_task().offers | tiny.OFFERS,
}
EVERY = sorted(STRATEGIES)
CASES = [(task, name) for task in POOLS for name in EVERY if strategy_class(name).requires <= OFFERS[task]]
REFUSED = [(task, name) for task in POOLS for name in EVERY if not strategy_class(name).requires <= OFFERS[task]]
every_case = pytest.mark.parametrize(("task", "name"), CASES)
SECTIONS = ("Reads:", "Cost:", "Tasks:", "Reference:")


def build(name: str) -> Strategy:
    return make_strategy(name, {})


@cache
def selection(task: str, name: str, n: int, k: int, batch_size: int, seed: int = 0) -> Selection:
    return build(name).select(POOLS[task](n, batch_size), k, np.random.default_rng(seed))


def test_what_compares_outcomes_of_different_examples_is_for_classification_only() -> None:
    shared, written = {"bait", "batchbald", "cal", "egl", "epig"}, {"bleuvar", "dual"}
    refused = {task: {name for of, name in REFUSED if of == task} for task in POOLS}
    assert refused["qa"] == shared | written
    assert refused["classification"] == written | {"span_disagreement"}
    assert refused["summarization"] == shared | {"span_disagreement"}


@pytest.mark.parametrize(("task", "name"), REFUSED)
def test_the_others_are_refused_with_those_that_fit(task: str, name: str) -> None:
    with pytest.raises(Unsupported, match=f"'{name}' needs .*these fit: .*entropy, .*random"):
        check_fit(name, build(name), OFFERS[task])


@every_case
@pytest.mark.parametrize(("n", "k"), [(30, 5), (8, 1), (12, 12)])
def test_k_distinct_positions_with_finite_scores(task: str, name: str, n: int, k: int) -> None:
    checked(selection(task, name, n, k, 8), n, k, name)


@every_case
def test_the_same_generator_picks_the_same(task: str, name: str) -> None:
    again = build(name).select(POOLS[task](30), 5, np.random.default_rng(0))
    assert again.positions.tolist() == selection(task, name, 30, 5, 8).positions.tolist()


@every_case
def test_picks_do_not_depend_on_the_batch_size(task: str, name: str) -> None:
    few = 5 if task == "summarization" else 1  # a text at a time takes seconds
    assert selection(task, name, 30, 5, few).positions.tolist() == selection(task, name, 30, 5, 30).positions.tolist()


@every_case
def test_the_pool_is_passed_over_once_at_most(task: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    pool = POOLS[task](30)
    forwards = Pool._batches

    def counting(self: Pool, label: str, read: Any):  # type: ignore[no-untyped-def]
        if self is pool:
            seen.append(label)
        yield from forwards(self, label, read)

    monkeypatch.setattr(Pool, "_batches", counting)
    build(name).select(pool, 5, np.random.default_rng(0))
    assert len(seen) <= 1


@every_case
def test_the_docstring_says_what_is_read(task: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`dal-nlp strategies` prints these sections; what a strategy touches must stand under Reads."""
    text = inspect.getdoc(type(build(name))) or ""
    for section in SECTIONS:
        assert section in text, section
    touched: set[str] = set()
    start = Forward.__init__

    def recording(self: Forward, *args: object) -> None:
        start(self, *args)  # type: ignore[arg-type]
        self.touched = touched

    monkeypatch.setattr(Forward, "__init__", recording)
    build(name).select(POOLS[task](30), 5, np.random.default_rng(0))
    reads = text.split("Reads:")[1].split("Cost:")[0]
    missing = {signal for signal in touched if signal not in reads}
    assert not missing


@every_case
def test_global_chance_is_neither_read_nor_moved(task: str, name: str) -> None:
    np.random.seed(1)
    before = np.random.get_state()[1].tolist()  # type: ignore[union-attr, index]
    first = build(name).select(POOLS[task](30), 5, np.random.default_rng(0)).positions
    assert np.random.get_state()[1].tolist() == before  # type: ignore[union-attr, index]
    np.random.seed(2)
    second = build(name).select(POOLS[task](30), 5, np.random.default_rng(0)).positions
    assert first.tolist() == second.tolist()


def test_a_strategy_that_does_not_fit_is_refused_with_those_that_do() -> None:
    class Needy(Strategy):
        requires = frozenset({"a telescope"})

        def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
            raise AssertionError

    with pytest.raises(Unsupported, match=r"'needy' needs a telescope.*entropy, .*random"):
        check_fit("needy", Needy(), OFFERS["classification"])


@pytest.mark.parametrize(
    "selection",
    [
        Selection(np.array([1, 1]), np.zeros(2)),
        Selection(np.array([0, 9]), np.zeros(2)),
        Selection(np.array([0]), np.zeros(1)),
        Selection(np.array([0, 1]), np.array([0.0, np.nan])),
    ],
)
def test_a_broken_strategy_of_the_users_own_is_named(selection: Selection) -> None:
    with pytest.raises(UserError, match="'mine' must choose 2 distinct positions below 5"):
        checked(selection, 5, 2, "mine")
