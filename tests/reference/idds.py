"""In-domain diversity by the definition: all inner products, one pick at a time, in double precision."""

import numpy as np


def scores(x, labelled, taken, lam):
    """The value of every row; of `x`, the rows in `taken` are labelled too, and have none (-inf)."""
    x, labelled = x.astype(np.float64), labelled.astype(np.float64)
    unlabelled = [i for i in range(len(x)) if i not in taken]
    known = [*labelled, *x[list(taken)]]
    values = np.full(len(x), -np.inf)
    for i in unlabelled:
        to_unlabelled = [x[i] @ x[u] for u in unlabelled if u != i]
        to_labelled = [x[i] @ row for row in known]
        mean = [sum(products) / len(products) if products else 0.0 for products in (to_unlabelled, to_labelled)]
        values[i] = lam * mean[0] - (1 - lam) * mean[1]
    return values


def idds(x, labelled, k, lam):
    picks, values = [], []
    for _ in range(k):
        every = scores(x, labelled, picks, lam)
        picks.append(int(every.argmax()))
        values.append(every[picks[-1]])
    return picks, values


def quadratic(x, labelled, k, lam):
    """The same picks from the whole matrix of similarities; for sizes at which `idds` takes too long."""
    x, labelled = x.astype(np.float64), labelled.astype(np.float64)
    similar = x @ x.T
    np.fill_diagonal(similar, 0)
    given = (x @ labelled.T).sum(1)
    left = np.ones(len(x), dtype=bool)
    picks = []
    for _ in range(k):
        to_unlabelled = similar @ left / max(left.sum() - 1, 1)
        to_labelled = (given + similar @ ~left) / max(len(labelled) + len(picks), 1)
        values = np.where(left, lam * to_unlabelled - (1 - lam) * to_labelled, -np.inf)
        picks.append(int(values.argmax()))
        left[picks[-1]] = False
    return picks
