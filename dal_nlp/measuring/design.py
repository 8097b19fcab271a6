"""Samples that measure: whom to draw with which probability, and what each drawn text then counts."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: The least probability of a text: what counts 1 / probability must not count for too much.
FLOOR = 0.02


def active_probabilities(g: Floats, n: int, floor: float = FLOOR) -> Floats:
    """Return the probability (N,) of each text: n sqrt(g (1 - g)) / sum, clipped to [floor, 1].

    Where a judge is least sure whether an answer is right, a label tells most (active inference: Zrnic & Candes, 2024).
    What the floor adds is taken from the rest, so that n texts are expected, or N floor if that is more.

    Args:
        g: (N,) chances that the answers are right.
        n: Texts to expect.
        floor: Least probability.
    """
    doubt = np.sqrt(np.clip(g * (1 - g), 0, None))
    if n >= len(g) or not doubt.sum():
        return np.full(len(g), min(1.0, n / max(1, len(g))))
    floor = min(floor, n / len(g))
    low, high = 0.0, 1.0 / max(float(doubt[doubt > 0].min()), 1e-12)
    for _ in range(60):  # the expected size rises with the scale
        scale = (low + high) / 2
        if np.clip(scale * doubt, floor, 1).sum() < n:
            low = scale
        else:
            high = scale
    return np.asarray(np.clip(high * doubt, floor, 1))


def draw(probabilities: Floats, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the drawn positions in an order of chance, as many as the probabilities add up to.

    Each is drawn with its probability: systematic sampling (Madow, 1949) of the positions in an order of chance.
    """
    order = rng.permutation(len(probabilities))
    ends = np.floor(np.cumsum(probabilities[order]) + rng.random() + 1e-9)
    return np.asarray(order[np.diff(ends, prepend=0.0) > 0][rng.permutation(int(ends[-1]))], dtype=np.int64)


def inverse_weights(probabilities: Floats) -> Floats:
    """Return weights in proportion to 1 / probability that add up to 1 (Horvitz & Thompson, 1952; Hajek, 1971)."""
    weights = 1 / probabilities
    return np.asarray(weights / weights.sum())
