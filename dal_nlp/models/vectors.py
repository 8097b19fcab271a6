"""Vectors of the pool's examples, whole or as factors, with the norms and distances that choosers need.

They may lie in files that do not fit into memory, so everything goes through them in blocks. Blocks begin at multiples
of ``ROWS`` whoever asks for which part: a row is always multiplied beside the same others, and rounded alike.

Letters: N vectors, H numbers each; for ``Outer``, P outer products of A by H numbers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Positions = NDArray[np.int64]

#: A squared distance below this share of the two squared norms is rounding error of float32, not distance.
RESOLUTION = np.float32(1e-6)
#: How many numbers of temporary results at a time.
CHUNK = 1 << 22
#: Rows in a block at most: few enough that what is read of them stays in the processor's cache.
ROWS = 1024

#: Numbers that torch converts without waking its other threads, whose meeting takes longer than the work.
PIECE = 1 << 15

EVERYTHING = slice(None)


def cuts(part: slice, n: int, width: int = 1) -> Iterator[slice]:
    """Cut a part of 0..n-1, which begins at a multiple of ``ROWS``, into blocks of about ``CHUNK / width`` rows."""
    start, stop, _ = part.indices(n)
    step = ROWS
    while step > 1 and step * width > CHUNK:
        step //= 2
    for first in range(start, stop, step):
        yield slice(first, min(first + step, stop))


def full(numbers: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Return numbers in a precision to compute in: half precision is for keeping only."""
    if numbers.dtype != np.float16:
        return numbers
    import torch  # ten times as fast at this as numpy

    halves, wide = np.array(numbers).reshape(-1), np.empty(numbers.size, dtype=np.float32)
    for first in range(0, numbers.size, PIECE):
        piece = slice(first, first + PIECE)
        torch.from_numpy(wide[piece]).copy_(torch.from_numpy(halves[piece]))
    return wide.reshape(numbers.shape)


class Vectors(Protocol):
    """N vectors of which only norms and distances are asked."""

    def __len__(self) -> int:
        """Return N."""

    def sq_norms(self) -> Array:
        """Return the squared Euclidean norms, (N,), read-only."""

    def sq_dists(self, i: int, part: slice = EVERYTHING) -> Array:
        """Return the squared Euclidean distances of the M vectors of a part to vector i, (M,), at least 0."""


def _sq_dists(norms: Array, norm: np.float32, products: Array) -> Array:
    """Return |x|^2 + |y|^2 - 2 x.y, in place of the products; what rounding alone could have left is 0."""
    sums = norms + norm
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
    """N plain vectors, x (N, H).

    Where they are many they are kept in half precision, and computed with in single.

    Attributes:
        x: The vectors; any floating type.
    """

    x: Array

    def __len__(self) -> int:
        """Return N."""
        return len(self.x)

    @property
    def width(self) -> int:
        """Return H."""
        return int(self.x.shape[1])

    def rows(self, rows: int | slice | Positions) -> Array:
        """Return some of the vectors, (M, H), or one, (H,), in a precision to compute in."""
        return full(np.asarray(self.x[rows]))

    def parts(self) -> tuple[Array, ...]:
        """Return the arrays that make these vectors up, each with N rows."""
        return (self.x,)

    @classmethod
    def of(cls, parts: Sequence[Array]) -> Self:
        """Build from ``parts``."""
        return cls(*parts)

    @cached_property
    def _norms(self) -> Array:
        norms = np.empty(len(self), dtype=full(self.x[:0]).dtype)
        for block in cuts(EVERYTHING, len(self), self.width):
            x = self.rows(block)
            np.einsum("nh,nh->n", x, x, out=norms[block])
        return _frozen(norms)

    def sq_norms(self) -> Array:
        """Return the squared Euclidean norms, (N,), read-only."""
        return self._norms

    def sq_dists(self, i: int, part: slice = EVERYTHING) -> Array:
        """Return the squared Euclidean distances to vector i, (M,): two norms and one matrix-vector product."""
        x = self.rows(i)
        products = [self.rows(block) @ x for block in cuts(part, len(self), self.width)]
        return _sq_dists(self._norms[part], self._norms[i], np.concatenate([self._norms[:0], *products]))


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
        norms = np.empty(len(self), dtype=np.result_type(self.left, self.right))
        for block in self._blocks(EVERYTHING):
            left, right = self.left[block], self.right[block]
            if left.shape[1] == 1:
                lefts, rights = (np.einsum("nph,nph->n", factor, factor) for factor in (left, right))
                norms[block] = lefts * rights
            else:
                lefts, rights = left @ left.swapaxes(1, 2), right @ right.swapaxes(1, 2)
                norms[block] = np.einsum("npq,npq->n", lefts, rights)
        return _frozen(np.maximum(norms, 0))

    def _blocks(self, part: slice) -> Iterator[slice]:
        """Cut a part of the N matrices so that P x P numbers of each, and what is read of them, stay few."""
        return cuts(part, len(self), max(self.left.shape[1] ** 2, self.right[0].size if len(self) else 1))

    def _products(self, i: int, block: slice) -> Array:
        """Return the inner products with matrix i, (M,): O(M P^2 (A + H)), or O(M (A + H)) where P is 1."""
        if self.left.shape[1] == 1:
            products: Array = self.right[block, 0] @ self.right[i, 0]
            products *= self.left[block, 0] @ self.left[i, 0]
            return products
        lefts, rights = self.left[block] @ self.left[i].T, self.right[block] @ self.right[i].T
        sums: Array = np.einsum("npq,npq->n", lefts, rights)
        return sums

    def sq_norms(self) -> Array:
        """Return the squared Frobenius norms, (N,), read-only."""
        return self._norms

    def sq_dists(self, i: int, part: slice = EVERYTHING) -> Array:
        """Return the squared Frobenius distances to matrix i, (M,): two norms and the products of the factors."""
        products = [self._products(i, block) for block in self._blocks(part)]
        return _sq_dists(self._norms[part], self._norms[i], np.concatenate([self._norms[:0], *products]))
