"""Sums of outer products multiplied out, in float64."""

import numpy as np


def multiply_out(left, right):
    """(N, P, A) and (N, P, H) to (N, A H)."""
    whole = []
    for a, h in zip(np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64), strict=True):
        whole.append(sum(np.outer(a[p], h[p]) for p in range(len(a))).ravel())
    return np.array(whole)


def sq_dists(x, i):
    """All squared distances to row i, by differences."""
    return np.array([((row - x[i]) ** 2).sum() for row in np.asarray(x, dtype=np.float64)])
