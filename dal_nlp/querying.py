"""From a strategy's choice to the question: which part of the pool it sees, and which near-duplicates are not asked.

Letters: N candidates, k wanted, H numbers of an embedding.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dal_nlp.config import QueryConfig
from dal_nlp.pool import Pool
from dal_nlp.processes import share
from dal_nlp.strategies import Selection, Strategy, probes
from dal_nlp.strategies.base import checked
from dal_nlp.strategies.choose import descending, unit
from dal_nlp.strategies.geometry import blocks
from dal_nlp.vectors import Array, Positions

Pick = tuple[int, float]  # a position and the strategy's score of it


def draw_candidates(positions: Positions, k: int, options: QueryConfig, rng: np.random.Generator) -> Positions:
    """Return ``options.candidates`` of the positions (N,), or k if that is more, at random and in their old order."""
    size = max(options.candidates or len(positions), k)
    if size >= len(positions):
        return positions
    return positions[np.sort(rng.choice(len(positions), size, replace=False))]


def query(
    name: str, strategy: Strategy, pool: Pool, k: int, rng: np.random.Generator, options: QueryConfig
) -> Selection:
    """Let a strategy choose k of the pool, without outliers and near-duplicates.

    A pick that is a near-duplicate of a labelled example or of an earlier pick is dropped, and the strategy chooses the
    missing number again from what it has not chosen yet. What it measured is remembered, so nothing is measured twice;
    but it does not know of the picks that were kept, so it makes a batch diverse only within each choice. Where nothing
    but near-duplicates is left they are asked after all: the team wants k labels, and these are the best there are.

    Args:
        name: Of the strategy, for messages.
        strategy: What chooses.
        pool: N candidates, and the labelled examples with them.
        k: 1 <= k <= N.
        rng: The only source of chance.
        options: What is left out.

    Returns:
        k distinct positions of the pool; its notes are the strategy's and ``near_duplicates``, how many picks were
        dropped, and ``near_duplicates_asked``, how many were asked after all.

    Raises:
        UserError: The strategy chose something else than it was asked for.
    """
    rest = _without_outliers(pool, k, options.skip_top_quantile, rng)
    batch = _Batch(pool, k, options.dedupe)
    notes: dict[str, object] = {}
    again = 0
    while batch.missing and len(rest):
        # A pool full of duplicates must not take a choice for each of them: from the second repetition on, twice as
        # many are asked for each time, and the best of them are taken.
        asked = min(len(rest), batch.missing * 2 ** max(0, again - 1))
        seen = pool if len(rest) == len(pool) else pool.take(rest)
        selection = checked(share(strategy.select(seen, asked, rng)), len(rest), asked, name)
        notes = {**selection.notes, **notes}
        batch.add(rest[selection.positions], selection.scores)
        rest = np.delete(rest, selection.positions)
        again += 1
    left_out = len(batch.dropped)
    picks = batch.picks + batch.dropped[: batch.missing]
    if left_out:
        notes["near_duplicates"] = left_out - batch.missing
    if batch.missing:
        notes["near_duplicates_asked"] = batch.missing
    positions, scores = zip(*picks, strict=True)
    return Selection(np.array(positions), np.array(scores), notes)


def _without_outliers(pool: Pool, k: int, share_of_all: float, rng: np.random.Generator) -> Positions:
    """Return the positions without the given share of the highest entropies; at least k of them.

    What is most uncertain of all is often unlearnable: garbage, or beyond what a label could teach (Karamcheti et al.,
    2021, Mind your outliers). Before the first label the head is random, and its entropies say nothing: all stay then.
    """
    count = min(math.floor(share_of_all * len(pool)), len(pool) - k)
    if not count or not pool.has_labelled:
        return np.arange(len(pool))
    (entropies,) = pool.collect(probes.entropy)
    return np.sort(descending(entropies, rng)[count:])


class _Batch:
    """The picks so far: those to be asked, and the near-duplicates among what was chosen.

    Near-duplicates are told by a lower layer's states, which training hardly moves. The last layer's gather by class
    instead: in MiniLM trained on 400 film reviews, none of them alike, one review in six had another one within a
    cosine of 0.99, and none within 0.97 in the lower layer. Only what was chosen and what is labelled is measured.
    """

    def __init__(self, pool: Pool, k: int, threshold: float | None) -> None:
        self._pool, self._k, self._threshold = pool, k, threshold
        self.picks: list[Pick] = []
        self.dropped: list[Pick] = []
        self._known: list[Array] = []  # unit embeddings of the labelled examples and the picks
        if threshold is not None and pool.has_labelled:
            self._known.append(unit(pool.labelled.collect(probes.lower_embedding)[0]))

    @property
    def missing(self) -> int:
        """How many picks are still wanted."""
        return self._k - len(self.picks)

    def add(self, positions: Positions, scores: NDArray[np.floating[Any]]) -> None:
        """Take up what was chosen, best first, until there is enough; note what is dropped."""
        fresh = self._fresh(positions)
        for position, score, new in zip(positions.tolist(), scores.tolist(), fresh, strict=False):
            (self.picks if new else self.dropped).append((position, score))

    def _fresh(self, positions: Positions) -> list[bool]:
        """Tell of each position whether it is far from all that is known and from those before it; stop at enough."""
        if self._threshold is None:
            return [True] * self.missing
        x = unit(self._pool.take(positions).collect(probes.lower_embedding)[0])
        known = np.concatenate([x[:0], *self._known])
        duplicates = _closest(x, known) >= self._threshold
        new: list[int] = []
        fresh: list[bool] = []
        for i in range(len(x)):
            fresh.append(not duplicates[i] and not (_closest(x[[i]], x[new]) >= self._threshold).any())
            new += [i] * fresh[-1]
            if len(new) == self.missing:
                break
        self._known.append(x[new])
        return share(fresh)


def _closest(x: Array, y: Array) -> Array:
    """Return each row's cosine with the nearest row of y (L, H), (M,), where all have unit length; -1 where L is 0."""
    closest = np.full(len(x), -1, dtype=x.dtype)
    for rows in blocks(len(x), len(y)):
        closest[rows] = (x[rows] @ y.T).max(1, initial=-1)
    return closest
