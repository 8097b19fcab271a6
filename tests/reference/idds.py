"""In-domain diversity by the definition: all inner products, one pick at a time, in double precision."""

import numpy as np


def scores(x, labeled, taken, lam):
    """The value of every row; of `x`, the rows in `taken` are labeled too, and have none (-inf)."""
    x, labeled = x.astype(np.float64), labeled.astype(np.float64)
    unlabeled = [i for i in range(len(x)) if i not in taken]
    known = [*labeled, *x[list(taken)]]
    values = np.full(len(x), -np.inf)
    for i in unlabeled:
        to_unlabeled = [x[i] @ x[u] for u in unlabeled if u != i]
        to_labeled = [x[i] @ row for row in known]
        mean = [sum(products) / len(products) if products else 0.0 for products in (to_unlabeled, to_labeled)]
        values[i] = lam * mean[0] - (1 - lam) * mean[1]
    return values


def idds(x, labeled, k, lam):
    picks, values = [], []
    for _ in range(k):
        every = scores(x, labeled, picks, lam)
        picks.append(int(every.argmax()))
        values.append(every[picks[-1]])
    return picks, values


def quadratic(x, labeled, k, lam):
    """The same picks from the whole matrix of similarities; for sizes at which `idds` takes too long."""
    x, labeled = x.astype(np.float64), labeled.astype(np.float64)
    similar = x @ x.T
    np.fill_diagonal(similar, 0)
    given = (x @ labeled.T).sum(1)
    left = np.ones(len(x), dtype=bool)
    picks = []
    for _ in range(k):
        to_unlabeled = similar @ left / max(left.sum() - 1, 1)
        to_labeled = (given + similar @ ~left) / max(len(labeled) + len(picks), 1)
        values = np.where(left, lam * to_unlabeled - (1 - lam) * to_labeled, -np.inf)
        picks.append(int(values.argmax()))
        left[picks[-1]] = False
    return picks
