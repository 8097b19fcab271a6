"""Fisher information of an output layer, and what one example more or less changes of it.

Letters: N examples, C labels, R = C - 1, H numbers that enter the output layer, D = R H.

With p the prediction and h the layer's input, I(x) = (diag(p) - p p^T) kron h h^T. Logits that all move alike change
no prediction, so every I(x) is 0 along the ones vector, and in an orthonormal basis of its complement R dimensions are
left of C. There I(x) = W_x kron h h^T with W_x (R, R), and adding x to M asks of M^-1 only how h meets its blocks:

    K_x = (1 kron h)^T M^-1 (1 kron h),   J_x = (1 kron h)^T M^-1 F M^-1 (1 kron h),   both (R, R)
    tr M^-1 F falls by tr[(1 + W_x K_x)^-1 W_x J_x]   (matrix inversion lemma)

An addition changes M^-1 by a matrix of rank R, hence K_x and J_x of all examples by products of N x H with H x R^2.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]  # differences of nearly equal numbers: float32 would lose them

#: Examples at a time, where products of N x H are made.
CHUNK = 4096


def fisher_weights(log_probs: Floats) -> Doubles:
    """Return W (N, R, R): diag(p) - p p^T of log_probs (N, C), in a basis of what is orthogonal to the ones vector.

    The diagonal p_c (1 - p_c) is the sum of p_c p_d over d other than c, which is exact at saturation too.
    """
    c = log_probs.shape[1]
    probs = np.exp(log_probs, dtype=np.float64)
    weights = -probs[:, :, None] * probs[:, None, :]
    weights[:, range(c), range(c)] = 0
    weights[:, range(c), range(c)] = -weights.sum(2)
    basis = np.linalg.qr(np.column_stack([np.ones(c), np.eye(c)[:, 1:]]))[0][:, 1:]
    return np.ascontiguousarray(basis.T @ weights @ basis)


def information(weights: Doubles, h: Floats) -> Doubles:
    """Return sum_n W_n kron h_n h_n^T, (D, D), for weights (N, R, R) and h (N, H)."""
    r, dims = weights.shape[1], h.shape[1]
    total = np.zeros((r, dims, r, dims))
    for start in range(0, len(h), CHUNK):
        rows = h[start : start + CHUNK].astype(np.float64)
        for a, b in zip(*np.triu_indices(r), strict=True):
            total[a, :, b] += (rows * weights[start : start + CHUNK, a, b, None]).T @ rows
    for a, b in zip(*np.triu_indices(r, 1), strict=True):
        total[b, :, a] = total[a, :, b].T
    return total.reshape(r * dims, r * dims)


def quadratic(matrix: Doubles, h: Doubles, r: int) -> Doubles:
    """Return h_n^T A_ab h_n, (N, R, R), for the R x R blocks A_ab (H, H) of a symmetric matrix (D, D)."""
    blocks = matrix.reshape(r, h.shape[1], r, h.shape[1])
    values = np.empty((len(h), r, r))
    for start in range(0, len(h), CHUNK):
        rows = slice(start, start + CHUNK)
        for a, b in zip(*np.triu_indices(r), strict=True):
            values[rows, a, b] = values[rows, b, a] = np.einsum("nh,nh->n", h[rows] @ blocks[a, :, b], h[rows])
    return values


@dataclass
class Objective:
    """tr M^-1 F under additions to M and removals from it, as N examples see it.

    Attributes:
        inverse: (D, D) M^-1.
        target: (D, D) F.
        h: (N, H) the examples that are or may be added.
        weights: (N, R, R) W.
        near: (N, R, R) K.
        far: (N, R, R) J.
    """

    inverse: Doubles
    target: Doubles
    h: Doubles
    weights: Doubles
    near: Doubles
    far: Doubles

    @classmethod
    def of(cls, matrix: Doubles, target: Doubles, h: Doubles, weights: Doubles) -> "Objective":
        """Start from M (D, D), symmetric and positive."""
        inverse, r = np.linalg.inv(matrix).astype(np.float64, copy=False), weights.shape[1]
        near, far = quadratic(inverse, h, r), quadratic(inverse @ target @ inverse, h, r)
        return cls(inverse, target, h, weights, near, far)

    def only(self, positions: NDArray[np.int64]) -> "Objective":
        """Return the same for some of the examples."""
        mine = (values[positions] for values in (self.h, self.weights, self.near, self.far))
        return Objective(self.inverse, self.target, *mine)

    def changes(self, sign: int) -> Doubles:
        """Return by how much the trace falls when each example is added (1), or rises when it is removed (-1), (N,)."""
        grown = np.eye(self.weights.shape[1]) + sign * (self.weights @ self.near)
        falls: Doubles = np.einsum("nrr->n", np.linalg.solve(grown, self.weights @ self.far))
        return falls

    def move(self, i: int, sign: int) -> None:
        """Add example i to M (1) or remove it (-1)."""
        r, dims = self.weights.shape[1], self.h.shape[1]
        core = np.linalg.solve(np.eye(r) + sign * (self.weights[i] @ self.near[i]), self.weights[i])
        reach = self.inverse.reshape(-1, r, dims) @ self.h[i]  # (D, R): M^-1 (I kron h_i)
        seen = self.target @ reach
        back = sign * (self.inverse @ seen) - reach @ core @ (reach.T @ seen) / 2
        mine, backs = self._meet(reach), self._meet(back)
        weighted = mine @ core
        self.near -= sign * (weighted @ mine.swapaxes(1, 2))
        crossed = weighted @ backs.swapaxes(1, 2)
        self.far -= crossed + crossed.swapaxes(1, 2)
        self.inverse -= sign * (reach @ core @ reach.T)

    def _meet(self, columns: Doubles) -> Doubles:
        """Return (I kron h_n)^T times columns (D, R), (N, R, R)."""
        r, dims = self.weights.shape[1], self.h.shape[1]
        by_input = columns.reshape(r, dims, r).swapaxes(0, 1).reshape(dims, r * r)
        return (self.h @ by_input).reshape(-1, r, r)
