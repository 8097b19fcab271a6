"""Dropout as posterior draws: the same network for every example, for BERT's modules and BART's functions alike."""

from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import BartConfig, BartForSequenceClassification

from dal_nlp.core.caches import Cache
from dal_nlp.core.config import DrawsConfig, ScoringConfig
from dal_nlp.core.errors import Unsupported
from dal_nlp.core.rng import rng_for, torch_seeded
from dal_nlp.core.task import Batch
from dal_nlp.models.forward import Forward, Network
from dal_nlp.models.mc_dropout import FixedMasks, check_draws, make_draws, make_mask
from dal_nlp.models.pool import Pool
from dal_nlp.tasks.classification import Classification
from tests import tiny

K = 3


def bert(dropout: float = 0.2, attention: float = 0.5, kernel: str = "sdpa") -> nn.Module:
    """Dropout in modules; a pass under dropout on its attention would differ from one without."""
    model = tiny.classifier(dropout=dropout)
    model.set_attn_implementation(kernel)
    for name, module in model.named_modules():
        if name.endswith("attention.self.dropout"):
            module.p = attention
    return model


def bart(dropout: float = 0.2, attention: float = 0.5, kernel: str = "sdpa", layerdrop: float = 0.0) -> nn.Module:
    """Dropout in functions."""
    config = BartConfig(
        vocab_size=40,
        d_model=16,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_position_embeddings=64,
        num_labels=2,
        dropout=dropout,
        activation_dropout=dropout,
        attention_dropout=attention,
        encoder_layerdrop=layerdrop,
        init_std=0.3,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
        decoder_start_token_id=3,
        forced_eos_token_id=None,
    )
    with torch_seeded(0):
        model = BartForSequenceClassification(config).eval()
    model.set_attn_implementation(kernel)
    return model


MODELS = {"bert": bert, "bart": bart}
Kind = Literal["fixed", "head", "full"]


def pool(
    model: nn.Module,
    kind: Kind = "fixed",
    n: int = 12,
    batch_size: int = 6,
    seed: int = 0,
    round: int = 1,
    task: Classification | None = None,
) -> Pool:
    of = task or tiny.task()
    draws = make_draws(DrawsConfig(kind=kind, k=K, head_p=0.3), seed, round)
    return Pool(tiny.encoded(tiny.sentences(n), of), model, of, draws, ScoringConfig(batch_size=batch_size))


def stacked(forward: Forward) -> Tensor:
    """The K log-probabilities of each example, (B, K, C)."""
    return torch.stack([c.log_probs[:, 0] for c in forward.draws], 1)


def values(of: Pool) -> np.ndarray:
    (found,) = of.collect(stacked)
    return np.asarray(found)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kernel", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", ["fixed", "head"])
def test_consistent_draws_do_not_depend_on_the_batching_or_the_padding(name: str, kernel: str, kind: Kind) -> None:
    model = MODELS[name](kernel=kernel)
    alone, together = values(pool(model, kind, batch_size=1)), values(pool(model, kind, batch_size=6))
    np.testing.assert_allclose(alone, together, atol=2e-5)
    assert np.ptp(alone, axis=1).max() > 0.01  # and yet the draws differ


def test_full_dropout_depends_on_the_batching_and_says_so() -> None:
    model = bert()
    assert np.abs(values(pool(model, "full", batch_size=1)) - values(pool(model, "full", batch_size=6))).max() > 0.01
    with pytest.raises(Unsupported, match=r"draws\.kind=fixed"):
        pool(model, "full").collect(lambda f: torch.stack([c.log_probs for c in f.consistent_draws]))


@pytest.mark.parametrize("name", MODELS)
def test_fixed_masks_leave_attention_alone_whatever_the_kernel(name: str) -> None:
    without = values(pool(MODELS[name](attention=0.0)))
    for kernel in ("sdpa", "eager"):
        np.testing.assert_allclose(values(pool(MODELS[name](attention=0.5, kernel=kernel))), without, atol=2e-5)


def test_full_dropout_has_dropout_on_attention() -> None:
    assert np.ptp(values(pool(bert(dropout=0.0), "full")), axis=1).max() > 0.01


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", ["fixed", "head", "full"])
def test_draws_follow_from_seed_and_round(name: str, kind: Kind) -> None:
    model = MODELS[name]()
    first = values(pool(model, kind))
    np.testing.assert_array_equal(first, values(pool(model, kind)))
    for other in (values(pool(model, kind, seed=1)), values(pool(model, kind, round=2))):
        assert np.abs(first - other).max() > 0.01
    for k in range(1, K):
        assert np.abs(first[:, 0] - first[:, k]).max() > 0.01


class Net(nn.Module):
    """Dropout on features, on attention of three dimensions, of four after a change of precision, and switched off."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.4)
        self.head = nn.Linear(5, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.dropout(x)  # (R, L, 5)
        weights = torch.softmax(hidden @ hidden.transpose(1, 2), -1)
        mixed = self.dropout(weights) @ hidden
        heads = torch.softmax((mixed @ mixed.transpose(1, 2))[:, None], -1).double().to(x.dtype)  # (R, 1, L, L)
        mixed = (self.dropout(heads) @ hidden[:, None])[:, 0]
        kept = nn.functional.dropout(mixed, 0.9, training=False)
        result: Tensor = self.head(self.dropout(kept))
        return result


def test_fixed_masks_are_the_documented_ones_over_features_only() -> None:
    torch.manual_seed(0)
    net, x = Net().eval(), torch.randn(4, 3, 5)
    draws = FixedMasks(2, seed=3, round=7)
    got = draws.draw(Network(net, net.head, lambda: net(x), lambda change: net.head(change(x))), 1)
    first, second = (make_mask(5, 0.4, rng_for(3, 7, f"dropout 1.{call}")) for call in (0, 1))
    hidden = x * first
    mixed = torch.softmax(hidden @ hidden.transpose(1, 2), -1) @ hidden
    mixed = torch.softmax(mixed @ mixed.transpose(1, 2), -1) @ hidden
    torch.testing.assert_close(got, net.head(mixed * second))


def test_a_mask_keeps_the_mean() -> None:
    mask = make_mask(20_000, 0.3, np.random.default_rng(0))
    assert set(mask.tolist()) == {0.0, mask.max().item()}
    assert mask.max().item() == pytest.approx(1 / 0.7)
    assert mask.mean().item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("layerdrop", [0.0, 0.5])
def test_an_example_spread_over_several_calls_is_one_pass(layerdrop: float) -> None:
    model, of = bart(layerdrop=layerdrop), tiny.task()
    examples = [dict(row) for row in tiny.encoded(tiny.sentences(6), of).remove_columns("target")]
    draws = make_draws(DrawsConfig(k=8), 0, 0)
    whole, cut = (stacked(Forward(model, of, of.collate(examples), examples, draws, rows)) for rows in (6, 2))
    torch.testing.assert_close(whole, cut, atol=2e-5, rtol=0)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", ["fixed", "head", "full"])
def test_mode_and_random_state_are_restored(name: str, kind: Kind) -> None:
    model = MODELS[name]()
    before = torch.get_rng_state()
    values(pool(model, kind))
    assert torch.equal(before, torch.get_rng_state())
    assert not any(module.training for module in model.modules())


@pytest.mark.parametrize("kind", ["fixed", "full"])
def test_mode_and_random_state_are_restored_after_an_error(kind: Kind) -> None:
    model = bert()
    plain = pool(model)
    (expected,) = plain.collect(lambda f: f.log_probs)

    def broken() -> Tensor:
        assert model.training
        torch.rand(1)
        model(torch.tensor([[2, 5, 3]]))
        raise RuntimeError("broken")

    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="broken"):
        network = Network(model, model.classifier, broken, lambda change: broken())
        make_draws(DrawsConfig(kind=kind, k=2), 0, 0).draw(network, 0)
    assert torch.equal(before, torch.get_rng_state())
    assert not any(module.training for module in model.modules())
    assert not model._forward_pre_hooks
    assert (nn.functional.dropout(torch.ones(1000), 0.5) == 0).any()
    np.testing.assert_array_equal(plain.collect(lambda f: f.log_probs)[0], expected)


@pytest.mark.parametrize(("kind", "calls"), [("fixed", K), ("full", K), ("head", 1)])
def test_passes_over_the_network(kind: Kind, calls: int) -> None:
    model, seen = bert(), []
    model.register_forward_hook(lambda *_: seen.append(1))
    values(pool(model, kind, n=6))
    assert len(seen) == calls


def test_the_hypothesis_is_made_without_dropout() -> None:
    class Generating(Classification):
        def inputs(self, model: nn.Module, batch: Batch, written: Cache) -> Batch:
            assert not model.training
            return batch

    values(pool(bert(), task=Generating(labels=["negative", "positive"], tokenizer=tiny.tokenizer())))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_whose_draws_do_not_differ_is_refused(name: str) -> None:
    still = MODELS[name](dropout=0.0, attention=0.0)
    for kind in ("fixed", "full"):
        with pytest.raises(Unsupported, match=r"'bald'.*draws\.kind=head"):
            check_draws("bald", pool(still, kind))
    check_draws("bald", pool(still, "head"))
    check_draws("bald", pool(MODELS[name](), "fixed", n=1))
    with pytest.raises(Unsupported, match="outside its attention"):
        check_draws("bald", pool(MODELS[name](dropout=0.0), "fixed"))
    check_draws("bald", pool(MODELS[name](dropout=0.0), "full"))
