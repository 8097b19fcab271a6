"""Which picks are near-duplicates, one pair at a time."""

import math
from collections.abc import Sequence


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    lengths = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(x * x for x in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else 0.0


def batch(
    scores: Sequence[float], x: Sequence[Sequence[float]], known: Sequence[Sequence[float]], k: int, limit: float
) -> tuple[list[int], int]:
    """Walk down the scores; return k positions and how many near-duplicates were passed over."""
    kept: list[int] = []
    dropped: list[int] = []
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if len(kept) == k:
            break
        others = [*known, *(x[j] for j in kept)]
        near = any(cosine(x[i], other) >= limit for other in others)
        (dropped if near else kept).append(i)
    after_all = dropped[: k - len(kept)]
    return kept + after_all, len(dropped) - len(after_all)
