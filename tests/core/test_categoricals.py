"""Uncertainties against the textbook, at saturation, with impossible outcomes and several factors."""

import math

import numpy as np
import pytest
import torch

from dal_nlp.core import categoricals
from dal_nlp.core.categoricals import Categoricals
from tests.reference import categoricals as reference

FORMULAS = ["entropy", "least_confidence", "margin"]


def measure(name: str, c: Categoricals) -> torch.Tensor:
    """Apply a formula; every outcome reads otherwise than the others."""
    formula = getattr(categoricals, name)
    return formula(c, lambda b, outcome: str(outcome)) if name == "margin" else formula(c)


def of(logits: torch.Tensor, reduction: str = "sum") -> Categoricals:
    shaped = logits if logits.ndim == 3 else logits[:, None]
    return Categoricals(shaped.log_softmax(-1), torch.ones(shaped.shape[:2], dtype=torch.bool), reduction)


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("outcomes", [2, 3, 20])
def test_formula_equals_its_twin(name: str, outcomes: int) -> None:
    logits = torch.randn(50, outcomes, generator=torch.Generator().manual_seed(1)) * 3
    got = measure(name, of(logits))
    want = [getattr(reference, name)(row) for row in logits.double().tolist()]
    torch.testing.assert_close(got.double(), torch.tensor(want, dtype=torch.float64), rtol=1e-4, atol=1e-7)


def test_two_labels_rank_the_same_even_where_probabilities_round_to_one() -> None:
    gaps = torch.linspace(-60, 60, 241)[torch.randperm(241, generator=torch.Generator().manual_seed(0))]
    c = of(torch.stack([torch.zeros(241), gaps], dim=1))
    orders = [np.argsort(-measure(name, c).numpy(), kind="stable").tolist() for name in FORMULAS]
    assert orders[0] == orders[1] == orders[2]
    scores = categoricals.least_confidence(c)
    assert len(torch.unique(scores)) == 121  # one value for each |gap|: none was lost to rounding
    assert (categoricals.entropy(c) > 0).all()


@pytest.mark.parametrize("name", FORMULAS)
def test_impossible_outcomes_change_nothing(name: str) -> None:
    logits = torch.randn(9, 4, generator=torch.Generator().manual_seed(2))
    wider = torch.cat([logits, torch.full((9, 3), -torch.inf)], dim=1)
    torch.testing.assert_close(measure(name, of(wider)), measure(name, of(logits)))


@pytest.mark.parametrize("name", FORMULAS)
def test_one_possible_outcome_is_certain(name: str) -> None:
    logits = torch.tensor([[0.0, -torch.inf, -torch.inf]])
    assert measure(name, of(logits)).item() == 0


def test_factors_are_summed_or_averaged_where_they_exist() -> None:
    logits = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(3))
    mask = torch.tensor([[True, True, False], [True, True, True]])
    single = torch.tensor([[reference.entropy(f) for f in row] for row in logits.double().tolist()]).double()
    total = torch.where(mask, single, 0).sum(1)
    for reduction, want in (("sum", total), ("mean", total / mask.sum(1))):
        c = Categoricals(logits.log_softmax(-1), mask, reduction)
        torch.testing.assert_close(categoricals.entropy(c).double(), want, rtol=1e-4, atol=1e-6)


def test_the_factors_of_which_the_model_is_least_sure_stand_for_an_example() -> None:
    generator = torch.Generator().manual_seed(4)
    logits, values = torch.randn(20, 6, 5, generator=generator), torch.randn(20, 6, generator=generator)
    mask = torch.arange(6) < torch.randint(1, 7, (20, 1), generator=generator)
    found = Categoricals(logits.log_softmax(-1), mask, "mean", least_confident=3).over_least_confident(values)
    for i, row in enumerate(logits.softmax(-1)):
        there = [f for f in range(6) if mask[i, f]]
        least = sorted(there, key=lambda f: float(row[f].max()))[:3]
        assert found[i].item() == pytest.approx(sum(float(values[i, f]) for f in least), abs=1e-5)
    whole = Categoricals(logits.log_softmax(-1), mask, "mean")
    torch.testing.assert_close(whole.over_least_confident(values), whole.over_factors(values))


def test_uniform_is_the_largest_entropy() -> None:
    assert categoricals.entropy(of(torch.zeros(1, 8))).item() == pytest.approx(math.log(8), rel=1e-6)


@pytest.mark.parametrize("gap", [10.0, 20.0, 30.0])
def test_entropy_keeps_the_share_of_an_outcome_whose_probability_rounds_to_one(gap: float) -> None:
    small = math.exp(-gap) / (1 + math.exp(-gap))
    want = -small * math.log(small) - (1 - small) * math.log1p(-small)
    assert categoricals.entropy(of(torch.tensor([[0.0, gap]]))).item() == pytest.approx(want, rel=1e-3)


def test_soft_cross_entropy_equals_its_twin_and_is_least_where_the_shares_are() -> None:
    logits = torch.randn(30, 4, generator=torch.Generator().manual_seed(3)).double() * 3
    shares = torch.randn(30, 4, generator=torch.Generator().manual_seed(4)).double().softmax(-1)
    shares[::3] = torch.eye(4, dtype=torch.float64)[torch.arange(10) % 4]  # of people's labels
    got = categoricals.soft_cross_entropy(of(logits), shares[:, None])
    want = [reference.soft_cross_entropy(z, q) for z, q in zip(logits.tolist(), shares.tolist(), strict=True)]
    torch.testing.assert_close(got, torch.tensor(want, dtype=torch.float64))
    least = categoricals.soft_cross_entropy(of(shares.clamp(min=1e-300).log()), shares[:, None])
    assert (got >= least - 1e-12).all()


def test_an_impossible_outcome_without_a_share_costs_nothing() -> None:
    logits = torch.tensor([[0.5, -1.0, -torch.inf]], requires_grad=True)
    loss = categoricals.soft_cross_entropy(of(logits), torch.tensor([[[0.3, 0.7, 0.0]]]))
    (slope,) = torch.autograd.grad(loss.sum(), logits)
    assert loss.item() == pytest.approx(reference.soft_cross_entropy([0.5, -1.0], [0.3, 0.7]), rel=1e-6)
    assert torch.isfinite(slope).all()
