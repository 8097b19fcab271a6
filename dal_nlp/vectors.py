"""Vectors of the pool's examples, whole or as factors, with the norms and distances that choosers need.

Letters: N vectors, H numbers each; for ``Outer``, P outer products of A by H numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Positions = NDArray[np.int64]

#: A squared distance below this share of the two squared norms is rounding error of float32, not distance.
RESOLUTION = np.float32(1e-6)
#: How many numbers of temporary results at a time.
CHUNK = 1 << 22


class Vectors(Protocol):
    """N vectors of which only norms and distances are asked."""

    def __len__(self) -> int:
        """Return N."""

    def sq_norms(self) -> Array:
        """Return the squared Euclidean norms, (N,), read-only."""

    def sq_dists(self, i: int) -> Array:
        """Return the squared Euclidean distances of all vectors to vector i, (N,), at least 0."""


def _sq_dists(norms: Array, products: Array, i: int) -> Array:
    """Return |x|^2 + |x_i|^2 - 2 x.x_i, in place of the products; what rounding alone could have left is 0."""
    sums = norms + norms[i]
    products *= -2
    products += sums
    sums *= RESOLUTION
    products[products < sums] = 0
    return products


def _frozen(norms: Array) -> Array:
    """Return the array, made read-only because it is handed out again and again."""
    norms.flags.writeable = False
    return norms


@dataclass(frozen=True, eq=False)
class Dense:
    """N plain vectors, x (N, H)."""

    x: Array

    def __len__(self) -> int:
        """Return N."""
        return len(self.x)

    def parts(self) -> tuple[Array, ...]:
        """Return the arrays that make these vectors up, each with N rows."""
        return (self.x,)

    @classmethod
    def of(cls, parts: Sequence[Array]) -> Self:
        """Build from ``parts``."""
        return cls(*parts)

    @cached_property
    def _norms(self) -> Array:
        return _frozen(np.einsum("nh,nh->n", self.x, self.x))

    def sq_norms(self) -> Array:
        """Return the squared Euclidean norms, (N,), read-only."""
        return self._norms

    def sq_dists(self, i: int) -> Array:
        """Return the squared Euclidean distances to vector i, (N,): two norms and one matrix-vector product."""
        return _sq_dists(self._norms, self.x @ self.x[i], i)


@dataclass(frozen=True, eq=False)
class Outer:
    """N matrices kept as sums of P outer products, sum_p left[n, p] right[n, p]^T; never multiplied out.

    The gradient of cross-entropy with respect to an output layer has this form (Ash et al., 2020, section 3), and
    distances between such matrices need the factors only: <G_i, G_j> = sum_pq (a_ip . a_jq) (h_ip . h_jq).

    Attributes:
        left: (N, P, A) one factor: the loss's derivative by the layer's outputs.
        right: (N, P, H) the other: the layer's inputs.
    """

    left: Array
    right: Array

    def __len__(self) -> int:
        """Return N."""
        return len(self.left)

    def parts(self) -> tuple[Array, ...]:
        """Return the arrays that make these vectors up, each with N rows."""
        return (self.left, self.right)

    @classmethod
    def of(cls, parts: Sequence[Array]) -> Self:
        """Build from ``parts``."""
        return cls(*parts)

    @cached_property
    def _norms(self) -> Array:
        if self.left.shape[1] == 1:
            left, right = self.left[:, 0], self.right[:, 0]
            return _frozen(np.einsum("na,na->n", left, left) * np.einsum("nh,nh->n", right, right))
        norms = np.empty(len(self), dtype=np.result_type(self.left, self.right))
        for rows in self._slices():
            left, right = self.left[rows], self.right[rows]
            lefts, rights = left @ left.swapaxes(1, 2), right @ right.swapaxes(1, 2)
            norms[rows] = np.einsum("npq,npq->n", lefts, rights)
        return _frozen(np.maximum(norms, 0))

    def _slices(self) -> list[slice]:
        """Cut the N matrices so that P x P numbers of each stay few."""
        step = max(CHUNK // max(self.left.shape[1], 1) ** 2, 1)
        return [slice(start, start + step) for start in range(0, len(self), step)]

    def _products(self, i: int) -> Array:
        """Return the inner products with matrix i, (N,): O(N P^2 (A + H)), or O(N (A + H)) where P is 1."""
        if self.left.shape[1] == 1:
            products: Array = self.right[:, 0] @ self.right[i, 0]
            products *= self.left[:, 0] @ self.left[i, 0]
            return products
        products = np.empty(len(self), dtype=np.result_type(self.left, self.right))
        for rows in self._slices():
            lefts, rights = self.left[rows] @ self.left[i].T, self.right[rows] @ self.right[i].T
            products[rows] = np.einsum("npq,npq->n", lefts, rights)
        return products

    def sq_norms(self) -> Array:
        """Return the squared Frobenius norms, (N,), read-only."""
        return self._norms

    def sq_dists(self, i: int) -> Array:
        """Return the squared Frobenius distances to matrix i, (N,): two norms and the products of the factors."""
        return _sq_dists(self._norms, self._products(i), i)
