"""What a run has shown so far, as stopping rules read it, and how far two rounds' predictions agree."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from dal_nlp.tasks.metrics import cohen_kappa

#: How far two rounds' predictions for the same examples agree; 1 where they are the same.
Agreement = Callable[[Sequence[str], Sequence[str]], float]


@dataclass(frozen=True)
class Round:
    """What is known at the end of a round.

    Attributes:
        labels: Labels that train.
        spent: Answers paid for, those of the audit sample included.
        characters: What annotators have read for them.
        metrics: Scores that a rule may read, the headline metric first.
        examples: Score of each validation example, in the same order in every round; empty where there are none.
        uncertainty: Mean of H / log C over the pool, from 0 to 1; None where it was not measured.
        stop_set: Prediction for each example of the stop set, in the same order in every round; empty where there is
            none.
    """

    labels: int
    spent: int
    characters: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    examples: tuple[float, ...] = ()
    uncertainty: float | None = None
    stop_set: tuple[str, ...] = ()


@dataclass(frozen=True)
class History:
    """The finished rounds of a run, round 0 first, and how its task compares predictions."""

    rounds: tuple[Round, ...]
    agreement: Agreement = cohen_kappa

    def stop_sets(self, rounds: int) -> list[tuple[str, ...]] | None:
        """Return the predictions of the last rounds on the stop set, or None where there are not so many."""
        last = [each.stop_set for each in self.rounds[-rounds:]]
        return last if len(last) == rounds and all(last) else None
