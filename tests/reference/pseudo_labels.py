"""The confident remainder, one example at a time."""

import math
from collections import Counter
from collections.abc import Collection, Sequence


def ceal(
    probs: Sequence[Sequence[float]], asked: Collection[int], threshold: float, decay: float, round: int, cap: int
) -> list[tuple[int, int]]:
    """Return (position, class), the lowest entropy first."""
    limit = threshold - decay * round
    found = []
    for i, p in enumerate(probs):
        entropy = -sum(q * math.log(q) for q in p if q > 0) / math.log(len(p))
        if i not in asked and limit > 0 and entropy < limit:
            found.append((entropy, i, max(range(len(p)), key=lambda c: p[c])))
    kept: list[tuple[int, int]] = []
    used: Counter[int] = Counter()
    for _, i, c in sorted(found):
        if used[c] < cap:
            used[c] += 1
            kept.append((i, c))
    return kept
