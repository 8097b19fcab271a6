"""BatchBALD from the definition: every combination of answers, every batch."""

import itertools
import math

import numpy as np


def information(probs: np.ndarray, batch: list[int]) -> float:
    """I(y_batch; omega) under K equally likely draws; probs (N, K, C)."""
    _, draws, outcomes = probs.shape
    joint = 0.0
    for answers in itertools.product(range(outcomes), repeat=len(batch)):
        p = sum(math.prod(probs[i, k, y] for i, y in zip(batch, answers, strict=True)) for k in range(draws)) / draws
        joint -= p * math.log(p) if p > 0 else 0.0
    given = 0.0
    for i in batch:
        given -= sum(p * math.log(p) for p in probs[i].ravel() if p > 0) / draws
    return joint - given


def greedy(probs: np.ndarray, k: int) -> tuple[list[int], list[float]]:
    """The picks, and what each adds."""
    batch: list[int] = []
    gains: list[float] = []
    for _ in range(k):
        before = information(probs, batch) if batch else 0.0
        found = {i: information(probs, [*batch, i]) - before for i in range(len(probs)) if i not in batch}
        best = max(found, key=found.__getitem__)
        batch.append(best)
        gains.append(found[best])
    return batch, gains
