"""Active learning on features in memory: learners and strategies of the package on the same texts, seed by seed.

Letters: N texts of a pool, M of a test set, L layers that are kept, H numbers of a hidden state, C labels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dal_nlp.learners.distillation import Signal, Source, distil
from dal_nlp.learners.layers import side_by_side, standard_of
from dal_nlp.learners.linear import Offset, fit_linear
from dal_nlp.learners.prior import label_directions, zero_shot_scores
from dal_nlp.models.vectors import Array, Dense, Positions
from dal_nlp.strategies.selectors import nearest_to_centres, top_k, unit
from dal_nlp.strategies.weighted_kmeans import representatives

#: Share of the pool that each seed sees.
SEEN = 0.7


@dataclass(frozen=True)
class Texts:
    """A set: features of the pool and of the test, and their labels.

    Attributes:
        x: (N, L, H).
        y: (N,).
        test: (M, L, H).
        targets: (M,).
        sentences: For each label the embeddings (m, H) of its descriptions; None where there are none.
    """

    x: Array
    y: NDArray[np.int64]
    test: Array
    targets: NDArray[np.int64]
    sentences: Sequence[Array] | None

    @property
    def classes(self) -> int:
        """C."""
        return int(self.y.max()) + 1


@dataclass(frozen=True)
class Head:
    """A learner: which layers it reads, and whether it starts from the descriptions.

    Attributes:
        depths: Of the layers.
        prior: Whether descriptions are read.
        c: Strength of the labels, by the number of classes.
        swapped: Whether every label gets the description of another.
    """

    depths: tuple[int, ...] = (75, 100)
    prior: bool = False
    c: Callable[[int], float] = lambda classes: 0.13
    swapped: bool = False


TODAY = Head(depths=(100,))
LAYERS = Head()
PRIOR = Head(prior=True)


@dataclass
class View:
    """What a strategy reads in a round, of the N candidates.

    Attributes:
        embedding: (N, H) of the last layer.
        z: (N, D) what the layer reads, standardised.
        probabilities: (N, C).
        layer: What gave them.
        labelled: What is labelled, as positions of ``embedding`` and ``z`` of ``everything``.
    """

    embedding: Array
    z: Array
    probabilities: NDArray[np.float64]
    known_z: Array
    known_p: NDArray[np.float64]
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def margin(self) -> NDArray[np.float64]:
        """1 - (p1 - p2), (N,)."""
        top = np.sort(self.probabilities, 1)
        return np.asarray(1 - (top[:, -1] - top[:, -2]))


Choose = Callable[[View, int, np.random.Generator], Positions]


def random(view: View, k: int, rng: np.random.Generator) -> Positions:
    """At random."""
    return rng.permutation(len(view.embedding))[:k]


def kmeans(view: View, k: int, rng: np.random.Generator) -> Positions:
    """See ``strategies.kmeans``."""
    return nearest_to_centres(Dense(unit(view.embedding)), k, rng).positions


def margin(view: View, k: int, rng: np.random.Generator) -> Positions:
    """See ``strategies.uncertainty``."""
    return top_k(view.margin, k, rng).positions


def weighted_kmeans(view: View, k: int, rng: np.random.Generator) -> Positions:
    """See ``strategies.weighted_kmeans``."""
    scores = view.margin.astype(np.float32)
    return representatives(view.embedding, scores, min(10 * k, len(scores)), k, rng).positions


STRATEGIES: Mapping[str, Choose] = {
    "random": random,
    "kmeans": kmeans,
    "margin": margin,
    "weighted_kmeans": weighted_kmeans,
}


@dataclass(frozen=True)
class Arm:
    """A learner and a strategy.

    Attributes:
        head: The learner.
        strategy: A name of ``STRATEGIES``.
        batch: Labels of a round.
    """

    head: Head
    strategy: str
    batch: int = 20


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Return the probabilities of logits (N, C)."""
    exp = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return np.asarray(exp / exp.sum(1, keepdims=True))


class Learner:
    """The learner of an arm on the pool of a seed.

    Args:
        head: Which.
        texts: The set.
        rows: What the seed sees of its pool.
        rng: Draws the texts of the distillation.
    """

    def __init__(self, head: Head, texts: Texts, rows: Positions, rng: np.random.Generator) -> None:
        self.head, self.texts, self.classes = head, texts, texts.classes
        self.x = side_by_side(texts.x[rows], head.depths)
        self.test = side_by_side(texts.test, head.depths)
        self.standard = standard_of(self.x, len(head.depths))
        self.signal: Signal | None = None
        self.beta = 0.0
        if head.prior:
            assert texts.sentences is not None
            sentences = [*texts.sentences[1:], texts.sentences[0]] if head.swapped else texts.sentences
            scores = zero_shot_scores(texts.x[rows][:, -1], label_directions(sentences))
            source = Source("descriptions", scores)
            c = head.c(self.classes)
            self.signal = distil(source, self.x, c, self.standard.mean, self.standard.scale, rng)

    def fit(self, labelled: Positions, y: NDArray[np.int64]) -> None:
        """Fit the layer; before any label it is that of the signal."""
        if not len(labelled):
            assert self.signal is not None
            self.weight, self.bias = self.signal.weight, self.signal.bias
            return
        x = self.x[labelled]
        offsets = [Offset(self.signal.logits(x), self.signal.mean)] if self.signal else []
        n = len(labelled)
        c = self.head.c(self.classes) / np.sqrt(n)
        layer = fit_linear(x, y, np.ones(n), self.classes, c, self.standard.mean, self.standard.scale, offsets)
        self.weight, self.bias = layer.weight, layer.bias
        if self.signal:
            self.beta = float(layer.offset_weights[0])
            self.weight = self.weight + self.beta * self.signal.weight
            self.bias = self.bias + self.beta * self.signal.bias

    def logits(self, x: Array) -> Array:
        """Return the logits of features."""
        logits: Array = x @ self.weight.T + self.bias
        return logits

    def accuracy(self) -> float:
        """Return the accuracy on the test set."""
        return float((self.logits(self.test).argmax(1) == self.texts.targets).mean())


def simulate(texts: Texts, arm: Arm, seed: int, start: int, most: int) -> tuple[list[int], list[float], list[float]]:
    """Run an arm; return the numbers of labels, the accuracies there, and the weights of the signal."""
    own = np.random.default_rng([seed, 1])
    rows = np.sort(own.permutation(len(texts.y))[: round(SEEN * len(texts.y))])
    rng = np.random.default_rng([seed, 2])
    learner = Learner(arm.head, texts, rows, np.random.default_rng([seed, 3]))
    y, embedding = texts.y[rows], texts.x[rows][:, -1]
    z = learner.standard.apply(learner.x)
    free, labelled = np.ones(len(rows), dtype=bool), np.zeros(0, dtype=np.int64)
    counts, scores, betas = [], [], []
    if learner.signal is not None:
        learner.fit(labelled, y[labelled])
        counts, scores, betas = [0], [learner.accuracy()], [1.0]
    choose = STRATEGIES[arm.strategy]
    while len(labelled) < most:
        there = np.flatnonzero(free)
        first = not len(labelled)
        p = np.zeros((0, 0)) if first else softmax(learner.logits(learner.x[there]))
        known = np.zeros((0, 0)) if first else softmax(learner.logits(learner.x[labelled]))
        view = View(embedding[there], z[there], p, z[labelled], known)
        pick = (kmeans if arm.strategy != "random" else random) if first else choose
        picked = there[pick(view, start if first else arm.batch, rng)]
        labelled = np.concatenate([labelled, picked])
        free[picked] = False
        learner.fit(labelled, y[labelled])
        counts.append(len(labelled))
        scores.append(learner.accuracy())
        betas.append(learner.beta)
    return counts, scores, betas


def full_score(texts: Texts, head: Head) -> float:
    """Return the accuracy of a learner that is trained on the whole pool."""
    rows = np.arange(len(texts.y))
    learner = Learner(head, texts, rows, np.random.default_rng(0))
    learner.fit(rows, texts.y)
    return learner.accuracy()
