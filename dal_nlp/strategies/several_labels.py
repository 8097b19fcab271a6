"""Strategies for any number of labels a text: they read what one prediction says of each label."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dal_nlp.core.task import Capability
from dal_nlp.models.pool import Pool
from dal_nlp.strategies import probes
from dal_nlp.strategies.scored import Scored
from dal_nlp.strategies.selectors import Scores

Floats = NDArray[np.floating]


class BinMin(Scored):
    """The label about which the prediction is least sure decides: the largest binary entropy of a label.

    ``entropy`` is the mean over the labels. This one finds texts of which one label is doubtful, however sure the
    others are.

    Reads: log_probs.
    Cost: one pass, O(N F).
    Tasks: several labels a text.
    Reference: Brinker (2006), On active learning in multi-label classification, the smallest distance to a hyperplane.
    Deviations: the entropy in place of the distance, which orders labels the same way.
    """

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.SEVERAL_LABELS})

    def scores(self, pool: Pool, rng: np.random.Generator) -> Scores:
        """Return the largest entropies in nats, (N,)."""
        (log_odds,) = pool.collect(probes.label_log_odds)
        return np.asarray(binary_entropy(log_odds).max(1))


@dataclass(frozen=True)
class MmuLci(Scored):
    """A small gap between the labels given and those not, and a number of labels that is not the usual one.

    The uncertainty u is one over the gap between the least sure label that is given and the likeliest that is not
    (max-margin uncertainty); the inconsistency v is the distance between the number of labels that the model gives and
    the mean number of labels of the labeled examples (label cardinality inconsistency). A score is u^beta v^(1 - beta).

    Reads: log_probs.
    Cost: one pass, O(N F).
    Tasks: several labels a text.
    Reference: Li and Guo (2013), Active learning with multi-label SVM classification, equations 3 to 5.
    Deviations: beta is an option; the paper chooses among several by training with each candidate. Scores of labels are
        log-odds, not distances to a hyperplane. Where no label is given, or all are, the gap is to log-odds of 0.

    Attributes:
        beta: How much the uncertainty counts, from 0 to 1.
    """

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.SEVERAL_LABELS})
    beta: Annotated[float, Field(ge=0, le=1)] = 0.5

    def scores(self, pool: Pool, rng: np.random.Generator) -> Scores:
        """Return u^beta v^(1 - beta), (N,); without labeled examples the expected number of labels is the usual one."""
        (log_odds,) = pool.collect(probes.label_log_odds)
        if pool.has_labeled:
            (counts,) = pool.labeled.collect(probes.number_of_labels)
            usual = float(np.mean(counts))
        else:
            usual = float((1 / (1 + np.exp(-log_odds.astype(np.float64)))).sum(1).mean())
        return max_margin_uncertainty(log_odds) ** self.beta * inconsistency(log_odds, usual) ** (1 - self.beta)


def binary_entropy(log_odds: Floats) -> NDArray[np.float64]:
    """Return the entropy in nats of a label that is there with log-odds x; any shape.

    -p log p - (1 - p) log(1 - p) = log(1 + e^-|x|) + |x| / (1 + e^|x|), exact where p rounds to 0 or 1.
    """
    x = np.abs(log_odds.astype(np.float64))
    return np.asarray(np.log1p(np.exp(-x)) + x * np.exp(-x) / (1 + np.exp(-x)))


def max_margin_uncertainty(log_odds: Floats) -> NDArray[np.float64]:
    """Return one over the gap between the least log-odds above 0 and the largest others, (N,), of log-odds (N, F)."""
    x = log_odds.astype(np.float64)
    least_given = np.where(x > 0, x, np.inf).min(1)
    most_left = np.where(x > 0, -np.inf, x).max(1)
    gap = np.where(np.isfinite(least_given), least_given, 0) - np.where(np.isfinite(most_left), most_left, 0)
    return np.asarray(1 / np.maximum(gap, np.finfo(np.float64).tiny ** 0.5))


def inconsistency(log_odds: Floats, usual: float) -> NDArray[np.float64]:
    """Return the distance between the number of log-odds above 0 and the usual number of labels, (N,)."""
    return np.asarray(np.abs((log_odds > 0).sum(1) - usual))
