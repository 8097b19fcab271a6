"""The greedy choosers' table: how far each vector is from the nearest pick; each of several processes has a part."""

from collections.abc import Callable

import numpy as np

from dal_nlp.core.distributed import gather, process_state
from dal_nlp.core.errors import BrokenModelError
from dal_nlp.models.vectors import EVERYTHING, ROWS, Array, Positions, Vectors, cuts

NAN = "Some distances are NaN, so nothing can be chosen by them: lower training.learning_rate."


def own_part(n: int) -> slice:
    """Return the part of 0..n-1 that this process minds: as many blocks of ``ROWS`` as the others, up to one."""
    state, blocks = process_state(), -(-n // ROWS)
    ends = [min(blocks * r // state.num_processes * ROWS, n) for r in range(state.num_processes + 1)]
    return slice(ends[state.process_index], ends[state.process_index + 1])


class Nearest:
    """Squared distances of N vectors to the nearest of those picked, infinite before the first pick.

    All processes make the same calls and get the same answers. Each computes the distances of a part of the vectors,
    which costs O(N H / processes) a pick; what they tell each other of a pick is a few numbers. The answers are those
    of one process: rows are computed in the same blocks, and chance is drawn by all alike.

    Args:
        vectors: All of them, readable in every process.
        start: Returns the distances (M,) that a part of the vectors has before the first pick; infinity if left out.
    """

    def __init__(self, vectors: Vectors, start: Callable[[slice], Array] | None = None) -> None:
        self._vectors = vectors
        self._part = own_part(len(vectors))
        self._chosen = np.zeros(len(vectors), dtype=bool)
        size = self._part.stop - self._part.start
        self._distances = start(self._part) if start else np.full(size, np.inf, dtype=vectors.sq_norms().dtype)

    def add(self, i: int, own: float) -> None:
        """Count vector i among the picks; ``own`` is what stands for its own distance from now on."""
        self._chosen[i] = True
        np.minimum(self._distances, self._vectors.sq_dists(i, self._part), out=self._distances)
        if self._part.start <= i < self._part.stop:
            self._distances[i - self._part.start] = own

    def farthest(self, rng: np.random.Generator) -> tuple[int, float]:
        """Return a vector of the largest distance, one of them at random where several are equal, and that distance.

        Raises:
            BrokenModelError: A distance is NaN.
        """
        candidates = gather([self._largest()])
        if any(np.isnan(distance) for distance, _ in candidates):
            raise BrokenModelError(NAN)
        most = max(distance for distance, _ in candidates)
        equal = np.concatenate([positions for distance, positions in candidates if distance == most])
        return int(equal[rng.integers(len(equal))]), most

    def _largest(self) -> tuple[float, Positions]:
        """Return this process's largest distance, and where it is."""
        most = self._distances.max(initial=-np.inf)
        return float(most), np.flatnonzero(self._distances == most) + self._part.start

    def draw(self, rng: np.random.Generator) -> tuple[int, float]:
        """Draw a vector in proportion to the distances, and return its distance too.

        Where all are 0 it is drawn evenly among those that are no pick. A block is drawn first, then one of its
        vectors: so the sums are the same however many processes there are.
        """
        blocks = list(cuts(EVERYTHING, len(self._distances)))
        own = np.array([self._distances[block].sum(dtype=np.float64) for block in blocks])
        sums = gather([own])
        total = np.cumsum(np.concatenate(sums))
        if total[-1] == 0:
            return int(rng.choice(np.flatnonzero(~self._chosen))), 0.0
        u = rng.random() * total[-1]
        block = int(np.searchsorted(total, u, side="right"))  # the first above u: never one of weight 0
        rest = u - (total[block - 1] if block else 0.0)
        mine = block - self._part.start // ROWS
        ((i, distance),) = gather([self._within(blocks[mine], rest)] if 0 <= mine < len(blocks) else [])
        return i, distance

    def _within(self, block: slice, u: float) -> tuple[int, float]:
        """Return the vector of a block at which its cumulated distances pass u, and its distance."""
        cdf = np.cumsum(self._distances[block], dtype=np.float64)
        # Its sum in another order may end just below u.
        i = min(int(np.searchsorted(cdf, max(u, 0.0), side="right")), int(np.flatnonzero(self._distances[block])[-1]))
        return self._part.start + block.start + i, float(self._distances[block][i])
