"""Answers of the model's own that train beside the labels: used in one fit, then dropped.

A pseudo-label is no label. It costs nothing, is counted nowhere, and the example stays in the pool.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dal_nlp.core.config import PseudoLabelsConfig
from dal_nlp.core.errors import Unsupported
from dal_nlp.core.plugins import import_class
from dal_nlp.models.pool import Pool, Probe
from dal_nlp.models.vectors import Positions
from dal_nlp.strategies import probes
from dal_nlp.strategies.selectors import descending


@dataclass(frozen=True)
class Guesses:
    """What the model is to be believed.

    Attributes:
        positions: (M,) distinct positions in the pool, the surest first.
        outcomes: (M,) the outcome that the model gives to each.
        threshold: What decided, in the policy's own unit; kept in the ledger.
    """

    positions: Positions
    outcomes: NDArray[np.int64]
    threshold: float


class Policy(ABC):
    """Chooses pseudo-labels; knows no task, model or tokenizer.

    Attributes:
        requires: What the task must offer, such as "shared outcomes".
        reads: What it measures; the pass that the strategy makes measures it too.
    """

    requires: ClassVar[frozenset[str]] = frozenset({"shared outcomes"})
    reads: ClassVar[tuple[Probe, ...]] = ()

    def __init__(self, config: PseudoLabelsConfig) -> None:
        self.config = config

    @abstractmethod
    def choose(self, pool: Pool, asked: Positions, round: int, rng: np.random.Generator) -> Guesses:
        """Choose among the positions of the pool that are not ``asked``.

        Args:
            pool: The N candidates that the strategy chose from, under the same model.
            asked: Positions that a person will label in this round.
            round: 1 or more; the guesses train in the fit of this round.
            rng: The only source of chance.
        """


class Ceal(Policy):
    """The most uncertain for people, the surest for the model: entropy, with pseudo-labels for the confident remainder.

    In round r an example trains as its most likely class c if H(p) / log C < max(0, threshold - decay r), and if it is
    among the ``max_per_class`` of lowest entropy of those that are c, or the largest class would flood the rest. As a
    strategy, ``ceal`` stands for ``--strategy entropy --pseudo-labels ceal``; any other strategy goes with
    ``--pseudo-labels ceal`` too. Its options are set by ``--set pseudo_labels.threshold=0.05``, likewise ``decay``,
    ``max_per_class`` and ``weight`` (in the loss; a label has 1). All pseudo-labels are dropped after the fit, and the
    first choice, which is made with an untrained output layer, has none.

    Reads: log_probs.
    Cost: one pass, which it shares with the strategy; O(N C).
    Tasks: classification.
    Reference: Wang et al. (2017), Cost-effective active learning for deep image classification, section III and alg. 1.
    Deviations: the entropy is divided by log C, so that one threshold serves any number of classes; the cap and the
        weight are ours; where the entropy strategy chooses, near-duplicates are left out as everywhere.
    """

    reads = (probes.entropy, probes.class_log_probs)

    def choose(self, pool: Pool, asked: Positions, round: int, rng: np.random.Generator) -> Guesses:
        """Choose the confident remainder."""
        entropies, log_probs = pool.collect(*self.reads)
        threshold = max(0.0, self.config.threshold - self.config.decay * round)
        sure = entropies.astype(np.float64) / np.log(log_probs.shape[1]) < threshold
        sure[asked] = False
        order = descending(-entropies, rng)
        order = order[sure[order]]
        outcomes = log_probs[order].argmax(1)
        kept = np.zeros(len(order), dtype=bool)
        for outcome in np.unique(outcomes):
            kept[np.flatnonzero(outcomes == outcome)[: self.config.max_per_class]] = True
        return Guesses(order[kept], outcomes[kept], threshold)


PSEUDO_LABELS: Mapping[str, type[Policy]] = {"ceal": Ceal}


def make_policy(config: PseudoLabelsConfig) -> Policy | None:
    """Build the policy of a run, None where it has none; raises ``UserError`` for an unknown name."""
    if config.policy == "none":
        return None
    return import_class("pseudo-label policy", config.policy, PSEUDO_LABELS)(config)


def check_policy(policy: Policy | None, name: str, offers: frozenset[str]) -> None:
    """Raise ``Unsupported`` where a policy requires what the task does not offer."""
    missing = policy.requires - offers if policy else frozenset()
    if missing:
        raise Unsupported(
            f"Pseudo-labels by {name!r} need {' and '.join(sorted(missing))}, which this task does not have: leave "
            "--pseudo-labels out, or choose another --strategy than ceal."
        )
