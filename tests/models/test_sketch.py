"""The sketch of a sum of outer products, against the sum itself."""

import numpy as np
import torch

from dal_nlp.models.sketch import SIZE, _hashes, tensor_sketch


def factors(n: int, positions: int, a: int = 40, h: int = 12, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    chance = torch.Generator().manual_seed(seed)
    return torch.randn(n, positions, a, generator=chance), torch.randn(n, positions, h, generator=chance)


def test_it_is_the_convolution_of_two_count_sketches() -> None:
    """Of one product, written out: entry (i, j) goes to place p_i + q_j with sign s_i t_j (Pham and Pagh)."""
    left, right = factors(1, 1, a=5, h=3)
    (places, signs), (others, their_signs) = _hashes(5, "left"), _hashes(3, "right")
    expected = torch.zeros(SIZE)
    for i in range(5):
        for j in range(3):
            place = int(places[i] + others[j]) % SIZE
            expected[place] += signs[i] * their_signs[j] * left[0, 0, i] * right[0, 0, j]
    assert torch.allclose(tensor_sketch(left, right, torch.zeros(1, dtype=torch.long), 1)[0], expected, atol=1e-5)


def test_inner_products_are_kept_up_to_noise() -> None:
    left, right = factors(40, 6)
    sketched = tensor_sketch(left, right, torch.arange(40), 40)
    whole = torch.einsum("npa,nph->nah", left, right).flatten(1)
    exact, found = (whole @ whole.T).numpy(), (sketched @ sketched.T).numpy()
    norms = np.sqrt(np.diag(exact))
    error = (found - exact) / np.outer(norms, norms)
    assert np.abs(np.diag(error)).max() < 0.5
    assert abs(error.mean()) < 0.02  # unbiased
    assert error.std() < 2.5 / np.sqrt(SIZE)


def test_rows_of_an_example_add_up_and_masked_positions_add_nothing() -> None:
    left, right = factors(3, 4)
    owner = torch.tensor([0, 0, 1])
    both = tensor_sketch(left, right, owner, 2)
    alone = tensor_sketch(left, right, torch.arange(3), 3)
    assert torch.allclose(both, torch.stack([alone[0] + alone[1], alone[2]]), atol=1e-4)
    left[:, 2:] = 0
    shorter = tensor_sketch(left[:, :2], right[:, :2], owner, 2)
    assert torch.allclose(tensor_sketch(left, right, owner, 2), shorter, atol=1e-4)


def test_the_hashes_are_the_same_at_every_call() -> None:
    _hashes.cache_clear()
    first = [part.clone() for part in _hashes(100, "left")]
    _hashes.cache_clear()
    assert all(torch.equal(a, b) for a, b in zip(first, _hashes(100, "left"), strict=True))
    assert not torch.equal(_hashes(100, "left")[0], _hashes(100, "right")[0])
    assert set(first[1].tolist()) == {-1.0, 1.0}
