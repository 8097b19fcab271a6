"""What a report says of what machines were worth."""

from typing import Any

import numpy as np
import pytest

from dal_nlp.ledger.answer_events import MACHINE
from dal_nlp.ledger.events import LabelEvent, MetricsEvent, QueryEvent
from dal_nlp.ledger.state import State
from dal_nlp.report.machines import balance, saved_line, suggestions_line

LABELS = [20 * i for i in range(1, 11)]


def state(alone: list[float], heard: list[float], **start: float) -> State:
    rounds = zip(LABELS, alone, heard, strict=False)
    return State(
        metrics=[
            MetricsEvent(
                round=i,
                labels=labels,
                values={"accuracy": with_them},
                beside={"people": {"values": {"accuracy": without}, "confusion": []}},
                start={"values": start, "intervals": {}} if start and not i else None,
            )
            for i, (labels, without, with_them) in enumerate(rounds)
        ]
    )


def test_labels_saved_so_far_lie_between_the_curves_and_further_ones_are_forecast() -> None:
    alone = [0.95 - 1.5 * n**-0.5 for n in LABELS]
    said = saved_line(state(alone, [0.86] * 10, accuracy=0.8))
    assert said.startswith(f"Without machines 200 labels give accuracy {alone[-1]:.2f}, with them 0.86.")
    there = 20 * (alone[-1] - 0.8) / 0.06  # on the line from no label to 20
    assert (
        f"With them {alone[-1]:.2f} was there at {there:.0f} labels: they saved about {200 - there:.0f} so far" in said
    )
    more = (1.5 / 0.09) ** 2 - 200
    assert f"Without them 0.86 would take about {more:.0f} more labels" in said


def test_a_curve_that_tells_nothing_of_what_is_to_come_is_not_drawn_further() -> None:
    rng = np.random.default_rng(0)
    noisy = [0.7 + float(rng.normal(0, 0.02)) for _ in LABELS]
    said = saved_line(state(noisy, [0.86] * 10, accuracy=0.86))
    assert "was there at 0 labels: they saved about 200 so far." in said
    assert "How many more labels would give 0.86 without them cannot be told" in said


@pytest.mark.parametrize(("heard", "line"), [([0.6, 0.7], "they saved no label"), ([], "")])
def test_machines_that_saved_nothing_and_runs_without_any(heard: list[float], line: str) -> None:
    said = saved_line(state([0.65, 0.75], heard)) if heard else saved_line(State())
    assert line in said and bool(line) == bool(said)


def test_suggestions_are_judged_by_how_often_people_who_saw_one_gave_it() -> None:
    def answer(id: str, target: str, shown: str | None, by: str = "ann", **more: Any) -> LabelEvent:
        suggested = None if shown is None else {"target": shown, "confidence": 0.9, "round": 0}
        return LabelEvent(id=id, round=1, target=target, by=by, suggested=suggested, **more)

    ids = [f"t{i}" for i in range(8)]
    query = QueryEvent(round=1, ids=ids, scores=[0.0] * 8, texts=ids, strategy="margin",
                       predictions=[{"target": "a", "confidence": 0.9, "marks": []}] * 8)  # fmt: skip
    given = [answer(id, "a" if place < 3 else "b", "a") for place, id in enumerate(ids[:4])]
    given += [answer(id, "a" if place < 1 else "b", None) for place, id in enumerate(ids[4:])]
    given += [answer("t0", "b", "a", by="llm", via=MACHINE), answer("other", "b", "b")]
    events: dict[str, list[Any]] = {}
    for event in [answer("t0", "b", "a"), *given]:  # ann has corrected the first
        events.setdefault(event.id, []).append(event)
    said = suggestions_line(State(queries=[query], given=events))
    assert "gave the same in 75 % [30, 95] of 4 answers; who did not, in 25 % [5, 70] of 4 answers" in said
    assert suggestions_line(State(queries=[query], given={id: events[id] for id in ids[:4]})) == ""


def test_the_balance_counts_texts_that_were_missed_and_labels_that_were_given_wrongly() -> None:
    pairs: dict[str, list[list[Any]]] = {
        "model": [["a", "a", 3], ["a", "b", 2], ["b", "b", 5]],
        "people": [["a", "b", 5], ["b", "b", 4], ["b", "a", 1]],
        "stack": [["a", "a", 5], ["b", "b", 5]],
    }
    last = MetricsEvent(
        round=0,
        labels=20,
        on="audit",
        values={"accuracy": 0.8},
        confusion=pairs["model"],
        beside={name: {"values": {"accuracy": 0.5}, "confusion": pairs[name]} for name in ("people", "stack")},
    )
    answers: dict[str, Any] = {f"t{i}": "a" if i < 5 else "b" for i in range(10)}
    said = {f"k{i}": {"id": f"t{i}", "log_probs": None if i == 0 else [0.0, -9.0]} for i in range(10)}
    there = State(
        metrics=[last], audit=list(answers), answers=answers, signals={("llm", "pool"): said}, labels=["a", "b"]
    )
    found = balance(there)
    assert found["columns"] == ["llm", "labels alone", "the model", "model and machines"]
    assert found["rows"] == [("a", 5, [(1, 5), (5, 1), (2, 0), (0, 0)]), ("b", 5, [(5, 0), (1, 5), (0, 2), (0, 0)])]
    assert balance(State()) == {}
