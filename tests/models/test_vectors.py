import numpy as np
import pytest

from dal_nlp.models import vectors
from dal_nlp.models.vectors import Dense, Outer
from tests.reference.vectors import multiply_out, sq_dists

RNG = np.random.default_rng(0)


def outer(n=12, p=1, a=3, h=5):
    draw = lambda *shape: RNG.standard_normal(shape, dtype=np.float32)  # noqa: E731
    return Outer(draw(n, p, a), draw(n, p, h))


@pytest.mark.parametrize("p", [1, 2, 7])
def test_outer_is_the_matrix_multiplied_out(p):
    factors = outer(p=p)
    whole = multiply_out(*factors.parts())
    np.testing.assert_allclose(factors.sq_norms(), (whole**2).sum(1), rtol=1e-5)
    for i in range(len(factors)):
        np.testing.assert_allclose(factors.sq_dists(i), sq_dists(whole, i), rtol=1e-4, atol=1e-5)


def test_outer_in_slices_is_outer_at_once(monkeypatch):
    factors = outer(p=3)
    monkeypatch.setattr(vectors, "CHUNK", 9 * 5)  # five matrices at a time
    again = Outer(*factors.parts())
    np.testing.assert_allclose(again.sq_norms(), factors.sq_norms(), rtol=1e-6)
    whole = multiply_out(*factors.parts())
    np.testing.assert_allclose(again.sq_dists(7), sq_dists(whole, 7), rtol=1e-4, atol=1e-5)


def test_dense_distances_are_those_of_differences():
    x = RNG.standard_normal((10, 4), dtype=np.float32)
    np.testing.assert_allclose(Dense(x).sq_norms(), (x**2).sum(1), rtol=1e-6)
    np.testing.assert_allclose(Dense(x).sq_dists(3), sq_dists(x, 3), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("make", [lambda x: Dense(x), lambda x: Outer(x[:, None, :7], x[:, None, 7:])])
def test_equal_vectors_are_at_distance_zero_and_none_is_negative(make):
    x = 100 * RNG.standard_normal((40, 300), dtype=np.float32)
    x[20:] = x[:20]
    of = make(x)
    for i in range(20):
        dists = of.sq_dists(i)
        assert dists[i] == dists[i + 20] == 0
        assert (dists >= 0).all() and (dists > 0).sum() == 38


def test_tiny_vectors_keep_their_distances():
    x = 1e-6 * RNG.standard_normal((8, 5), dtype=np.float32)
    np.testing.assert_allclose(Dense(x).sq_dists(0), sq_dists(x, 0), rtol=1e-4)


def test_norms_are_computed_once_and_cannot_be_overwritten():
    for of in (Dense(np.ones((3, 2), dtype=np.float32)), outer(), outer(p=2)):
        assert of.sq_norms() is of.sq_norms()
        with pytest.raises(ValueError, match="read-only"):
            of.sq_norms()[0] = 1


def test_numbers_stay_float32():
    for of in (Dense(np.ones((3, 2), dtype=np.float32)), outer(), outer(p=2)):
        assert of.sq_norms().dtype == of.sq_dists(0).dtype == np.float32


def test_parts_make_the_same_vectors_again():
    factors = outer(p=2)
    again = Outer.of(factors.parts())
    assert again.left is factors.left and again.right is factors.right and len(again) == 12
    dense = Dense(np.ones((3, 2), dtype=np.float32))
    assert Dense.of(dense.parts()).x is dense.x and len(dense) == 3
