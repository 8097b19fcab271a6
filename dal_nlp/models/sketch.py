"""Sums of outer products, reduced to so many numbers that inner products between them keep their expectation."""

from functools import cache

import torch
from torch import Tensor

from dal_nlp.core.rng import rng_for

#: Numbers that are left. The standard error of an inner product is about its factors' norms / sqrt(SIZE).
SIZE = 1024


def tensor_sketch(left: Tensor, right: Tensor, owner: Tensor, size: int) -> Tensor:
    """Reduce sum_t left[t] right[t]^T of each example to ``SIZE`` numbers, (size, SIZE) in fp32.

    A count sketch hashes each coordinate to one of ``SIZE`` places with a random sign (Charikar et al., 2002). That of
    an outer product is the circular convolution of those of its two sides, and so a product after a Fourier transform
    (Pham and Pagh, 2013, Fast and scalable polynomial kernels via explicit feature maps, algorithm 1); sums may be
    taken there. For two sketched matrices E <s, s'> = <G, G'>. The hashes are the same in every call, so that sketches
    of different batches and processes can be compared; they depend on nothing but the widths.

    Args:
        left: (R, P, A), one factor at each of P positions.
        right: (R, P, H), the other.
        owner: (R,) the example that each row belongs to.
        size: How many examples there are.
    """
    spectrum = torch.fft.rfft(_count_sketch(left, "left")) * torch.fft.rfft(_count_sketch(right, "right"))
    total = spectrum.new_zeros((size, spectrum.shape[-1])).index_add(0, owner, spectrum.sum(1))
    sketched: Tensor = torch.fft.irfft(total, n=SIZE)
    return sketched


def _count_sketch(values: Tensor, side: str) -> Tensor:
    """Hash the last dimension to ``SIZE`` places, with signs."""
    places, signs = (part.to(values.device) for part in _hashes(values.shape[-1], side))
    return values.new_zeros((*values.shape[:-1], SIZE)).index_add(-1, places, values * signs)


@cache
def _hashes(width: int, side: str) -> tuple[Tensor, Tensor]:
    """Return the place of each coordinate and its sign, (width,) each."""
    rng = rng_for(0, 0, f"tensor sketch {side} {width}")
    places, signs = rng.integers(SIZE, size=width), rng.choice([-1.0, 1.0], size=width)
    return torch.from_numpy(places), torch.from_numpy(signs).float()
