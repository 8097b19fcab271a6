import numpy as np
import pytest

from dal_nlp.core.errors import BrokenModelError, Unsupported, UserError
from dal_nlp.strategies import clustering as geometry
from dal_nlp.strategies import make_strategy, probes
from dal_nlp.strategies.base import checked
from dal_nlp.strategies.lobster import Lobster, closest
from dal_nlp.strategies.selectors import unit
from tests import tiny, tiny_summaries
from tests.reference import idds as reference
from tests.strategies.pools import GivenPool
from tests.strategies.test_clustering import rows


def rng(seed=0):
    return np.random.default_rng(seed)


def given(n, losses, seed=0):
    losses = np.array(losses, dtype=np.float32)
    known = GivenPool({probes.embedding: rows(len(losses), seed=seed + 50), probes.loss: losses})
    return GivenPool({probes.embedding: rows(n, seed=seed)}, known)


def by_definition(pool, k, hard, beta, lam):
    x, known = pool.results[probes.embedding], pool.labeled.results[probes.embedding]
    values = reference.scores(x, known, [], lam)
    candidates = sorted(range(len(x)), key=lambda i: -values[i])[: beta * k]
    hardest = sorted(range(len(known)), key=lambda j: -pool.labeled.results[probes.loss][j])[:hard]

    def cosine(a, b):
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    near = {i: max(cosine(x[i], known[j]) for j in hardest) for i in candidates}
    picks = sorted(candidates, key=lambda i: -near[i])[:k]
    return picks, [near[i] for i in picks]


@pytest.mark.parametrize("block", [3, 10**6])
@pytest.mark.parametrize(("hard", "beta"), [(1, 1), (3, 2), (20, 100)])
@pytest.mark.parametrize("seed", range(3))
def test_picks_and_scores_are_those_of_all_pairs(monkeypatch, seed, hard, beta, block):
    monkeypatch.setattr(geometry, "BLOCK", block)
    pool = given(40, rng(seed).random(12), seed)
    selection = Lobster(hard, beta, 0.6).select(pool, 7, rng())
    picks, scores = by_definition(pool, 7, hard, beta, 0.6)
    assert selection.positions.tolist() == picks
    np.testing.assert_allclose(selection.scores, scores, rtol=1e-4, atol=1e-6)


def test_only_the_hardest_count():
    pool = given(30, [0.1, 5, 0.2])
    x, known = unit(pool.results[probes.embedding]), unit(pool.labeled.results[probes.embedding])
    selection = Lobster(hard=1).select(pool, 30, rng())
    np.testing.assert_allclose(selection.scores, np.sort(x @ known[1])[::-1], rtol=1e-5, atol=1e-6)


def test_a_zero_row_is_like_nothing():
    x = rows(4)
    x[2] = 0
    assert closest(unit(x), unit(rows(3, seed=1)))[2] == 0


def test_equal_rows_are_chosen_by_lot():
    pool = given(8, [1, 1])
    pool.results[probes.embedding][:] = 1
    assert {int(Lobster().select(pool, 1, rng(seed)).positions[0]) for seed in range(80)} == set(range(8))


@pytest.mark.parametrize("make", [tiny.pool, tiny.qa_pool, tiny_summaries.summary_pool])
@pytest.mark.parametrize(("n", "k", "labeled"), [(20, 4, 6), (6, 6, 1), (5, 1, 2)])
def test_the_losses_of_the_labeled_examples_are_measured(make, n, k, labeled):
    pool = make(n, labeled=labeled)
    selection = Lobster().select(pool, k, rng())
    checked(selection, n, k, "lobster")
    (losses,) = pool.labeled.collect(probes.loss)
    assert losses.shape == (labeled,)
    assert (np.abs(selection.scores) <= 1 + 1e-5).all()


def test_without_labels_it_is_refused_before_anything_is_measured():
    pool = tiny.pool(5, labeled=0)
    with pytest.raises(Unsupported, match="labeled"):
        Lobster().select(pool, 1, rng())
    assert pool.seconds == 0


def test_nan_is_an_error():
    with pytest.raises(BrokenModelError):
        Lobster().select(given(6, [np.nan, 1, 2]), 1, rng())


def test_the_options():
    assert make_strategy("lobster", {"hard": 3, "beta": 2}) == Lobster(hard=3, beta=2)
    for wrong in ({"hard": 0}, {"beta": 0.5}, {"lam": -1}):
        with pytest.raises(UserError, match=next(iter(wrong))):
            make_strategy("lobster", wrong)
