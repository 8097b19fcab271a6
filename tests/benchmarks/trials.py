"""Ways to choose that are tried on features in memory and are no strategies of the package.

Letters: N texts of a pool, M candidates, P texts that stand for the pool, C labels, D inputs of the layer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dal_nlp.models.vectors import Array, Positions
from dal_nlp.strategies import make_strategy, probes
from dal_nlp.strategies.selectors import top_k, unit
from tests.benchmarks.feature_pool import FeaturePool

Choose = Callable[[FeaturePool, int, np.random.Generator], Positions]


def margins(pool: FeaturePool) -> Array:
    """Return 1 - (p1 - p2), (N,)."""
    return np.asarray(pool.collect(probes.margin)[0], dtype=np.float32)


def density_margin(pool: FeaturePool, k: int, rng: np.random.Generator) -> Positions:
    """Margin times the mean cosine to all candidates (Settles and Craven, 2008), the k best."""
    (x,) = pool.collect(probes.embedding)
    directed = unit(x - x.mean(0))
    near = np.maximum(np.clip(directed @ directed[rng.permutation(len(directed))[:500]].T, 0, None).mean(1), 1e-6)
    return top_k((margins(pool) * near).astype(np.float32), k, rng).positions


def batch_margin(pool: FeaturePool, k: int, rng: np.random.Generator) -> Positions:
    """The largest margins one after the other, each lowered by its cosine to what was picked."""
    (x,) = pool.collect(probes.embedding)
    directed, margin = unit(x - x.mean(0)), margins(pool)
    best = top_k(margin, min(10 * k, len(margin)), rng).positions
    near, picked = np.zeros(len(best)), []
    for _ in range(k):
        gains = margin[best] * (1 - near)
        gains[picked] = -1
        picked.append(int(gains.argmax()))
        near = np.maximum(near, np.clip(directed[best] @ directed[best[picked[-1]]], 0, 1))
    return np.asarray(best[picked])


def half_random(pool: FeaturePool, k: int, rng: np.random.Generator) -> Positions:
    """Half of the batch by ``weighted_kmeans``, half at random."""
    chosen = make_strategy("weighted_kmeans", {}).select(pool.as_pool, (k + 1) // 2, rng).positions
    others = np.setdiff1d(np.arange(len(pool)), chosen)
    return np.concatenate([chosen, rng.choice(others, k - len(chosen), replace=False)])


@dataclass
class Posterior:
    """What the layer would learn from each of M candidates, under a Gaussian posterior that all labels share.

    With A = I + c sum of w(x) z(x) z(x)^T over the labeled texts, w = (1 - sum of p^2) / 2, the covariance of the
    logits at two texts is z_a^T A^-1 z_b; a further label at x takes c w(x) k(., x) k(x, .) / (1 + c w(x) k(x, x)) off.

    Attributes:
        c: Strength of a label.
        candidates: (M,) positions in the pool.
        sampled: (P,) positions that stand for the pool.
        to_sample: (P, M) covariances.
        mutual: (M, M).
        weights: (M,) w.
    """

    c: float
    candidates: Positions
    sampled: Positions
    to_sample: NDArray[np.float64]
    mutual: NDArray[np.float64]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, pool: FeaturePool, c: float, candidates: Positions, sampled: Positions) -> "Posterior":
        """Compute it after the labels that there are."""
        (z, p), (known, at_known) = (side.collect(layer_inputs, outcomes) for side in (pool, pool.labeled))
        weights, some, chosen = c * spread(at_known), z[sampled], z[candidates]
        inner = np.linalg.inv(np.diag(1 / np.maximum(weights, 1e-9)) + known @ known.T)
        of_candidates = known @ chosen.T
        to_sample = some @ chosen.T - (some @ known.T) @ inner @ of_candidates
        mutual = chosen @ chosen.T - of_candidates.T @ inner @ of_candidates
        return cls(c, candidates, sampled, to_sample, mutual, spread(p[candidates]))

    @property
    def steps(self) -> NDArray[np.float64]:
        """c / (1 + c w k(x, x)) of each candidate, (M,)."""
        own = np.maximum(np.diag(self.mutual), 1e-9)
        return np.asarray(self.c / (1 + self.c * self.weights * own))

    def add(self, i: int) -> None:
        """Take candidate i for labeled."""
        by = self.steps[i] * self.weights[i]
        column = self.mutual[:, i].copy()
        self.to_sample = self.to_sample - by * np.outer(self.to_sample[:, i], column)
        self.mutual = self.mutual - by * np.outer(column, column)


def spread(p: NDArray[Any]) -> NDArray[np.float64]:
    """Return (1 - sum of p^2) / 2 over the last dimension."""
    return np.asarray((1 - (p.astype(np.float64) ** 2).sum(-1)) / 2)


def layer_inputs(forward: Any) -> Any:
    """Return what enters the layer, (B, D)."""
    return forward.layer_inputs


def outcomes(forward: Any) -> Any:
    """Return probabilities, (B, C)."""
    return forward.log_probs.squeeze(1).exp()


def variance(pool: FeaturePool, k: int, rng: np.random.Generator, c: float) -> Positions:
    """What lowers the variance of the logits most where the pool is unsure, of the 10 k least sure (I-optimal)."""
    margin = margins(pool)
    candidates = top_k(margin, min(10 * k, len(margin)), rng).positions
    sampled = rng.permutation(len(margin))[:1000]
    posterior, picked = Posterior.of(pool, c, candidates, sampled), list[int]()
    for _ in range(k):
        gains = (margin[sampled, None] * posterior.to_sample**2).sum(0) * posterior.steps * posterior.weights
        gains[picked] = -1
        picked.append(int(gains.argmax()))
        posterior.add(picked[-1])
    return np.asarray(candidates[picked])


def value_of_information(pool: FeaturePool, k: int, rng: np.random.Generator, c: float) -> Positions:
    """What is expected to raise the mean largest probability over the pool most, by one Newton step a label."""
    (p,) = pool.collect(outcomes)
    candidates = np.union1d(top_k(margins(pool), 80, rng).positions, rng.permutation(len(p))[:80])
    sampled = rng.permutation(len(p))[:400]
    posterior, picked = Posterior.of(pool, c, candidates, sampled), list[int]()
    logits, own = np.log(np.maximum(p[sampled], 1e-30)), p[candidates]
    for _ in range(k):
        moved, gains = posterior.to_sample * posterior.steps, np.zeros(len(candidates))
        for label in range(p.shape[1]):
            towards = -own
            towards[:, label] += 1
            after = logits[:, None, :] + moved[:, :, None] * towards[None]
            after -= after.max(2, keepdims=True)
            gains += own[:, label] * (1 / np.exp(after).sum(2)).mean(0)
        gains[picked] = -1
        picked.append(int(gains.argmax()))
        posterior.add(picked[-1])
    return np.asarray(candidates[picked])


#: Trials that are no strategies of the package.
TRIALS: Mapping[str, Choose] = {
    "density_margin": density_margin,
    "batch_margin": batch_margin,
    "half_random": half_random,
}
#: Those that read the strength of a label as well.
DESIGNS = {"variance": variance, "value_of_information": value_of_information}
