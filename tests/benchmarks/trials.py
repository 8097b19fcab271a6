"""Ways to choose that are tried on features in memory and are no strategies of the package.

Letters: N texts of a pool, C labels.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from dal_nlp.learners.layers import Standard
from dal_nlp.models.vectors import Array, Positions
from dal_nlp.strategies import make_strategy, probes
from dal_nlp.strategies.bait import class_log_probs, layer_inputs
from dal_nlp.strategies.selectors import top_k, unit
from dal_nlp.strategies.variance_reduction import covariances, curvature
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
    near, picked = np.zeros(len(best)), list[int]()
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


def outcomes(forward: Any) -> Any:
    """Return probabilities, (B, C)."""
    return forward.log_probs.squeeze(1).exp()


def value_of_information(
    pool: FeaturePool,
    k: int,
    rng: np.random.Generator,
    standard: Standard,
    c: float,
    truth: NDArray[np.int64] | None = None,
) -> Positions:
    """What is expected to raise the mean largest probability over the pool most, by one Newton step for each label.

    All outputs share the curvature 1 / c + sum of w z z^T; see ``strategies.variance_reduction``. 160 candidates, half
    of them the least sure; 400 texts stand for the pool. With ``truth``, (N,), the labels that nobody has bought yet,
    it is no strategy but what hindsight would pick: the step of the true label is taken, and what rises is the mean
    probability of the true labels.
    """
    (x, log_probs, p), (known, at_known) = (
        pool.collect(layer_inputs, class_log_probs, outcomes),
        pool.labeled.collect(layer_inputs, class_log_probs),
    )
    candidates = np.union1d(top_k(margins(pool), 80, rng).positions, rng.permutation(len(p))[:80])
    sampled = rng.permutation(len(p))[:400]
    z = {"pool": standard.apply(x[sampled]), "candidates": standard.apply(x[candidates])}
    weighted = np.sqrt(curvature(at_known))[:, None] * standard.apply(known)
    to_pool, among = (covariances(z[side], z["candidates"], weighted, 1 / c) for side in ("pool", "candidates"))
    logits, own, weights, picked = log_probs[sampled], p[candidates], curvature(log_probs[candidates]), list[int]()
    expected = own if truth is None else np.eye(p.shape[1])[truth[candidates]]
    for _ in range(k):
        steps = 1 / (1 + weights * among.diagonal())
        moved, gains = to_pool * steps, np.zeros(len(candidates))
        for label in range(p.shape[1]):
            towards = -own
            towards[:, label] += 1
            after = logits[:, None, :] + moved[:, :, None] * towards[None]
            aim = after.max(2) if truth is None else after[np.arange(len(sampled)), :, truth[sampled]]
            gains += expected[:, label] * (1 / np.exp(after - aim[:, :, None]).sum(2)).mean(0)
        gains[picked] = -1
        pick = int(gains.argmax())
        picked.append(pick)
        column = among[:, pick].copy()
        if truth is not None:  # what was picked is learnt before the next pick
            step = steps[pick] * (expected[pick] - own[pick])
            logits = logits + np.outer(to_pool[:, pick], step)
            own = softmax(np.log(np.maximum(own, 1e-12)) + np.outer(column, step), axis=1)
        to_pool = to_pool - steps[pick] * weights[pick] * np.outer(to_pool[:, pick], column)
        among = among - steps[pick] * weights[pick] * np.outer(column, column)
    return np.asarray(candidates[picked])


#: Trials that are no strategies of the package.
TRIALS: Mapping[str, Choose] = {
    "density_margin": density_margin,
    "batch_margin": batch_margin,
    "half_random": half_random,
}
