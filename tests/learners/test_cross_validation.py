"""Layers and strength by cross-validation: the score, the folds, and that a better setting wins only clearly."""

import numpy as np
import pytest

from dal_nlp.learners.cross_validation import choose_setting, deal, fit_with, held_out_brier, settings
from dal_nlp.learners.layers import standard_of
from dal_nlp.learners.linear import fit_linear


def data(n: int = 80, seed: int = 0, telling: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Features of two layers of five numbers, of which one (0 or 1) tells the three classes apart."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    layers = [5 * rng.normal(size=(n, 5)), 5 * rng.normal(size=(n, 5))]
    layers[telling] = rng.normal(size=(n, 5)) + 2 * np.eye(3, 5)[y]
    return np.concatenate(layers, 1).astype(np.float32), y


def test_the_score_is_that_of_a_loop() -> None:
    x, y = data(30)
    folds = deal(y, np.random.default_rng(0))
    setting = settings(standard_of(x, 2), 2, 0.5)[0]
    ours = held_out_brier(setting, x, y, np.ones(30), 3, [], folds)
    for i in range(30):
        inside = np.flatnonzero(folds != folds[i])
        layer = fit_with(setting, x[inside], y[inside], np.ones(len(inside)), 3, [])
        p = np.exp(layer.weight @ x[i] + layer.bias)
        assert ours[i] == pytest.approx(((p / p.sum() - np.eye(3)[y[i]]) ** 2).sum(), abs=1e-3)


def test_folds_share_every_class() -> None:
    y = np.repeat([0, 1], [8, 40])
    folds = deal(y, np.random.default_rng(0))
    for label, each in ((0, 2), (1, 10)):
        assert np.bincount(folds[y == label]).tolist() == [each] * 4


@pytest.mark.parametrize(("telling", "layers"), [(1, 1), (0, 2)])
def test_a_layer_that_says_nothing_is_left_out_and_one_that_does_is_kept(telling: int, layers: int) -> None:
    x, y = data(telling=telling)
    candidates = settings(standard_of(x, 2), 2, 0.5)
    chosen = choose_setting(candidates, x, y, np.ones(80), 3, [], np.random.default_rng(0))
    assert chosen.layers == layers
    assert fit_with(chosen, x, y, np.ones(80), 3, []).weight[:, :5].any() == (layers == 2)


def test_the_rule_stays_where_nothing_is_clearly_better() -> None:
    x = np.random.default_rng(0).normal(size=(60, 10)).astype(np.float32)
    y = np.random.default_rng(1).integers(3, size=60)
    candidates = settings(standard_of(x, 2), 2, 0.01)
    assert choose_setting(candidates, x, y, np.ones(60), 3, [], np.random.default_rng(0)) is candidates[0]


def test_the_more_labels_the_less_each_counts() -> None:
    x, y = data(60)
    setting = settings(standard_of(x, 2), 2, 0.5)[0]
    twice = fit_with(setting, np.concatenate([x] * 4), np.tile(y, 4), np.ones(240), 3, [])
    mean, scale = setting.standard.mean, setting.standard.scale
    want = fit_linear(x, y, np.ones(60), 3, 4 * 0.5 / np.sqrt(240), mean, scale)
    assert np.allclose(twice.weight, want.weight, atol=1e-3)
