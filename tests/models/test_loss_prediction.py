"""Loss prediction: the pairs, the head, its training beside the task, its file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from datasets import Dataset
from torch import Tensor, nn

from dal_nlp.core.config import DrawsConfig, ScoringConfig, TrainingConfig
from dal_nlp.core.errors import Unsupported
from dal_nlp.core.progress import Silent
from dal_nlp.core.rng import rng_for, torch_seeded
from dal_nlp.models.loss_prediction import LossHead, LossPrediction, hidden_width, load_head, pairwise_loss, save_head
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import fetch
from dal_nlp.models.trainer import AuxiliaryLoss, Fit, StepInfo, fit, split
from tests import tiny
from tests.models.test_trainer import parameters
from tests.reference.loss_prediction import pairwise, predict

RECIPE = {"epochs": 1, "min_steps": 5, "learning_rate": 1e-3}


def train(beside: AuxiliaryLoss | None, n: int = 12, **recipe: Any) -> tuple[nn.Module, Fit]:
    of, model = tiny.task(), tiny.classifier(dropout=0.2)
    examples, values = tiny.encoded(tiny.sentences(n), of), TrainingConfig(**{**RECIPE, **recipe})
    with torch_seeded(1):
        done = fit(
            model, of, examples, np.ones(n), values, Accelerator(cpu=True), rng_for(1, 0, "fit"), Silent(), beside
        )
    return model, done


def scored(model: nn.Module, examples: Dataset) -> tuple[Any, ...]:
    """Hidden states (N, 4, H) and losses (N,) as a pool gives them."""
    pool = tiny.Pool(examples, model, tiny.task(), make_draws(DrawsConfig(), 0, 0), ScoringConfig())
    return pool.collect(lambda forward: forward.hidden, lambda forward: forward.loss)


class Recording(LossPrediction):
    """Keeps what it was given, and may be told that training is further on than it is."""

    def __init__(self, module: LossHead, done: float | None = None) -> None:
        super().__init__(module)
        self.seen: list[tuple[Tensor, Tensor, float]] = []
        self.done = done

    def loss(self, hidden: Tensor, losses: Tensor, place: StepInfo) -> Tensor:
        self.seen.append((hidden.detach().clone(), losses.detach().clone(), place.done))
        return super().loss(hidden, losses, place if self.done is None else replace(place, done=self.done))


@pytest.mark.parametrize("size", [2, 3, 8, 9, 16])
def test_the_pairs_by_hand(size: int) -> None:
    rng = np.random.default_rng(size)
    for _ in range(20):
        predicted, losses = rng.normal(size=size), rng.integers(0, 3, size).astype(float)  # some losses are equal
        got = pairwise_loss(torch.tensor(predicted), torch.tensor(losses), len(losses))
        assert got.item() == pytest.approx(pairwise(predicted, losses))


@pytest.mark.parametrize(("size", "processes"), [(2, 2), (8, 2), (9, 2), (9, 3), (6, 4), (1, 2)])
def test_shares_of_processes_add_up_to_the_batch(size: int, processes: int) -> None:
    rng = np.random.default_rng(size)
    predicted, losses = torch.tensor(rng.normal(size=size)), torch.tensor(rng.normal(size=size))
    shares = [split(size, process, processes, paired=True) for process in range(processes)]
    assert sorted(np.concatenate(shares).tolist()) == list(range(size))
    parts = [pairwise_loss(predicted[share], losses[share], size) for share in shares]
    assert sum(part.item() for part in parts) == pytest.approx(pairwise_loss(predicted, losses, size).item())


def test_equal_losses_count_as_the_second_being_larger() -> None:
    assert pairwise_loss(torch.tensor([0.0, 2.0]), torch.tensor([1.0, 1.0]), 2).item() == 0
    assert pairwise_loss(torch.tensor([2.0, 0.0]), torch.tensor([1.0, 1.0]), 2).item() == 3


def test_a_single_example_has_no_pair_and_can_still_be_differentiated() -> None:
    predicted = torch.tensor([3.0], requires_grad=True)
    loss = pairwise_loss(predicted, torch.tensor([1.0]), 1)
    (gradient,) = torch.autograd.grad(loss, predicted)
    assert loss.item() == 0 and gradient.item() == 0


def test_nothing_flows_back_into_the_losses() -> None:
    predicted, losses = torch.zeros(4, requires_grad=True), torch.rand(4, requires_grad=True)
    pairwise_loss(predicted, losses * 2, len(losses)).backward()
    assert losses.grad is None and predicted.grad is not None


def test_the_head_by_hand() -> None:
    with torch_seeded(3):
        head, hidden = LossHead(5), torch.randn(3, 4, 5)
    weights = {name: values.tolist() for name, values in head.state_dict().items()}
    expected = [predict(weights, example) for example in hidden.tolist()]
    np.testing.assert_allclose(head(hidden).detach(), expected, rtol=1e-5)
    assert all(layer.out_features == 128 for layer in head.layers)


def test_training_gives_the_hook_what_scoring_sees() -> None:
    """Hidden states and losses of one batch, of a model without dropout, and how far training is."""
    of, model, hook = tiny.task(), tiny.classifier(dropout=0.0), Recording(tiny.loss_head())
    examples = tiny.encoded(tiny.sentences(8), of)
    values, rng = TrainingConfig(batch_size=8, min_steps=4, epochs=1, learning_rate=1e-12), rng_for(1, 0, "fit")
    fit(model, of, examples, np.ones(8), values, Accelerator(cpu=True), rng, Silent(), hook)
    assert [done for *_, done in hook.seen] == [0, 0.25, 0.5, 0.75]
    hidden, losses = scored(model, examples)
    seen, found = (values.numpy() for values in hook.seen[0][:2])
    assert seen.shape == (8, 4, 16)
    assert len(set(losses.round(4).tolist())) == 8  # so that losses tell which example is which
    np.testing.assert_allclose(found[np.argsort(found)], losses[np.argsort(losses)], rtol=1e-4)
    np.testing.assert_allclose(seen[np.argsort(found)], hidden[np.argsort(losses)], rtol=1e-3, atol=1e-5)


def test_until_it_is_detached_the_model_learns_from_the_pairs() -> None:
    alone, first = train(None)
    beside, second = train(Recording(tiny.loss_head(), done=0.59))
    assert not torch.equal(parameters(alone), parameters(beside))
    assert first.steps == second.steps


def test_detached_it_leaves_the_model_alone_to_the_bit_and_learns_itself() -> None:
    head = tiny.loss_head()
    before = parameters(head)
    alone, first = train(None, accumulation=2, batch_size=4)
    beside, second = train(Recording(head, done=0.6), accumulation=2, batch_size=4)
    assert torch.equal(parameters(alone), parameters(beside))
    assert first.loss == second.loss  # the task's alone is reported
    assert not torch.equal(before, parameters(head))


def test_it_is_detached_after_sixty_per_cent_of_the_steps() -> None:
    """The gradient into the hidden states, step by step."""
    flows: list[bool] = []

    class Watching(LossPrediction):
        def loss(self, hidden: Tensor, losses: Tensor, place: StepInfo) -> Tensor:
            added = super().loss(hidden, losses, place)
            (gradient,) = torch.autograd.grad(added, hidden, retain_graph=True, allow_unused=True)
            flows.append(gradient is not None)
            return added

    train(Watching(tiny.loss_head()), min_steps=10)
    assert flows == [True] * 6 + [False] * 4


@pytest.mark.long
def test_it_learns_which_losses_are_larger() -> None:
    """Of a model that stays as it is but for one bias, so that the order of the losses stays too."""
    head = tiny.loss_head()
    of, model = tiny.task(), tiny.classifier(dropout=0.0)
    rows = [{**row, "label": "negative"} for row in tiny.sentences(64)]  # the loss is - log p(negative)
    examples = tiny.encoded(rows, of)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    model.classifier.bias.requires_grad_(True)
    values = TrainingConfig(batch_size=32, min_steps=400, epochs=1, learning_rate=3e-3)
    rng = rng_for(1, 0, "fit")
    fit(model, of, examples, np.ones(64), values, Accelerator(cpu=True), rng, Silent(), LossPrediction(head))
    hidden, losses = scored(model, examples)
    predicted = head(torch.tensor(hidden)).detach().numpy()
    ranks = np.argsort(np.argsort(predicted)), np.argsort(np.argsort(losses))
    assert np.corrcoef(*ranks)[0, 1] > 0.8


def test_the_width_is_the_models() -> None:
    of = tiny.task()
    batch = of.collate(fetch(tiny.encoded(tiny.sentences(1), of), [0]))
    assert hidden_width(tiny.classifier(), batch) == 16


def test_a_head_survives_its_file(tmp_path: Path) -> None:
    head = tiny.loss_head(5)
    save_head(head, tmp_path)
    again = load_head(tmp_path)
    hidden = torch.randn(3, 4, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(head(hidden), again(hidden)) and not again.training


def test_a_checkpoint_without_a_head_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="has not learnt to predict losses"):
        load_head(tmp_path)
