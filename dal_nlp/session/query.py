"""From a strategy's choice to the question: which part of the pool it sees, and which of its picks are not asked.

Letters: N candidates, k wanted, M picks, L known examples, H numbers of an embedding.
"""

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dal_nlp.core.config import QueryConfig
from dal_nlp.core.distributed import broadcast
from dal_nlp.core.errors import NoStates
from dal_nlp.core.task import Capability
from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import Array, Positions
from dal_nlp.strategies import make_strategy, probes
from dal_nlp.strategies.base import Selection, Strategy, checked
from dal_nlp.strategies.clustering import blocks
from dal_nlp.strategies.selectors import descending, unit

#: Examples for each label wanted that a prefilter leaves.
KEEP = 10

Pick = tuple[int, float]  # a position and the strategy's score of it
Fate = Literal["asked", "near", "held"]  # near: a near-duplicate; held: its group is full


def draw_candidates(positions: Positions, k: int, options: QueryConfig, rng: np.random.Generator) -> Positions:
    """Return ``options.candidates`` of the positions (N,), or k if that is more, at random and in their old order."""
    size = max(options.candidates or len(positions), k)
    if size >= len(positions):
        return positions
    return positions[np.sort(rng.choice(len(positions), size, replace=False))]


def select_batch(
    name: str, strategy: Strategy, pool: Pool, k: int, rng: np.random.Generator, options: QueryConfig
) -> Selection:
    """Let a strategy choose k of the pool, or of the part that ``options.prefilter`` puts before it.

    The rest of what is asked and not asked is as in ``_query``. The prefilter is there for strategies that are dear to
    measure: what it leaves out is never measured by the strategy. It works from the first labels on, and before them
    where the strategy reads texts that the model has to write.
    """
    early = Capability.GENERATED_TEXTS in strategy.requires
    if options.prefilter is None or not (pool.has_labeled or early):
        return _query(name, strategy, pool, k, rng, options)
    keep = min(len(pool), max(k, options.prefilter_keep or KEEP * k))
    first = make_strategy(options.prefilter, {})
    kept = checked(broadcast(first.select(pool, keep, rng)), len(pool), keep, options.prefilter).positions
    selection = _query(name, strategy, pool.take(kept), k, rng, options)
    return Selection(kept[selection.positions], selection.scores, selection.notes)


def _query(
    name: str, strategy: Strategy, pool: Pool, k: int, rng: np.random.Generator, options: QueryConfig
) -> Selection:
    """Let a strategy choose k of the pool, without outliers and near-duplicates, and few of each group.

    A pick that is a near-duplicate of a labeled example or of an earlier pick is dropped, one whose group has
    ``max_per_group`` picks already is passed over, and the strategy chooses the missing number again from what it has
    not chosen yet and whose group has room. What it measured is remembered, so nothing is measured twice; but it does
    not know of the picks that were kept, so it makes a batch diverse only within each choice. Where nothing but
    near-duplicates is left they are asked after all: the team wants k labels, and these are the best there are. Full
    groups stay closed: where nothing else is left, fewer than k are asked.

    Args:
        name: Of the strategy, for messages.
        strategy: What chooses.
        pool: N candidates, and the labeled examples with them.
        k: 1 <= k <= N.
        rng: The only source of chance.
        options: What is left out.

    Returns:
        k distinct positions of the pool, best first, or fewer where groups are full; its notes are the strategy's and,
        where they are not 0, ``near_duplicates``, how many picks were dropped, ``near_duplicates_asked``, how many were
        asked after all, ``held_by_group``, how many were passed over, and ``fewer_by_group``, how many of k were not
        asked.

    Raises:
        UserError: The strategy chose something else than it was asked for, or groups are to be counted and there are
            none.
    """
    left = _without_outliers(pool, k, options.skip_top_quantile, rng)
    # What is measured of the part that is left is remembered by it, for all repetitions.
    part = pool if len(left) == len(pool) else pool.take(left)
    rest = np.arange(len(part))
    batch = _Batch(pool, k, options)
    notes: dict[str, object] = {}
    again = 0
    while batch.missing and len(rest):
        # A pool full of duplicates must not take a choice for each of them: from the second repetition on, twice as
        # many are asked for each time, and the best of them are taken.
        count = min(len(rest), batch.missing * 2 ** max(0, again - 1))
        seen = part if len(rest) == len(part) else part.take(rest)
        selection = checked(broadcast(strategy.select(seen, count, rng)), len(rest), count, name)
        notes = {**selection.notes, **notes}
        batch.add(left[rest[selection.positions]], selection.scores)
        rest = np.delete(rest, selection.positions)
        rest = rest[batch.has_room(left[rest])]
        again += 1
    batch.ask_near_duplicates()
    positions, scores = zip(*batch.picks, strict=True)
    return Selection(np.array(positions), np.array(scores), notes | batch.notes())


def _without_outliers(pool: Pool, k: int, share_of_all: float, rng: np.random.Generator) -> Positions:
    """Return the positions without the given share of the highest entropies; at least k of them.

    What is most uncertain of all is often unlearnable: garbage, or beyond what a label could teach (Karamcheti et al.,
    2021, Mind your outliers). Before the first label the head is random, and its entropies say nothing: all stay then.
    """
    count = min(math.floor(share_of_all * len(pool)), len(pool) - k)
    if not count or not pool.has_labeled:
        return np.arange(len(pool))
    (entropies,) = pool.collect(probes.entropy)
    return np.sort(descending(entropies, rng)[count:])


class _Batch:
    """The picks so far: those to be asked, and the near-duplicates among what was chosen; which groups have room.

    Near-duplicates are told by a lower layer's states, which training hardly moves. The last layer's gather by class
    instead: in MiniLM trained on 400 film reviews, none of them alike, one review in six had another one within a
    cosine of 0.99, and none within 0.97 in the lower layer. Only what was chosen and what is labeled is measured.
    """

    def __init__(self, pool: Pool, k: int, options: QueryConfig) -> None:
        self._pool, self._k = pool, k
        self._threshold = options.dedupe or math.inf
        self._group, self._room = _groups(pool, options.max_per_group)
        self.picks: list[Pick] = []
        self._near: list[Pick] = []  # dropped near-duplicates
        self._held = self._near_asked = 0
        self._known: list[Array] = []  # embeddings of the labeled examples and the picks
        if options.dedupe is not None and pool.has_labeled:
            self._known.append(self._embeddings(pool.labeled))

    @property
    def missing(self) -> int:
        """How many picks are still wanted."""
        return self._k - len(self.picks)

    def has_room(self, positions: Positions) -> NDArray[np.bool_]:
        """Tell of each position whether its group is not full."""
        return np.asarray(self._room[self._group[positions]] > 0)

    def add(self, positions: Positions, scores: NDArray[np.floating[Any]]) -> None:
        """Take up what was chosen, best first, until there is enough; note what is dropped and passed over."""
        fates = broadcast(self._fates(positions))
        for position, score, fate in zip(positions.tolist(), scores.tolist(), fates, strict=False):
            if fate == "asked":
                self._take((position, score))
            elif fate == "near":
                self._near.append((position, score))
            else:
                self._held += 1

    def ask_near_duplicates(self) -> None:
        """Fill up with near-duplicates, best first, whose groups have room."""
        for pick in self._near:
            if self.missing and self._room[self._group[pick[0]]]:
                self._take(pick)
                self._near_asked += 1

    def notes(self) -> dict[str, object]:
        """Return what was left out, by the names of ``select_batch``."""
        counts = {
            "near_duplicates": len(self._near) - self._near_asked,
            "near_duplicates_asked": self._near_asked,
            "held_by_group": self._held,
            "fewer_by_group": self.missing,
        }
        return {name: count for name, count in counts.items() if count}

    def _take(self, pick: Pick) -> None:
        self.picks.append(pick)
        self._room[self._group[pick[0]]] -= 1

    def _fates(self, positions: Positions) -> list[Fate]:
        """Return what becomes of each of M positions, best first; stop at enough."""
        x = self._embeddings(self._pool.take(positions))
        duplicates = _closest(x, np.concatenate([x[:0], *self._known])) >= self._threshold
        room = self._room.copy()
        new: list[int] = []
        fates: list[Fate] = []
        for i, group in enumerate(self._group[positions]):
            if not room[group]:
                fates.append("held")
            elif duplicates[i] or (_closest(x[[i]], x[new]) >= self._threshold).any():
                fates.append("near")
            else:
                fates.append("asked")
                new.append(i)
                room[group] -= 1
            if len(new) == self.missing:
                break
        self._known.append(x[new])
        return fates

    def _embeddings(self, pool: Pool) -> Array:
        """Return unit embeddings (M, H); where near-duplicates are not left out, nothing is measured and H is 0.

        They are not where the model has no hidden state for each token.
        """
        if self._threshold < math.inf:
            try:
                return unit(pool.collect(probes.lower_embedding)[0])
            except NoStates:
                self._threshold, self._known = math.inf, [x[:, :0] for x in self._known]
        return np.zeros((len(pool), 0), dtype=np.float32)


def _groups(pool: Pool, most: int | None) -> tuple[Positions, NDArray[np.int64]]:
    """Return the number of each example's group (N,), and for how many picks each group has room.

    Without a limit every example is a group of its own.
    """
    if most is None:
        return np.arange(len(pool)), np.ones(len(pool), dtype=np.int64)
    numbers: dict[str, int] = {}
    group = np.array([numbers.setdefault(name, len(numbers)) for name in pool.groups])
    return group, np.full(len(numbers), most)


def _closest(x: Array, y: Array) -> Array:
    """Return each row's cosine with the nearest row of y (L, H), (M,), where all have unit length; -1 where L is 0."""
    closest = np.full(len(x), -1, dtype=x.dtype)
    for rows in blocks(len(x), len(y)):
        closest[rows] = (x[rows] @ y.T).max(1, initial=-1)
    return closest
