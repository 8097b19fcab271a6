"""What a run has shown so far, as stopping rules read it, and how far two rounds' predictions agree."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

#: How far two rounds' predictions for the same examples agree; 1 where they are the same.
Agreement = Callable[[Sequence[str], Sequence[str]], float]


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float:
    """Return the agreement beyond chance (Cohen, 1960): (p_o - p_e) / (1 - p_e).

    Where both give one and the same label to every example the formula is 0 / 0; they agree fully, so kappa is 1.

    Args:
        first: The label of each example, N > 0 of them.
        second: The labels that somebody else, or another model, gave the same examples.

    Raises:
        ValueError: The two differ in length.
    """
    from sklearn.metrics import cohen_kappa_score  # seconds, which a configuration with a rule in it need not wait for

    if len(first) == len(second) and len({*first, *second}) == 1:
        return 1.0
    return float(cohen_kappa_score(first, second))


def mean_agreement(similarity: Callable[[str, str], float]) -> Agreement:
    """Return the agreement of answers in words: the mean similarity (token F1, ROUGE) of what each example got twice.

    The similarity of a text with itself has to be 1.
    """

    def agreement(first: Sequence[str], second: Sequence[str]) -> float:
        return float(np.mean([similarity(a, b) for a, b in zip(first, second, strict=True)]))

    return agreement


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

    def until(self, rounds: int) -> "History":
        """Return the history as it was after so many rounds."""
        return History(self.rounds[:rounds], self.agreement)

    def stop_sets(self, rounds: int) -> list[tuple[str, ...]] | None:
        """Return the predictions of the last rounds on the stop set, or None where there are not so many."""
        last = [each.stop_set for each in self.rounds[-rounds:]]
        return last if len(last) == rounds and all(last) else None
