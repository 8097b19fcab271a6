"""EPIG from the definition: the mutual information of two predictions as a sum over both."""

import math

import numpy as np


def information(p: np.ndarray, q: np.ndarray) -> float:
    """I(y; y*) of two examples with draws p (K, C) and q (K, C)."""
    total = 0.0
    for a in range(p.shape[1]):
        for b in range(q.shape[1]):
            joint = float(np.mean(p[:, a] * q[:, b]))
            if joint > 0:
                total += joint * math.log(joint / (p[:, a].mean() * q[:, b].mean()))
    return total


def epig(probs: np.ndarray, targets: list[int]) -> list[float]:
    """The mean over the targets for every example; probs (N, K, C)."""
    return [sum(information(probs[i], probs[t]) for t in targets) / len(targets) for i in range(len(probs))]
