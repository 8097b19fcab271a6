"""Chance depends on seed, round and purpose, and disturbs nothing else."""

import numpy as np
import torch

from dal_nlp.core.rng import rng_for, seed_for, seed_torch, torch_seeded


def test_each_argument_gives_another_stream() -> None:
    streams = {seed_for(0, 0, "a"), seed_for(1, 0, "a"), seed_for(0, 1, "a"), seed_for(0, 0, "b")}
    assert len(streams) == 4
    assert rng_for(3, 1, "x").random() == rng_for(3, 1, "x").random()


def test_numpy_and_torch_keep_their_global_state() -> None:
    torch.manual_seed(5)
    np.random.seed(5)
    before = torch.get_rng_state()
    with torch_seeded(1):
        inside = torch.rand(3)
    rng_for(0, 0, "x").random(10)
    assert torch.equal(before, torch.get_rng_state())
    with torch_seeded(1):
        assert torch.equal(inside, torch.rand(3))


def test_a_seed_starts_the_stream_that_torch_starts() -> None:
    torch.manual_seed(7)
    before = torch.rand(3)
    seed_torch(7)
    assert torch.equal(before, torch.rand(3))
