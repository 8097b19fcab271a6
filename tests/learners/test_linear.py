"""The convex fit: its objective, classes without examples, weights, standardisation."""

import numpy as np
import pytest
from scipy.optimize import minimize

from dal_nlp.learners.linear import Linear, Offset, fit_linear

H = 5
NONE = np.zeros(H, dtype=np.float32)


def data(n: int = 30, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    x = rng.normal(size=(n, H)) + np.eye(classes, H)[y]
    return x.astype(np.float32), y


def probabilities(layer: Linear, x: np.ndarray) -> np.ndarray:
    logits = (x @ layer.weight.T + layer.bias).astype(np.float64)
    exp = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(exp / exp.sum(1, keepdims=True))


def brute_force(x: np.ndarray, y: np.ndarray, w: np.ndarray, classes: int, c: float) -> np.ndarray:
    """Probabilities at the minimum of the objective, found by a general minimiser."""

    def unpack(theta: np.ndarray) -> np.ndarray:
        table = theta.reshape(classes, H + 1)
        logits = x @ table[:, :H].T + table[:, H]
        return logits - np.log(np.exp(logits).sum(1, keepdims=True))

    def objective(theta: np.ndarray) -> float:
        penalty = (theta.reshape(classes, H + 1)[:, :H] ** 2).sum() / 2
        return float(-c * (w * unpack(theta)[np.arange(len(y)), y]).sum() + penalty)

    found = minimize(objective, np.zeros(classes * (H + 1)), method="BFGS", options={"gtol": 1e-7})
    return np.asarray(np.exp(unpack(found.x)))


def test_it_is_the_minimum_of_the_objective() -> None:
    x, y = data()
    weights = np.random.default_rng(1).uniform(0.2, 2, len(y))
    layer = fit_linear(x, y, weights, 3, 0.7, NONE, 1.0)
    assert np.allclose(probabilities(layer, x), brute_force(x, y, weights, 3, 0.7), atol=2e-3)
    assert layer.iterations > 0


def test_two_classes_are_told_apart_by_one_logit() -> None:
    x, y = data(classes=2)
    layer = fit_linear(x, y, np.ones(len(y)), 2, 1.0, NONE, 1.0)
    assert np.array_equal(layer.weight[0], -layer.weight[1])
    assert ((probabilities(layer, x)[:, 1] > 0.5) == y).mean() > 0.7


def test_standardising_is_folded_into_the_layer() -> None:
    x, y = data()
    mean, scale = x.mean(0), 2.5
    inside = fit_linear(x, y, np.ones(len(y)), 3, 0.5, mean, scale)
    before = fit_linear((x - mean) / scale, y, np.ones(len(y)), 3, 0.5, NONE, 1.0)
    assert np.allclose(probabilities(inside, x), probabilities(before, (x - mean) / scale), atol=1e-4)


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_a_class_without_examples_has_the_add_one_share(classes: int) -> None:
    x, y = data(classes=classes)
    layer = fit_linear(x, y, np.ones(len(y)), 5, 1.0, NONE, 1.0)
    seen = (x @ layer.weight[:classes].T + layer.bias[:classes]).astype(np.float64)
    total = np.log(np.exp(seen).sum(1)).mean()
    assert not layer.weight[classes:].any()
    assert layer.bias[classes:] == pytest.approx(layer.unseen)
    assert np.exp(layer.unseen - total) == pytest.approx(1 / (len(x) + 5), rel=1e-4)


def test_one_class_gives_a_constant() -> None:
    x, y = data()
    layer = fit_linear(x, np.full(len(y), 1), np.ones(len(y)), 3, 1.0, NONE, 1.0)
    assert not layer.weight.any() and layer.iterations == 0
    assert layer.bias.argmax() == 1


def test_a_weight_of_two_is_the_example_twice() -> None:
    x, y = data()
    weights = np.ones(len(y))
    weights[4] = 2
    twice = fit_linear(np.concatenate([x, x[4:5]]), np.append(y, y[4]), np.ones(len(y) + 1), 3, 1.0, NONE, 1.0)
    heavy = fit_linear(x, y, weights, 3, 1.0, NONE, 1.0)
    assert np.allclose(probabilities(twice, x), probabilities(heavy, x), atol=1e-3)


def offset(n: int, classes: int = 3, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, classes))


@pytest.mark.parametrize("classes", [2, 3])
def test_weights_of_offsets_are_fitted_in_the_same_problem(classes: int) -> None:
    x, y = data(classes=classes)
    first, second, c = offset(len(y), classes), offset(len(y), classes, 6), 0.7

    def minimum(theta: np.ndarray) -> float:
        table, betas = theta[:-2].reshape(classes, H + 1), theta[-2:]
        logits = x @ table[:, :H].T + table[:, H] + betas[0] * first + betas[1] * second
        losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(y)), y]
        penalty = (table[:, :H] ** 2).sum() * (1 if classes == 2 else 0.5)
        loose = 5 * c * (table[:, H] ** 2).sum() / 2
        return float(c * losses.sum() + penalty + loose + c * ((betas[0] - 1) ** 2 + (betas[1] - 2) ** 2) / 2)

    best = minimize(minimum, np.zeros(classes * (H + 1) + 2), method="BFGS", options={"gtol": 1e-7}).x
    layer = fit_linear(x, y, np.ones(len(y)), classes, c, NONE, 1.0, [Offset(first, 1.0), Offset(second, 2.0)])
    assert np.allclose(layer.offset_weights, best[-2:], atol=2e-3)
    assert np.allclose(layer.weight, best[:-2].reshape(classes, H + 1)[:, :H], atol=2e-3)


def test_the_solution_lies_in_the_span_of_the_examples() -> None:
    x, y = data(n=4)  # fewer examples than features
    layer = fit_linear(x, y, np.ones(len(y)), 3, 0.7, NONE, 1.0)
    assert np.allclose(probabilities(layer, x), brute_force(x, y, np.ones(4), 3, 0.7), atol=2e-3)


def test_an_offset_that_contradicts_the_labels_gets_a_negative_weight() -> None:
    x, y = data(n=90)
    wrong = np.eye(3)[(y + 1) % 3] * 2 - 1
    layer = fit_linear(x, y, np.ones(len(y)), 3, 0.1, NONE, 1.0, [Offset(wrong)])
    assert layer.offset_weights[0] < 0


def test_with_an_offset_a_class_without_examples_keeps_what_the_offset_says() -> None:
    x, y = data(classes=2)
    layer = fit_linear(x, y, np.ones(len(y)), 3, 1.0, NONE, 1.0, [Offset(np.full((len(y), 3), 0.0))])
    assert np.isfinite(layer.bias).all() and layer.bias[2] < layer.bias[:2].min()
