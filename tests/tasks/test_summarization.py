"""Summaries: what the decoder reads, whose distributions these are, and that nothing is written or encoded twice."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    T5ForConditionalGeneration,
)

from dal_nlp.core.caches import InMemory
from dal_nlp.core.config import DrawsConfig
from dal_nlp.core.rng import torch_seeded
from dal_nlp.core.task import Prediction
from dal_nlp.models.forward import Forward
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import fetch
from dal_nlp.strategies import bayesian, probes
from dal_nlp.tasks.summarization import NOWHERE, Summarization
from tests import tiny, tiny_summaries


def answers_of(forward: Forward) -> list[Prediction]:
    return forward._task.predict(forward.categoricals, forward.batch, forward.examples)


def task_of(model: torch.nn.Module, **options: Any) -> Summarization:
    return Summarization.for_model(model, tiny.tokenizer(), 24, {"max_new_tokens": 8, **options})


def forward_of(model: torch.nn.Module, n: int = 6, draws: str = "fixed", k: int = 3, **options: Any) -> Forward:
    task = task_of(model, **options)
    rows = fetch(tiny_summaries.encoded_documents(tiny_summaries.documents(n), task), range(n))
    return Forward(model, task, task.collate(rows), rows, make_draws(DrawsConfig(kind=draws, k=k), 0, 1), 64)


def bart(seed: int = 0) -> BartForConditionalGeneration:
    sizes = {f"{side}_{name}": 2 for side in ("encoder", "decoder") for name in ("layers", "attention_heads")}
    ffn = {"encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_position_embeddings": 40, "init_std": 0.3}
    special = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "decoder_start_token_id": 3}
    with torch_seeded(seed):
        config = BartConfig(vocab_size=len(tiny.tokenizer()), d_model=16, **sizes, **ffn, **special)
        return BartForConditionalGeneration(config).eval()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The number of documents in each call of `generate`."""
    seen: list[int] = []
    generate = T5ForConditionalGeneration.generate

    def counting(self: Any, *args: Any, **named: Any) -> Any:
        seen.append(len(named["attention_mask"]))
        return generate(self, *args, **named)

    monkeypatch.setattr(T5ForConditionalGeneration, "generate", counting)
    yield seen


# --- what the decoder reads ---------------------------------------------------------------------------------------


def test_the_decoder_reads_each_token_before_the_one_it_is_to_give() -> None:
    task = task_of(tiny_summaries.writer())
    rows = [{"input_ids": [2, 5, 3], "target": "good bad"}, {"input_ids": [2, 5, 6, 3], "target": "good"}]
    batch = task.collate(rows)
    good, bad = tiny.tokenizer().convert_tokens_to_ids(["good", "bad"])
    assert batch.labels is not None
    assert batch.labels.tolist() == [[good, bad, 3], [good, 3, NOWHERE]]  # [CLS] is the start token, and no label
    assert batch.inputs["decoder_input_ids"].tolist() == [[2, good, bad], [2, good, 0]]


def test_a_reference_that_is_too_long_keeps_its_end() -> None:
    task = task_of(tiny_summaries.writer(), max_new_tokens=4)
    batch = task.collate([{"input_ids": [2, 3], "target": "good bad good bad good bad"}])
    assert batch.labels is not None
    assert batch.labels.shape == (1, 4)
    assert batch.labels[0, -1] == 3


def test_the_first_of_several_references_trains() -> None:
    task = task_of(tiny_summaries.writer())
    both, first = ({"input_ids": [2, 3], "target": target} for target in (["good", "bad plot"], "good"))
    assert torch.equal(task.collate([both]).labels, task.collate([first]).labels)  # type: ignore[arg-type]


def test_the_loss_is_that_of_the_library() -> None:
    model = tiny_summaries.writer()
    task = task_of(model)
    texts = tiny_summaries.documents(3)
    for row, summary in zip(texts, ("good", "bad plot and story", "it was"), strict=True):
        row["summary"] = summary  # of different lengths: padding does not count
    rows = fetch(tiny_summaries.encoded_documents(texts, task), range(3))
    losses = Forward(model, task, task.collate(rows), rows, make_draws(DrawsConfig(k=2), 0, 1), 64).loss
    for row, loss in zip(rows, losses.tolist(), strict=True):
        alone = task.collate([row])
        with torch.inference_mode():
            expected = model(input_ids=alone.inputs["input_ids"], labels=alone.labels).loss
        assert loss == pytest.approx(float(expected), abs=1e-5)


def test_the_loss_is_of_the_reference_and_not_of_the_hypothesis() -> None:
    model = tiny_summaries.writer()
    task = task_of(model)
    rows = fetch(tiny_summaries.encoded_documents(tiny_summaries.documents(2), task), range(2))
    draws = make_draws(DrawsConfig(k=2), 0, 1)
    plain = Forward(model, task, task.collate(rows), rows, draws, 64).loss
    after = Forward(model, task, task.collate(rows), rows, draws, 64)
    after.categoricals  # noqa: B018 - the hypothesis is written first
    assert torch.allclose(after.loss, plain)


def test_what_models_add_to_their_output_layer_counts() -> None:
    model = bart()
    model.final_logits_bias.copy_(torch.randn_like(model.final_logits_bias))
    forward = forward_of(model, n=3)
    inputs = {name: forward.batch.inputs[name] for name in ("input_ids", "attention_mask", "decoder_input_ids")}
    with torch.inference_mode():
        expected = model(**inputs).logits.log_softmax(-1)
    mask = forward.mask
    assert torch.allclose(forward.log_probs[mask], expected[mask], atol=1e-5)


# --- the hypothesis and its distributions -------------------------------------------------------------------------


def test_the_distributions_are_those_of_the_models_own_text() -> None:
    model = tiny_summaries.writer()
    forward = forward_of(model)
    hypothesis = forward.batch.extra["hypothesis"]
    for i, row in enumerate(forward.examples):
        with torch.inference_mode():
            text = model.generate(
                input_ids=torch.tensor([row["input_ids"]]), max_new_tokens=8, do_sample=False, num_beams=1
            )[0, 1:]
            text = text[: text.tolist().index(3) + 1] if 3 in text.tolist() else text
            before = torch.cat([torch.tensor([2]), text[:-1]])[None]
            logits = model(input_ids=torch.tensor([row["input_ids"]]), decoder_input_ids=before).logits
        assert hypothesis[i][hypothesis[i] != NOWHERE].tolist() == text.tolist()
        assert int(forward.mask[i].sum()) == len(text)
        assert torch.allclose(forward.log_probs[i, : len(text)], logits.log_softmax(-1)[0], atol=1e-4)
    c = forward.categoricals
    assert torch.equal(c.answered()[c.mask], c.best()[c.mask])  # greedy


def test_with_beams_the_answer_need_not_be_the_most_likely_word_by_word() -> None:
    c = forward_of(tiny_summaries.writer(), n=20, num_beams=4).categoricals
    assert not torch.equal(c.answered()[c.mask], c.best()[c.mask])


def test_a_value_is_the_mean_over_the_tokens_that_there_are() -> None:
    forward = forward_of(tiny_summaries.writer(), n=12)
    counts = forward.mask.sum(1)
    assert len(set(counts.tolist())) > 1
    entropies = -(forward.log_probs.exp() * forward.log_probs).sum(-1)
    expected = torch.stack([entropies[i, :n].mean() for i, n in enumerate(counts)])
    assert torch.allclose(probes.entropy(forward), expected, atol=1e-4)


def test_the_confidence_is_the_geometric_mean_of_the_tokens_probabilities() -> None:
    forward = forward_of(tiny_summaries.writer(), n=4)
    c = forward.categoricals
    for i, answer in enumerate(answers_of(forward)):
        logs = [c.log_probs[i, t, token] for t, token in enumerate(c.answered()[i].tolist()) if c.mask[i, t]]
        assert answer.confidence == pytest.approx(float(torch.stack(logs).mean().exp()), abs=1e-6)


def test_with_beams_the_confidence_is_that_of_the_text_and_not_of_the_likeliest_words() -> None:
    forward = forward_of(tiny_summaries.writer(), n=20, num_beams=4)
    c = forward.categoricals
    said, likeliest = (c.over_factors(c.at(places)).exp().tolist() for places in (c.answered(), c.best()))
    assert said != likeliest
    assert [answer.confidence for answer in answers_of(forward)] == said


def test_values_do_not_depend_on_the_batching() -> None:
    alone, together = (tiny_summaries.summary_pool(n=12, batch_size=size) for size in (1, 12))
    for one, all in zip(
        alone.collect(probes.entropy, probes.embedding), together.collect(probes.entropy, probes.embedding), strict=True
    ):
        assert np.allclose(one, all, atol=1e-5)


# --- nothing is done twice ----------------------------------------------------------------------------------------


def test_one_text_serves_all_probes_and_passes(calls: list[int]) -> None:
    pool = tiny_summaries.summary_pool(n=10, batch_size=4)
    pool.collect(probes.entropy, probes.margin, bayesian.bald)
    assert sum(calls) == 10
    pool.collect(probes.gradient)
    pool.take(np.arange(5)).predict()
    assert sum(calls) == 10


def test_what_was_written_with_other_settings_is_not_taken(calls: list[int]) -> None:
    model, written = tiny_summaries.writer(), InMemory()
    texts = {}
    for options in ({}, {"max_new_tokens": 3}, {"num_beams": 3}, {"prefix": "film "}):
        forward = forward_of(model, **options)
        forward._companions.__dict__["written"] = written
        texts[str(options)] = [answer.target for answer in answers_of(forward)]
    assert sum(calls) == 4 * 6
    assert len(set(map(tuple, texts.values()))) == 4


@pytest.mark.long
@pytest.mark.parametrize("kind", ["fixed", "full", "head"])
def test_what_is_read_first_makes_no_difference(kind: str) -> None:
    """Samples are written under dropout, and what the encoder gave before is shared with everything else."""
    model = tiny_summaries.writer()
    first, second = forward_of(model, draws=kind), forward_of(model, draws=kind)
    samples = list(first.samples)
    values, embedding = probes.entropy(first), first.embedding
    assert torch.equal(second.embedding, embedding)
    assert torch.equal(probes.entropy(second), values)
    assert list(second.samples) == samples


def test_a_sample_is_written_once(calls: list[int]) -> None:
    pool = tiny_summaries.summary_pool(n=6, k=3)

    def words(forward: Forward) -> torch.Tensor:
        return torch.tensor([[len(text) for text in texts] for texts in forward.samples]).T

    def again(forward: Forward) -> torch.Tensor:
        return words(forward)

    (first,) = pool.collect(words)
    assert sum(calls) == 18
    assert np.array_equal(pool.collect(again)[0], first)
    assert sum(calls) == 18


def test_embeddings_losses_and_lengths_cost_no_text(calls: list[int]) -> None:
    pool = tiny_summaries.summary_pool(n=10)
    pool.collect(probes.embedding, probes.lower_embedding, probes.length)
    pool.labeled.collect(lambda forward: forward.loss)
    assert not calls


def test_the_encoder_runs_once_for_text_score_draws_and_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_summaries.writer()
    runs: list[int] = []
    forward = forward_of(model)
    model.get_encoder().register_forward_hook(lambda *_: runs.append(1))
    probes.entropy(forward)
    bayesian.bald(forward)
    list(forward.samples)
    forward.loss  # noqa: B018
    assert len(runs) == 1


def test_beams_leave_the_encoders_result_as_it_was() -> None:
    forward = forward_of(tiny_summaries.writer(), num_beams=3)
    probes.entropy(forward)
    assert len(forward.batch.inputs["encoder_outputs"].last_hidden_state) == 6


# --- draws and samples --------------------------------------------------------------------------------------------


def test_draws_differ_and_come_from_the_decoder_alone() -> None:
    forward = forward_of(tiny_summaries.writer())
    first, second, _ = [c.log_probs for c in forward.draws]
    assert not torch.allclose(first, second)
    assert float(bayesian.bald(forward).min()) > 0


def test_the_sample_of_a_draw_is_what_its_network_would_write() -> None:
    """Under fixed masks, each word of sample k is the most likely one of draw k given the words before it."""
    model = tiny_summaries.writer()
    forward = forward_of(model, n=5, k=3)
    prepared, draws, task = forward._prepared, forward._draws, task_of(model)
    differs = False
    for k, texts in enumerate(forward.samples):
        with torch.inference_mode(), draws.sampled(model, forward._head, k):
            written = task._written(model, prepared, InMemory(), "")
            assert task._texts(written) == texts
            for i, tokens in enumerate(written):
                encoded = (prepared.inputs["encoder_outputs"].last_hidden_state[i : i + 1],)
                mask = prepared.inputs["attention_mask"][i : i + 1]
                before = torch.tensor([[2, *tokens[:-1]]])
                logits = model(encoder_outputs=encoded, attention_mask=mask, decoder_input_ids=before).logits
                assert logits[0].argmax(-1).tolist() == tokens
        differs |= texts != [
            answer.target for answer in task.predict(forward.categoricals, forward.batch, forward.examples)
        ]
    assert differs


@pytest.mark.long
@pytest.mark.parametrize("kind", ["fixed", "head", "full"])
def test_samples_come_again_and_leave_the_model_in_evaluation(kind: str) -> None:
    model = tiny_summaries.writer()
    first, second = (list(forward_of(model, draws=kind).samples) for _ in range(2))
    assert first == second
    assert len({tuple(texts) for texts in first}) > 1
    assert not any(module.training for module in model.modules())
