"""Sampling by score: batches that are not k copies of the same idea, at no cost.

The k best of one score are often alike. Sampling in proportion to the score spreads them (Kirsch et al., 2023).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from dal_nlp.core.errors import UserError, nearest
from dal_nlp.core.plugins import import_class
from dal_nlp.models.pool import Pool
from dal_nlp.strategies import PREFIX
from dal_nlp.strategies.base import Selection, Strategy
from dal_nlp.strategies.bayesian import Bald
from dal_nlp.strategies.scored import Scored
from dal_nlp.strategies.selectors import Scores, descending

#: What all strategies are derived from.
BASE = "dal_nlp.strategies.base:Strategy"


@dataclass(frozen=True)
class Stochastic(Scored):
    """A mixin in front of any scored strategy: the k largest of beta w_i + Gumbel noise, so p(i first) ~ exp(beta w_i).

    Adding Gumbel noise to log-weights and taking the k largest samples without replacement. The log-weight w_i is
    log s_i (form "power"), s_i ("softmax") or - log r_i ("softrank", r_i = 1 for the largest score). With "power" a
    score of 0 is taken only when nothing else is left. A large beta is top-k, a small one chance.

    Reads: what the scored strategy reads.
    Cost: that of the scored strategy, and O(N log N).
    Tasks: those of the scored strategy.
    Reference: Kirsch et al. (2023), Stochastic batch acquisition: a simple baseline for deep active learning.
    Deviations: none.

    Attributes:
        beta: How much the scores count, above 0.
        form: How a score becomes a log-weight.
    """

    beta: Annotated[float, Field(gt=0)] = 1.0
    form: Literal["power", "softmax", "softrank"] = "power"

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Sample k by their scores; raises ``UserError`` where the form is power and a score is negative."""
        scores = self.scores(pool, rng)
        return gumbel_top_k(scores, self.beta * FORMS[self.form](scores, rng), k, rng)


@dataclass(frozen=True)
class PowerBald(Stochastic, Bald):
    """BALD at random: p(i first) ~ BALD_i^beta.

    The k examples with most mutual information often tell the same thing. Sampling in proportion to it costs nothing,
    does as well as BatchBALD in the paper, and is the choice for batches of 50 and more.

    Reads: draws.
    Cost: K passes, O(N K C); memory does not grow with K.
    Tasks: all that give draws.
    Reference: Kirsch et al. (2023), Stochastic batch acquisition: a simple baseline for deep active learning.
    Deviations: none (see ``bald`` for the score).
    """


def make_stochastic(inner: str, table: Mapping[str, str]) -> type[Strategy]:
    """Return the stochastic form of a scored strategy, a name of the table or ``module:Class``.

    Its options are those of the inner strategy and ``beta`` and ``form``.

    Raises:
        UserError: The inner strategy is unknown, or chooses otherwise than by one score an example.
    """
    cls = import_class("strategy", inner, table, BASE)
    if not _has_scores(cls):
        names = sorted(name for name in table if _has_scores(import_class("strategy", name, table, BASE)))
        raise UserError(
            f"There is no {PREFIX}{inner}, as {inner} does not choose by one score an example{nearest(inner, names)}; "
            f"there are: {', '.join(PREFIX + name for name in names)}."
        )
    return dataclass(frozen=True)(type(f"Stochastic{cls.__name__}", (Stochastic, cls), {"__doc__": Stochastic.__doc__}))


def _has_scores(cls: type[Strategy]) -> bool:
    """Tell whether a strategy chooses by one score an example, and not at random."""
    return issubclass(cls, Scored) and not issubclass(cls, Stochastic)


def power(scores: Scores, rng: np.random.Generator) -> Scores:
    """Return log s, (N,), - inf where the score is 0."""
    if (scores < 0).any():
        raise UserError(
            "Some scores are negative, and a negative number has no power: use --set strategy_options.form=softrank."
        )
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(scores))


def softmax(scores: Scores, rng: np.random.Generator) -> Scores:
    """Return the scores themselves, (N,)."""
    return scores


def softrank(scores: Scores, rng: np.random.Generator) -> Scores:
    """Return - log of the rank, (N,), 1 for the largest score; equal scores rank at random."""
    log_weights = np.empty(len(scores))
    log_weights[descending(scores, rng)] = -np.log(np.arange(1, len(scores) + 1))
    return log_weights


FORMS: Mapping[str, Callable[[Scores, np.random.Generator], Scores]] = {
    "power": power,
    "softmax": softmax,
    "softrank": softrank,
}


def gumbel_top_k(scores: Scores, log_weights: Scores, k: int, rng: np.random.Generator) -> Selection:
    """Sample k of N without replacement, each time in proportion to the weights of those left.

    Args:
        scores: (N,) what the selection reports.
        log_weights: (N,) unnormalised; those of - inf come last, in the generator's order.
        k: At most N.
        rng: Of the Gumbel noise.
    """
    order = descending(log_weights + rng.gumbel(size=len(scores)), rng)[:k]
    return Selection(order, scores[order])
