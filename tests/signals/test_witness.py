"""The formulas of witnesses: their scale, the guard, the student, and the file beside a model."""

import json
from dataclasses import replace
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
    TABLE_FROM,
    WITNESSES,
    KeptLayer,
    Weighing,
    Witness,
    _Problem,
    fit_student,
    fit_weighing,
    one_hot,
    read_kept,
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


def weighing(x: np.ndarray, y: np.ndarray, *said: np.ndarray) -> tuple[Weighing, list[Witness]]:
    """Labels weighed with what machines said of them."""
    setting = settings(standard_of(x, 1), 1, 0.13)[0]
    heard = [Witness.over("x", scores) for scores in said]
    logits = [one.logits(scores) for one, scores in zip(heard, said, strict=True)]
    offsets = [Offset(one, witness.mean) for one, witness in zip(logits, heard, strict=True)]
    answers = {place: one.answers(logits[place]) for place, one in enumerate(heard)}
    return fit_weighing(setting, x, y, np.ones(len(y)), 3, offsets, answers), heard


def test_the_weight_follows_the_labels() -> None:
    x, y = data(90)
    rng = np.random.default_rng(1)
    right, _ = weighing(x, y, answers(y, 1.0, rng))
    noise, _ = weighing(x, y, answers(y, 0.0, rng))
    assert right.weights[0] > 2 and right.off == [] and abs(noise.weights[0]) < 0.5


def test_only_a_clear_loss_leaves_a_witness_out() -> None:
    x, y = data(200)
    setting = settings(standard_of(x, 1), 1, 0.13)[0]
    folds = deal(y, np.random.default_rng(0))
    rng = np.random.default_rng(2)
    good, noise = (Witness.over("x", (said := answers(y, share, rng))).logits(said) for share in (0.9, 0.0))
    # One that always is right where it trains and wrong where it does not cannot be weighed: its weight is held.
    liar = np.where((folds % 2 == 0)[:, None], good, -3 * good)
    offsets = [Offset(good, 2.0), Offset(noise, 2.0), Offset(liar * 50, 1e4)]
    for places, out in (([0, 1], []), ([2], [2])):
        asked = _Problem(setting, x, y, np.ones(200), 3, offsets[: 2 + len(out)], {place: y for place in places})
        assert asked.harmful(folds) == out


def test_a_machine_that_takes_one_label_for_another_gets_a_table() -> None:
    x, y = data(200)
    rng = np.random.default_rng(4)
    crossed = answers((y + 1) % 3, 0.9, rng)  # every label is called the next one: no one weight mends that
    found, (witness,) = weighing(x, y, crossed)
    assert list(found.tables) == [0] and found.off == []
    kept = KeptLayer(FittedLayer(torch.zeros(3, 12), torch.zeros(3), 0.0, (100,)), [witness], [0.0], found.tables)
    given = np.array([log_odds(k, 0.9, 3) for k in range(3)])
    assert kept.added(0, witness.logits(given)).argmax(1).tolist() == [2, 0, 1]
    assert not kept.added(0, np.zeros((2, 3), np.float32)).any()
    new, labels = data(300, seed=5)
    logits = witness.logits(answers((labels + 1) % 3, 0.9, rng))
    beside = KeptLayer(kept.layer, [witness], found.weights.tolist(), found.tables).added(0, logits)
    assert ((new @ found.layer.weight.T + found.layer.bias + beside).argmax(1) == labels).mean() > 0.85


def test_few_labels_and_a_machine_without_such_mistakes_get_no_table() -> None:
    x, y = data(200)
    rng = np.random.default_rng(6)
    few = slice(0, TABLE_FROM - 1)
    assert not weighing(x[few], y[few], answers((y[few] + 1) % 3, 0.9, rng))[0].tables
    assert not weighing(x, y, answers(y, 0.7, rng), answers(y, 0.0, rng))[0].tables


def test_a_table_is_worth_what_the_objective_says() -> None:
    x, y = data(120)
    said = answers((y + 1) % 3, 0.9, np.random.default_rng(7))
    setting = settings(standard_of(x, 1), 1, 0.13)[0]
    witness = Witness.over("x", said)
    logits = witness.logits(said)
    given = witness.answers(logits)
    assert given.tolist() == said.argmax(1).tolist()
    problem = _Problem(setting, x, y, np.ones(120), 3, [Offset(logits, witness.mean)], {0: given})
    found = problem.fit([], [0])
    c = setting.c / np.sqrt(120)

    def value(table: np.ndarray, beta: float) -> float:
        """The part of the objective that a table and a weight move: c x (losses + one label's worth of priors)."""
        sums = x @ found.layer.weight.T + found.layer.bias + beta * logits + one_hot(given, 3) @ table.T
        losses = -log_softmax(sums.astype(np.float64))[np.arange(120), y]
        return float(c * (losses.sum() + (table**2).sum() / 2 + (beta - witness.mean) ** 2 / 2))

    table, beta = found.tables[0], float(found.weights[0])
    least, rng = value(table, beta), np.random.default_rng(8)
    for _ in range(50):
        assert value(table + rng.normal(size=(3, 3)) * 0.1, beta) > least
        assert value(table, beta + rng.normal() * 0.1) >= least


def test_a_student_is_fitted_to_the_surest_label_of_each_text_and_to_labels_twice() -> None:
    x, y = data(60)
    rng = np.random.default_rng(3)
    shares = np.exp(log_softmax(rng.normal(size=(40, 3))))
    setting = settings(standard_of(x, 1), 1, 0.13)[0]
    found = fit_student([setting], x[:40], shares, x[40:], y[40:], np.ones(20))
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


def test_a_student_counts_answers_more_where_they_follow_from_the_texts() -> None:
    rng = np.random.default_rng(9)
    x = rng.normal(size=(400, 30)).astype(np.float32)
    rule = settings(standard_of(x, 1), 1, 0.13)[0]
    candidates = [rule, replace(rule, c=rule.c * 3)]
    none, y = x[:0], np.zeros(0, np.int64)
    follow = (x @ rng.normal(size=(30, 3))).argmax(1)
    for given, chosen in ((follow, 1), (rng.integers(3, size=400), 0)):
        shares = np.eye(3)[given]
        found = fit_student(candidates, x, shares, none, y, np.zeros(0))
        alone = [fit_student([one], x, shares, none, y, np.zeros(0)) for one in candidates]
        assert np.array_equal(found.weight, alone[chosen].weight)
        assert not np.allclose(found.weight, alone[1 - chosen].weight, atol=1e-4)


def test_what_is_kept_reads_back(tmp_path: Path) -> None:
    witness = Witness.over("file:llm.csv", np.random.default_rng(0).normal(size=(9, 2)))
    layer = FittedLayer(torch.ones(2, 4), torch.zeros(2), -1.0, (75, 100))
    table = np.array([[0.5, -1.0], [0.0, 2.0]])
    KeptLayer(layer, [witness, witness], [1.5, -0.5], {1: table}).save(tmp_path)
    found = read_kept(tmp_path)
    assert found.weights == [1.5, -0.5] and found.layer.depths == (75, 100)
    assert torch.equal(found.layer.weight, layer.weight) and list(found.tables) == [1]
    scores = np.random.default_rng(1).normal(size=(3, 2))
    logits = found.witnesses[0].logits(scores)
    assert np.allclose(logits, witness.logits(scores)) and np.allclose(found.added(0, logits), 1.5 * logits)
    answered = [table[:, k] for k in scores.argmax(1)]
    assert np.allclose(found.added(1, logits), np.array(answered) - 0.5 * logits, atol=1e-6)
    rows = json.loads((tmp_path / WITNESSES).read_text())
    (tmp_path / WITNESSES).write_text(json.dumps([{k: v for k, v in row.items() if k != "table"} for row in rows]))
    assert read_kept(tmp_path).tables == {}  # of a run before there were any
