"""What one batch can be measured by, against autograd and against the model called by hand."""

import numpy as np
import pytest
import torch
from transformers import (
    BartConfig,
    BartForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    LlamaConfig,
    LlamaForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from dal_nlp.core.config import DrawsConfig
from dal_nlp.core.errors import Unsupported
from dal_nlp.core.rng import torch_seeded
from dal_nlp.models.forward import Forward
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import fetch
from dal_nlp.models.pooled_states import LAYERS
from dal_nlp.pretrained.loading import output_layer
from tests import tiny

SMALL = {"vocab_size": 40, "max_position_embeddings": 80, "num_labels": 3}


def bart() -> BartForSequenceClassification:
    sizes = {
        f"{side}_{name}": n for side in ("encoder", "decoder") for name, n in (("layers", 1), ("attention_heads", 2))
    }
    ffn = {"encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
    config = BartConfig(**SMALL, d_model=16, **sizes, **ffn, pad_token_id=0, eos_token_id=3, init_std=0.3)
    return BartForSequenceClassification(config)


def models() -> dict[str, torch.nn.Module]:
    layers = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 32}
    with torch_seeded(0):
        return {
            "bert": tiny.classifier(3),
            "roberta": RobertaForSequenceClassification(RobertaConfig(**SMALL, **layers, pad_token_id=0)).eval(),
            "distilbert": DistilBertForSequenceClassification(
                DistilBertConfig(**SMALL, dim=16, n_layers=2, n_heads=2, hidden_dim=32)
            ).eval(),
            "bart": bart().eval(),
        }


def forward(
    model: torch.nn.Module,
    n: int = 5,
    max_rows: int = 64,
    states: bool = False,
    side: str = "right",
    kind: str = "fixed",
) -> Forward:
    task = tiny.task(3)
    task.tokenizer.padding_side = side
    rows = tiny.sentences(n)
    for i, row in enumerate(rows):
        row["label"] = task.labels[i % 3]
    examples = fetch(tiny.encoded(rows, task), range(n))
    batch = task.collate(examples)
    if not isinstance(model, tiny.BertForSequenceClassification):
        batch.inputs.pop("token_type_ids", None)
    return Forward(model, task, batch, examples, make_draws(DrawsConfig(kind=kind, k=2), 0, 0), max_rows, states=states)


@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert", "bart"])
def test_gradient_is_autograds_gradient_of_the_output_layer(name: str) -> None:
    model = models()[name]
    measured = forward(model)
    gradient = measured.gradient
    weight = output_layer(model, 3).weight
    logits = model(**measured.batch.inputs).logits
    for i in range(5):
        loss = torch.nn.functional.cross_entropy(logits[i : i + 1], logits[i : i + 1].argmax(-1))
        (want,) = torch.autograd.grad(loss, weight, retain_graph=True)
        got = np.einsum("pa,ph->ah", gradient.left[i], gradient.right[i])
        np.testing.assert_allclose(got, want.numpy(), rtol=0, atol=1e-5)


def decoder(side: str) -> torch.nn.Module:
    config = LlamaConfig(**SMALL, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2)
    config.pad_token_id, config.initializer_range = 0, 0.3
    return LlamaForSequenceClassification(config)


class Late(tiny.BertForSequenceClassification):
    """Averages after its output layer."""

    bent = False

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: object) -> SequenceClassifierOutput:
        states = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        logits = self.classifier(states)
        logits = torch.tanh(logits) if self.bent else logits
        mask = attention_mask[..., None].to(logits.dtype)
        return SequenceClassifierOutput(logits=(logits * mask).sum(1) / mask.sum(1))


class Bent(Late):
    """Bends what its output layer gives before it averages."""

    bent = True


@pytest.mark.parametrize("kind", ["right", "left", "late", "bent", "bart"])
def test_the_gradient_is_that_of_the_models_own_logits(kind: str) -> None:
    """Whatever the model does behind its output layer: it chooses a token, averages, or bends what comes out."""
    with torch_seeded(0):
        made = {"right": decoder, "left": decoder, "bart": lambda _: bart()}
        model = made[kind](kind) if kind in made else {"late": Late, "bent": Bent}[kind](tiny.config(3))
    measured = forward(model.eval(), side="left" if kind == "left" else "right")
    weight = output_layer(model, 3).weight
    logits = model(**measured.batch.inputs).logits
    torch.testing.assert_close(measured.log_probs[:, 0], logits.log_softmax(-1).detach(), rtol=1e-4, atol=1e-5)
    terms = measured.gradient.left.shape[1]
    assert terms == (3 if kind == "bent" else 1)
    for i in range(5):
        loss = torch.nn.functional.cross_entropy(logits[i : i + 1], logits[i : i + 1].argmax(-1))
        (want,) = torch.autograd.grad(loss, weight, retain_graph=True)
        got = np.einsum("pa,ph->ah", measured.gradient.left[i], measured.gradient.right[i])
        np.testing.assert_allclose(got, want.numpy(), rtol=0, atol=1e-5)
    if kind == "bent":
        with pytest.raises(Unsupported, match="the one vector"):
            _ = measured.layer_inputs


@pytest.mark.parametrize("kind", ["right", "late", "bent"])
def test_draws_of_the_head_are_those_of_the_models_own_logits(kind: str) -> None:
    with torch_seeded(0):
        model = decoder(kind) if kind == "right" else {"late": Late, "bent": Bent}[kind](tiny.config(3))
    measured = forward(model.eval(), kind="head")
    for k, drawn in enumerate(measured.draws):
        with torch.no_grad(), measured._draws.sampled(model, output_layer(model, 3), k):
            want = model(**measured.batch.inputs).logits.log_softmax(-1)
        torch.testing.assert_close(drawn.log_probs[:, 0], want, rtol=1e-4, atol=1e-5)
        assert (drawn.log_probs - measured.log_probs).abs().max() > 0.01


@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert", "bart"])
def test_log_probs_are_the_models(name: str) -> None:
    model = models()[name]
    measured = forward(model)
    want = model(**measured.batch.inputs).logits.log_softmax(-1)
    torch.testing.assert_close(measured.log_probs[:, 0], want.detach(), rtol=1e-4, atol=1e-5)
    assert measured.mask.all()


def test_embedding_is_the_mean_over_tokens_without_padding() -> None:
    model = tiny.classifier(3)
    measured = forward(model)
    states = model(**measured.batch.inputs, output_hidden_states=True).hidden_states
    for i, mask in enumerate(measured.batch.inputs["attention_mask"].bool()):
        torch.testing.assert_close(measured.embedding[i], states[-1][i, mask].mean(0).detach(), rtol=1e-4, atol=1e-5)
    assert measured.hidden.shape == (5, LAYERS, 16)
    torch.testing.assert_close(measured.hidden[:, -1], measured.embedding)


def test_rows_spread_over_several_calls_give_the_same() -> None:
    model = tiny.classifier(3)
    whole, parts = forward(model), forward(model, max_rows=2)
    torch.testing.assert_close(whole.log_probs, parts.log_probs)
    torch.testing.assert_close(whole.embedding, parts.embedding)
    np.testing.assert_allclose(whole.gradient.left, parts.gradient.left, atol=1e-6)


def test_loss_is_cross_entropy_with_the_target() -> None:
    model = tiny.classifier(3)
    measured = forward(model)
    assert measured.batch.labels is not None
    want = -measured.log_probs[torch.arange(5), 0, measured.batch.labels]
    torch.testing.assert_close(measured.loss, want)


def test_only_what_is_touched_is_computed_and_one_pass_serves_all() -> None:
    model = tiny.classifier(3)
    calls: list[int] = []
    model.register_forward_hook(lambda *_: calls.append(1))
    measured = forward(model, states=True)
    assert calls == [] and measured.touched == set()
    _ = measured.log_probs, measured.embedding, measured.gradient, measured.hidden
    assert calls == [1]
    _ = measured.loss  # a pass of its own: a task may score its model's answer, and learn from the known one
    assert calls == [1, 1]
    assert measured.touched == {"log_probs", "embedding", "gradient", "hidden", "loss"}


def test_hidden_states_are_asked_for_only_where_something_reads_them() -> None:
    model = tiny.classifier(3)
    asked: list[bool] = []
    model.register_forward_pre_hook(
        lambda _, __, named: asked.append(bool(named.get("output_hidden_states"))), with_kwargs=True
    )
    measured = forward(model)
    _ = measured.log_probs, measured.gradient
    assert asked == [False] and not measured.reads_states
    _ = measured.hidden  # too late for the first pass
    assert asked == [False, True] and measured.reads_states
    first = forward(model)
    _ = first.embedding, first.log_probs
    assert asked == [False, True, True]
    torch.testing.assert_close(first.embedding, measured.embedding)


def test_gradients_can_be_read_after_anything_else() -> None:
    pool = tiny.pool(n=4)
    examples = fetch(pool._examples, range(4))
    alone = tiny.pool(n=4).collect(lambda forward: forward.gradient)[0]
    for first in ("embedding", "hidden", "log_probs"):
        draws = make_draws(DrawsConfig(), 0, 0)
        measured = Forward(pool._model, pool._task, pool._task.collate(examples), examples, draws, 8)
        getattr(measured, first)
        np.testing.assert_allclose(measured.gradient.left, alone.left, rtol=1e-4, atol=1e-6)


def test_what_a_model_keeps_of_a_pass_serves_training_too() -> None:
    """Some models make a table when they first read a text so long; autograd takes none of inference mode."""
    model, kept = tiny.classifier(3), []
    model.bert.embeddings.register_forward_hook(lambda _, __, made: kept.append(made))
    scored = forward(model)
    scored.log_probs  # noqa: B018 - a pass
    assert kept and not any(made.is_inference() for made in kept)
