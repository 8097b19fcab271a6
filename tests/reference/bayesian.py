"""Disagreement of draws, from the definitions, one number at a time."""

import math
from collections import Counter
from collections.abc import Sequence

Draws = Sequence[Sequence[float]]  # K distributions of one factor


def entropy(p: Sequence[float]) -> float:
    return -sum(x * math.log(x) for x in p if x > 0)


def mean(draws: Draws) -> list[float]:
    return [sum(column) / len(draws) for column in zip(*draws, strict=True)]


def bald(draws: Draws) -> float:
    return entropy(mean(draws)) - sum(map(entropy, draws)) / len(draws)


def mean_std(draws: Draws) -> float:
    columns = [column for column in zip(*draws, strict=True) if any(column)]
    centres = [sum(column) / len(column) for column in columns]
    variances = [
        sum((x - centre) ** 2 for x in column) / len(column) for column, centre in zip(columns, centres, strict=True)
    ]
    return sum(map(math.sqrt, variances)) / len(columns)


def variation_ratio(draws: Draws) -> float:
    votes = Counter(max(range(len(p)), key=p.__getitem__) for p in draws)
    return 1 - max(votes.values()) / len(draws)
