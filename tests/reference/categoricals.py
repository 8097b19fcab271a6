"""Textbook twins in plain Python with exact fractions of the exponential function's float64 values."""

import math


def softmax(logits: list[float]) -> list[float]:
    top = max(logits)
    weights = [math.exp(z - top) for z in logits]
    return [w / sum(weights) for w in weights]


def entropy(logits: list[float]) -> float:
    return -sum(p * math.log(p) for p in softmax(logits) if p > 0)


def least_confidence(logits: list[float]) -> float:
    return 1 - max(softmax(logits))


def margin(logits: list[float]) -> float:
    first, second = sorted(softmax(logits), reverse=True)[:2]
    return 1 - (first - second)


def soft_cross_entropy(logits: list[float], shares: list[float]) -> float:
    return -sum(q * math.log(p) for q, p in zip(shares, softmax(logits), strict=True) if q > 0)
