import numpy as np
import pytest

from dal_nlp.core.errors import BrokenModelError, UserError
from dal_nlp.strategies import clustering as geometry
from dal_nlp.strategies import make_strategy, probes
from dal_nlp.strategies.base import checked
from dal_nlp.strategies.idds import IDDS, Diversity, idds
from dal_nlp.tasks.summarization import Summarization
from tests import tiny, tiny_summaries
from tests.reference import idds as reference
from tests.strategies.test_clustering import rows


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("block", [20, 10**6])
@pytest.mark.parametrize("shift", [0, 2])  # inner products of both signs, and above 0 only
@pytest.mark.parametrize(("known", "k"), [(0, 10), (1, 10), (7, 25), (7, 1)])
def test_picks_and_scores_are_those_of_all_pairs(monkeypatch, block, shift, known, k):
    monkeypatch.setattr(geometry, "BLOCK", block)
    x, labeled = rows(25) + shift, rows(known, seed=1) + shift
    picks, scores = reference.idds(x, labeled, k, 0.67)
    selection = idds(x, labeled, k, rng())
    assert selection.positions.tolist() == picks
    np.testing.assert_allclose(selection.scores, scores, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("lam", [0, 0.3, 1])
def test_lam_weighs_the_two_means(lam):
    x, labeled = rows(12), rows(4, seed=1)
    assert idds(x, labeled, 6, rng(), lam).positions.tolist() == reference.idds(x, labeled, 6, lam)[0]


@pytest.mark.parametrize("shift", [0, 3])
def test_many_picks_among_many_rows_are_those_of_the_quadratic_form(shift):
    x, labeled = rows(600, 32) + shift, rows(40, 32, seed=1) + shift
    assert idds(x, labeled, 600, rng()).positions.tolist()[:300] == reference.quadratic(x, labeled, 300, 0.67)


def test_the_twins_agree():
    x, labeled = rows(15), rows(3, seed=1)
    assert reference.quadratic(x, labeled, 15, 0.67) == reference.idds(x, labeled, 15, 0.67)[0]


def test_several_rows_may_be_labeled_at_once():
    x, labeled = rows(20), rows(5, seed=1)
    together, apart = Diversity(x, labeled), Diversity(x, labeled)
    together.label(np.array([3, 11, 7]))
    for position in (11, 7, 3):
        apart.label(np.array([position]))
    np.testing.assert_allclose(together.scores(), reference.scores(x, labeled, [3, 11, 7], 0.67), atol=1e-5)
    np.testing.assert_allclose(together.scores(), apart.scores(), atol=1e-5)
    assert together.left == 17


def test_negative_scores_do_not_bring_a_row_back():
    """Where every value is below 0, a labeled row at 0 would come first."""
    x = np.eye(6, dtype=np.float32) + 1
    selection = idds(x, 10 * np.ones((3, 6), dtype=np.float32), 6, rng())
    assert sorted(selection.positions.tolist()) == list(range(6))
    assert (selection.scores < 0).all()


def test_the_last_row_has_nothing_unlabeled_to_be_like():
    x = rows(3) * 100
    assert idds(x[:1], x[:0], 1, rng()).scores.tolist() == [0]
    np.testing.assert_allclose(idds(x, x[:0], 3, rng()).scores, reference.idds(x, x[:0], 3, 0.67)[1], rtol=1e-5)


@pytest.mark.parametrize("k", [1, 5, 12])
@pytest.mark.parametrize("kinds", [1, 3])
def test_duplicates_still_give_k_distinct_rows(kinds, k):
    selection = idds(np.repeat(rows(kinds), 12 // kinds, axis=0), rows(2, seed=1), k, rng())
    assert len(set(selection.positions.tolist())) == k
    assert np.isfinite(selection.scores).all()


@pytest.mark.parametrize("value", [0, 1])
def test_equal_rows_are_chosen_by_lot(value):
    x = np.full((8, 3), value, dtype=np.float32)
    assert {int(idds(x, x[:0], 1, rng(seed)).positions[0]) for seed in range(80)} == set(range(8))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_an_error(bad):
    x, y = rows(6), rows(6)
    y[4, 2] = bad
    for unlabeled, labeled in ((x, y), (y, x)):
        with pytest.raises(BrokenModelError, match="not finite"):
            idds(unlabeled, labeled, 1, rng())


@pytest.mark.parametrize("make", [tiny.pool, tiny.qa_pool, tiny_summaries.summary_pool])
@pytest.mark.parametrize("labeled", [0, 1, 5])
def test_the_pool_and_the_labeled_examples_are_compared(make, labeled):
    pool = make(20, labeled=labeled)
    (x,) = pool.collect(probes.embedding)
    known = pool.labeled.collect(probes.embedding)[0] if labeled else x[:0]
    selection = IDDS(lam=0.5).select(pool, 8, rng())
    assert selection.positions.tolist() == reference.idds(x, known, 8, 0.5)[0]


@pytest.mark.parametrize("name", ["idds", "lobster"])
def test_documents_are_compared_without_a_word_being_written(monkeypatch, name):
    pool = tiny_summaries.summary_pool(20)
    monkeypatch.setattr(Summarization, "inputs", None)
    monkeypatch.setattr(Summarization, "write", None)
    selection = make_strategy(name, {}).select(pool, 5, rng())
    checked(selection, 20, 5, name)


def test_the_options():
    assert make_strategy("idds", {"lam": 0.5}) == IDDS(0.5)
    assert IDDS().lam == 0.67
    with pytest.raises(UserError, match="lam"):
        make_strategy("idds", {"lam": 1.5})
