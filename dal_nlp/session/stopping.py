"""Why a run stops."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dal_nlp.core.config import Settings
from dal_nlp.core.errors import ConfigError, nearest, unknown
from dal_nlp.core.text import counted, words
from dal_nlp.ledger.events import MetricsEvent
from dal_nlp.ledger.state import State
from dal_nlp.session.stopping_language import AnyOf, leaves, parse
from dal_nlp.session.stopping_rules import (
    Change,
    CharacterBudget,
    History,
    Plateau,
    Round,
    RoundAgreement,
    Rule,
    Stable,
    TargetScore,
    Uncertainty,
    WordBudget,
)

#: Rules that read predictions on the stop set, those that read the scores of single examples, and all that read scores.
ON_STOP_SET, ON_EXAMPLES, ON_SCORES = (Change, Stable, Uncertainty), (Plateau,), (Plateau, TargetScore)


#: What of a text annotators read, by the rule that counts it.
READ: Mapping[str, Callable[[str], int]] = {"characters": len, "words": lambda text: len(words(text))}


@dataclass(frozen=True)
class Stop:
    """The reason in a sentence, and whether test labels were read to find it."""

    why: str
    read_test: bool = False


def reason(config: Settings, state: State, candidates: int, agreement: RoundAgreement) -> Stop | None:
    """Return why no further round is to start, or None.

    Args:
        config: Budget, rounds, target and rules.
        state: What has happened so far; no round is under way.
        candidates: Examples that could still be asked about.
        agreement: How far two rounds' predictions agree.
    """
    if state.round == 0:
        return None
    target = _target_reached(config, state) or _rule_fires(config, state, agreement)
    if target:
        return target
    if state.round > (config.rounds or 0):
        done = f"all {config.rounds} rounds are done" if config.rounds != 1 else "the one round is done"
        left = (config.budget or 0) - state.spent
        if left <= 0:
            return Stop(done)
        return Stop(f"{done}, with {counted(left, 'label')} of the budget left: --rounds buys more")
    if state.prefetched:
        return None  # these are bought, and a round is to learn from them
    if state.spent >= (config.budget or 0):
        return Stop(f"the budget of {counted(config.budget or 0, 'label')} is spent")
    if candidates == 0:
        return Stop("every example of the pool has been asked about")
    return None


def rule_of(config: Settings) -> Rule | None:
    """Return the rule of a run, None where there is none beside budget, rounds and target."""
    return parse(config.stop) if config.stop is not None else None


def reads(config: Settings, kinds: tuple[type[Rule], ...]) -> bool:
    """Tell whether one of the rules of a run is of some kinds."""
    rule = rule_of(config)
    return rule is not None and any(isinstance(leaf, kinds) for leaf in leaves(rule))


def check_metrics(config: Settings, metrics: Sequence[str]) -> None:
    """Raise ``UserError`` where ``--target`` or a rule names a metric that the run does not have."""
    for metric in config.target or {}:
        if metric not in metrics:
            names = ", ".join(metrics)
            raise ConfigError(
                f"--target {metric} is no metric of this run{nearest(metric, metrics)}; there are: {names}."
            )
    rule = rule_of(config)
    for leaf in leaves(rule) if rule is not None else ():
        if isinstance(leaf, TargetScore) and leaf.metric is not None and leaf.metric not in metrics:
            raise unknown("metric", leaf.metric, metrics)


def history_of(state: State, agreement: RoundAgreement, further: Iterable[MetricsEvent] = ()) -> History:
    """Return what the rules read, from the finished rounds of a ledger and ``further`` ones that it does not hold."""
    read = {id: text for query in state.queries for id, text in zip(query.ids, query.texts, strict=True)}
    lengths = [{id: measure(text) for id, text in read.items()} for measure in READ.values()]
    audit = [sum(map(measure, state.audit_texts)) for measure in READ.values()]
    rounds = []
    for event in (*state.metrics, *further):
        asked_ids = [id for query in state.queries if query.round <= event.round for id in query.ids]
        bought = [id for id in asked_ids if id in state.answers]
        rounds.append(
            Round(
                labels=event.labels,
                spent=len(bought) + sum(id in state.answers for id in state.audit or []),
                characters=audit[0] + sum(lengths[0][id] for id in bought),
                words=audit[1] + sum(lengths[1][id] for id in bought),
                metrics=scores(event),
                examples=tuple(event.watched.get("examples", ())),
                uncertainty=event.watched.get("uncertainty"),
                stop_set=tuple(event.watched.get("stop_set", ())),
            )
        )
    return History(tuple(rounds), agreement)


def left_to_read(config: Settings, state: State) -> tuple[Callable[[str], int], int] | None:
    """Return the measure of a budget of what people read, and what is left of it; None where there is no such budget.

    Args:
        config: Its rules hold the budget: ``words`` or ``characters``, where that alone ends the run. With another rule
            that must fire too, it is no budget.
        state: What has been asked about, answered or not, counts as read.
    """
    rule = rule_of(config)
    alone = rule.rules if isinstance(rule, AnyOf) else (rule,)
    limits = [part for part in alone if isinstance(part, WordBudget | CharacterBudget)]
    if not limits:
        return None
    measure = READ[limits[0].name]
    texts = [*state.audit_texts, *(text for query in state.queries for text in query.texts)]
    return measure, max(0, limits[0].count - sum(map(measure, texts)))


def scores(event: MetricsEvent) -> Mapping[str, float]:
    """Return the scores that rules may read: those of the validation file, else of where the run is measured."""
    return event.validation or event.best


def _reads_test(event: MetricsEvent) -> bool:
    return event.validation is None and event.on == "test"


def _target_reached(config: Settings, state: State) -> Stop | None:
    last = state.metrics[-1]
    for metric, least in (config.target or {}).items():
        value = scores(last)[metric]
        if value >= least:
            set_name = "the validation file" if last.validation else f"the {last.on} set"
            return Stop(f"{metric} {value:.4g} on {set_name} reached the target of {least:g}", _reads_test(last))
    return None


def _rule_fires(config: Settings, state: State, agreement: RoundAgreement) -> Stop | None:
    rule = rule_of(config)
    if rule is None:
        return None
    history = history_of(state, agreement)
    if not rule.fires(history):
        return None
    fired = [leaf for leaf in leaves(rule) if leaf.fires(history)]
    explanation = "; ".join(f"{leaf.name} {leaf.value(history):,.4g}, limit {leaf.limit:,g}" for leaf in fired)
    read_test = any(isinstance(leaf, ON_SCORES) for leaf in fired) and _reads_test(state.metrics[-1])
    return Stop(f"the rule `{config.stop}` says so ({explanation})", read_test)


def traces(config: Settings, state: State, last: MetricsEvent, agreement: RoundAgreement) -> list[dict[str, Any]]:
    """Return what each rule has watched after the last round: {"rule", "value", "limit", "fires"}.

    The numbers of that round, ``last``, are not in the ledger yet.
    """
    rule = rule_of(config)
    if rule is None:
        return []
    history = history_of(state, agreement, [last])
    return [
        {"rule": str(leaf), "value": leaf.value(history), "limit": leaf.limit, "fires": leaf.fires(history)}
        for leaf in leaves(rule)
    ]
