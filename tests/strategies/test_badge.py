import numpy as np
import pytest

from dal_nlp.core.errors import BrokenModelError
from dal_nlp.models.vectors import Dense, Outer
from dal_nlp.strategies.badge import Badge, kmeans_pp
from tests import tiny
from tests.reference import badge as reference
from tests.reference.vectors import multiply_out


class Scripted(np.random.Generator):
    """A generator whose next uniform numbers are known."""

    def __init__(self, uniforms):
        super().__init__(np.random.PCG64(0))
        self.uniforms = list(uniforms)

    def random(self):
        return self.uniforms.pop(0)


def outer(n=30, p=1, c=4, h=6, seed=0):
    rng = np.random.default_rng(seed)
    return Outer(rng.standard_normal((n, p, c), dtype=np.float32), rng.standard_normal((n, p, h), dtype=np.float32))


@pytest.mark.parametrize("p", [1, 3])
@pytest.mark.parametrize("seed", range(5))
def test_picks_are_those_of_the_dense_form(p, seed):
    vectors = outer(p=p, seed=seed)
    whole = multiply_out(*vectors.parts())
    uniforms = np.random.default_rng(seed).random(9)
    expected = reference.choose(whole, 10, uniforms)
    selection = kmeans_pp(vectors, 10, Scripted(uniforms))
    assert selection.positions.tolist() == expected
    assert kmeans_pp(Dense(whole.astype(np.float32)), 10, Scripted(uniforms)).positions.tolist() == expected
    for j in range(1, 10):
        dists = [((whole[expected[j]] - whole[i]) ** 2).sum() for i in expected[:j]]
        assert selection.scores[j] == pytest.approx(min(dists), rel=1e-4)
    assert selection.scores[0] == pytest.approx((whole[expected[0]] ** 2).sum(), rel=1e-5)


@pytest.mark.long
def test_draws_follow_the_squared_distance():
    vectors = outer(n=6)
    whole = multiply_out(*vectors.parts())
    first = int((whole**2).sum(1).argmax())
    rng = np.random.default_rng(0)
    seconds = [kmeans_pp(vectors, 2, rng).positions[1] for _ in range(4000)]
    shares = np.bincount(seconds, minlength=6) / 4000
    expected = reference.pick_probabilities(whole, [first])
    assert np.abs(shares - expected).max() < 4 * np.sqrt(0.25 / 4000)  # four standard errors
    assert shares[first] == 0


def test_fewer_picks_are_the_first_of_more():
    vectors = outer()
    many = kmeans_pp(vectors, 12, np.random.default_rng(3))
    few = kmeans_pp(vectors, 5, np.random.default_rng(3))
    assert few.positions.tolist() == many.positions[:5].tolist()


@pytest.mark.parametrize("k", [1, 7, 30])
@pytest.mark.parametrize(
    "left",
    [
        np.zeros((30, 1, 4), dtype=np.float32),  # saturated: all gradients are 0
        np.ones((30, 1, 4), dtype=np.float32),  # all gradients are one and the same
        np.repeat(np.eye(5, 4, dtype=np.float32), 6, axis=0)[:, None],  # five different ones, one of them 0
    ],
)
def test_duplicates_and_saturation_still_give_k_distinct_positions(left, k):
    selection = kmeans_pp(Outer(left, np.ones((30, 1, 3), dtype=np.float32)), k, np.random.default_rng(0))
    assert len(set(selection.positions.tolist())) == k == len(selection.scores)
    assert np.isfinite(selection.scores).all()


def test_no_duplicate_is_picked_while_others_are_left():
    x = np.random.default_rng(0).standard_normal((8, 50), dtype=np.float32)
    vectors = Dense(np.repeat(x, 20, axis=0))
    for seed in range(20):
        picks = kmeans_pp(vectors, 8, np.random.default_rng(seed)).positions
        assert sorted(picks // 20) == list(range(8))


def test_where_nothing_is_far_chance_decides_and_not_the_order_of_the_file():
    vectors = Dense(np.zeros((50, 2), dtype=np.float32))
    firsts = {tuple(kmeans_pp(vectors, 3, np.random.default_rng(seed)).positions.tolist()) for seed in range(10)}
    assert len(firsts) == 10
    assert len({first for first, *_ in firsts}) > 3


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_an_error(bad):
    vectors = outer()
    vectors.right[4, 0, 2] = bad
    with pytest.raises(BrokenModelError):
        kmeans_pp(vectors, 3, np.random.default_rng(0))


@pytest.mark.parametrize("labels", [2, 3])
def test_on_a_model_it_is_autograd_by_the_head(labels):
    pool, of, model = tiny.pool(24, labels=labels), tiny.task(labels), tiny.classifier(labels)
    batches = [of.collate([example]) for example in pool._examples]
    whole = reference.gradients(model, model.classifier, batches, reference.loss_of_best)
    uniforms = np.random.default_rng(1).random(5)
    selection = Badge().select(pool, 6, Scripted(uniforms))
    assert selection.positions.tolist() == reference.choose(whole, 6, uniforms)
