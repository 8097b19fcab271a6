"""Normalised sequence probability from the definitions, one token at a time."""

import math
from collections.abc import Sequence


def probability(tokens: Sequence[float], mean: bool = True) -> float:
    """Of an answer whose tokens have these probabilities: their product, or with `mean` its T-th root."""
    if 0 in tokens:
        return 0.0
    return math.prod(tokens) ** (1 / len(tokens) if mean else 1)


def nsp(tokens: Sequence[float], mean: bool = True) -> float:
    return 1 - probability(tokens, mean)


def ensp(draws: Sequence[Sequence[float]], mean: bool = True) -> float:
    return 1 - sum(probability(tokens, mean) for tokens in draws) / len(draws)


def ensv(draws: Sequence[Sequence[float]], mean: bool = True) -> float:
    values = [probability(tokens, mean) for tokens in draws]
    centre = sum(values) / len(values)
    return sum((value - centre) ** 2 for value in values) / len(values)
