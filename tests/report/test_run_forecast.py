"""Forecasts of a run from its ledger."""

import numpy as np
import pytest

from dal_nlp.ledger.events import MetricsEvent
from dal_nlp.ledger.state import State
from dal_nlp.report.run_forecast import ENOUGH, advice, run_forecast


def state(scores: list[float], target: dict[str, float] | None = None) -> State:
    rounds = [MetricsEvent(round=i, labels=20 * (i + 1), values={"accuracy": score}) for i, score in enumerate(scores)]
    return State(config={"target": target, "seed": 0}, metrics=rounds)


def law(n: int) -> list[float]:
    noise = np.random.default_rng(1).normal(0, 0.002, n)
    return [float(0.95 - 1.2 * (20 * (i + 1)) ** -0.6 + noise[i]) for i in range(n)]


def test_a_smooth_curve_is_forecast_and_the_past_is_held_against_it() -> None:
    found = run_forecast(state(law(12), {"accuracy": 0.9}))
    assert found is not None
    assert found.target == 0.9
    truth = (1.2 / 0.05) ** (1 / 0.6)  # labels at which the law is at .9
    assert found.now is None or found.now.interval[0] <= truth - 240 <= found.now.interval[1]
    assert found.past
    assert all(said.forecast.labels < 240 for said in found.past)
    later = run_forecast(state(law(20), {"accuracy": 0.9}))
    assert later is not None
    then = [said.forecast for said in later.past if said.forecast.labels < 240]
    assert [said.forecast for said in found.past] == then  # what was said does not change afterwards
    assert any(said.needed is not None for said in later.past)


def test_without_a_target_it_is_the_next_round_score() -> None:
    found = run_forecast(state([0.5, 0.6, 0.65, 0.68, 0.7]))
    assert found is not None
    assert found.target == 0.75
    assert run_forecast(state([0.5, 0.6, 0.7, 0.9, 1.0])) is None  # there is no score above 1


@pytest.mark.parametrize("scores", [[], [0.5], [0.5, 0.6, 0.7, 0.8]])
def test_few_rounds_say_nothing(scores: list[float]) -> None:
    assert run_forecast(state(scores)) is None


def test_a_flat_curve_says_nothing() -> None:
    found = run_forecast(state([0.5, 0.51, 0.49, 0.5, 0.5, 0.51, 0.5]))
    assert found is not None
    assert found.now is None


def test_a_finished_head_with_labels_enough_is_told_of_training_all_weights() -> None:
    def ended(labels: int = ENOUGH, stopped: str | None = "done", finish: str = "none", **training: str) -> State:
        config = {"finish": finish, "training": {"mode": "head", "start": "head", **training}}
        event = MetricsEvent(round=0, labels=labels, values={"accuracy": 0.9})
        return State(config=config, stopped=stopped, metrics=[event])

    assert "--finish full" in advice(ended()) and "--audit 40" in advice(ended())
    judged = ended()
    judged.config = {**(judged.config or {}), "audit": 20}
    assert "keeps the better of the two" in advice(judged)
    others = [ended(labels=ENOUGH - 1), ended(stopped=None), ended(finish="full"), ended(mode="full"), State()]
    assert [advice(other) for other in [*others, ended(start="pretrained")]] == [""] * 6
