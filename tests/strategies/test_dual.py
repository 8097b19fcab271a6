import numpy as np
import pytest

from dal_nlp.core.errors import BrokenModelError, UserError
from dal_nlp.strategies import make_strategy, probes
from dal_nlp.strategies.base import checked
from dal_nlp.strategies.bleuvar import bleu_variances
from dal_nlp.strategies.dual import Dual, most_varied
from tests import tiny_summaries
from tests.reference import dual as reference
from tests.strategies.pools import GivenPool
from tests.strategies.test_clustering import rows


def rng(seed=0):
    return np.random.default_rng(seed)


def given(n, known=5, seed=0, variances=None):
    drawn = np.random.default_rng(seed).uniform(0.2, 1.1, n).clip(0, 1)  # some are degenerate
    labeled = GivenPool({probes.embedding: rows(known, seed=seed + 50)}) if known else None
    measured = drawn if variances is None else variances
    results = {probes.embedding: rows(n, seed=seed), bleu_variances: np.array(measured, dtype=np.float32)}
    return GivenPool(results, labeled)


def asked(pool):
    """All positions whose texts were asked for."""
    return [position for call in pool.asked.get(bleu_variances, []) for position in call]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("known", [0, 5])
@pytest.mark.parametrize(
    ("n", "k", "share", "neighbours"),
    [(60, 9, 0.5, 10), (60, 10, 0.5, 4), (30, 3, 1, 10), (60, 30, 0.1, 5), (25, 12, 0.5, 10), (6, 1, 0.5, 10)],
)
def test_the_first_half_is_chosen_as_it_is_told(n, k, share, neighbours, known, seed):
    pool = given(n, known, seed)
    selection = Dual(share, neighbours).select(pool, k, rng())
    labeled = pool.labeled.results[probes.embedding] if known else rows(0)
    x, variances = pool.results[probes.embedding], pool.results[bleu_variances]
    picks, scores, read = reference.first_half(x, labeled, variances, k, share, neighbours, 0.96, 2 / 3)
    assert selection.positions[: len(picks)].tolist() == picks
    assert selection.scores[: len(picks)].tolist() == pytest.approx(scores)
    assert (selection.scores[len(picks) :] == 0).all()
    assert sorted(asked(pool)) == sorted(read)
    checked(selection, n, k, "dual")


def test_no_document_is_written_about_twice_and_all_in_one_go():
    pool = given(100)
    Dual().select(pool, 15, rng())
    assert len(pool.asked[bleu_variances]) == 1
    assert len(set(asked(pool))) == len(asked(pool)) == 80


@pytest.mark.parametrize(
    ("k", "share", "chosen"), [(1, 0.5, 1), (2, 0.5, 1), (3, 0.5, 2), (10, 0.5, 5), (15, 0.5, 8), (100, 0.55, 55)]
)
def test_the_share_is_rounded_up(k, share, chosen):
    assert np.count_nonzero(Dual(share, neighbours=3).select(given(200), k, rng()).scores) == chosen


@pytest.mark.parametrize(("n", "k"), [(12, 12), (10, 10), (3, 3), (1, 1), (11, 8)])
def test_a_small_pool_is_filled_up_by_lot(n, k):
    checked(Dual().select(given(n), k, rng()), n, k, "dual")


def test_the_second_half_may_be_any_document_that_was_not_picked():
    drawn = set()
    for seed in range(60):
        selection = Dual().select(given(24), 4, rng(seed))
        assert selection.positions[:2].tolist() == Dual().select(given(24), 4, rng()).positions[:2].tolist()
        drawn |= set(selection.positions[2:].tolist())
    assert len(drawn) == 22


def test_where_all_are_degenerate_the_first_of_the_neighbourhood_is_taken():
    groups, variances = [np.array([7, 2, 5]), np.array([4, 9])], np.array([0.99, 1, 0.97, 1, 0.3], dtype=np.float32)
    selection = most_varied(groups, variances, 0.96, rng())
    assert selection.positions.tolist() == [7, 9]
    assert selection.scores.tolist() == pytest.approx([0.99, 0.3])


@pytest.mark.parametrize("variance", [0.0, 0.5])
def test_equal_variances_are_decided_by_lot(variance):
    groups, variances = [np.arange(5)], np.full(5, variance, dtype=np.float32)
    assert {int(most_varied(groups, variances, 0.96, rng(seed)).positions[0]) for seed in range(60)} == set(range(5))


def test_embeddings_that_are_not_finite_are_an_error():
    pool = given(20)
    pool.results[probes.embedding][3] = np.inf
    with pytest.raises(BrokenModelError, match="not finite"):
        Dual().select(pool, 4, rng())


def test_the_options():
    assert make_strategy("dual", {"neighbours": 5, "share": 1}) == Dual(share=1, neighbours=5)
    assert Dual().requires == {"draws", "generated texts"}
    for wrong in ({"share": 0}, {"neighbours": 0}, {"lam": 2}):
        with pytest.raises(UserError, match=next(iter(wrong))):
            make_strategy("dual", wrong)


@pytest.mark.long
@pytest.mark.parametrize(("n", "k"), [(30, 5), (8, 1), (6, 6)])
def test_documents_under_a_model(n, k):
    chosen = [Dual(neighbours=3).select(tiny_summaries.summary_pool(n, batch_size=b), k, rng()) for b in (1, 30)]
    checked(chosen[0], n, k, "dual")
    assert chosen[0].positions.tolist() == chosen[1].positions.tolist()
