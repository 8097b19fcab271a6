"""Cases of the strategies that read Fisher information (BAIT)."""

import numpy as np

from dal_nlp.models.vectors import Array
from dal_nlp.strategies.bait import forward_backward
from dal_nlp.strategies.fisher import fisher_weights, information
from tests.benchmarks.measuring import Case, scaled

Inputs = tuple[Array, Array, Array, Array, int]
LABELED = 200


def predictions(scale: float) -> Inputs:
    """Make log-probabilities (N, 6) and layer inputs (N, 384) of a pool and of labeled examples, and k."""
    rng = np.random.default_rng(0)
    n = scaled(20_000, scale, 50)
    logits = rng.standard_normal((n + LABELED, 6), dtype=np.float32) * 2
    log_probs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    h = rng.standard_normal((n + LABELED, 384), dtype=np.float32)
    return log_probs[LABELED:], h[LABELED:], log_probs[:LABELED], h[:LABELED], 50


def ours(log_probs: Array, h: Array, known_log_probs: Array, known_h: Array, k: int) -> object:
    """Choose by updates of small blocks."""
    known = information(fisher_weights(known_log_probs), known_h)
    return forward_backward(log_probs, h, known, k, 1.0, np.random.default_rng(0))


def textbook(log_probs: Array, h: Array, known_log_probs: Array, known_h: Array, k: int) -> object:
    """Score all candidates for one pick of 2k, with the whole factor (C, C H) of each example's information."""
    n, c = log_probs.shape
    dims = c * h.shape[1]
    probs = np.exp(log_probs)

    def whole(rows: slice) -> Array:
        errors = (probs[rows, None, :] - np.eye(c, dtype=np.float32)) * np.sqrt(probs[rows])[:, :, None]
        return (errors[:, :, :, None] * h[rows, None, None, :]).reshape(-1, c, dims)

    slices = [slice(start, start + 500) for start in range(0, n, 500)]
    fisher = np.zeros((dims, dims), dtype=np.float32)
    for rows in slices:
        flat = whole(rows).reshape(-1, dims)
        fisher += flat.T @ flat / n
    inverse = np.linalg.inv(np.eye(dims, dtype=np.float32) + fisher)
    both = inverse @ fisher @ inverse
    scores = []
    for rows in slices:
        v = whole(rows)
        flat, across = v.reshape(-1, dims), v.swapaxes(1, 2)
        near, far = (flat @ inverse).reshape(v.shape) @ across, (flat @ both).reshape(v.shape) @ across
        scores.append(np.einsum("nrr->n", np.linalg.solve(np.eye(c) + near, far)))
    return int(np.concatenate(scores).argmax())


CASES = (
    Case(
        "bait",
        "20k x C 6 x H 384, k 50",
        predictions,
        ours,
        seconds=120,
        gigabytes=2,
        twins={"textbook, 1 pick of 100": textbook},
    ),
)
