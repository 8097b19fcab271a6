"""The formulas of witnesses: their scale, the guard, the student, and the file beside a model."""

from pathlib import Path

import numpy as np
import torch

from dal_nlp.learners.cross_validation import deal, settings
from dal_nlp.learners.head_checkpoint import FittedLayer
from dal_nlp.learners.layers import standard_of
from dal_nlp.learners.linear import Offset
from dal_nlp.signals.base import log_odds, log_softmax
from dal_nlp.signals.witness import (
    LABEL_WEIGHT,
    KeptLayer,
    Witness,
    fit_student,
    fit_weighing,
    harmful,
    read_kept,
    weighed,
)


def data(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    return (rng.normal(size=(n, 12)) + 0.6 * np.eye(12)[y]).astype(np.float32), y


def answers(y: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    given = np.where(rng.random(len(y)) < share, y, rng.integers(3, size=len(y)))
    return np.array([log_odds(int(k), 0.9, 3) for k in given])


def test_logits_are_centred_over_the_pool_and_silence_is_zero() -> None:
    rng = np.random.default_rng(0)
    pool = rng.normal(size=(50, 3)) * 4 + np.array([1, 5, -2])
    pool[7] = np.nan
    witness = Witness.over("x", pool)
    logits = witness.logits(pool)
    rest = np.delete(logits, 7, axis=0)
    assert np.allclose(rest.mean(0), 0, atol=1e-6) and np.isclose(rest.std(), 1, atol=1e-5) and not logits[7].any()
    by_hand = np.array([[row[k] - row.mean() for k in range(3)] for row in np.delete(pool, 7, axis=0)])
    by_hand -= by_hand.mean(0)
    assert np.allclose(rest, by_hand / by_hand.std(), atol=1e-5)
    assert np.allclose(witness.logits(pool + 3.0), logits, atol=1e-4)  # a text's own constant says nothing
    assert not Witness.over("x", np.full((4, 3), np.nan)).logits(np.full((2, 3), np.nan)).any()


def test_log_odds_are_a_distribution_of_the_confidence() -> None:
    for confidence, p in ((0.9, 0.9), (None, 0.8), (1.0, 0.98), (0.0, 0.02)):
        found = np.exp(log_odds(1, confidence, 3))
        assert np.isclose(found.sum(), 1) and np.isclose(found[1], p) and found[0] == found[2]


def test_the_weight_follows_the_labels() -> None:
    x, y = data(120)
    rng = np.random.default_rng(1)
    setting = settings(standard_of(x, 1), 1, 0.13)[0]
    found = []
    for share in (1.0, 0.0):
        witness = Witness.over("x", answers(y, share, rng))
        offset = Offset(witness.logits(answers(y, share, rng)), witness.mean)
        _, betas, off = fit_weighing(setting, x, y, np.ones(120), 3, [offset], [0])
        found.append((float(betas[0]), off))
    assert found[0][0] > 2 and found[0][1] == []
    assert abs(found[1][0]) < 0.5


def test_only_a_clear_loss_leaves_a_witness_out() -> None:
    x, y = data(200)
    setting = settings(standard_of(x, 1), 1, 0.13)[0]
    folds = deal(y, np.random.default_rng(0))
    rng = np.random.default_rng(2)
    good, noise = (Witness.over("x", (said := answers(y, share, rng))).logits(said) for share in (0.9, 0.0))
    # One that always is right where it trains and wrong where it does not cannot be weighed: its weight is held.
    liar = np.where((folds % 2 == 0)[:, None], good, -3 * good)
    offsets = [Offset(good, 2.0), Offset(noise, 2.0), Offset(liar * 50, 1e4)]
    assert harmful(setting, x, y, np.ones(200), 3, offsets[:2], folds, [0, 1]) == []
    assert 2 in harmful(setting, x, y, np.ones(200), 3, offsets, folds, [2])


def test_a_student_is_fitted_to_the_surest_label_of_each_text_and_to_labels_twice() -> None:
    x, y = data(60)
    rng = np.random.default_rng(3)
    shares = np.exp(log_softmax(rng.normal(size=(40, 3))))
    setting = settings(standard_of(x, 1), 1, 0.13)[0]
    found = fit_student(setting, x[:40], shares, x[40:], y[40:], np.ones(20))
    given, weights = np.r_[shares.argmax(1), y[40:]], np.r_[shares.max(1), np.full(20, LABEL_WEIGHT)]
    assert LABEL_WEIGHT == 2.0

    def loss(weight: np.ndarray, bias: np.ndarray) -> float:
        logits = x @ weight.T + bias
        losses = -log_softmax(logits.astype(np.float64))[np.arange(60), given]
        own = weight.astype(np.float64) * setting.standard.scale
        return float(setting.c / np.sqrt(weights.sum()) * (weights @ losses) + (own**2).sum() / 2)

    least = loss(found.weight, found.bias)
    for _ in range(20):
        step = rng.normal(size=found.weight.shape).astype(np.float32) * 1e-2
        assert loss(found.weight + step, found.bias) > least


def test_what_is_kept_reads_back(tmp_path: Path) -> None:
    witness = Witness.over("file:llm.csv", np.random.default_rng(0).normal(size=(9, 2)))
    layer = FittedLayer(torch.ones(2, 4), torch.zeros(2), -1.0, (75, 100))
    KeptLayer(layer, [witness], [1.5]).save(tmp_path)
    found = read_kept(tmp_path)
    assert found.weights == [1.5] and found.layer.depths == (75, 100) and torch.equal(found.layer.weight, layer.weight)
    scores = np.random.default_rng(1).normal(size=(3, 2))
    assert np.allclose(found.witnesses[0].logits(scores), witness.logits(scores))
    assert np.allclose(weighed([np.ones((3, 2), np.float32), np.full((3, 2), 2, np.float32)], [1.0, -0.5]), 0)
