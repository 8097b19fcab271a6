"""The contract tests that ship: what keeps to a contract passes, and what breaks it is named in a sentence."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from dal_nlp.annotation import make_oracle
from dal_nlp.annotation.oracle import Answer, Label, Oracle, Query
from dal_nlp.annotation.simulated import Calling
from dal_nlp.answer_formats.label import LabelFormat
from dal_nlp.core.targets import Target
from dal_nlp.core.task import Capability, Task
from dal_nlp.models.pool import Pool
from dal_nlp.strategies import probes
from dal_nlp.strategies.base import Selection, Strategy
from dal_nlp.strategies.uncertainty import Entropy
from dal_nlp.tasks.classification import Classification
from dal_nlp.tasks.metrics import KAPPA
from dal_nlp.testing import check_oracle, check_strategy, check_task, tiny_classifier, tiny_rows, tiny_tokenizer
from tests import tiny, tiny_summaries

# Strategies


def test_a_strategy_of_the_table_passes() -> None:
    check_strategy(Entropy)


class Twice(Strategy):
    """Chooses one example twice."""

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        return Selection(np.zeros(k, dtype=np.int64), np.zeros(k))


class Moody(Strategy):
    """Takes chance from a generator of its own."""

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        return Selection(np.random.default_rng().permutation(len(pool))[:k], np.zeros(k))


class Global(Strategy):
    """Takes chance from numpy's global state."""

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        return Selection(np.random.permutation(len(pool))[:k], np.zeros(k))


class Greedy(Strategy):
    """Reads the pool once for each probe."""

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        pool.collect(probes.margin)
        (scores,) = pool.collect(probes.entropy)
        return Selection(np.argsort(-np.asarray(scores))[:k], np.zeros(k))


class Needy(Strategy):
    """Requires what there is not."""

    requires = frozenset({"a telescope"})  # type: ignore[arg-type]

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        raise AssertionError


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (Twice, "5 positions, 1 of them distinct"),
        (Moody, "with the same generator: take all chance from rng"),
        (Global, "global state"),
        (Greedy, "in 2 passes"),
        (Needy, "'a telescope', which is no Capability"),
    ],
)
def test_a_broken_strategy_is_named(broken: type[Strategy], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_strategy(broken)


# Tasks


def classification() -> Classification:
    return Classification(max_length=24, tokenizer=tiny_tokenizer())


def test_the_tasks_of_the_package_pass() -> None:
    check_task(classification(), tiny_rows(12), tiny_classifier())
    questions = tiny.questions(12, unanswerable=True)
    check_task(tiny.qa_task(unanswerable=True), questions, tiny.reader())


def test_summarization_passes() -> None:
    from dal_nlp.tasks.summarization import Summarization

    model = tiny_summaries.writer()
    task = Summarization.for_model(model, tiny.tokenizer(), 24, {"max_new_tokens": 8})
    check_task(task, tiny_summaries.documents(6), model)


@dataclass(frozen=True)
class Shouting(LabelFormat):
    """Writes what it does not read again as the same."""

    def parse_answer(self, typed: str, example: Mapping[str, Any]) -> Target:
        return typed.upper()


class Loud(Classification):
    """A task with a broken answer format."""

    @property
    def answer_format(self) -> Shouting:
        return Shouting(self.labels, KAPPA)


class Sure(Classification):
    """Gives scores for probabilities."""

    def categoricals(self, raw: Any, batch: Any) -> Any:
        from dataclasses import replace

        right = super().categoricals(raw, batch)
        return replace(right, log_probs=right.log_probs + 1)


class Mixed(Classification):
    """Lets the loss of an example depend on the others of its batch."""

    def loss(self, raw: Any, batch: Any) -> Any:
        losses = super().loss(raw, batch)
        return losses.mean().expand_as(losses)


class Torn(Classification):
    """Has one label a text, and several."""

    capabilities: ClassVar[frozenset[Capability]] = Classification.capabilities | {Capability.SEVERAL_LABELS}


class Silent(Classification):
    """Leaves a metric out."""

    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1", "charm")


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (Loud, "came back as 'NEGATIVE' typed as 'negative'"),
        (Torn, "Torn: one or several"),
        (Sure, "does not sum to one"),
        (Mixed, "depends on the other examples"),
        (Silent, "and metrics are"),
    ],
)
def test_a_broken_task_is_named(broken: type[Classification], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_task(broken(max_length=24, tokenizer=tiny_tokenizer()), tiny_rows(12), tiny_classifier())


def test_a_task_has_to_say_what_only_it_knows() -> None:
    class Empty(Task):
        pass

    with pytest.raises(TypeError, match="abstract"):
        Empty()  # type: ignore[abstract]


# Oracles


@pytest.mark.parametrize("name", ["file", "labeled-file", "noisy:0.5"])
def test_the_oracles_of_the_package_pass(name: str) -> None:
    check_oracle(make_oracle(name))


def test_a_function_passes() -> None:
    check_oracle(Calling(lambda query: "positive"))


class Inventive(Oracle):
    """Answers with a label that there is not."""

    def label(self, queries: Sequence[Query]) -> Iterator[Answer]:
        yield from (Label(query.id, "splendid") for query in queries)


class Hasty(Oracle):
    """Gives all answers at once."""

    def label(self, queries: Sequence[Query]) -> Any:
        return [Label(query.id, "positive") for query in queries]


class Chatty(Oracle):
    """Answers what nobody asked."""

    def label(self, queries: Sequence[Query]) -> Iterator[Answer]:
        yield Label("somebody else's", "positive")


class Mute(Oracle):
    """Answers nothing, and does not say so."""

    def label(self, queries: Sequence[Query]) -> Iterator[Answer]:
        yield from ()

    def remarks(self, pending: Sequence[str]) -> list[str]:
        return []


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (Inventive, "gives 'splendid', which the task cannot take"),
        (Hasty, "no iterator"),
        (Chatty, "about which it was not asked"),
        (Mute, "8 answers are missing"),
    ],
)
def test_a_broken_oracle_is_named(broken: type[Oracle], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_oracle(broken())
