"""The events of a fit: how good its model is."""

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

from dal_nlp.ledger.answer_events import Event


@dataclass(frozen=True, kw_only=True)
class _Measured(Event):
    """A fit, and how good its model is.

    Attributes:
        round: Of the labels that it was fitted to.
        labels: How many trained.
        unlearnable: How many more did not, because the model could not give such an answer.
        seen: How many decisions on examples there were when the fit began.
        on: What it was measured on: "test", "audit" or "validation".
        size: How many examples that were.
        values: The metrics by name, the headline first.
        intervals: Their 95 % intervals, as far as there are any.
        powered: What a judge of the whole pool adds to the audit sample: by metric {"value", "interval", "worth" (how
            many labels would say as much alone)}; empty elsewhere.
        breakdown: The rows of a table, by class or by kind of answer.
        shown: A few examples: {"id", "text", "target", "prediction"}.
        confusion: How often the model took a label for one: [right, answered, count]; of tasks with one label a text.
        errors: Some wrong answers, the surest first: {"id", "text", "target", "prediction", "confidence"}; of tasks
            with labels.
        agreement: How well the model's predictions agree with the answers to the round's query, by id and measure.
        validation: The metrics on the validation file, None without one.
        beside: Of a run that hears machines what else was fitted to the round's labels: "people" (a layer that hears
            no machine) and, on an audit sample, "stack" (one that hears them), each with its "values" and "confusion".
        added: Those of ``values`` that ``--metric`` added to the task's; NaN where one is not defined.
        train_seconds: What the fit took.
        eval_seconds: What measuring took.
        encode_seconds: What a frozen encoder took to read texts since the event before, apart from all other times.
        load_seconds: What reading files, tokenizing and loading took in the start that came to this event.
        steps: Of the optimizer.
        loss: At the end of the fit.
        attempts: How many fits it took: a collapsed one is tried once more.
        collapsed: Whether the last one collapsed too.
        learner: What else the learner says of the fit, such as the weights of what it started from ("signals").
        processes: How many trained, as masks of dropout fall by process; 0 where that changes nothing, or is not known.
        threads: Of each of them; see ``processes``.
    """

    name: ClassVar[str] = ""
    round: int
    labels: int
    unlearnable: int = 0
    seen: int | None = None
    on: str = ""
    size: int = 0
    values: dict[str, float]
    intervals: dict[str, list[float]] = field(default_factory=dict)
    powered: dict[str, dict[str, Any]] = field(default_factory=dict)
    breakdown: list[dict[str, Any]] = field(default_factory=list)
    shown: list[dict[str, Any]] = field(default_factory=list)
    confusion: list[list[Any]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    agreement: dict[str, dict[str, float]] = field(default_factory=dict)
    beside: dict[str, dict[str, Any]] = field(default_factory=dict)
    validation: dict[str, float] | None = None
    added: list[str] = field(default_factory=list)
    train_seconds: float = 0.0
    eval_seconds: float = 0.0
    encode_seconds: float = 0.0
    load_seconds: float = 0.0
    steps: int = 0
    loss: float = 0.0
    attempts: int = 1
    collapsed: bool = False
    learner: dict[str, Any] = field(default_factory=dict)
    processes: int = 0
    threads: int = 0

    def value(self, name: str) -> float:
        """Return a metric; NaN where it is not defined, or where this start of the run did not ask for it."""
        return self.values.get(name, math.nan)

    def defined(self) -> dict[str, float]:
        """Return those of ``values`` that are defined."""
        return {name: value for name, value in self.values.items() if not math.isnan(value)}

    @property
    def best(self) -> dict[str, float]:
        """The metrics, each by its powered estimate where there is one."""
        return {name: self.powered[name]["value"] if name in self.powered else v for name, v in self.values.items()}


@dataclass(frozen=True, kw_only=True)
class MetricsEvent(_Measured):
    """A finished round: its fit, how good its model is, and what its stopping rules read.

    Attributes:
        watched: What stopping rules read of the model, as far as any does: "stop_set" (its predictions there),
            "uncertainty" and "examples" (the score of each).
        rules: What each rule came to: {"rule", "value", "limit", "fires"}.
        start: Of the first round: "values" and "intervals" of what answered before any label, None where nothing did.
    """

    name = "metrics"
    watched: dict[str, Any] = field(default_factory=dict)
    rules: list[dict[str, Any]] = field(default_factory=list)
    start: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class RemeasuredEvent(Event):
    """The numbers of the last round once more, on an audit sample that has grown; fields as in ``MetricsEvent``."""

    name = "remeasured"
    round: int
    on: str
    size: int
    values: dict[str, float]
    intervals: dict[str, list[float]] = field(default_factory=dict)
    powered: dict[str, dict[str, Any]] = field(default_factory=dict)
    breakdown: list[dict[str, Any]] = field(default_factory=list)
    shown: list[dict[str, Any]] = field(default_factory=list)
    confusion: list[list[Any]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    added: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class FinishedEvent(_Measured):
    """The training of all weights once after the last round.

    Attributes:
        kept: Whether its model was left in ``model/``; else that of the last round was.
        difference: By how much it is better than that of the last round, by the headline metric: [value, low, high]; []
            where neither an audit sample nor a validation file could tell.
        judged: What told: "audit", "validation" or "".
        soft_labels: How many texts of the pool trained beside the labels, by what layer and machines say of them.
    """

    name = "finished"
    kept: bool = True
    difference: list[float] = field(default_factory=list)
    judged: str = ""
    soft_labels: int = 0
