"""What the run folders of a comparison hold: each arm's learning curves, and what they cost."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dal_nlp.compare.jobs import Job
from dal_nlp.core.targets import readable
from dal_nlp.core.text import words
from dal_nlp.ledger.state import State
from dal_nlp.report.learning_curves import Curve, stack


@dataclass(frozen=True)
class Costs:
    """What an arm costs, as means over its runs.

    Attributes:
        round_seconds: Computing time of a round: training, scoring, choosing, measuring.
        choose_seconds: Of these, the time of the choice alone.
        encode_seconds: What a frozen encoder took in a run; little where another run had filled the cache.
        load_seconds: What reading and loading took in a run.
        labels: Answers that were bought for training.
        characters: What annotators read for all labels of a run. Where long texts are preferred, labels look cheap.
        read: (n + 1,) words that people read for the first 0, 1, ... n labels that were bought.
        given: Labels that train and were not bought.
        balance: Share of each answer among the labels bought, by answer; empty where there are too many different ones.
        evenness: Entropy of these shares over that of equal ones: 1 where every class was bought equally often; None
            where ``balance`` is empty.
    """

    round_seconds: float
    choose_seconds: float
    encode_seconds: float
    load_seconds: float
    labels: float
    characters: float
    read: NDArray[np.float64]
    given: int
    balance: Mapping[str, float]
    evenness: float | None

    def price(self, per_label: float | None) -> float | None:
        """Return what the labels of a run cost that train, None without a price."""
        return None if per_label is None else per_label * self.labels


@dataclass(frozen=True)
class Arm:
    """One strategy of a comparison.

    Attributes:
        name: Of the strategy.
        curve: Over its seeds; None where no run has one.
        costs: None where no run has a curve.
        errors: What went wrong, by seed.
    """

    name: str
    curve: Curve | None
    costs: Costs | None
    errors: Mapping[int, str]


#: Answers of which more than so many are different are no classes.
CLASSES = 30


def read_arm(name: str, jobs: Sequence[Job], errors: Mapping[int, str], metric: str) -> Arm:
    """Read the runs of one arm; a score that is no finite number is an error of its run.

    A run that failed counts nothing, however far it came: its stub would cut the curves of all others.

    Args:
        name: Of the arm.
        jobs: Its runs.
        errors: What is known to have gone wrong, by seed.
        metric: The column of the scores.
    """
    problems, curves, states = dict(errors), [], []
    for job in jobs:
        state = job.state()
        if job.seed in errors:
            continue
        if state is None or len(state.metrics) < 2:
            problems.setdefault(job.seed, "it has no curve of two rounds or more")
            continue
        try:
            curves.append(curve_of(job.seed, state, metric))
        except ValueError as error:
            problems[job.seed] = str(error)
            continue
        states.append(state)
    if not curves:
        return Arm(name, None, None, problems)
    try:
        return Arm(name, stack(curves), _costs(states), problems)
    except ValueError as error:  # runs that stopped early and have no labels in common
        return Arm(name, None, None, {**{job.seed: str(error) for job in jobs}, **problems})


def curve_of(seed: int, state: State, metric: str) -> Curve:
    """Return the learning curve of one run; raises ``ValueError`` where a score is not finite."""
    labels = np.array([event.labels for event in state.metrics], dtype=np.float64)
    scores = np.array([[event.values[metric] for event in state.metrics]])
    return Curve(labels, scores, (seed,))


def by_words(arm: Arm) -> Curve:
    """Return the curve of an arm over the words that people read for its labels."""
    assert arm.curve is not None and arm.costs is not None
    places = np.arange(len(arm.costs.read))
    return Curve(
        np.interp(arm.curve.labels - arm.costs.given, places, arm.costs.read), arm.curve.scores, arm.curve.seeds
    )


def bought(state: State) -> list[tuple[str, str, str]]:
    """Return (id, text, answer) of every label that was bought for training, in order."""
    return [
        (id, text, readable(state.answers[id]))
        for query in state.queries
        for id, text in zip(query.ids, query.texts, strict=True)
        if id in state.answers
    ]


def _costs(states: Sequence[State]) -> Costs:
    rounds, choosing, characters, labels_bought, read = [], [], [], [], []
    answers: Counter[str] = Counter()
    for state in states:
        rounds += [event.train_seconds + event.eval_seconds for event in state.metrics]
        choosing += [query.choose_seconds for query in state.queries]
        labels = bought(state)
        labels_bought.append(len(labels))
        characters.append(sum(len(text) for _, text, _ in labels))
        read.append(np.cumsum([0, *(len(words(text)) for _, text, _ in labels)]))
        answers.update(answer for _, _, answer in labels)
    scoring = [query.pool_seconds + query.choose_seconds for state in states for query in state.queries]
    queries = [query for state in states for query in state.queries]
    measured = [event for state in states for event in state.metrics]
    encoding = math.fsum([of.encode_seconds for of in queries] + [of.encode_seconds for of in measured])
    loading = math.fsum([of.load_seconds for of in queries] + [of.load_seconds for of in measured])
    balance = _shares(answers) if len(answers) <= CLASSES else {}
    return Costs(
        round_seconds=float(np.mean(rounds)) + (float(np.mean(scoring)) if scoring else 0.0),
        choose_seconds=float(np.mean(choosing)) if choosing else 0.0,
        encode_seconds=encoding / len(states),
        load_seconds=loading / len(states),
        labels=float(np.mean(labels_bought)),
        characters=float(np.mean(characters)),
        read=np.mean([of[: min(map(len, read))] for of in read], axis=0),
        given=_given(states[0]),
        balance=balance,
        evenness=_evenness(balance),
    )


def _given(state: State) -> int:
    """Return how many labels the model of round 0 had that were not bought."""
    return state.metrics[0].labels - len(state.trained_by(0))


def _shares(answers: Counter[str]) -> dict[str, float]:
    total = sum(answers.values())
    return {answer: count / total for answer, count in sorted(answers.items())}


def _evenness(balance: Mapping[str, float]) -> float | None:
    if len(balance) < 2:
        return None
    return -math.fsum(share * math.log(share) for share in balance.values()) / math.log(len(balance))
