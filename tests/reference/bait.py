"""BAIT with whole (C H, C H) matrices and a matrix inverse for every candidate."""

import numpy as np


def factor(log_probs, h):
    """Rows sqrt(p_y) (p - e_y) kron h, (C, C H)."""
    p = np.exp(np.asarray(log_probs, dtype=np.float64))
    h = np.asarray(h, dtype=np.float64)
    return np.stack([np.sqrt(p[y]) * np.kron(p - np.eye(len(p))[y], h) for y in range(len(p))])


def total(log_probs, h):
    """The summed information of some examples."""
    return sum(factor(lp, x).T @ factor(lp, x) for lp, x in zip(log_probs, h, strict=True))


def trace(matrix, target):
    """The objective."""
    return np.trace(np.linalg.inv(matrix) @ target)


def choose(log_probs, h, known_log_probs, known_h, k, regularisation=1.0):
    """Positions in the order of picks, and how much each lowered the objective."""
    parts = [factor(lp, x) for lp, x in zip(log_probs, h, strict=True)]
    infos = [v.T @ v for v in parts]
    target = sum(infos) / len(infos)
    matrix = regularisation * np.eye(len(target)) + total(known_log_probs, known_h)
    picks, gains = [], []
    while len(picks) < min(2 * k, len(infos)):
        rest = [i for i in range(len(infos)) if i not in picks]
        best = min(rest, key=lambda i: trace(matrix + infos[i], target))
        gains.append(trace(matrix, target) - trace(matrix + infos[best], target))
        matrix = matrix + infos[best]
        picks.append(best)
    kept = list(picks)
    while len(kept) > k:
        worst = min(kept, key=lambda i: trace(matrix - infos[i], target))
        matrix = matrix - infos[worst]
        kept.remove(worst)
    return kept, [gains[picks.index(i)] for i in kept]
