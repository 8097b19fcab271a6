"""Cases of the strategies that read output-layer gradients (BADGE)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from dal_nlp.models.vectors import Array, Outer
from dal_nlp.strategies.badge import kmeans_pp
from tests.benchmarks.measuring import Case, installed, scaled

Inputs = tuple[Array, Array, int]


def factors(n: int, c: int, h: int, k: int) -> Callable[[float], Inputs]:
    """Make p - e of random predictions (N, C), hidden states (N, H) and k."""

    def make(scale: float) -> Inputs:
        rng = np.random.default_rng(0)
        rows = scaled(n, scale, k)
        logits = rng.standard_normal((rows, c), dtype=np.float32) * 2
        a = np.exp(logits - logits.max(1, keepdims=True))
        a /= a.sum(1, keepdims=True)
        a[np.arange(rows), a.argmax(1)] -= 1
        return a, rng.standard_normal((rows, h), dtype=np.float32), k

    return make


def ours(a: Array, h: Array, k: int) -> object:
    """Choose by the package's chooser on factors."""
    return kmeans_pp(Outer(a[:, None], h[:, None]), k, np.random.default_rng(0))


def _draw(distances: Array, rng: np.random.Generator) -> int:
    cdf = np.cumsum(distances, dtype=np.float64)
    return int(np.searchsorted(cdf, rng.random() * cdf[-1], side="right"))


def dense_cached(a: Array, h: Array, k: int) -> object:
    """Choose on whole gradients (N, C H), with norms computed once and a matrix-vector product a pick."""
    rng = np.random.default_rng(0)
    g = (a[:, :, None] * h[:, None, :]).reshape(len(a), -1)
    norms = np.einsum("nd,nd->n", g, g)
    picks = [int(norms.argmax())]
    nearest = np.full(len(g), np.inf, dtype=np.float32)
    for _ in range(k - 1):
        i = picks[-1]
        nearest = np.minimum(nearest, np.maximum(norms + norms[i] - 2 * (g @ g[i]), 0))
        nearest[i] = 0
        picks.append(_draw(nearest, rng))
    return picks


def dense_plain(a: Array, h: Array, k: int) -> object:
    """Choose on whole gradients (N, C H), with ((G - g)**2).sum a pick."""
    rng = np.random.default_rng(0)
    g = (a[:, :, None] * h[:, None, :]).reshape(len(a), -1)
    picks = [int((g**2).sum(1).argmax())]
    nearest = np.full(len(g), np.inf, dtype=np.float32)
    for _ in range(k - 1):
        nearest = np.minimum(nearest, ((g - g[picks[-1]]) ** 2).sum(1))
        picks.append(_draw(nearest, rng))
    return picks


def skactiveml_badge(a: Array, h: Array, k: int) -> object:
    """Choose by scikit-activeml's Badge, whose classifier is a table of the same predictions."""
    from skactiveml.base import SkactivemlClassifier
    from skactiveml.pool import Badge

    probs = a.copy()
    probs[np.arange(len(a)), a.argmin(1)] += 1

    class Table(SkactivemlClassifier):
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "Table":
            return self

        def predict_proba(self, X: Any) -> Any:
            return probs

    y = np.full(len(a), np.nan)
    return Badge(random_state=0).query(h, y, Table(classes=range(a.shape[1])), fit_clf=False, batch_size=k)


CASES = (
    Case(
        "badge-20k",
        "20k x C 20 x H 768, k 50",
        factors(20_000, 20, 768, 50),
        ours,
        seconds=0.8,
        gigabytes=0.15,
        twins={
            "dense, cached norms": dense_cached,
            "dense, plain": dense_plain,
            **installed("scikit-activeml", "skactiveml", skactiveml_badge),
        },
        times={"dense, cached norms": 6, "dense, plain": 50},
    ),
    Case("badge-100k", "100k x C 20 x H 768, k 100", factors(100_000, 20, 768, 100), ours, seconds=5, gigabytes=0.7),
)
