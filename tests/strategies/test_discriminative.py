import numpy as np
import pytest
import torch

from dal_nlp.core.errors import BrokenModelError, Unsupported
from dal_nlp.strategies.discriminative import Discriminative, Scale, discriminate, log_odds, train
from tests import tiny
from tests.strategies.test_clustering import rows


def rng(seed=0):
    return np.random.default_rng(seed)


def around(centre, n, seed):
    return rows(n, 8, seed) + np.asarray(centre, dtype=np.float32)


def test_the_classifier_tells_unlabeled_from_labeled():
    like, other = around(0, 40, 0), around(3, 40, 1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        classifier = train(like, other, 200, rng())
    odds = log_odds(classifier, np.concatenate([like, other]), np.arange(80), Scale(np.zeros(8, "f4"), np.float32(1)))
    assert (odds[:40] < 0).mean() > 0.95
    assert (odds[40:] > 0).mean() > 0.95


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_a_group_that_was_never_labeled_is_chosen(seed):
    labeled = around(0, 100, seed)
    x = np.concatenate([around(0, 450, seed + 10), around(4, 50, seed + 20)])
    x = x[order := rng(seed).permutation(500)]
    chosen = discriminate(x, labeled, 20, 1, 100, rng(seed)).positions
    assert (order[chosen] >= 450).mean() > 0.9  # by chance 0.1


def test_what_one_part_chose_counts_as_labeled_for_the_next():
    labeled = around(0, 60, 0)
    x = np.concatenate([around(0, 40, 1), around(9, 40, 2), around([5, -5] * 4, 40, 3)])
    share = {}
    for parts in (1, 3):
        chosen = discriminate(x, labeled, 18, parts, 30, rng()).positions
        share[parts] = [((chosen >= start) & (chosen < start + 40)).mean() for start in (0, 40, 80)]
    assert share[3][0] < 0.1
    assert min(share[3][1:]) > 0.2
    assert min(share[1][1:]) < min(share[3][1:])


@pytest.mark.parametrize(("n", "labeled", "k", "parts"), [(5, 1, 5, 10), (12, 3, 1, 10), (12, 3, 7, 3), (1, 1, 1, 1)])
def test_small_pools_give_k_distinct_rows(n, labeled, k, parts):
    for x in (rows(n), np.ones((n, 5), dtype=np.float32), np.zeros((n, 5), dtype=np.float32)):
        selection = discriminate(x, x[:labeled], k, parts, 5, rng())
        assert len(set(selection.positions.tolist())) == k == len(selection.scores)
        assert np.isfinite(selection.scores).all()


def test_the_same_rng_gives_the_same_choice_and_torch_is_left_alone():
    pool = tiny.pool(20, labeled=5)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first, second = (Discriminative(parts=2, steps=5).select(pool, 6, rng(3)) for _ in range(2))
    assert first.positions.tolist() == second.positions.tolist()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_scale_moves_to_mean_zero_and_mean_square_one():
    x = around(50, 300, 0) * 7
    y = Scale.of(x).apply(x)
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-2)
    assert np.square(y).mean() == pytest.approx(1, rel=0.05)


def test_nan_is_an_error_and_so_is_an_empty_labeled_set():
    x = rows(6)
    x[1, 1] = np.nan
    for pool, labeled in ((x, rows(2)), (rows(4), x)):
        with pytest.raises(BrokenModelError):
            discriminate(pool, labeled, 1, 1, 1, rng())
    with pytest.raises(Unsupported, match="labeled"):
        Discriminative().select(tiny.pool(5, labeled=0), 1, rng())
