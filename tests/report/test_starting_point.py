"""What a run says of what it knew before its first label."""

import pytest

from dal_nlp.ledger.events import MetricsEvent
from dal_nlp.ledger.state import State
from dal_nlp.report.starting_point import starting_line


def state(*weights: float) -> State:
    start = {"values": {"accuracy": 0.83}, "intervals": {"accuracy": [0.8, 0.86]}}
    return State(
        metrics=[
            MetricsEvent(
                round=i,
                labels=20 * (i + 1),
                values={"accuracy": 0.9},
                start=None if i else start,
                learner={"signals": {"descriptions": weight}},
            )
            for i, weight in enumerate(weights)
        ]
    )


def test_it_says_what_the_descriptions_reach_and_what_their_weight_became() -> None:
    said = starting_line(state(1.5, 0.7))
    assert "the descriptions of the labels alone: accuracy 0.83 [0.80, 0.86]" in said
    assert "1.50 at 20 and 0.70 at 40 labels" in said and "nothing" not in said


@pytest.mark.parametrize(("weights", "spent"), [((1.0, 0.05, 0.02), 40), ((0.01, 0.5, 0.02), 60)])
def test_it_says_when_the_labels_alone_decide(weights: tuple[float, ...], spent: int) -> None:
    assert f"From {spent} labels on they count for nothing." in starting_line(state(*weights))


def test_nothing_is_said_where_nothing_was_known() -> None:
    assert starting_line(State()) == ""
    assert starting_line(State(metrics=[MetricsEvent(round=0, labels=1, values={"accuracy": 0.9})])) == ""
