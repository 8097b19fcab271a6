"""What a run's curve so far says about the labels still to come, and what became of what it said before."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dal_nlp.core.rng import rng_for
from dal_nlp.ledger.state import State
from dal_nlp.report import LEAST_POINTS

if TYPE_CHECKING:
    from dal_nlp.report.forecast import Forecast, Outcome

#: Where no target is given, the next multiple of this above the last score is one.
STEP = 0.05
#: Labels from which on training all weights at the end was mostly better than the layer alone (docs/results.md).
ENOUGH = 100
#: Resamples of each forecast that is already past.
PAST = 200


@dataclass(frozen=True)
class RunForecast:
    """Forecasts of one metric.

    Attributes:
        metric: Its column.
        target: The score that is forecast.
        now: What is said now; None where the curve does not allow to say anything.
        past: What was said after earlier rounds, wherever something could be, and what came true; oldest first.
    """

    metric: str
    target: float
    now: Forecast | None
    past: tuple[Outcome, ...]


def advice(state: State) -> str:
    """Say that a finished run of a frozen encoder has labels enough to train all weights; else ""."""
    config = state.config or {}
    training = config.get("training", {})
    at_end = training.get("mode") == "head" == training.get("start") and config.get("finish") == "none"
    if not (state.stopped and at_end and state.metrics and state.metrics[-1].labels >= ENOUGH):
        return ""
    return (
        f"From some {ENOUGH} labels on, training all weights often answers better: the same command with --finish full "
        f"does it once, from this model on, and {_kept(config)}."
    )


def _kept(config: Mapping[str, Any]) -> str:
    """Say which model is left, where only an audit sample or validation rows can tell the better one."""
    if config.get("audit") or config.get("validation"):
        return "keeps the better of the two"
    return "keeps that; an audit sample (--audit 40) or --validation would tell which one is better"


def run_forecast(state: State) -> RunForecast | None:
    """Return the forecasts for a run's target, or for a round score above the last one; None for few rounds.

    Each forecast reads nothing but the rounds before it, so the past ones are what the report said then.
    """
    if len(state.metrics) < LEAST_POINTS:
        return None
    from dal_nlp.report.forecast import forecast, outcome  # numpy, which `status` need not wait for

    config = state.config or {}
    metric, target = next(iter((config.get("target") or {}).items()), (next(iter(state.metrics[0].values)), None))
    labels = [event.labels for event in state.metrics]
    scores = [event.best[metric] for event in state.metrics]
    if any(map(math.isnan, scores)):
        return None
    if target is None:
        target = round(STEP * (math.floor(scores[-1] / STEP + 1e-9) + 1), 2)
    if target > 1:
        return None
    seed = int(config.get("seed", 0))
    past = [
        forecast(labels[:n], scores[:n], target, rng_for(seed, n, "forecast"), PAST)
        for n in range(LEAST_POINTS, len(labels))
    ]
    now = forecast(labels, scores, target, rng_for(seed, len(labels), "forecast"))
    return RunForecast(
        metric, target, now, tuple(outcome(earlier, labels, scores) for earlier in past if earlier is not None)
    )
