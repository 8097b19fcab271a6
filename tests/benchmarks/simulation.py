"""Active learning on features in memory: learners and strategies of the package on the same texts, seed by seed.

Letters: N texts of a pool, M of a test set, L layers that are kept, H numbers of a hidden state, C labels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dal_nlp.core.rng import rng_for
from dal_nlp.learners.cross_validation import FitSetting, choose_setting, fit_with, settings
from dal_nlp.learners.distillation import MachineSource, TeacherLayer, distil
from dal_nlp.learners.head_learner import SAMPLE
from dal_nlp.learners.layers import side_by_side, standard_of
from dal_nlp.learners.linear import BIAS_PENALTY, Linear, Offset, strength
from dal_nlp.learners.prior import label_directions, zero_shot_scores
from dal_nlp.models.vectors import Array, Positions
from dal_nlp.signals.witness import fit_student
from dal_nlp.strategies import make_strategy
from tests.benchmarks.feature_pool import FeaturePool, LinearForward
from tests.benchmarks.trials import BY_BETA, TRIALS, value_of_information

#: Share of the pool that each seed sees.
SEEN = 0.7
#: Labels of the first batch, and those at which random labels are measured.
START = 20
#: Labels from which on there is a student.
STUDENTS_FROM = 50
GRID = (20, 40, 60, 80, 100, 120, 150, 180, 210, 250, 300, 350, 400)


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
        students: Strengths, as multiples of c, of which a student of its answers has one; none without a student.
        validate_from: Labels from which on layers and strength are chosen by cross-validation; 0 is never.
    """

    depths: tuple[int, ...] = (75, 100)
    prior: bool = False
    c: Callable[[int], float] = strength
    swapped: bool = False
    students: tuple[float, ...] = ()
    validate_from: int = 0


TODAY = Head(depths=(100,), c=lambda classes: 0.13)
LAYERS = Head()
PRIOR = Head(prior=True)


@dataclass(frozen=True)
class Arm:
    """A learner and a strategy.

    Attributes:
        head: The learner.
        strategy: "random", another strategy of the package, a name of ``TRIALS`` or ``BY_BETA``,
            "value_of_information", or "hindsight", which knows the labels.
        batch: Labels of a round.
        first: What chooses the first batch: a strategy of the package or a name of ``TRIALS``.
    """

    head: Head
    strategy: str
    batch: int = 20
    first: str = "kmeans"


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Return the probabilities of logits (N, C)."""
    exp = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return np.asarray(exp / exp.sum(1, keepdims=True))


class Learner:
    """A learner on the pool of a seed.

    Args:
        head: Which.
        texts: The set.
        rows: What the seed sees of its pool.
        rng: Draws the texts of the distillation.
    """

    def __init__(self, head: Head, texts: Texts, rows: Positions, rng: np.random.Generator) -> None:
        self.head, self.texts, self.classes = head, texts, texts.classes
        self.states = texts.x[rows]
        self.x = side_by_side(texts.x[rows], head.depths)
        self.test = side_by_side(texts.test, head.depths)
        self.standard = standard_of(self.x, len(head.depths))
        self.signal: TeacherLayer | None = None
        self.weight = np.zeros((self.classes, self.x.shape[1]), dtype=np.float32)
        self.bias, self.beta = np.zeros(self.classes, dtype=np.float32), 0.0
        self.labeled = np.zeros(0, dtype=np.int64)
        if head.prior:
            assert texts.sentences is not None
            sentences = [*texts.sentences[1:], texts.sentences[0]] if head.swapped else texts.sentences
            scores = zero_shot_scores(texts.x[rows][:, -1], label_directions(sentences))
            source = MachineSource("descriptions", scores)
            c = head.c(self.classes)
            self.signal = distil(source, self.x, c, self.standard.mean, self.standard.scale, rng)

    def fit(self, labeled: Positions, y: NDArray[np.int64]) -> None:
        """Fit the layer; before any label it is that of the signal."""
        self.labeled = labeled
        if not len(labeled):
            assert self.signal is not None
            self.weight, self.bias, self.beta = self.signal.weight, self.signal.bias, 1.0
            return
        x, n = self.x[labeled], len(labeled)
        offsets = [Offset(self.signal.logits(x), self.signal.mean)] if self.signal else []
        ways = settings(self.standard, len(self.head.depths), self.head.c(self.classes))
        setting = ways[0]
        if self.head.validate_from and n >= self.head.validate_from:
            setting = choose_setting(ways, x, y, np.ones(n), self.classes, offsets, rng_for(0, n, "folds"))
        layer = fit_with(setting, x, y, np.ones(n), self.classes, offsets)
        self.weight, self.bias = layer.weight, layer.bias
        if self.signal:
            self.beta = float(layer.offset_weights[0])
            self.weight = self.weight + self.beta * self.signal.weight
            self.bias = self.bias + self.beta * self.signal.bias

    def beta_deviation(self) -> float:
        """Return the deviation of the signal's weight by Laplace's approximation, weights and biases integrated out.

        With K = c z z^T + 1 / penalty of the biases, S = R R^T the curvature of the loss by the logits and o the
        signal's logits, the precision of beta is 1 + o^T R (1 + R^T K R)^-1 R^T o.
        """
        if not len(self.labeled):
            return 1.0
        assert self.signal is not None
        x = self.x[self.labeled]
        z, known = self.standard.apply(x).astype(np.float64), self.signal.logits(x).astype(np.float64)
        roots = np.sqrt(self.probabilities(self.labeled))
        factors = np.eye(self.classes) * roots[:, None] - roots[:, :, None] ** 2 * roots[:, None]
        among = self.strength(len(x)) * (z @ z.T) + 1 / BIAS_PENALTY
        inner = np.einsum("ij,ica,jcb->iajb", among, factors, factors).reshape(2 * (len(x) * self.classes,))
        towards = np.einsum("ica,ic->ia", factors, known).ravel()
        return float(1 / np.sqrt(1 + towards @ np.linalg.solve(np.eye(len(towards)) + inner, towards)))

    def strength(self, n: int) -> float:
        """Return c of n labels."""
        return self.head.c(self.classes) / float(np.sqrt(n))

    def pool(self, rows: Positions, labeled: Positions, y: NDArray[np.int64]) -> FeaturePool:
        """Return some texts as a strategy sees them, with the labeled ones and their labels beside them."""

        def of(rows: Positions, targets: NDArray[np.int64] | None) -> LinearForward:
            return LinearForward(self.states[rows], self.x[rows], self.weight, self.bias, targets)

        return FeaturePool(of(rows, None), of(labeled, y) if len(labeled) else None)

    def student(self, labeled: Positions, y: NDArray[np.int64]) -> Linear:
        """Return a layer that is fitted to what the fitted one says of the other texts, and to the labels."""
        free = np.ones(len(self.x), dtype=bool)
        free[labeled] = False
        others = np.flatnonzero(free)[: SAMPLE - len(labeled)]
        c, columns = self.head.c(self.classes), np.ones(self.x.shape[1], dtype=bool)
        candidates = [
            FitSetting(columns, self.standard, c * times, len(self.head.depths)) for times in self.head.students
        ]
        shares = self.probabilities(others)
        return fit_student(candidates, self.x[others], shares, self.x[labeled], y, np.ones(len(y)))

    def probabilities(self, rows: Positions) -> NDArray[np.float64]:
        """Return what it says of some texts of the pool, (n, C)."""
        return softmax(self.x[rows] @ self.weight.T + self.bias)

    def accuracy(self, labeled: Positions, y: NDArray[np.int64]) -> float:
        """Return the accuracy on the test set, of the student where there is one."""
        taught = self.student(labeled, y) if self.head.students and len(labeled) >= STUDENTS_FROM else self
        answers = (self.test @ taught.weight.T + taught.bias).argmax(1)
        return float((answers == self.texts.targets).mean())


def chosen(
    arm: Arm, pool: FeaturePool, learner: Learner, n: int, rng: np.random.Generator, truth: NDArray[np.int64]
) -> Positions:
    """Return the batch that an arm picks after n labels; only hindsight looks at the labels of the candidates."""
    if not n:
        return by_name(arm.first, pool, START, rng)
    if arm.strategy in BY_BETA:
        return BY_BETA[arm.strategy](pool, arm.batch, rng, learner.beta, learner.beta_deviation())
    if arm.strategy == "value_of_information":
        return value_of_information(pool, arm.batch, rng, learner.standard, learner.strength(n))
    if arm.strategy == "hindsight":
        return value_of_information(pool, arm.batch, rng, learner.standard, learner.strength(n), truth)
    return by_name(arm.strategy, pool, arm.batch, rng)


def by_name(name: str, pool: FeaturePool, k: int, rng: np.random.Generator) -> Positions:
    """Return what a trial or a strategy of the package picks."""
    if name in TRIALS:
        return TRIALS[name](pool, k, rng)
    return make_strategy(name, {}).select(pool.as_pool, k, rng).positions


def rows_of(texts: Texts, seed: int) -> Positions:
    """Return what a seed sees of the pool."""
    own = np.random.default_rng([seed, 1])
    return np.asarray(np.sort(own.permutation(len(texts.y))[: round(SEEN * len(texts.y))]))


def simulate(
    texts: Texts, arm: Arm, learner: Learner, seed: int, most: int, grid: Sequence[int] = GRID
) -> list[tuple[int, float, float]]:
    """Run an arm; return in each round the number of labels, the accuracy and the weight of the signal.

    Args:
        texts: The set.
        arm: Its learner is not read.
        learner: That learner on ``rows_of`` the seed.
        seed: Of the strategy.
        most: Labels at the end.
        grid: Numbers of random labels at which the learner is fitted.
    """
    rows = rows_of(texts, seed)
    rng = np.random.default_rng([seed, 2])
    y = texts.y[rows]
    if arm.strategy == "random":
        order = rng.permutation(len(rows))
        counts = [0] * (learner.signal is not None) + [n for n in grid if n <= most]
        return [(n, *fitted(learner, order[:n], y)) for n in counts]
    free, labeled = np.ones(len(rows), dtype=bool), np.zeros(0, dtype=np.int64)
    curve: list[tuple[int, float, float]] = []
    if learner.signal is not None:
        curve.append((0, *fitted(learner, labeled, y)))
    while len(labeled) < most:
        there = np.flatnonzero(free)
        pool = learner.pool(there, labeled, y[labeled])
        picked = there[chosen(arm, pool, learner, len(labeled), rng, y[there])]
        labeled = np.concatenate([labeled, picked])
        free[picked] = False
        curve.append((len(labeled), *fitted(learner, labeled, y)))
    return curve


def fitted(learner: Learner, labeled: Positions, y: NDArray[np.int64]) -> tuple[float, float]:
    """Fit the learner; return its accuracy and the weight of its signal."""
    learner.fit(labeled, y[labeled])
    return learner.accuracy(labeled, y[labeled]), learner.beta


def full_score(texts: Texts, head: Head) -> float:
    """Return the accuracy of a learner that is trained on the whole pool."""
    rows = np.arange(len(texts.y))
    learner = Learner(head, texts, rows, np.random.default_rng(0))
    learner.fit(rows, texts.y)
    return learner.accuracy(rows, texts.y)
