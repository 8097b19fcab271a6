"""How far annotators agree."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dal_nlp.annotation.answer_store import AnswerStore
from dal_nlp.annotation.quality import Agreement, by_label, by_pair, measure
from dal_nlp.ledger.events import read_event
from tests.waiting_runs import state

Waiting = Callable[[str], Path]


def store_with(waiting: Waiting, task: str, answers: dict[str, list[object]]) -> AnswerStore:
    """A store on which people have answered the same examples; None is a refusal."""
    folder = waiting(task)
    store = AnswerStore(folder / "run", state(folder))
    for by, given in answers.items():
        for i, answer in enumerate(given):
            said = {"reason": "unsure"} if answer is None else {"target": answer}
            store.state.apply(read_event({"event": "answer", "id": f"e{i}", "by": by, **said}))
    return store


def test_by_pair_and_by_label(waiting: Waiting) -> None:
    p, n = "positive", "negative"
    store = store_with(waiting, "sentiment", {"a": [p, p, n, n, p], "b": [p, n, n, n, None], "c": [p]})
    pairs = {of.names: of for of in by_pair(store)}
    assert pairs["a", "b"] == Agreement(("a", "b"), 4, 0.75, pytest.approx(0.5))
    assert pairs["a", "c"].value == 1 and set(pairs) == {("a", "b"), ("a", "c"), ("b", "c")}
    assert [of.names for of in by_label(store)] == [(n,), (p,)]
    for of in by_label(store):
        # e0 counts three times: pp pp pp pn nn nn, so p_o = 5/6 and p_e = (4/6)(3/6) + (2/6)(3/6) = 1/2
        assert of.value == pytest.approx(2 / 3)
    assert [(of.count, of.same) for of in by_label(store)] == [(3, pytest.approx(2 / 3)), (4, pytest.approx(3 / 4))]
    assert measure(store) == "Cohen's kappa"


def test_one_answer_to_everything_is_full_agreement(waiting: Waiting) -> None:
    store = store_with(waiting, "sentiment", {"a": ["positive"] * 2, "b": ["positive"] * 2, "c": ["negative"] * 2})
    assert {of.names: of.value for of in by_pair(store)} == {("a", "b"): 1, ("a", "c"): 0, ("b", "c"): 0}


def test_answers_in_words_are_measured_in_their_own_way(waiting: Waiting) -> None:
    spans = [{"text": ["the film"], "answer_start": [0]}, {"text": ["film"], "answer_start": [4]}]
    store = store_with(waiting, "qa", {"a": spans[:1], "b": spans[1:]})
    (of,) = by_pair(store)
    assert (of.count, of.same, of.value, by_label(store)) == (1, 0, 1, [])  # articles do not count
    assert measure(store) == "mean F1"
