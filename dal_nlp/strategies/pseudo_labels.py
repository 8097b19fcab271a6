"""Answers of the model's own that train beside the labels: used in one fit, then dropped.

A pseudo-label is no label. It costs nothing, is counted nowhere, and the example stays in the pool.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dal_nlp.core.config import DISTIL, PseudoLabelsConfig
from dal_nlp.core.errors import Unsupported
from dal_nlp.core.plugins import import_class
from dal_nlp.core.task import Capability

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dal_nlp.models.pool import Pool, Probe
    from dal_nlp.models.vectors import Positions

#: What all policies are derived from.
POLICY = "dal_nlp.strategies.pseudo_labels:Policy"


@dataclass(frozen=True)
class PseudoTargets:
    """What the model is to be believed.

    Attributes:
        positions: (M,) distinct positions in the pool, the surest first.
        outcomes: (M,) the outcome that the model gives to each.
        threshold: What decided, in the policy's own unit; kept in the ledger.
    """

    positions: NDArray[np.int64]
    outcomes: NDArray[np.int64]
    threshold: float


class Policy(ABC):
    """Chooses pseudo-labels; knows no task, model or tokenizer.

    Attributes:
        requires: The capabilities that the task must have.
        reads: What it measures; the pass that the strategy makes measures it too.
    """

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.SHARED_OUTCOMES})
    reads: ClassVar[tuple[Probe, ...]] = ()

    def __init__(self, config: PseudoLabelsConfig) -> None:
        self.config = config

    @abstractmethod
    def choose(self, pool: Pool, asked: Positions, round: int, rng: np.random.Generator) -> PseudoTargets:
        """Choose among the positions of the pool that are not ``asked``.

        Args:
            pool: The N candidates that the strategy chose from, under the same model.
            asked: Positions that a person will label in this round.
            round: 1 or more; the guesses train in the fit of this round.
            rng: The only source of chance.
        """


PSEUDO_LABELS: Mapping[str, str] = {"ceal": "dal_nlp.strategies.ceal:Ceal"}


def make_policy(config: PseudoLabelsConfig) -> Policy | None:
    """Build what chooses for the next fit, None where nothing does; raises ``UserError`` for an unknown name."""
    if config.policy in ("none", DISTIL):
        return None
    policy: Policy = import_class("pseudo-label policy", config.policy, PSEUDO_LABELS, POLICY)(config)
    return policy


def check_policy_name(config: PseudoLabelsConfig) -> None:
    """Check the name of a policy; raises ``UserError``. Those of the table are not imported for it."""
    if config.policy not in PSEUDO_LABELS:
        make_policy(config)


def check_policy(policy: Policy | None, name: str, capabilities: frozenset[Capability]) -> None:
    """Raise ``Unsupported`` where a policy requires a capability that the task does not have."""
    missing = policy.requires - capabilities if policy else frozenset()
    if missing:
        raise Unsupported(
            f"Pseudo-labels by {name!r} need {' and '.join(sorted(missing))}, which this task does not have: leave "
            "--pseudo-labels out, or choose another --strategy than ceal."
        )
