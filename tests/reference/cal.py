"""Contrastive scores by the definition, one pair at a time, in double precision."""

import numpy as np


def scores(x, log_probs, known, known_log_probs, k):
    x, known = (rows / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True) for rows in (x, known))
    result = []
    for row, q in zip(x, log_probs.astype(np.float64), strict=True):
        nearest = sorted(range(len(known)), key=lambda j: ((row - known[j]) ** 2).sum())[:k]
        divergences = []
        for j in nearest:
            p = known_log_probs[j].astype(np.float64)
            divergences.append(sum(np.exp(p[c]) * (p[c] - q[c]) for c in range(len(p))))
        result.append(np.mean(divergences))
    return np.array(result)
