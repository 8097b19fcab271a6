"""Cases of the strategies that read embeddings (k-center, clusterings, covers, IDDS, the discriminative classifier)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from dal_nlp.models.vectors import Array
from dal_nlp.strategies import probes
from dal_nlp.strategies.base import Strategy
from dal_nlp.strategies.cluster_margin import ClusterMargin
from dal_nlp.strategies.clustering import blocks
from dal_nlp.strategies.coreset import Coreset
from dal_nlp.strategies.discriminative import Discriminative
from dal_nlp.strategies.idds import IDDS, idds
from dal_nlp.strategies.kmeans import KMeans
from dal_nlp.strategies.probcover import ProbCover
from dal_nlp.strategies.suggestive import Suggestive
from dal_nlp.strategies.typiclust import TypiClust
from tests.benchmarks.measuring import Case, Run, installed, scaled
from tests.reference.idds import quadratic


class Measured:
    """What a strategy asks of a pool, measured already."""

    def __init__(self, results: dict[Any, Array], labeled: "Measured | None" = None) -> None:
        self.results, self.labeled, self.has_labeled = results, labeled, labeled is not None

    def collect(self, *asked: Any) -> tuple[Array, ...]:
        return tuple(self.results[probe] for probe in asked)


def normal(n: int, h: int, labeled: int, k: int) -> Callable[[float], tuple[Array, Array, Array, int]]:
    """Make embeddings without any structure, which is the slowest to cluster and to cover, uncertainties and k."""

    def make(scale: float) -> tuple[Array, Array, Array, int]:
        rng = np.random.default_rng(0)
        rows = scaled(n, scale, k)
        x, known = (rng.standard_normal((m, h), dtype=np.float32) for m in (rows, scaled(labeled, scale)))
        return x, known, rng.random(rows, dtype=np.float32), k

    return make


def ours(strategy: Strategy) -> Run:
    """Choose by the strategy itself, from measurements that are there."""

    def run(x: Array, known: Array, uncertain: Array, k: int) -> object:
        labeled = Measured({probes.embedding: known})
        results = {probes.embedding: x, probes.entropy: uncertain, probes.margin: uncertain}
        return strategy.select(Measured(results, labeled), k, np.random.default_rng(0))  # type: ignore[arg-type]

    return run


def k_center_floor(x: Array, known: Array, uncertain: Array, k: int) -> object:
    """Multiply what any exact form multiplies: all pairs with the labeled once, all rows with each pick."""
    for rows in blocks(len(x), len(known)):
        x[rows] @ known.T
    return [x @ x[i] for i in range(k)]


def k_center_dense(x: Array, known: Array, uncertain: Array, k: int) -> object:
    """Choose with the whole N x L matrix, and ((x - c)**2).sum a pick."""
    squares = (x**2).sum(1)[:, None] + (known**2).sum(1) - 2 * (x @ known.T)
    nearest, picks = squares.min(1), []
    for _ in range(k):
        picks.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, ((x - x[picks[-1]]) ** 2).sum(1))
    return picks


def max_cover_dense(x: Array, known: Array, uncertain: Array, k: int) -> object:
    """Choose with the whole N x M matrix of similarities, all of it at every pick."""
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    candidates = np.argsort(-uncertain)[: 10 * k]
    similar = x @ x[candidates].T
    covered, picks = np.zeros(len(x), dtype=np.float32), []
    for _ in range(k):
        gains = np.maximum(similar - covered[:, None], 0).sum(0)
        gains[picks] = -np.inf
        picks.append(int(gains.argmax()))
        covered = np.maximum(covered, similar[:, picks[-1]])
    return picks


def idds_quadratic(x: Array, known: Array, uncertain: Array, k: int) -> object:
    """Choose with the whole N x N matrix of similarities, and raise where ours chooses otherwise."""
    picks = quadratic(x, known, k, IDDS.lam)
    if idds(x, known, k, np.random.default_rng(0)).positions.tolist() != picks:
        raise AssertionError("IDDS and its quadratic form choose different rows")
    return picks


def scikit_learn_kmeans(x: Array, known: Array, uncertain: Array, k: int) -> object:
    """Cluster by scikit-learn, the choice of rows left out."""
    from sklearn.cluster import KMeans

    return KMeans(k, n_init=1, random_state=0).fit(x / np.linalg.norm(x, axis=1, keepdims=True))


def skactiveml_coreset(x: Array, known: Array, uncertain: Array, k: int) -> object:
    """Choose by scikit-activeml's CoreSet."""
    from skactiveml.pool import CoreSet

    y = np.concatenate([np.zeros(len(known)), np.full(len(x), np.nan)])
    return CoreSet(random_state=0).query(np.concatenate([known, x]), y, batch_size=k)


SIZE = "100k x 384, k 100"

CASES = (
    Case(
        "k-center",
        "100k x 768, 1k labeled, k 100",
        normal(100_000, 768, 1000, 100),
        ours(Coreset()),
        seconds=12,
        gigabytes=0.5,
        twins={
            "floor": k_center_floor,
            "dense": k_center_dense,
            **installed("scikit-activeml", "skactiveml", skactiveml_coreset),
        },
    ),
    Case(
        "max-cover",
        "100k x 384, 1k candidates, k 100",
        normal(100_000, 384, 1, 100),
        ours(Suggestive()),
        seconds=15,
        gigabytes=1,
        twins={"dense": max_cover_dense},
    ),
    Case(
        "kmeans",
        SIZE,
        normal(100_000, 384, 1, 100),
        ours(KMeans()),
        seconds=60,
        gigabytes=1,
        twins={"scikit-learn": scikit_learn_kmeans},
    ),
    Case("idds", f"{SIZE}, 1k labeled", normal(100_000, 384, 1000, 100), ours(IDDS()), 15, 0.5),
    Case(
        "idds-5k",
        "5k x 384, 1k labeled, k 100",
        normal(5000, 384, 1000, 100),
        ours(IDDS()),
        twins={"quadratic": idds_quadratic},
    ),
    Case("typiclust", f"{SIZE}, 1k labeled", normal(100_000, 384, 1000, 100), ours(TypiClust()), 60, 1),
    Case("typiclust-cold", SIZE, normal(100_000, 384, 1, 100), ours(TypiClust()), 60, 1),
    Case("cluster_margin", SIZE, normal(100_000, 384, 1, 100), ours(ClusterMargin()), 60, 1),
    Case("discriminative", f"{SIZE}, 1k labeled", normal(100_000, 384, 1000, 100), ours(Discriminative()), 60),
    Case("probcover", f"{SIZE}, 1k labeled", normal(100_000, 384, 1000, 100), ours(ProbCover())),
)
