"""Multinomial logistic regression on features: convex, so that the labels alone decide what comes out."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dal_nlp.models.vectors import Array

#: Most iterations of L-BFGS; fits on 20 to 1,000 labels took 8 to 60.
MOST_ITERATIONS = 1000


@dataclass(frozen=True)
class Linear:
    """A linear layer for C classes.

    Attributes:
        weight: (C, H).
        bias: (C,).
        unseen: The bias of a class without any example, whose weights are 0.
        iterations: What the fit took.
    """

    weight: Array
    bias: Array
    unseen: float
    iterations: int


def fit_linear(
    x: Array, y: NDArray[np.int64], weights: NDArray[np.float64], classes: int, c: float, mean: Array, scale: float
) -> Linear:
    """Minimise c sum_i w_i loss_i + |W|^2 / 2 over features of mean 0 and one scale, and fold these into the layer.

    A class without an example gets no weights and a bias by which it has, at the average example, 1 / (n + C) of the
    probability of the others together: the add-one estimate. Where only one class is there the layer is constant.

    Args:
        x: (n, H) features of the labelled examples.
        y: (n,) their classes, 0..C-1.
        weights: (n,) their weights in the loss.
        classes: C.
        c: How much the labels count against the penalty.
        mean: (H,) subtracted from the features first.
        scale: Divides them then; above 0.
    """
    seen = np.unique(y)
    weight, bias = np.zeros((classes, x.shape[1])), np.zeros(classes)
    iterations = 0
    if len(seen) > 1:
        found, intercept, iterations = _regress((x - mean) / scale, y, weights, c)
        weight[seen] = found / scale
        bias[seen] = intercept - weight[seen] @ mean
    logits = x @ weight[seen].T + bias[seen]
    top = logits.max(1)
    total = top + np.log(np.exp(logits - top[:, None]).sum(1))
    unseen = float(total.mean() - np.log(len(x) + classes))
    bias[np.setdiff1d(np.arange(classes), seen)] = unseen
    return Linear(weight.astype(np.float32), bias.astype(np.float32), unseen, iterations)


def _regress(
    x: Array, y: NDArray[np.int64], weights: NDArray[np.float64], c: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Return weights (seen, H), biases (seen,) and iterations."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=c, max_iter=MOST_ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of iterations is in the ledger
        model.fit(x.astype(np.float64), y, sample_weight=weights)
    weight, bias = model.coef_, model.intercept_
    if len(weight) == 1:  # of two classes one logit, that of the second over the first
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return weight, bias, int(model.n_iter_.max())
