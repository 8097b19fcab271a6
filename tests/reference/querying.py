"""Which picks are near-duplicates and which groups are full, one pair at a time."""

import math
from collections.abc import Sequence


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    lengths = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(x * x for x in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else 0.0


def batch(
    scores: Sequence[float],
    x: Sequence[Sequence[float]],
    known: Sequence[Sequence[float]],
    k: int,
    limit: float,
    groups: Sequence[str] | None = None,
    most: int = 1,
) -> tuple[list[int], int, int]:
    """Walk down the scores; return up to k positions, and how many near-duplicates and members of full groups were not
    taken on the way.
    """
    kept: list[int] = []
    dropped: list[int] = []
    held: list[int] = []

    def full(i: int) -> bool:
        return groups is not None and [groups[j] for j in kept].count(groups[i]) >= most

    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if len(kept) == k:
            break
        others = [*known, *(x[j] for j in kept)]
        if full(i):
            held.append(i)
        elif any(cosine(x[i], other) >= limit for other in others):
            dropped.append(i)
        else:
            kept.append(i)
    near = len(dropped)
    for i in dropped:
        if len(kept) < k and not full(i):
            kept.append(i)
            near -= 1
    return kept, near, len(held)
