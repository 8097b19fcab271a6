"""What every strategy of the table keeps to."""

import inspect

import numpy as np
import pytest

from dal_nlp.core.errors import Unsupported, UserError
from dal_nlp.core.task import Capability
from dal_nlp.models.forward import Forward
from dal_nlp.models.pool import Pool
from dal_nlp.strategies import STRATEGIES, check_fit, make_strategy, strategy_class
from dal_nlp.strategies.base import Selection, Strategy, checked
from dal_nlp.testing import check_strategy
from tests import tiny, tiny_entities, tiny_summaries

#: Two draws: what the contract asks for holds for any number of them, and each costs a pass.
POOLS = {
    "classification": lambda n, batch_size: tiny.pool(n=n, labels=3, batch_size=batch_size, k=2),
    "multilabel": lambda n, batch_size: tiny.multilabel_pool(n=n, batch_size=batch_size, k=2),
    "qa": lambda n, batch_size: tiny.qa_pool(n=n, batch_size=batch_size, unanswerable=True, k=2),
    "summarization": lambda n, batch_size: tiny_summaries.summary_pool(n=n, batch_size=batch_size, k=2, longest=3),
    "ner": lambda n, batch_size: tiny_entities.ner_pool(n=n, batch_size=batch_size, k=2),
    "with machines": tiny.heard_pool,
}
OFFERS = {
    "classification": tiny.task().capabilities | tiny.OFFERS,
    "multilabel": tiny.multilabel_task().capabilities | tiny.OFFERS,
    "qa": tiny.qa_task().capabilities | tiny.OFFERS,
    "summarization": tiny_summaries.summary_task().capabilities | tiny.OFFERS,
    "ner": tiny_entities.ner_task().capabilities | tiny.OFFERS,
    "with machines": tiny.task().capabilities | tiny.OFFERS | {Capability.WITNESSES},
}
EVERY = sorted(STRATEGIES)
#: Beside machines texts differ in their log-probabilities alone, so one strategy stands for each kind of probe.
HEARING = {"disagreement", "entropy", "bald", "badge", "weighted_kmeans", "variance_reduction"}
FITTING = [(task, name) for task in POOLS for name in EVERY if strategy_class(name).requires <= OFFERS[task]]
CASES = [(task, name) for task, name in FITTING if task != "with machines" or name in HEARING]
REFUSED = [(task, name) for task in POOLS for name in EVERY if not strategy_class(name).requires <= OFFERS[task]]
#: `make test` has each strategy over one pool that it takes, `make test-long` over the others.
FIRST = {name: (task, name) for task, name in reversed(CASES)}.values()
every_case = pytest.mark.parametrize(
    ("task", "name"), [pytest.param(*case, marks=[] if case in FIRST else pytest.mark.long) for case in CASES]
)
SECTIONS = ("Reads:", "Cost:", "Tasks:", "Reference:")


def build(name: str) -> Strategy:
    # The contract holds however long a classifier of its own trains.
    return make_strategy(name, {"parts": 2, "steps": 10} if name == "discriminative" else {})


def test_what_compares_outcomes_of_different_examples_is_for_classification_only() -> None:
    shared, written = {"bait", "batchbald", "cal", "egl", "epig", "variance_reduction"}, {"bleuvar", "dual"}
    several = {"binmin", "mmu_lci"}
    refused = {task: {name for of, name in REFUSED if of == task} for task in POOLS}
    assert {task for task in POOLS if "disagreement" not in refused[task]} == {"with machines"}
    assert refused["classification"] - {"disagreement"} == refused["with machines"]
    refused = {task: names - {"disagreement"} for task, names in refused.items()}
    assert refused["qa"] == shared | written | several | {"entity_entropy"}
    assert refused["classification"] == written | several | {"span_disagreement", "entity_entropy"}
    assert refused["multilabel"] == shared | written | {"span_disagreement", "entity_entropy"}
    assert refused["summarization"] == shared | several | {"span_disagreement", "entity_entropy"}
    assert refused["ner"] == shared | written | several | {"span_disagreement"}


@pytest.mark.parametrize(("task", "name"), REFUSED)
def test_the_others_are_refused_with_those_that_fit(task: str, name: str) -> None:
    with pytest.raises(Unsupported, match=f"'{name}' needs .*these fit: .*entropy, .*random"):
        check_fit(name, build(name), OFFERS[task])


@every_case
def test_the_contract_of_strategies(task: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`dal-nlp strategies` prints the sections of the docstring; what a strategy touches must stand under Reads."""
    text = inspect.getdoc(type(build(name))) or ""
    for section in SECTIONS:
        assert section in text, section
    touched: set[str] = set()
    start = Forward.__init__

    def recording(self: Forward, *args: object, **named: object) -> None:
        start(self, *args, **named)  # type: ignore[arg-type]
        self.touched = touched

    monkeypatch.setattr(Forward, "__init__", recording)
    check_strategy(lambda: build(name), POOLS[task], 5)  # a text at a time takes four times as long
    reads = text.split("Reads:")[1].split("Cost:")[0]
    assert not {signal for signal in touched if signal not in reads}


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
