"""A source becomes a linear layer: which texts train it, its scale, and labels that it never gives."""

import numpy as np

from dal_nlp.learners.distillation import LEAST, NEVER, MachineSource, distil, sure_texts


def source(n: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (n, 6), true classes of three, and scores that tell them apart, with noise."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    x = (rng.normal(size=(n, 6)) + 2 * np.eye(3, 6)[y]).astype(np.float32)
    return x, y, 2 * np.eye(3)[y] + rng.normal(size=(n, 3))


def test_the_surest_texts_of_each_label_train() -> None:
    _, _, scores = source()
    rows, given = sure_texts(scores, np.random.default_rng(0))
    for label in range(3):
        inside = np.flatnonzero(scores.argmax(1) == label)
        p = np.exp(scores[inside]) / np.exp(scores[inside]).sum(1, keepdims=True)
        gaps = np.sort(p, 1)[:, -1] - np.sort(p, 1)[:, -2]
        best = inside[np.argsort(-gaps)[: max(LEAST, round(0.3 * len(inside)))]]
        assert set(rows[given == label]) == set(best)


def test_at_most_so_many_train() -> None:
    scores = np.random.default_rng(0).normal(size=(5000, 2))
    assert len(sure_texts(scores, np.random.default_rng(0))[0]) == 900


def test_the_signal_is_linear_centred_and_scaled() -> None:
    x, y, scores = source()
    signal = distil(MachineSource("s", scores, 1.5), x, 0.13, x.mean(0), np.float32(1.0), np.random.default_rng(0))
    logits = signal.logits(x)
    assert np.allclose(logits, x @ signal.weight.T + signal.bias) and signal.mean == 1.5
    assert np.allclose(logits.mean(0), 0, atol=1e-5) and np.isclose(logits.std(), 1, atol=1e-5)
    assert (logits.argmax(1) == y).mean() > 0.8


def test_a_label_that_is_given_to_no_text_is_unlikely() -> None:
    x, _, scores = source()
    scores[:, 1], scores[:, 2] = -scores[:, 0], 0.0
    signal = distil(MachineSource("s", scores), x, 0.13, x.mean(0), np.float32(1.0), np.random.default_rng(0))
    assert not signal.weight[2].any() and signal.bias[2] == NEVER
