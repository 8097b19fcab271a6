"""Suggestive annotation: of the most uncertain examples, those that together resemble the whole pool most."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dal_nlp.models.pool import Pool, Probe
from dal_nlp.models.vectors import Array, Positions
from dal_nlp.strategies import probes
from dal_nlp.strategies.base import Selection, Strategy
from dal_nlp.strategies.bayesian import Bald, bald
from dal_nlp.strategies.clustering import blocks
from dal_nlp.strategies.selectors import argmax, top_k, unit

UNCERTAINTIES: Mapping[str, Probe] = {
    "entropy": probes.entropy,
    "margin": probes.margin,
    "least_confidence": probes.least_confidence,
    "bald": bald,
}


@dataclass(frozen=True)
class Suggestive(Strategy):
    """Two steps: the ``beta`` k most uncertain examples; of these, k that cover the pool by greedy choice.

    The second step maximises F(S) = sum over x in the pool of max over s in S of sim(s, x), with the cosine of the
    embeddings as sim and 0 where it is negative. Greedy reaches at least 1 - 1/e of the best S. A score is what the
    pick added to F: how many examples' worth of the pool it stands for.

    Reads: embedding, log_probs (draws instead with uncertainty bald).
    Cost: one pass (and K of draws with bald); O(N beta k H) once, and the same for the share of the pool whose nearest
        chosen example changes with a pick: about log k times more on random data. N x H numbers in memory: similarities
        are made again in blocks, never kept.
    Tasks: all.
    Reference: Yang et al. (2017), Suggestive annotation: a deep active learning framework for biomedical image
        segmentation, section 2.2.
    Deviations: the paper's uncertainty is the disagreement of networks trained on bootstrap samples; here it is one
        network's, by dropout with bald. The paper takes twice as many candidates as picks.

    Attributes:
        uncertainty: What makes a candidate.
        beta: Candidates for each pick.
    """

    reads_states: ClassVar[bool] = True

    uncertainty: Literal["entropy", "margin", "least_confidence", "bald"] = "entropy"
    beta: Annotated[float, Field(ge=1)] = 10

    def __post_init__(self) -> None:
        """Require draws where the uncertainty reads them; others run on models without any."""
        if self.uncertainty == "bald":
            object.__setattr__(self, "requires", Bald.requires)  # the dataclass is frozen

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Choose k of the candidates, the one that covers most first."""
        x, uncertain = pool.collect(probes.embedding, UNCERTAINTIES[self.uncertainty])
        candidates = top_k(uncertain, min(round(self.beta * k), len(x)), rng).positions
        return max_cover(unit(x), candidates, k, rng)


def max_cover(x: Array, candidates: Positions, k: int, rng: np.random.Generator) -> Selection:
    """Choose k of the candidates (M,) by the exact greedy rule for F(S) = sum_x max(0, max_{s in S} x . s).

    A pick changes what another one would add only through the rows of x (N, H) that it covers better than the picks
    before, so gains are kept and corrected for these rows alone. Plain greedy goes through all N x M similarities at
    every pick, and has to keep them.

    Args:
        x: Rows of length one.
        candidates: Positions in x.
        k: At most M.
        rng: Of ties.

    Returns:
        Scores are the gains in F.
    """
    y = x[candidates]
    covered = np.zeros(len(x), dtype=x.dtype)
    gains = _between(x, y, np.arange(len(x)), covered, np.full(len(x), np.inf, dtype=x.dtype))
    picks, scores = [], []
    for _ in range(k):
        best = argmax(gains, rng)
        picks.append(best)
        scores.append(gains[best])
        closer = x @ y[best]
        changed = np.flatnonzero(closer > covered)
        gains -= _between(x, y, changed, covered[changed], closer[changed])
        gains[picks] = -np.inf
        covered[changed] = closer[changed]
    return Selection(candidates[picks], np.maximum(scores, 0))


def _between(x: Array, y: Array, rows: Positions, low: Array, high: Array) -> NDArray[np.float64]:
    """Return the sum over some rows (R,) of how far each candidate's similarity reaches from low towards high, (M,).

    Args:
        x: (N, H) rows.
        y: (M, H) candidates.
        rows: Positions in x.
        low: (R,) what lies below counts nothing.
        high: (R,) what lies above counts high - low.
    """
    total = np.zeros(len(y))
    for part in blocks(len(rows), len(y)):
        similar = x[rows[part]] @ y.T
        np.minimum(similar, high[part, None], out=similar)
        np.maximum(similar, low[part, None], out=similar)
        similar -= low[part, None]
        total += similar.sum(0, dtype=np.float64)
    return total
