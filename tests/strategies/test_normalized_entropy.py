"""Entropy as a share of the largest."""

import math

import numpy as np
import pytest
import torch

from dal_nlp.core.categoricals import Categoricals, Ragged
from dal_nlp.strategies.normalized_entropy import NormalizedEntropy, share_of_largest
from dal_nlp.strategies.uncertainty import Entropy
from tests import tiny


def test_each_example_is_measured_by_its_own_number_of_possible_outcomes() -> None:
    scores = torch.tensor(
        [[0.0, 1.0, -torch.inf, 2.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, -torch.inf], [5, *[-torch.inf] * 3]]
    )
    c = Ragged.of(scores, torch.tensor([0, 1, 1, 2]), 3)
    p = np.exp([0.0, 1.0, 2.0]) / np.exp([0.0, 1.0, 2.0]).sum()
    assert share_of_largest(c).tolist() == pytest.approx([-(p * np.log(p)).sum() / math.log(3), 1.0, 0.0])


def test_factors_count_together() -> None:
    log_probs = torch.tensor([[[0.5, 0.5], [0.1, 0.9]]]).log()
    c = Categoricals(log_probs, torch.tensor([[True, True]]), "mean")
    h = -(0.1 * math.log(0.1) + 0.9 * math.log(0.9))
    assert share_of_largest(c).item() == pytest.approx((math.log(2) + h) / (2 * math.log(2)))


def test_with_shared_outcomes_it_ranks_as_entropy() -> None:
    rng = np.random.default_rng(0)
    orders = [
        np.argsort(-strategy.scores(tiny.pool(n=30, labels=3), rng)) for strategy in (NormalizedEntropy(), Entropy())
    ]
    assert orders[0].tolist() == orders[1].tolist()
