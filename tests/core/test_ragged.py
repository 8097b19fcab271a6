"""Distributions over outcomes of each example's own, against the same numbers one example at a time."""

import math

import pytest
import torch

from dal_nlp.core import categoricals
from dal_nlp.core.categoricals import Categoricals, Ragged
from dal_nlp.strategies import bayesian

WIDTH = 7
OWNER = torch.tensor([0, 1, 1, 1, 2, 3, 3])  # rows of four examples


def scores(seed: int = 0) -> torch.Tensor:
    values = torch.randn(len(OWNER), WIDTH, generator=torch.Generator().manual_seed(seed)) * 3
    values[torch.rand(values.shape, generator=torch.Generator().manual_seed(99)) < 0.3] = -torch.inf
    values[3] = -torch.inf  # a row all of whose outcomes another row has
    return values


def ragged(seed: int = 0) -> Ragged:
    return Ragged.of(scores(seed), OWNER, 4)


def alone(seed: int = 0) -> list[Categoricals]:
    """Each example by itself, its rows joined into one."""
    rows = [scores(seed)[b == OWNER].flatten() for b in range(4)]
    return [Categoricals(row.log_softmax(-1)[None, None], torch.ones(1, 1, dtype=torch.bool)) for row in rows]


def spelled(b: int, outcome: int) -> str:
    return f"{b}.{outcome}"


@pytest.mark.parametrize("name", ["entropy", "least_confidence"])
def test_formula_equals_that_of_each_example_alone(name: str) -> None:
    formula = getattr(categoricals, name)
    torch.testing.assert_close(formula(ragged()), torch.cat([formula(c) for c in alone()]))


def test_margin_equals_that_of_each_example_alone() -> None:
    want = torch.cat([categoricals.margin(c, spelled) for c in alone()])
    torch.testing.assert_close(categoricals.margin(ragged(), spelled), want)


@pytest.mark.parametrize("name", ["mutual_information", "mean_deviation", "dissent"])
def test_disagreement_of_draws_equals_that_of_each_example_alone(name: str) -> None:
    formula = getattr(bayesian, name)
    want = [formula([alone(seed)[b] for seed in range(5)]) for b in range(4)]
    torch.testing.assert_close(formula([ragged(seed) for seed in range(5)]), torch.cat(want))


def test_an_outcome_has_the_same_number_in_every_batch() -> None:
    """Its number must tell the row of its example and the column, whatever examples and columns come beside it."""
    values = scores()
    first = torch.nn.functional.pad(values[1:4], (0, 5), value=-torch.inf)  # longer rows, another place in the batch
    batch = torch.cat([torch.nn.functional.pad(values[4:5], (0, 5), value=-torch.inf), first])
    other = Ragged.of(batch, torch.tensor([0, 1, 1, 1]), 2)
    here, there = ragged(), other
    numbers = here.numbers(here.top(4)[1])[1], there.numbers(there.top(4)[1])[1]
    assert numbers[0].tolist() == numbers[1].tolist()
    place = int(here.best()[1, 0])
    row, column = place // WIDTH - 1, place % WIDTH
    assert int(here.numbers(here.best())[1, 0]) == column * 3 + row


def test_the_most_likely_come_first_and_what_is_missing_is_impossible() -> None:
    values, positions = ragged().top(30)
    for b, single in enumerate(alone()):
        want = single.log_probs.flatten().sort(descending=True).values
        got = values[b, 0]
        torch.testing.assert_close(got[: len(want)], want)
        assert (got[len(want) :] == -torch.inf).all()
        real = got > -torch.inf
        assert (ragged().log_probs.flatten()[positions[b, 0][real]] == got[real]).all()


def test_the_table_holds_every_example_in_full() -> None:
    table = ragged().table()
    assert table.shape == (4, 1, 3 * WIDTH)
    torch.testing.assert_close(table.exp().sum(-1), torch.ones(4, 1))
    torch.testing.assert_close(table[3, 0, : 2 * WIDTH], ragged().log_probs[5:7].flatten())


def test_the_gradient_is_finite_where_outcomes_are_impossible() -> None:
    values = torch.randn(len(OWNER), WIDTH, requires_grad=True)
    possible = scores() > -torch.inf
    c = Ragged.of(torch.where(possible, values, -torch.inf), OWNER, 4)
    c.at(c.best().detach()).sum().backward()  # type: ignore[no-untyped-call]
    assert values.grad is not None and torch.isfinite(values.grad).all()
    assert (values.grad[~possible] == 0).all()


def test_nan_is_not_hidden() -> None:
    values = scores()
    values[1] = torch.nan
    c = Ragged.of(values, OWNER, 4)
    for formula in (categoricals.entropy, categoricals.least_confidence, lambda c: categoricals.margin(c, spelled)):
        assert torch.isnan(formula(c)).tolist() == [False, True, False, False]


def test_saturated_predictions_keep_their_order() -> None:
    gaps = torch.tensor([20.0, 25.0, 30.0])
    values = torch.stack([torch.zeros(3), gaps], 1)
    c = Ragged.of(values, torch.arange(3), 3)
    for formula in (categoricals.entropy, categoricals.least_confidence):
        assert formula(c).diff().lt(0).all()


def test_margin_passes_over_outcomes_that_read_alike() -> None:
    log_probs = torch.tensor([0.4, 0.3, 0.2, 0.1]).log()
    c = Categoricals(log_probs[None, None], torch.ones(1, 1, dtype=torch.bool))
    words = ["Rome", "rome", "Paris", "Rome"]
    got = categoricals.margin(c, lambda b, outcome: words[outcome].lower())
    assert got.item() == pytest.approx(1 - (0.4 - 0.2))
    alike = categoricals.margin(c, lambda b, outcome: "rome")
    assert alike.item() == pytest.approx(1 - 0.4)


def test_only_the_most_likely_outcomes_are_read() -> None:
    asked = []
    values = torch.zeros(1, 1000)
    values[0, 1], values[0, 7] = 9.0, 8.0

    def text(b: int, outcome: int) -> str:
        asked.append(outcome)
        return str(outcome)

    categoricals.margin(Ragged.of(values, torch.tensor([0]), 1), text)
    assert asked == [1, 7]


def test_entropy_is_log_n_where_all_outcomes_of_all_rows_are_alike() -> None:
    c = Ragged.of(torch.zeros(3, 50), torch.tensor([0, 0, 1]), 2)
    assert categoricals.entropy(c).tolist() == pytest.approx([math.log(100), math.log(50)], rel=1e-5)
