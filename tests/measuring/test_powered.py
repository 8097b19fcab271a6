"""Powered estimates: the formula against plain Python, their intervals against draws from known populations."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from dal_nlp.measuring.design import active_probabilities, draw, inverse_weights
from dal_nlp.measuring.judge import fit_judge, log_odds
from dal_nlp.measuring.powered import calibrated, even_weights, powered_mean, powered_score, repeated
from dal_nlp.tasks.metrics import macro_f1, wilson

Floats = NDArray[np.float64]


def population(rng: np.random.Generator, size: int = 4000, told: float = 1.0) -> tuple[Floats, Floats]:
    """Chances that answers are right, and whether they are; ``told`` is how much of the chances the judge sees."""
    p = rng.beta(2.0, 0.5, size)
    z = (rng.random(size) < p).astype(float)
    return told * p + (1 - told) * rng.permutation(p), z


def test_the_estimate_is_that_of_the_paper() -> None:
    rng = np.random.default_rng(0)
    g, z = population(rng)
    n, pool = 50, g[50:]
    found = powered_mean(z[:n], g[:n], pool)
    cov = sum((a - z[:n].mean()) * (b - g[:n].mean()) for a, b in zip(z[:n], g[:n], strict=True)) / (n - 1)
    own = n / (n - 1) * sum((b - g[:n].mean()) ** 2 for b in g[:n]) / (n - 1)
    lam = min(1.0, max(0.0, cov / (own * (n - 1) / n + n / len(pool) * pool.var(ddof=1)) * (n - 1) / n))
    assert found.trust == pytest.approx(lam, rel=0.03)
    expected = (
        found.trust * sum(pool) / len(pool) + sum(a - found.trust * b for a, b in zip(z[:n], g[:n], strict=True)) / n
    )
    assert found.value == pytest.approx(expected)
    assert found.worth > n


def test_a_judge_that_tells_nothing_leaves_the_plain_interval() -> None:
    z = np.array([1.0] * 30 + [0.0] * 10)
    found = powered_mean(z, np.full(40, 0.7), np.full(500, 0.7))
    assert (found.low, found.high) == pytest.approx(wilson(30, 40))
    assert found.worth == pytest.approx(40, rel=0.03)
    against = powered_mean(z, 1 - z, np.full(500, 0.5) + np.linspace(-0.1, 0.1, 500))
    assert against.trust == 0
    every = powered_mean(np.ones(40), np.linspace(0.5, 1, 40), np.linspace(0.5, 1, 500))
    assert (every.low, every.high) == pytest.approx(wilson(40, 40))


@pytest.mark.parametrize(("told", "n"), [(1.0, 40), (0.0, 40), (0.5, 100)])
def test_intervals_hold_the_truth_as_often_as_they_say(told: float, n: int) -> None:
    rng = np.random.default_rng(3)
    g, z = population(rng, told=told)
    held, widths = 0, []
    for _ in range(600):
        rows = rng.permutation(len(z))
        mine, rest = rows[:n], rows[n:2000]
        found = powered_mean(z[mine], g[mine], g[rest])
        low, high = wilson(int(z[mine].sum()), n)
        held += found.low <= z.mean() <= found.high
        widths.append((found.high - found.low) / (high - low))
    assert 0.925 <= held / 600 <= 0.98
    assert np.mean(widths) < (0.97 if told else 1.01)


def test_active_samples_estimate_the_same_and_more_narrowly() -> None:
    rng = np.random.default_rng(1)
    g, z = population(rng)
    pi = active_probabilities(g, 100)
    assert pi.sum() == pytest.approx(100, rel=1e-6)
    assert pi.min() >= 0.02 and pi.max() <= 1
    held, values, active, uniform = 0, [], [], []
    for _ in range(600):
        rows = draw(pi, rng)
        found = powered_mean(z[rows], g[rows], g, inverse_weights(pi[rows]))
        held += found.low <= z.mean() <= found.high
        values.append(found.value)
        active.append(found.high - found.low)
        rows = rng.permutation(len(z))[:100]
        plain = powered_mean(z[rows], g[rows], g)
        uniform.append(plain.high - plain.low)
    assert 0.925 <= held / 600 <= 0.985
    assert np.mean(values) == pytest.approx(z.mean(), abs=0.005)
    assert np.mean(active) < np.mean(uniform)


def test_probabilities_of_an_active_sample() -> None:
    g = np.array([0.5, 0.9, 1.0, 1.0])
    pi = active_probabilities(g, 1, floor=0.1)
    assert pi[2] == pi[3] == 0.1
    assert pi[0] / pi[1] == pytest.approx(0.5 / 0.3)
    assert list(active_probabilities(g, 4)) == [1.0] * 4
    assert list(active_probabilities(np.ones(4), 2)) == [0.5] * 4


def test_calibrated_weights_give_the_powered_mean() -> None:
    rng = np.random.default_rng(5)
    g, z = population(rng, told=0.3)
    found = powered_mean(z[:400], g[:400], g[400:])
    assert 0 < found.trust < 1
    assert (calibrated(z[:400], g[:400], g[400:]) * z[:400]).sum() == pytest.approx(found.value, abs=1e-9)


@pytest.mark.parametrize(("judged", "trust"), [(lambda z: 1 - 0.3 * z, 0.0), (lambda z: 0.5 + 0.1 * z, 1.0)])
def test_weights_hear_a_judge_from_not_at_all_to_fully(judged: Callable[[Floats], Floats], trust: float) -> None:
    rng = np.random.default_rng(6)
    z = (rng.random(2000) < 0.7).astype(float)
    g = judged(z) + rng.normal(0, 0.01, 2000)
    mine, pool = slice(0, 100), g[100:]
    weights = calibrated(z[mine], g[mine], pool)
    expected = z[mine].mean() + trust * (pool.mean() - g[mine].mean())
    assert (weights * z[mine]).sum() == pytest.approx(expected, abs=1e-9) and weights.sum() == pytest.approx(1)
    found = powered_score(lambda rows: float(z[rows].mean()), z[mine], g[mine], pool, rng)
    assert found.trust == trust


def test_a_score_that_is_no_mean_is_weighed_likewise() -> None:
    rng = np.random.default_rng(2)
    g, z = population(rng, size=3000)
    truth = rng.integers(3, size=3000)
    said = np.where(z == 1, truth, (truth + 1) % 3)
    whole = macro_f1(said.tolist(), truth.tolist())
    held, errors, plain = 0, [], []
    for _ in range(12):
        rows = rng.permutation(3000)
        mine = rows[:100]
        mine_said, mine_truth = said[mine].tolist(), truth[mine].tolist()

        def score(of: NDArray[np.int64], a: list[int] = mine_said, b: list[int] = mine_truth) -> float:
            return macro_f1([a[i] for i in of], [b[i] for i in of])

        found = powered_score(score, z[mine], g[mine], g[rows[100:]], rng)
        held += found.low <= whole <= found.high
        errors.append(found.value - whole)
        plain.append(macro_f1(said[mine].tolist(), truth[mine].tolist()) - whole)
    assert held >= 10
    assert np.std(errors) < np.std(plain)


def test_a_judge_that_makes_a_score_worse_is_not_heard() -> None:
    heard = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        z = (rng.random(400) < 0.7).astype(float)
        g = rng.random(400)
        found = powered_score(lambda rows, z=z: float(z[rows].mean()), z[:60], g[:60], g[60:], rng)  # type: ignore[misc]
        assert found.worth >= 60
        if found.trust == 0:
            assert found.value == pytest.approx(z[:60].mean(), abs=1e-3) and found.worth == 60
        heard += found.trust > 0
    assert heard < 12


def test_rows_are_repeated_by_their_weights() -> None:
    rows = repeated(np.array([0.5, 0.0, 0.25, 0.25]), 8, np.random.default_rng(0))
    assert np.bincount(rows, minlength=4).tolist() == [4, 0, 2, 2]
    assert even_weights(4).sum() == 1


def test_a_judge_is_the_confidence_until_answers_say_otherwise() -> None:
    p = np.array([0.2, 0.6, 0.95])
    assert fit_judge(np.zeros((0, 1)), np.zeros(0))(log_odds(p)[:, None]) == pytest.approx(p, abs=1e-9)
    rng = np.random.default_rng(0)
    x = rng.normal(size=3000)
    z = (rng.random(3000) < 1 / (1 + np.exp(-(0.4 * x - 0.3)))).astype(float)
    judge = fit_judge(x[:, None], z)
    assert (judge.bias, judge.slopes[0]) == pytest.approx((-0.3, 0.4), abs=0.12)
    agrees = (z == (rng.random(3000) < 0.8)).astype(float)
    assert fit_judge(np.column_stack([x, agrees]), z).slopes[1] == pytest.approx(2 * np.log(4), abs=0.4)
