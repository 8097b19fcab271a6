"""Ways to choose that are tried on features in memory and are no strategies of the package.

Letters: N texts of a pool, C labels.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from dal_nlp.learners.layers import Standard
from dal_nlp.models.vectors import Array, Dense, Positions
from dal_nlp.strategies import make_strategy, probes
from dal_nlp.strategies.bait import class_log_probs, layer_inputs
from dal_nlp.strategies.clustering import kmeans
from dal_nlp.strategies.selectors import nearest_to_centres, top_k, unit
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


def by_predicted_label(pool: FeaturePool, k: int, rng: np.random.Generator, even: bool) -> Positions:
    """K-means inside each predicted label, which has its share of the k; or all labels as many, if ``even``."""
    p, x = pool.collect(outcomes, probes.embedding)
    given = np.asarray(p).argmax(1)
    sizes = np.bincount(given, minlength=p.shape[1])
    wanted = k * ((sizes > 0) / (sizes > 0).sum() if even else sizes / sizes.sum())
    counts = np.minimum(np.floor(wanted).astype(int), sizes)
    while counts.sum() < k:  # the largest remainder of those that have some left
        counts[np.where(counts < sizes, wanted - counts + rng.random(len(sizes)) * 1e-9, -np.inf).argmax()] += 1
    picked = []
    for label in np.flatnonzero(counts):
        rows = np.flatnonzero(given == label)
        picked.append(rows[nearest_to_centres(Dense(unit(x[rows])), int(counts[label]), rng).positions])
    return np.concatenate(picked)


def stratified(pool: FeaturePool, k: int, rng: np.random.Generator) -> Positions:
    """K-means inside each predicted label, which has its share of the batch."""
    return by_predicted_label(pool, k, rng, even=False)


def balanced(pool: FeaturePool, k: int, rng: np.random.Generator) -> Positions:
    """K-means inside each predicted label, all of which have as many."""
    return by_predicted_label(pool, k, rng, even=True)


def of_clusters(pool: FeaturePool, k: int, rng: np.random.Generator) -> Positions:
    """One text at random of each cluster of k-means."""
    (x,) = pool.collect(probes.embedding)
    clusters, _ = kmeans(Dense(unit(x)), k, rng)
    order = rng.permutation(len(x))
    return np.asarray(order[np.unique(clusters[order], return_index=True)[1]])


def herding(pool: FeaturePool, k: int, rng: np.random.Generator) -> Positions:
    """One after the other the text that brings the picks' mean nearest to the pool's (Welling, 2009)."""
    (x,) = pool.collect(probes.embedding)
    directed = unit(x).astype(np.float64)
    aim, total, picked = directed.mean(0), np.zeros(directed.shape[1]), list[int]()
    for i in range(k):
        gains = directed @ ((i + 1) * aim - total)
        gains[picked] = -np.inf
        picked.append(int(gains.argmax()))
        total += directed[picked[-1]]
    return np.asarray(picked)


def until_sure(pool: FeaturePool, k: int, rng: np.random.Generator, beta: float, deviation: float) -> Positions:
    """K-means while the weight of the descriptions is within two deviations of 0, ``variance_reduction`` afterwards."""
    name = "kmeans" if abs(beta) < 2 * deviation else "variance_reduction"
    return make_strategy(name, {}).select(pool.as_pool, k, rng).positions


def as_sure(pool: FeaturePool, k: int, rng: np.random.Generator, beta: float, deviation: float) -> Positions:
    """The share deviation / weight of the batch by k-means, the rest by ``variance_reduction``."""
    diverse = round(k * min(1.0, deviation / max(abs(beta), 1e-9)))
    first = make_strategy("kmeans", {}).select(pool.as_pool, diverse, rng).positions if diverse else np.zeros(0, int)
    rest = np.setdiff1d(np.arange(len(pool)), first)
    if diverse == k:
        return first
    after = make_strategy("variance_reduction", {}).select(pool.take(rest).as_pool, k - diverse, rng).positions
    return np.concatenate([first, rest[after]])


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
    "stratified": stratified,
    "balanced": balanced,
    "of_clusters": of_clusters,
    "herding": herding,
}
#: Trials that look at the weight of the descriptions and its deviation.
BY_BETA: Mapping[str, Callable[[FeaturePool, int, np.random.Generator, float, float], Positions]] = {
    "until_sure": until_sure,
    "as_sure": as_sure,
}
