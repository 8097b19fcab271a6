"""The fit of words: the value, the gradient and the optimum are those of the plain fit in double precision."""

import numpy as np
import pytest

from dal_nlp.learners.layers import Standard
from dal_nlp.learners.linear import fit_linear, objective
from dal_nlp.word_heads.word_fit import BLOCK, block_objective, fit_words

#: What words are like: nine of ten in no class of interest, features with one direction far larger than the others.
SCALE = np.array([20.0, *[1.0] * 7], dtype=np.float32)


def words(n: int, classes: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.where(rng.random(n) < 0.9, 0, rng.integers(classes, size=n))
    centres = rng.normal(size=(classes, len(SCALE)))
    x = (centres[y] + rng.normal(size=(n, len(SCALE)))).astype(np.float32) * SCALE + 3
    return x.astype(np.float32), y, rng.uniform(0.2, 2, n)


def standard(x: np.ndarray) -> Standard:
    return Standard(x.mean(0), np.full(x.shape[1], x.std(), dtype=np.float32))


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("n", [3, BLOCK, 2 * BLOCK + 7])  # less than a block, one, and a part at the end
def test_value_and_gradient_are_those_of_the_plain_objective(n: int, classes: int) -> None:
    x, y, weights = words(n, classes)
    z = standard(x).apply(x).astype(np.float32)
    table = np.random.default_rng(1).normal(size=(classes, z.shape[1] + 1))
    value, gradient = block_objective(table, z, y, weights, 0.3)
    wanted, slope = objective(table.ravel(), z.astype(np.float64), y, weights, classes, 0.3, None, np.zeros(0))
    assert value == pytest.approx(wanted, rel=1e-6)
    np.testing.assert_allclose(gradient.ravel(), slope, atol=1e-6)


@pytest.mark.parametrize("n", [6, 2 * BLOCK + 7])  # fewer words than features, and more
def test_the_optimum_is_that_of_the_plain_fit(n: int) -> None:
    x, y, weights = words(n)
    scaled = standard(x)
    fast, plain = fit_words(x, y, weights, 5, 0.3, scaled), fit_linear(x, y, weights, 5, 0.3, scaled.mean, scaled.scale)
    tables = []
    for layer in (fast, plain):
        logits = x @ layer.weight.T + layer.bias
        p = np.exp(logits - logits.max(1, keepdims=True))
        tables.append(p / p.sum(1, keepdims=True))
    np.testing.assert_allclose(tables[0], tables[1], atol=1e-3)  # the plain fit stops as early
    seen = np.unique(y)
    places = np.searchsorted(seen, y)

    def value(layer: object) -> float:
        weight, bias = layer.weight[seen] * scaled.scale, layer.bias[seen] + layer.weight[seen] @ scaled.mean
        table = np.column_stack([weight, bias]).astype(np.float64)
        z = scaled.apply(x).astype(np.float64)
        return objective(table.ravel(), z, places, weights, len(seen), 0.3, None, np.zeros(0))[0]

    assert value(fast) <= value(plain) * (1 + 1e-4)
    assert fast.unseen == pytest.approx(plain.unseen, abs=0.01)


def test_it_takes_fewer_steps_than_the_plain_fit() -> None:
    """Biases on the scale of weights come last where nearly all words are of one class."""
    rng = np.random.default_rng(0)
    y = np.where(rng.random(1000) < 0.95, 0, rng.integers(5, size=1000))
    spread = 4 / np.sqrt(np.arange(1, 301))  # directions of falling size, as of an encoder's states
    x = ((rng.normal(size=(5, 300))[y] * 0.5 + rng.normal(size=(1000, 300))) * spread).astype(np.float32)
    layer = Standard(x.mean(0), np.ones(300, dtype=np.float32))
    arguments = (x, y, np.ones(1000), 5, 0.3)
    assert fit_words(*arguments, layer).iterations < 0.8 * fit_linear(*arguments, layer.mean, layer.scale).iterations


def test_a_class_without_a_word_and_words_of_one_class() -> None:
    x, y, weights = words(300)
    y[y == 3] = 0
    scaled = standard(x)
    layer = fit_words(x, y, weights, 5, 0.3, scaled)
    assert not layer.weight[3].any() and layer.bias[3] == pytest.approx(layer.unseen)
    one = fit_words(x, np.full(300, 2), weights, 5, 0.3, scaled)
    assert not one.weight.any() and one.bias.argmax() == 2 and not one.iterations
