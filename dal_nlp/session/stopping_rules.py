"""Stopping rules as formulas on what a run has shown so far; ``stopping_language`` reads them from words.

A rule reads a number off the history and fires when that is past its limit, never where it is not known. Predictions
are compared on a fixed random stop set: what is left of the pool is unlike the data (Kurlandski & Bloodgood, 2022).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean
from typing import Annotated, Any, ClassVar

from pydantic import Field

from dal_nlp.core.errors import unknown

Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]


#: How far two rounds' predictions for the same examples agree; 1 where they are the same.
RoundAgreement = Callable[[Sequence[str], Sequence[str]], float]


@dataclass(frozen=True)
class Round:
    """What is known at the end of a round.

    Attributes:
        labels: Labels that train.
        spent: Answers paid for, those of the audit sample included.
        characters: What annotators have read for them.
        words: Of what they have read.
        metrics: Scores that a rule may read, the headline metric first.
        examples: Score of each validation example, in the same order in every round; empty where there are none.
        uncertainty: Mean of H / log C over the pool, from 0 to 1; None where it was not measured.
        stop_set: Prediction for each example of the stop set, in the same order in every round; empty where there is
            none.
    """

    labels: int
    spent: int
    characters: int
    words: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    examples: tuple[float, ...] = ()
    uncertainty: float | None = None
    stop_set: tuple[str, ...] = ()


def _kappa(first: Sequence[Any], second: Sequence[Any]) -> float:
    """Return Cohen's kappa."""
    from dal_nlp.tasks.metrics import cohen_kappa  # seconds, which reading a rule need not wait for

    return cohen_kappa(first, second)


@dataclass(frozen=True)
class History:
    """The finished rounds of a run, round 0 first, and how its task compares predictions."""

    rounds: tuple[Round, ...]
    agreement: RoundAgreement = _kappa

    def stop_sets(self, rounds: int) -> list[tuple[str, ...]] | None:
        """Return the predictions of the last rounds on the stop set, or None where there are not so many."""
        last = [each.stop_set for each in self.rounds[-rounds:]]
        return last if len(last) == rounds and all(last) else None


@dataclass(frozen=True)
class Rule(ABC):
    """A reason to stop, a frozen dataclass; its first field is its limit.

    One of the user's own is written ``module:Class`` in ``--stop``, with options as those of the package have them.
    """

    name: ClassVar[str]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.name = vars(cls).get("name", f"{cls.__module__}:{cls.__name__}")

    @abstractmethod
    def value(self, history: History) -> float | None:
        """Return the number that is watched, after the last round; None where it is not known."""

    @property
    def limit(self) -> float:
        """The number at which the rule fires."""
        return float(next(iter(vars(self).values())))

    @abstractmethod
    def past(self, value: float) -> bool:
        """Return whether the number is past the limit."""

    def fires(self, history: History) -> bool:
        """Return whether to stop after the last round."""
        value = self.value(history)
        return value is not None and self.past(value)

    def __str__(self) -> str:
        options = ", ".join(f"{key}={value}" for key, value in vars(self).items() if value is not None)
        return f"{self.name}({options})"


class AtLeast(Rule):
    """A rule that fires when its number has grown to the limit."""

    def past(self, value: float) -> bool:
        """Return whether the number is at least the limit."""
        return value >= self.limit


class AtMost(Rule):
    """A rule that fires when its number has fallen to the limit."""

    def past(self, value: float) -> bool:
        """Return whether the number is at most the limit."""
        return value <= self.limit


@dataclass(frozen=True)
class Budget(AtLeast):
    """So many answers are paid for, those of the audit sample included."""

    name: ClassVar[str] = "budget"
    answers: Count

    def value(self, history: History) -> float | None:
        """Return the answers paid for."""
        return history.rounds[-1].spent if history.rounds else None


@dataclass(frozen=True)
class LabelBudget(AtLeast):
    """So many labels train, those included that were there before the run."""

    name: ClassVar[str] = "labels"
    count: Count

    def value(self, history: History) -> float | None:
        """Return the labels that train."""
        return history.rounds[-1].labels if history.rounds else None


@dataclass(frozen=True)
class CharacterBudget(AtLeast):
    """Annotators have read so many characters: what labels cost where texts differ in length."""

    name: ClassVar[str] = "characters"
    count: Count

    def value(self, history: History) -> float | None:
        """Return the characters read."""
        return history.rounds[-1].characters if history.rounds else None


@dataclass(frozen=True)
class WordBudget(AtLeast):
    """Annotators have read so many words."""

    name: ClassVar[str] = "words"
    count: Count

    def value(self, history: History) -> float | None:
        """Return the words read."""
        return history.rounds[-1].words if history.rounds else None


@dataclass(frozen=True)
class Rounds(AtLeast):
    """So many rounds after round 0 are done."""

    name: ClassVar[str] = "rounds"
    count: Annotated[int, Field(ge=0)]

    def value(self, history: History) -> float | None:
        """Return the rounds after round 0."""
        return len(history.rounds) - 1 if history.rounds else None


@dataclass(frozen=True)
class TargetScore(AtLeast):
    """A metric has reached a score; the headline metric where none is named."""

    name: ClassVar[str] = "target"
    score: Annotated[float, Field(allow_inf_nan=False)]
    metric: str | None = None

    def value(self, history: History) -> float | None:
        """Return the metric; raises ``UserError`` where it is not among those that the run measures."""
        metrics = history.rounds[-1].metrics if history.rounds else {}
        if self.metric and metrics and self.metric not in metrics:
            raise unknown("metric", self.metric, metrics)
        return metrics.get(self.metric) if self.metric else next(iter(metrics.values()), None)


@dataclass(frozen=True)
class Uncertainty(Rule):
    """Overall uncertainty: the mean of H / log C over the pool is below a limit (Zhu, Wang & Hovy, 2008)."""

    name: ClassVar[str] = "uncertainty"
    below: Fraction = 0.05

    def value(self, history: History) -> float | None:
        """Return the mean normalised entropy of the pool."""
        return history.rounds[-1].uncertainty if history.rounds else None

    def past(self, value: float) -> bool:
        """Return whether the pool is so certain."""
        return value < self.below


@dataclass(frozen=True)
class Change(AtMost):
    """Classification change: no more than this share of predictions differs from the round before.

    Zhu, Wang & Hovy (2008) compare the pool and wait for no change at all (0); here it is the stop set.
    """

    name: ClassVar[str] = "change"
    share: Fraction = 0.0

    def value(self, history: History) -> float | None:
        """Return the share of the stop set with another prediction than in the round before."""
        last = history.stop_sets(2)
        return None if last is None else fmean(a != b for a, b in zip(*last, strict=True))


@dataclass(frozen=True)
class Stable(AtLeast):
    """Stabilising predictions: the mean agreement of consecutive rounds on the stop set, over a window.

    Bloodgood & Vijay-Shanker (2009): Cohen's kappa, 3 rounds. For texts a mean similarity takes its place.
    """

    name: ClassVar[str] = "stable"
    agreement: Annotated[float, Field(ge=-1, le=1)] = 0.99
    window: Count = 3

    def value(self, history: History) -> float | None:
        """Return the mean of the last ``window`` agreements, which takes window + 1 rounds."""
        last = history.stop_sets(self.window + 1)
        return None if last is None else fmean(history.agreement(a, b) for a, b in pairwise(last))


@dataclass(frozen=True)
class Plateau(AtMost):
    """Performance plateau: the improvement over the last rounds may be no more than ``least``.

    The improvement is the mean, over the validation examples, of the score now less the score ``window`` rounds ago;
    its 95 % interval is Student's t interval of those paired differences. The rule fires when the interval includes a
    number of at most ``least``, so few examples make it fire early.
    """

    name: ClassVar[str] = "plateau"
    least: Annotated[float, Field(ge=-1, le=1)] = 0.0
    window: Count = 3

    def value(self, history: History) -> float | None:
        """Return the low end of the interval of the improvement."""
        last = history.rounds[-self.window - 1 :]
        if len(last) <= self.window or len(last[0].examples) < 2:
            return None
        from dal_nlp.report.learning_curves import t_interval  # numpy, which reading a rule need not wait for

        mean, half = t_interval([now - then for now, then in zip(last[-1].examples, last[0].examples, strict=True)])
        return float(mean if half is None else mean - half)


#: The rules by the names that a sentence has for them.
RULES: Mapping[str, type[Rule]] = {
    rule.name: rule
    for rule in (
        Budget,
        LabelBudget,
        CharacterBudget,
        WordBudget,
        Rounds,
        TargetScore,
        Uncertainty,
        Change,
        Stable,
        Plateau,
    )
}
