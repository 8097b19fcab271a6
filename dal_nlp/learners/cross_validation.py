"""Which layers of the encoder a layer reads and how strong labels are, chosen by cross-validation."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from dal_nlp.learners.layers import Standard
from dal_nlp.learners.linear import Linear, Offset, fit_labels, fit_linear, strength
from dal_nlp.models.vectors import Array

#: Parts into which the labels are cut.
FOLDS = 4
#: How much stronger labels may be than the rule has it.
STRONGER = (1.0, 3.0)


@dataclass(frozen=True)
class FitSetting:
    """A way to fit a layer.

    Attributes:
        columns: (H,) which features it reads; the others get no weight.
        standard: Of those that it reads.
        c: How much labels count against the penalty, before it is divided by the root of their number.
        layers: How many layers of the encoder that are, for the ledger.
    """

    columns: NDArray[np.bool_]
    standard: Standard
    c: float
    layers: int


class Outputs(ABC):
    """What the outputs of a layer are: how it is fitted to answers, and what its logits say.

    Answers are (n,) classes, or (n, F) with 1 where an example has a label.
    """

    @abstractmethod
    def strength(self, outputs: int) -> float:
        """Return how much the labels of a fit count; see ``linear.strength``."""

    @abstractmethod
    def start(self, outputs: int) -> float:
        """Return the bias of an output of which no example is known."""

    @abstractmethod
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
        """Fit the layer; see ``fit_linear``."""

    @abstractmethod
    def probabilities(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what logits (n, C) say, of the same shape."""

    @abstractmethod
    def truth(self, y: NDArray[np.int64], outputs: int) -> NDArray[np.int64]:
        """Return answers as (n, C), 1 or 0."""

    @abstractmethod
    def strata(self, y: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return a number for each example, (n,), by which they are spread evenly over folds."""


class Classes(Outputs):
    """One class an example."""

    def strength(self, outputs: int) -> float:
        """Return the rule's."""
        return strength(outputs)

    def start(self, outputs: int) -> float:
        """Return 0: what all classes have does not count."""
        return 0.0

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
        """Fit a multinomial regression."""
        return fit_linear(x, y, weights, outputs, c, standard.mean, standard.scale, offsets)

    def probabilities(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return their softmax."""
        return np.asarray(softmax(logits, axis=1))

    def truth(self, y: NDArray[np.int64], outputs: int) -> NDArray[np.int64]:
        """Return 1 for each example's class."""
        return np.asarray(np.eye(outputs, dtype=np.int64)[y])

    def strata(self, y: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the classes."""
        return y


class SeveralLabels(Outputs):
    """Any number of labels an example, each with a logit of its own."""

    def strength(self, outputs: int) -> float:
        """Return that of two classes, as each label is there or not."""
        return strength(2)

    def start(self, outputs: int) -> float:
        """Return the log-odds by which an example has one label on average."""
        return -float(np.log(outputs - 1))

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
        """Fit a logistic regression a label."""
        return fit_labels(x, y, weights, c, standard.mean, standard.scale, offsets)

    def probabilities(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return their logistic functions."""
        return np.asarray(expit(logits))

    def truth(self, y: NDArray[np.int64], outputs: int) -> NDArray[np.int64]:
        """Return the answers, which are so already."""
        return y

    def strata(self, y: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rarest label of each example; the number behind the last where it has none."""
        rarest = np.where(y > 0, y.sum(0), len(y) + 1)
        return np.asarray(np.where(y.any(1), rarest.argmin(1), y.shape[1]))


#: What the outputs are for a task of one label a text, and of several.
CLASSES, SEVERAL = Classes(), SeveralLabels()


def settings(standard: Standard, layers: int, c: float) -> list[FitSetting]:
    """Return the settings to choose from: all layers and the last alone, each with labels as strong as ``STRONGER``.

    The first is the one that is used where there are too few labels to choose.

    Args:
        standard: Of all features, those of ``layers`` layers side by side.
        layers: How many.
        c: What the rule has for the strength of labels.
    """
    width = len(standard.mean)
    candidates = []
    for kept in sorted({layers, 1}, reverse=True):
        columns = np.arange(width) >= width - width // layers * kept
        part = Standard(standard.mean[columns], standard.scale[columns] * np.float32(np.sqrt(kept / layers)))
        candidates += [FitSetting(columns, part, c * stronger, kept) for stronger in STRONGER]
    return candidates


def fit_with(
    setting: FitSetting,
    x: Array,
    y: NDArray[np.int64],
    weights: NDArray[np.float64],
    classes: int,
    offsets: Sequence[Offset],
    outputs: Outputs = CLASSES,
) -> Linear:
    """Fit a layer as a setting has it; see ``fit_linear``."""
    c = setting.c / float(np.sqrt(weights.sum()))
    layer = outputs.fit(x[:, setting.columns], y, weights, classes, c, setting.standard, offsets)
    weight = np.zeros((classes, x.shape[1]), dtype=np.float32)
    weight[:, setting.columns] = layer.weight
    return replace(layer, weight=weight)


def choose_setting(
    candidates: Sequence[FitSetting],
    x: Array,
    y: NDArray[np.int64],
    weights: NDArray[np.float64],
    classes: int,
    offsets: Sequence[Offset],
    rng: np.random.Generator,
    outputs: Outputs = CLASSES,
) -> FitSetting:
    """Return the setting with the least Brier score on labels that did not train.

    The first candidate stays unless another is better by more than the standard error of the difference.

    Args:
        candidates: The first is the rule.
        x: (n, H).
        y: (n,), or (n, F) of several labels.
        weights: (n,).
        classes: C, or F.
        offsets: On the n examples.
        rng: Deals the examples out to the folds, those of each class evenly.
        outputs: What the outputs are.
    """
    folds = deal(outputs.strata(y), rng)
    scores = np.stack([held_out_brier(one, x, y, weights, classes, offsets, folds, outputs) for one in candidates])
    best = int(scores.mean(1).argmin())
    gains = scores[0] - scores[best]
    sure = gains.mean() > gains.std() / np.sqrt(len(gains))
    return candidates[best] if sure else candidates[0]


def deal(y: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the fold of each example, (n,), so that each class is spread evenly over the folds."""
    order = rng.permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]
    folds = np.empty(len(y), dtype=np.int64)
    folds[order] = np.arange(len(y)) % FOLDS
    return folds


def splits(folds: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the examples that are not in a fold, and those that are, of each fold that has some."""
    for fold in range(FOLDS):
        inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        if len(outside):
            yield inside, outside


def held_out_brier(
    setting: FitSetting,
    x: Array,
    y: NDArray[np.int64],
    weights: NDArray[np.float64],
    classes: int,
    offsets: Sequence[Offset],
    folds: NDArray[np.int64],
    outputs: Outputs = CLASSES,
) -> NDArray[np.float64]:
    """Return the Brier score of each example, (n,), by a layer that was fitted to the other folds."""
    p = held_out(setting, x, y, weights, classes, offsets, folds, outputs) - outputs.truth(y, classes)
    return np.asarray((p**2).sum(1))


def held_out(
    setting: FitSetting,
    x: Array,
    y: NDArray[np.int64],
    weights: NDArray[np.float64],
    classes: int,
    offsets: Sequence[Offset],
    folds: NDArray[np.int64],
    outputs: Outputs = CLASSES,
) -> NDArray[np.float64]:
    """Return the probabilities of each example, (n, C), by a layer that was fitted to the other folds."""
    probs = np.zeros((len(y), classes))
    for inside, outside in splits(folds):
        known = [Offset(offset.logits[inside], offset.mean) for offset in offsets]
        layer = fit_with(setting, x[inside], y[inside], weights[inside], classes, known, outputs)
        logits = (x[outside] @ layer.weight.T + layer.bias).astype(np.float64)
        for offset, beta in zip(offsets, layer.offset_weights, strict=True):
            logits += beta * offset.logits[outside]
        probs[outside] = outputs.probabilities(logits)
    return probs
