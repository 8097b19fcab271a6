"""A signal about the labels as a linear layer: what machine sources say, learnt on the texts of which they are sure.

A *source* gives a score for every text and label (label descriptions, a language model's log-probabilities, an earlier
model); distilled, it is a *signal* that is linear in the features, so that a fit that weighs it stays one linear layer.

Letters: N texts of the pool, H features, C labels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dal_nlp.learners.linear import fit_linear
from dal_nlp.models.vectors import Array, Positions

Floats = NDArray[np.float64]

#: Of the texts that a source gives to a label, the share that trains, and how many at least and at most in all.
SHARE, LEAST, MOST = 0.3, 5, 900
#: The logit, in deviations, of a label that a source gives to no text.
NEVER = -3.0


@dataclass(frozen=True)
class MachineSource:
    """What a machine source says of the texts of the pool.

    Attributes:
        name: What the report calls it.
        scores: (N, C) similarities or log-probabilities, on any scale.
        mean: What its weight is before any label: the mean of its Gaussian prior.
    """

    name: str
    scores: Floats
    mean: float = 1.0


@dataclass(frozen=True)
class TeacherLayer:
    """A source as a linear layer, whose logits have a mean of 0 for each label and a deviation of 1 over the pool.

    Attributes:
        name: See ``MachineSource``.
        weight: (C, H).
        bias: (C,).
        mean: See ``MachineSource``.
    """

    name: str
    weight: Array
    bias: Array
    mean: float

    def logits(self, x: Array) -> Array:
        """Return the logits of texts with the features x (n, H), (n, C)."""
        logits: Array = x @ self.weight.T + self.bias
        return logits


def scaled(scores: Floats) -> Floats:
    """Return scores (N, C) with a mean of 0 for each label and a deviation of 1 over all; all-equal ones give 0."""
    centred = scores - scores.mean(0)
    deviation = centred.std()
    return np.asarray(centred / deviation if deviation > 0 else centred)


def sure_texts(scores: Floats, rng: np.random.Generator) -> tuple[Positions, NDArray[np.int64]]:
    """Choose the texts of which a source is sure, and the label that it gives to each.

    Of the texts of each label those with the largest gap between the two best probabilities: ``SHARE`` of them,
    ``LEAST`` at least; of all together ``MOST`` at random.
    """
    exp = np.exp(scores - scores.max(1, keepdims=True))
    shares = exp / exp.sum(1, keepdims=True)
    top = np.sort(shares, 1)
    gaps, labels = top[:, -1] - top[:, -2], scores.argmax(1)
    chosen = []
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        keep = max(LEAST, round(SHARE * len(rows)))
        chosen.append(rows[np.argsort(-gaps[rows], kind="stable")[:keep]])
    rows = np.sort(rng.permutation(np.concatenate(chosen))[:MOST])
    return rows, labels[rows]


def distil(
    source: MachineSource, x: Array, c: float, mean: Array, scale: Array, rng: np.random.Generator
) -> TeacherLayer:
    """Learn a source's answers on the texts of which it is sure.

    Args:
        source: What it says of N texts.
        x: (N, H) their features.
        c: Strength of the labels; divided by the root of their number, as in every fit.
        mean: (H,) see ``fit_linear``.
        scale: (H,) see ``fit_linear``.
        rng: Draws the texts where they are too many.
    """
    classes = source.scores.shape[1]
    rows, labels = sure_texts(scaled(source.scores), rng)
    layer = fit_linear(x[rows], labels, np.ones(len(rows)), classes, c / np.sqrt(len(rows)), mean, scale)
    there = np.unique(labels)
    logits = x.astype(np.float64) @ layer.weight[there].T + layer.bias[there]
    offset, deviation = logits.mean(0), (logits - logits.mean(0)).std() or 1.0
    weight, bias = np.zeros((classes, x.shape[1])), np.full(classes, NEVER)
    weight[there], bias[there] = layer.weight[there] / deviation, (layer.bias[there] - offset) / deviation
    return TeacherLayer(source.name, weight.astype(np.float32), bias.astype(np.float32), source.mean)
