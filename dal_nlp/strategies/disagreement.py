"""Disagreement of two views of a text: what a model reads in it, and what machines say of it."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dal_nlp.models.pool import Pool
from dal_nlp.strategies import probes
from dal_nlp.strategies.base import Capability
from dal_nlp.strategies.scored import Scored
from dal_nlp.strategies.selectors import Scores


class Disagreement(Scored):
    """The largest Jensen-Shannon divergence, in nats, between the model of the text alone and what machines say.

    Machines count with the weights that labels have given them. A text about which they say nothing has 0, as has
    every text where none is heard: ties are broken at random.

    Reads: two_views.
    Cost: one pass, O(N C).
    Tasks: runs with --signal.
    Reference: Blum and Mitchell (1998), Combining labeled and unlabeled data with co-training, on two views; the
        divergence is that of McCallum and Nigam (1998), Employing EM in pool-based active learning.
    """

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.WITNESSES})

    def scores(self, pool: Pool, rng: np.random.Generator) -> Scores:
        """Return the divergences, (N,)."""
        (views,) = pool.collect(probes.two_views)
        read, added = np.asarray(views, dtype=np.float64).transpose(1, 0, 2)
        silent = np.ptp(added, axis=1) == 0
        return np.where(silent, 0.0, jensen_shannon(read, added))


def jensen_shannon(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the divergence, (N,), of two distributions given as log-probabilities (N, C): 0 to log 2."""
    middle = np.logaddexp(p, q) - np.log(2)
    return np.asarray(sum(_relative(one, middle) for one in (p, q)) / 2)


def _relative(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sum_c p_c (log p_c - log q_c), (N,), of log-probabilities; an outcome that cannot be adds 0."""
    with np.errstate(invalid="ignore"):
        terms = np.where(np.isneginf(p), 0.0, np.exp(p) * (p - q))
    return np.asarray(terms.sum(1))
