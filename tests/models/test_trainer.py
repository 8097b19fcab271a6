"""The training loop: steps, order, schedule, accumulation, seeds, weights."""

import copy
from typing import Any

import numpy as np
import pytest
import torch

from dal_nlp.core.config import TrainingConfig
from dal_nlp.core.errors import BrokenModelError
from dal_nlp.core.progress import Silent
from dal_nlp.core.rng import rng_for, torch_seeded
from dal_nlp.models.loss_prediction import LossPrediction
from dal_nlp.models.trainer import Fit, Schedule, cut, fit, make_accelerator, number_of_steps, step_batches
from tests import tiny

RECIPE = {"epochs": 1, "min_steps": 6, "learning_rate": 1e-3}


def train(
    seed: int = 0, dropout: float = 0.0, weights: np.ndarray | None = None, n: int = 21, **recipe: Any
) -> tuple[torch.nn.Module, Fit]:
    task = tiny.task()
    examples = tiny.encoded(tiny.sentences(n), task)
    model = tiny.classifier(dropout=dropout)
    with torch_seeded(seed):
        done = fit(
            model,
            task,
            examples,
            np.ones(n) if weights is None else weights,
            TrainingConfig(**{**RECIPE, **recipe}),
            make_accelerator(recipe.get("precision", "no")),
            rng_for(seed, 0, "fit"),
            Silent(),
        )
    return model, done


def parameters(model: torch.nn.Module) -> torch.Tensor:
    # The keys' biases cancel in the softmax: their gradient is rounding noise, which Adam scales up to whole steps.
    named = [p.detach().flatten() for name, p in model.named_parameters() if not name.endswith("key.bias")]
    return torch.cat(named)


def test_batch_8_is_batch_1_accumulated_8_times() -> None:
    whole, _ = train(batch_size=8, accumulation=1)
    parts, _ = train(batch_size=1, accumulation=8)
    torch.testing.assert_close(parameters(whole), parameters(parts), rtol=1e-3, atol=2e-5)
    other, _ = train(batch_size=8, accumulation=1, learning_rate=2e-3)
    assert (parameters(whole) - parameters(other)).abs().max() > 1e-3  # the tolerance could tell


def test_same_seed_same_weights_and_another_seed_others() -> None:
    assert torch.equal(parameters(train(3, dropout=0.2)[0]), parameters(train(3, dropout=0.2)[0]))
    assert not torch.equal(parameters(train(3, dropout=0.2)[0]), parameters(train(4, dropout=0.2)[0]))


@pytest.mark.long
def test_the_loss_falls_and_the_words_are_learnt() -> None:
    model, done = train(n=200, min_steps=200, learning_rate=3e-3, epochs=1)
    assert isinstance(done, Fit) and done.steps == 200 and done.loss < 0.2 and done.seconds > 0
    fresh = tiny.encoded(tiny.sentences(40, seed=9), tiny.task())
    pool = tiny.Pool(fresh, model, tiny.task(), tiny.make_draws(tiny.DrawsConfig(), 0, 0), tiny.ScoringConfig())
    hits = [p.target == t for p, t in zip(pool.predict(), pool.targets, strict=True)]
    assert np.mean(hits) > 0.85


def test_few_labels_still_get_the_least_number_of_steps() -> None:
    recipe = TrainingConfig(epochs=3, min_steps=50, batch_size=8, accumulation=2)
    assert number_of_steps(10, recipe) == 50
    assert number_of_steps(1600, recipe) == 300


def test_an_epoch_holds_every_example_once_and_orders_differ() -> None:
    lengths = np.random.default_rng(0).integers(3, 40, 50)
    steps = list(step_batches(lengths, 8, 14, np.random.default_rng(1)))
    assert len(steps) == 14
    first, second = np.concatenate(steps[:7]), np.concatenate(steps[7:])
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(50))
    assert first.tolist() != second.tolist()
    within = np.mean([np.ptp(lengths[step]) for step in steps])
    assert within < np.ptp(lengths) / 3  # steps are of similar length


def test_the_learning_rate_rises_and_falls_to_nothing() -> None:
    factors = [Schedule(10, 2)(step) for step in range(11)]
    assert factors[:3] == [0.5, 1.0, 1.0]
    assert factors[10] == 0.0
    assert factors[2:] == sorted(factors[2:], reverse=True)


def test_weights_count_in_the_loss() -> None:
    weights = np.ones(21)
    weights[:10] = 0.0
    weighted, _ = train(weights=weights, batch_size=21)
    task, model = tiny.task(), tiny.classifier(dropout=0.0)
    examples = tiny.encoded(tiny.sentences(21), task).select(range(10, 21))
    with torch_seeded(0):
        fit(
            model,
            task,
            examples,
            np.ones(11),
            TrainingConfig(**RECIPE, batch_size=21),
            make_accelerator("no"),
            rng_for(0, 0, "fit"),
            Silent(),
        )
    torch.testing.assert_close(parameters(weighted), parameters(model), rtol=1e-3, atol=2e-5)


def test_a_weight_counts_the_same_in_every_company() -> None:
    weights = np.array([1.0, 0.1])
    alone = {"n": 2, "batch_size": 1, "min_steps": 2, "learning_rate": 1e-12}  # a step each; `loss` is the last one's
    ratios = [train(seed, weights=weights, **alone)[1].loss / train(seed, **alone)[1].loss for seed in range(6)]
    assert sorted({round(ratio, 3) for ratio in ratios}) == [0.182, 1.818]  # w / mean(w)


def test_balanced_weights_make_classes_weigh_the_same() -> None:
    targets = ["negative"] * 6 + ["positive"] * 2
    weights = tiny.task().weights(targets)
    assert sum(weights[:6]) == pytest.approx(sum(weights[6:])) == pytest.approx(4)


def test_a_loss_that_is_no_number_is_an_error() -> None:
    with pytest.raises(BrokenModelError, match="learning_rate"):
        train(weights=np.full(21, np.nan))


def test_training_leaves_the_source_model_alone() -> None:
    before = copy.deepcopy(tiny.classifier().state_dict())
    train()
    for name, value in tiny.classifier().state_dict().items():
        assert torch.equal(value, before[name])


def test_mixed_precision_ends_with_training() -> None:
    """Or a resumed run, which loads the weights, would choose otherwise than an uninterrupted one."""
    model, _ = train(precision="bf16")
    reloaded = tiny.classifier(dropout=0.0)
    reloaded.load_state_dict(model.state_dict())
    batch = tiny.tokenizer()(["the film was good"], return_tensors="pt")
    assert torch.equal(model.eval()(**batch).logits, reloaded(**batch).logits)


def test_a_part_holds_at_most_so_many_rows_or_one_example() -> None:
    rows = np.array([1, 1, 3, 9, 2, 2, 1])
    parts = [part.tolist() for part in cut(np.array([0, 1, 2, 3, 4, 5, 6]), rows, 4)]
    assert parts == [[0, 1], [2], [3], [4, 5], [6]]
    assert [part.tolist() for part in cut(np.array([6, 5]), rows, 4)] == [[6, 5]]


@pytest.mark.parametrize("predicts_loss", [False, True])
def test_an_example_of_many_rows_trains_in_slices_as_it_does_at_once(
    predicts_loss: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question of many windows: the same weights, whether its windows go through together or two at a time."""
    calls: list[int] = []

    def trained(batch_size: int) -> torch.Tensor:
        task, model = tiny.qa_task(), tiny.reader(dropout=0.0)
        examples = tiny.encoded_questions(tiny.questions(2, words=60, seed=2), task)
        assert max(examples["rows"]) > 3
        model.register_forward_pre_hook(
            lambda module, args, named: calls.append(len(named["input_ids"])), with_kwargs=True
        )
        beside = LossPrediction(tiny.loss_head()) if predicts_loss else None
        recipe = TrainingConfig(**{**RECIPE, "batch_size": batch_size, "accumulation": 16 // batch_size})
        with torch_seeded(0):
            fit(
                model,
                task,
                examples,
                np.ones(2),
                recipe,
                make_accelerator("no"),
                rng_for(0, 0, "fit"),
                Silent(),
                beside,
            )
        # What moves the scores of all tokens alike cancels as well.
        cancels = ("key.bias", "layer.1.output.LayerNorm.bias", "qa_outputs.bias")
        return torch.cat([p.detach().flatten() for name, p in model.named_parameters() if not name.endswith(cancels)])

    whole = trained(16)
    assert max(calls) > 3
    calls.clear()
    sliced = trained(2)
    assert max(calls) == 2
    if not predicts_loss:  # pairs of losses are drawn within a part, so that hook does depend on the parts
        torch.testing.assert_close(sliced, whole, rtol=1e-3, atol=2e-5)
