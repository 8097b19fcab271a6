"""Sampling by score: the frequencies are those of drawing without replacement by weight."""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from dal_nlp.core.errors import BrokenModelError, UserError
from dal_nlp.models.pool import Pool
from dal_nlp.strategies import make_strategy
from dal_nlp.strategies.bayesian import Bald
from dal_nlp.strategies.scored import Scored
from dal_nlp.strategies.selectors import Scores
from dal_nlp.strategies.stochastic import PowerBald, Stochastic, gumbel_top_k, power, softmax, softrank
from dal_nlp.strategies.uncertainty import Margin
from tests import tiny

RNG = np.random.default_rng


@dataclass(frozen=True)
class Given(Scored):
    """Scores that the test names."""

    values: tuple[float, ...] = (1.0,)

    def scores(self, pool: Pool, rng: np.random.Generator) -> Scores:
        return np.array(self.values)


@dataclass(frozen=True)
class Lots(Stochastic, Given):
    """Their stochastic form."""


def drawn(weights: np.ndarray, order: tuple[int, ...]) -> float:
    """Probability of an order when each pick is drawn in proportion to the weights of those left."""
    left, p = weights.sum(), 1.0
    for i in order:
        p *= weights[i] / left
        left -= weights[i]
    return float(p)


@pytest.mark.long
@pytest.mark.parametrize(
    ("form", "weights"),
    [
        ("power", [0.1, 0.4, 1.2, 0.8]),
        ("softmax", np.exp([0.1, 0.4, 1.2, 0.8])),
        ("softrank", [1 / 4, 1 / 3, 1, 1 / 2]),
    ],
)
@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_frequencies(form: str, weights: Any, beta: float) -> None:
    strategy, rng, trials = Lots(values=(0.1, 0.4, 1.2, 0.8), form=form, beta=beta), RNG(0), 6000  # type: ignore[arg-type]
    seen = dict.fromkeys(itertools.permutations(range(4), 2), 0)
    for _ in range(trials):
        first, second = strategy.select(None, 2, rng).positions  # type: ignore[arg-type]
        seen[first, second] += 1
    for order, count in seen.items():
        p = drawn(np.asarray(weights) ** beta, order)
        assert abs(count / trials - p) < 4.5 * np.sqrt(p * (1 - p) / trials)


def test_a_score_of_zero_comes_last_and_in_random_order() -> None:
    scores = np.array([0.0, 2.0, 0.0, 1.0, 0.0])
    tails = set()
    for seed in range(40):
        chosen = gumbel_top_k(scores, power(scores, RNG(0)), 5, RNG(seed))
        assert set(chosen.positions[:2].tolist()) == {1, 3}
        assert np.isfinite(chosen.scores).all()
        tails.add(tuple(chosen.positions[2:].tolist()))
    assert len(tails) == 6


def test_the_scores_reported_are_those_of_the_examples() -> None:
    scores = RNG(0).random(9)
    chosen = gumbel_top_k(scores, softmax(scores, RNG(0)), 9, RNG(1))
    np.testing.assert_array_equal(chosen.scores, scores[chosen.positions])
    assert sorted(chosen.positions.tolist()) == list(range(9))


def test_equal_scores_rank_by_lot() -> None:
    best = {int(softrank(np.ones(4), RNG(seed)).argmax()) for seed in range(40)}
    assert best == {0, 1, 2, 3}


def test_a_large_beta_is_top_k() -> None:
    values = (0.1, 0.9, 0.4, 0.7)
    for form in ("power", "softmax", "softrank"):
        chosen = Lots(values=values, beta=1e6, form=form).select(None, 3, RNG(0))  # type: ignore[arg-type]
        assert chosen.positions.tolist() == [1, 3, 2]


def test_negative_scores_have_no_power() -> None:
    with pytest.raises(UserError, match="form=softrank"):
        Lots(values=(1.0, -1.0)).select(None, 1, RNG(0))  # type: ignore[arg-type]
    assert Lots(values=(1.0, -1.0), form="softrank").select(None, 2, RNG(0)).scores.min() == -1  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["power", "softmax", "softrank"])
def test_nan_is_an_error(form: str) -> None:
    with pytest.raises(BrokenModelError):
        Lots(values=(1.0, float("nan")), form=form).select(None, 1, RNG(0))  # type: ignore[arg-type]


def test_the_name_makes_a_stochastic_form_of_any_scored_strategy() -> None:
    strategy = make_strategy("stochastic:margin", {"beta": "2", "form": "softrank"})
    assert isinstance(strategy, Stochastic)
    assert isinstance(strategy, Margin)
    assert (strategy.beta, strategy.form) == (2.0, "softrank")
    chosen = strategy.select(tiny.pool(n=8), 8, RNG(0))
    assert sorted(chosen.positions.tolist()) == list(range(8))
    assert make_strategy("stochastic:bald", {}).requires == {"draws"}
    assert make_strategy("stochastic:epig", {"targets": 3, "beta": 2}).requires == {"draws", "shared outcomes"}
    own = make_strategy(f"stochastic:{__name__}:Given", {"values": [1.0, 2.0]})
    assert len(own.select(tiny.pool(n=2), 2, RNG(0)).positions) == 2
    assert issubclass(PowerBald, Bald)
    assert issubclass(PowerBald, Stochastic)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("stochastic:kmeans", {}, "one score an example"),
        ("stochastic:power_bald", {}, "one score an example"),
        ("stochastic:margn", {}, "did you mean 'margin'"),
        ("stochastic:margin", {"beta": 0}, "beta"),
        ("stochastic:margin", {"bet": 1}, "did you mean 'beta'"),
        ("stochastic:margin", {"form": "hard"}, "form"),
    ],
)
def test_mistakes_are_named(name: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        make_strategy(name, options)
