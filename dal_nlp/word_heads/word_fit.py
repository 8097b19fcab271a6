"""Fit of an output layer to words: the problem of ``linear``, for ten times as many examples.

A step of L-BFGS reads all words' features twice. So they are read in single precision, and in blocks that stay in the
processor's cache between the two; sums over words are in double precision. With biases on a scale of their own there
are half as many steps. At 12,600 words (700 texts of WNUT-17) a fit takes 2.6 s of one core in place of 7.

Letters: n labeled words, H features, C classes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dal_nlp.learners.cross_validation import Classes
from dal_nlp.learners.layers import Standard
from dal_nlp.learners.linear import MINIMIZER, Linear, Offset, layer_of
from dal_nlp.models.vectors import Array

#: What a step along a bias is worth in steps along a weight. A feature's standard deviation is .7, so that biases, of
#: which everything hangs together where nine of ten words are in no entity, would come last. (WNUT-17, MiniLM, 360
#: texts: 90 steps with 1, 52 with 5, 62 with 10, 112 with 20; 700 texts: 114, 64, 92, 158.)
BIAS_STEP = 5.0
#: Words in a block: with 768 features they take 0.8 MB.
BLOCK = 256


class Tags(Classes):
    """A class a word, of many words."""

    def fit(
        self,
        x: Array,
        y: NDArray[np.int64],
        weights: NDArray[np.float64],
        outputs: int,
        c: float,
        standard: Standard,
        offsets: Sequence[Offset],
    ) -> Linear:
        """Fit a multinomial regression without offsets."""
        assert not offsets
        return fit_words(x, y, weights, outputs, c, standard)


TAGS = Tags()


def fit_words(
    x: Array, y: NDArray[np.int64], weights: NDArray[np.float64], classes: int, c: float, standard: Standard
) -> Linear:
    """Return the layer of ``fit_linear`` without offsets, to single precision.

    Args:
        x: (n, H) features of the labeled words.
        y: (n,) their classes, 0..C-1.
        weights: (n,) their weights in the loss.
        classes: C.
        c: How much the labels count against the penalty.
        standard: Mean and scale of the features.
    """
    from scipy.optimize import minimize

    seen, width = np.unique(y), x.shape[1]
    if len(seen) == 1:
        return layer_of(np.zeros((1, width)), np.zeros(1), x, seen, classes, standard.mean, standard.scale, 0)
    z = standard.apply(x).astype(np.float32)
    places = np.searchsorted(seen, y)
    steps = np.append(np.ones(width), BIAS_STEP)

    def objective(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        value, gradient = block_objective(theta.reshape(-1, width + 1) * steps, z, places, weights, c)
        return value, (gradient * steps).ravel()

    start = np.zeros((len(seen), width + 1))
    start[:, width] = np.log(np.bincount(places)) / BIAS_STEP
    solution = minimize(objective, start.ravel(), method="L-BFGS-B", jac=True, options=MINIMIZER)
    table = solution.x.reshape(-1, width + 1) * steps
    bias = table[:, width] - table[:, width].mean()
    return layer_of(table[:, :width], bias, x, seen, classes, standard.mean, standard.scale, int(solution.nit))


def block_objective(
    table: NDArray[np.float64], z: Array, y: NDArray[np.int64], weights: NDArray[np.float64], c: float
) -> tuple[float, NDArray[np.float64]]:
    """Return what ``linear.objective`` returns without offsets, to single precision.

    Args:
        table: (C, H + 1), the weights and the biases.
        z: (n, H) in single precision.
        y: (n,).
        weights: (n,).
        c: As in ``fit_words``.
    """
    classes, width = len(table), z.shape[1]
    single = table.astype(np.float32)
    w, b = np.ascontiguousarray(single[:, :width]), single[:, width:]
    of_weights, of_biases, loss = np.zeros((classes, width)), np.zeros(classes), 0.0
    for first in range(0, len(z), BLOCK):
        block, own = z[first : first + BLOCK], y[first : first + BLOCK]
        counts, columns = weights[first : first + BLOCK], np.arange(len(own))
        p = w @ block.T + b
        p -= p.max(0)
        right = p[own, columns]
        np.exp(p, out=p)
        sums = p.sum(0)
        loss += float(counts @ (np.log(sums) - right))
        p /= sums
        p[own, columns] -= 1
        p *= counts.astype(np.float32)
        of_weights += p @ block
        of_biases += p.sum(1)
    penalty, total = 2.0 if classes == 2 else 1.0, float(c * weights.sum())
    gradient = np.empty_like(table)
    gradient[:, :width] = c * of_weights + penalty * table[:, :width]
    gradient[:, width] = c * of_biases
    value = c * loss + penalty * (table[:, :width] ** 2).sum() / 2
    return float(value) / total, gradient / total
