"""Summaries: what the decoder reads, whose distributions these are, and that nothing is written or encoded twice."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForSeq2SeqLM,
    BartConfig,
    BartForConditionalGeneration,
    GPT2Config,
    GPT2LMHeadModel,
    T5ForConditionalGeneration,
    T5ForQuestionAnswering,
)

from dal_nlp.core.caches import InMemory
from dal_nlp.core.config import DrawsConfig, ScoringConfig
from dal_nlp.core.errors import EmptyRow, RowError, Unsupported, UserError
from dal_nlp.core.rng import torch_seeded
from dal_nlp.core.task import Prediction
from dal_nlp.learners.learner import write_model
from dal_nlp.models.forward import Forward
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import Pool, fetch
from dal_nlp.models.sketch import SIZE
from dal_nlp.session.config import RunConfig
from dal_nlp.strategies import bayesian, probes
from dal_nlp.tasks.seq2seq import WARM_STARTED
from dal_nlp.tasks.summarization import NOWHERE, Summarization, SummarizationOptions
from dal_nlp.tasks.text_checks import soundness
from tests import tiny


def answers_of(forward: Forward) -> list[Prediction]:
    return forward._task.predict(forward.categoricals, forward.batch, forward.examples)


def task_of(model: torch.nn.Module, **options: Any) -> Summarization:
    return Summarization.for_model(model, tiny.tokenizer(), 24, {"max_new_tokens": 8, **options})


def forward_of(model: torch.nn.Module, n: int = 6, draws: str = "fixed", k: int = 3, **options: Any) -> Forward:
    task = task_of(model, **options)
    rows = fetch(tiny.encoded_documents(tiny.documents(n), task), range(n))
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
    task = task_of(tiny.writer())
    rows = [{"input_ids": [2, 5, 3], "target": "good bad"}, {"input_ids": [2, 5, 6, 3], "target": "good"}]
    batch = task.collate(rows)
    good, bad = tiny.tokenizer().convert_tokens_to_ids(["good", "bad"])
    assert batch.labels is not None
    assert batch.labels.tolist() == [[good, bad, 3], [good, 3, NOWHERE]]  # [CLS] is the start token, and no label
    assert batch.inputs["decoder_input_ids"].tolist() == [[2, good, bad], [2, good, 0]]


def test_a_reference_that_is_too_long_keeps_its_end() -> None:
    task = task_of(tiny.writer(), max_new_tokens=4)
    batch = task.collate([{"input_ids": [2, 3], "target": "good bad good bad good bad"}])
    assert batch.labels is not None
    assert batch.labels.shape == (1, 4)
    assert batch.labels[0, -1] == 3


def test_the_first_of_several_references_trains() -> None:
    task = task_of(tiny.writer())
    both, first = ({"input_ids": [2, 3], "target": target} for target in (["good", "bad plot"], "good"))
    assert torch.equal(task.collate([both]).labels, task.collate([first]).labels)  # type: ignore[arg-type]


def test_the_loss_is_that_of_the_library() -> None:
    model = tiny.writer()
    task = task_of(model)
    texts = tiny.documents(3)
    for row, summary in zip(texts, ("good", "bad plot and story", "it was"), strict=True):
        row["summary"] = summary  # of different lengths: padding does not count
    rows = fetch(tiny.encoded_documents(texts, task), range(3))
    losses = Forward(model, task, task.collate(rows), rows, make_draws(DrawsConfig(k=2), 0, 1), 64).loss
    for row, loss in zip(rows, losses.tolist(), strict=True):
        alone = task.collate([row])
        with torch.inference_mode():
            expected = model(input_ids=alone.inputs["input_ids"], labels=alone.labels).loss
        assert loss == pytest.approx(float(expected), abs=1e-5)


def test_the_loss_is_of_the_reference_and_not_of_the_hypothesis() -> None:
    model = tiny.writer()
    task = task_of(model)
    rows = fetch(tiny.encoded_documents(tiny.documents(2), task), range(2))
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
    model = tiny.writer()
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
    c = forward_of(tiny.writer(), n=20, num_beams=4).categoricals
    assert not torch.equal(c.answered()[c.mask], c.best()[c.mask])


def test_a_value_is_the_mean_over_the_tokens_that_there_are() -> None:
    forward = forward_of(tiny.writer(), n=12)
    counts = forward.mask.sum(1)
    assert len(set(counts.tolist())) > 1
    entropies = -(forward.log_probs.exp() * forward.log_probs).sum(-1)
    expected = torch.stack([entropies[i, :n].mean() for i, n in enumerate(counts)])
    assert torch.allclose(probes.entropy(forward), expected, atol=1e-4)


def test_the_confidence_is_the_geometric_mean_of_the_tokens_probabilities() -> None:
    forward = forward_of(tiny.writer(), n=4)
    c = forward.categoricals
    for i, answer in enumerate(answers_of(forward)):
        logs = [c.log_probs[i, t, token] for t, token in enumerate(c.answered()[i].tolist()) if c.mask[i, t]]
        assert answer.confidence == pytest.approx(float(torch.stack(logs).mean().exp()), abs=1e-6)


def test_with_beams_the_confidence_is_that_of_the_text_and_not_of_the_likeliest_words() -> None:
    forward = forward_of(tiny.writer(), n=20, num_beams=4)
    c = forward.categoricals
    said, likeliest = (c.over_factors(c.at(places)).exp().tolist() for places in (c.answered(), c.best()))
    assert said != likeliest
    assert [answer.confidence for answer in answers_of(forward)] == said


def test_values_do_not_depend_on_the_batching() -> None:
    alone, together = (tiny.summary_pool(n=12, batch_size=size) for size in (1, 12))
    for one, all in zip(
        alone.collect(probes.entropy, probes.embedding), together.collect(probes.entropy, probes.embedding), strict=True
    ):
        assert np.allclose(one, all, atol=1e-5)


# --- nothing is done twice ----------------------------------------------------------------------------------------


def test_one_text_serves_all_probes_and_passes(calls: list[int]) -> None:
    pool = tiny.summary_pool(n=10, batch_size=4)
    pool.collect(probes.entropy, probes.margin, bayesian.bald)
    assert sum(calls) == 10
    pool.collect(probes.gradient)
    pool.take(np.arange(5)).predict()
    assert sum(calls) == 10


def test_what_was_written_with_other_settings_is_not_taken(calls: list[int]) -> None:
    model, written = tiny.writer(), InMemory()
    texts = {}
    for options in ({}, {"max_new_tokens": 3}, {"num_beams": 3}, {"prefix": "film "}):
        forward = forward_of(model, **options)
        forward._companions.__dict__["written"] = written
        texts[str(options)] = [answer.target for answer in answers_of(forward)]
    assert sum(calls) == 4 * 6
    assert len(set(map(tuple, texts.values()))) == 4


@pytest.mark.parametrize("kind", ["fixed", "full", "head"])
def test_what_is_read_first_makes_no_difference(kind: str) -> None:
    """Samples are written under dropout, and what the encoder gave before is shared with everything else."""
    model = tiny.writer()
    first, second = forward_of(model, draws=kind), forward_of(model, draws=kind)
    samples = list(first.samples)
    values, embedding = probes.entropy(first), first.embedding
    assert torch.equal(second.embedding, embedding)
    assert torch.equal(probes.entropy(second), values)
    assert list(second.samples) == samples


def test_a_sample_is_written_once(calls: list[int]) -> None:
    pool = tiny.summary_pool(n=6, k=3)

    def words(forward: Forward) -> torch.Tensor:
        return torch.tensor([[len(text) for text in texts] for texts in forward.samples]).T

    def again(forward: Forward) -> torch.Tensor:
        return words(forward)

    (first,) = pool.collect(words)
    assert sum(calls) == 18
    assert np.array_equal(pool.collect(again)[0], first)
    assert sum(calls) == 18


def test_embeddings_losses_and_lengths_cost_no_text(calls: list[int]) -> None:
    pool = tiny.summary_pool(n=10)
    pool.collect(probes.embedding, probes.lower_embedding, probes.length)
    pool.labeled.collect(lambda forward: forward.loss)
    assert not calls


def test_the_encoder_runs_once_for_text_score_draws_and_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.writer()
    runs: list[int] = []
    forward = forward_of(model)
    model.get_encoder().register_forward_hook(lambda *_: runs.append(1))
    probes.entropy(forward)
    bayesian.bald(forward)
    list(forward.samples)
    forward.loss  # noqa: B018
    assert len(runs) == 1


def test_beams_leave_the_encoders_result_as_it_was() -> None:
    forward = forward_of(tiny.writer(), num_beams=3)
    probes.entropy(forward)
    assert len(forward.batch.inputs["encoder_outputs"].last_hidden_state) == 6


# --- draws and samples --------------------------------------------------------------------------------------------


def test_draws_differ_and_come_from_the_decoder_alone() -> None:
    forward = forward_of(tiny.writer())
    first, second, _ = [c.log_probs for c in forward.draws]
    assert not torch.allclose(first, second)
    assert float(bayesian.bald(forward).min()) > 0


def test_the_sample_of_a_draw_is_what_its_network_would_write() -> None:
    """Under fixed masks, each word of sample k is the most likely one of draw k given the words before it."""
    model = tiny.writer()
    forward = forward_of(model, n=5, k=3)
    prepared, draws, task = forward._prepared, forward._draws, task_of(model)
    differs = False
    for k, texts in enumerate(forward.samples):
        with torch.inference_mode(), draws.thinned(model, forward._head, k):
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


@pytest.mark.parametrize("kind", ["fixed", "head", "full"])
def test_samples_come_again_and_leave_the_model_in_evaluation(kind: str) -> None:
    model = tiny.writer()
    first, second = (list(forward_of(model, draws=kind).samples) for _ in range(2))
    assert first == second
    assert len({tuple(texts) for texts in first}) > 1
    assert not any(module.training for module in model.modules())


# --- models -------------------------------------------------------------------------------------------------------


def loaded(folder: Path, **options: Any) -> tuple[Summarization, Any]:
    task = Summarization(SummarizationOptions(max_new_tokens=8, **options), max_length=24, tokenizer=tiny.tokenizer())
    with torch_seeded(0):
        task.check_model(str(folder))
        return task, task.load(str(folder))


def test_untied_output_layers_survive_saving_and_loading(tmp_path: Path) -> None:
    tiny.save_writer(tmp_path / "first")
    task, model = loaded(tmp_path / "first")
    assert not torch.equal(model.lm_head.weight, model.shared.weight)
    weights = {name: values.clone() for name, values in model.state_dict().items()}
    write_model(model, task, tmp_path / "second")
    assert json.loads((tmp_path / "second" / "config.json").read_text())["tie_word_embeddings"] is False
    _, again = loaded(tmp_path / "second")
    assert weights.keys() == again.state_dict().keys()
    assert all(torch.equal(values, again.state_dict()[name]) for name, values in weights.items())
    ids = torch.tensor([[2, 5, 6, 7, 3]])
    before = torch.tensor([[2, 9]])
    for copy in (again, AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "second")):
        assert torch.equal(
            model.eval()(input_ids=ids, decoder_input_ids=before).logits,
            copy.eval()(input_ids=ids, decoder_input_ids=before).logits,
        )


def test_a_saved_model_writes_the_same_by_itself(tmp_path: Path) -> None:
    tiny.save_writer(tmp_path / "first")
    task, model = loaded(tmp_path / "first", num_beams=3, no_repeat_ngram_size=2)
    write_model(model, task, tmp_path / "model")
    copy = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "model")
    rows = tiny.encoded_documents(tiny.documents(5), task)
    pool = Pool(rows, model.eval(), task, make_draws(DrawsConfig(k=2), 0, 1), ScoringConfig())
    for row, answer in zip(rows, pool.predict(), strict=True):
        text = copy.generate(input_ids=torch.tensor([row["input_ids"]]))[0]
        assert tiny.tokenizer().decode(text, skip_special_tokens=True).strip() == answer.target


def test_an_encoder_becomes_a_pair_that_is_known_as_one(tmp_path: Path) -> None:
    tiny.save_model(tmp_path / "encoder")
    task, model = loaded(tmp_path / "encoder")
    assert model.config.to_dict()[WARM_STARTED]
    embeddings = model.get_encoder().get_input_embeddings().weight
    assert torch.equal(embeddings, model.get_decoder().get_input_embeddings().weight)
    assert any("encoder" in text and "weak" in text for text in task.remarks({}))
    write_model(model, task, tmp_path / "pair")
    again, copy = loaded(tmp_path / "pair")
    rows = tiny.encoded_documents(tiny.documents(4), task)
    draws = make_draws(DrawsConfig(k=2), 0, 1)
    texts = [Pool(rows, m.eval(), t, draws, ScoringConfig()).predict() for t, m in ((task, model), (again, copy))]
    assert texts[0] == texts[1]
    assert "weak" in again.remarks({})[0]  # it has learnt from few texts since
    assert not task.ready


def test_a_decoder_alone_is_refused(tmp_path: Path) -> None:
    config = GPT2Config(vocab_size=40, n_positions=40, n_embd=16, n_layer=1, n_head=2)
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"gpt2.*decoder without an encoder.*use an encoder-decoder \(T5"):
        Summarization().check_model(str(tmp_path))


def test_a_model_that_does_not_write_is_refused_in_a_training_script() -> None:
    for model in (tiny.classifier(), T5ForQuestionAnswering(tiny.writer_config())):
        with pytest.raises(UserError, match="no encoder-decoder that writes texts"):
            task_of(model)


def bend(module: torch.nn.Module, args: Any, result: Any) -> None:
    """Bend what the output layer gives, as T5Gemma does."""
    result["logits"] = 3 * torch.tanh(result["logits"] / 3 + 1)


def test_what_a_model_does_behind_its_output_layer_counts() -> None:
    model = tiny.writer()
    model.register_forward_hook(bend)
    forward = forward_of(model)
    inputs = {name: values for name, values in forward.batch.inputs.items() if name != "encoder_outputs"}
    want = model(**inputs).logits.log_softmax(-1)
    torch.testing.assert_close(forward.categoricals.log_probs, want.detach(), rtol=1e-4, atol=1e-5)
    hypothesis = forward.batch.extra["hypothesis"]
    for i, gradient in enumerate(zip(forward.gradient.left, forward.gradient.right, strict=True)):
        length = int((hypothesis[i] >= 0).sum())
        loss = -want[i, torch.arange(length), hypothesis[i, :length]].mean()
        (by_weight,) = torch.autograd.grad(loss, model.lm_head.weight, retain_graph=True)
        np.testing.assert_allclose(np.einsum("pa,ph->ah", *gradient), by_weight.numpy(), atol=1e-5)


def test_settings_that_only_beams_have_are_no_fault_without_them(tmp_path: Path) -> None:
    tiny.save_writer(tmp_path / "first")
    task, model = loaded(tmp_path / "first", length_penalty=2.0)
    write_model(model, task, tmp_path / "model")
    assert AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "model").generation_config.num_beams == 1


def test_what_a_model_was_set_to_write_does_not_count() -> None:
    model = tiny.writer()
    plain = [answer.target for answer in _predict(model)]
    model.generation_config.update(
        min_new_tokens=8, num_return_sequences=2, num_beams=2, do_sample=True, return_dict_in_generate=True
    )
    assert [answer.target for answer in _predict(model)] == plain


def _predict(model: torch.nn.Module) -> Any:
    forward = forward_of(model)
    return answers_of(forward)


def test_the_gradient_by_a_vocabulary_is_a_sketch_of_it() -> None:
    config = tiny.writer_config()
    config.vocab_size = SIZE + 400
    with torch_seeded(0):
        model = T5ForConditionalGeneration(config).eval()
    task = task_of(model)
    rows = fetch(tiny.encoded_documents(tiny.documents(8), task), range(8))
    forward = Forward(model, task, task.collate(rows), rows, make_draws(DrawsConfig(k=2), 0, 1), 64)
    sketched = forward.gradient
    assert sketched.right.shape == (8, 1, SIZE)
    inputs, raw = forward._pass.inputs, forward._pass.raw
    p, mask = raw.softmax(-1), forward.mask
    delta = (p - torch.nn.functional.one_hot(forward.categoricals.answered(), raw.shape[-1])) * mask[..., None]
    whole = torch.einsum("btv,bth->bvh", delta / mask.sum(1)[:, None, None], inputs).flatten(1)
    norms = (whole**2).sum(1).sqrt()
    error = sketched.right[:, 0] @ sketched.right[:, 0].T - (whole @ whole.T).numpy()
    assert np.abs(error / np.outer(norms, norms)).max() < 0.3


def test_a_missing_start_token_is_named(tmp_path: Path) -> None:
    model = tiny.writer()
    model.config.decoder_start_token_id = model.generation_config.decoder_start_token_id = None
    with pytest.raises(UserError, match="no decoder start token: set decoder_start_token_id"):
        task_of(model)
    model.save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    with pytest.raises(UserError, match="no decoder start token"):
        loaded(tmp_path)


def test_texts_that_do_not_fit_into_the_model_are_refused() -> None:
    with pytest.raises(UserError, match=r"max_length 60 is above the 40 tokens"):
        Summarization.for_model(bart(), tiny.tokenizer(), 60, {})
    with pytest.raises(UserError, match=r"max_new_tokens 41 does not fit into the 40 positions of the decoder"):
        Summarization.for_model(bart(), tiny.tokenizer(), 24, {"max_new_tokens": 41})
    Summarization.for_model(bart(), tiny.tokenizer(), 24, {"max_new_tokens": 40})


# --- rows and answers ---------------------------------------------------------------------------------------------


def test_rows_are_read_with_one_or_several_references() -> None:
    task = Summarization()
    assert task.read({"document": "a plot"}) == {"document": "a plot"}
    with pytest.raises(EmptyRow):
        task.read({"document": " \n"})
    assert task.read_target({"summary": " short "}) == "short"
    assert task.read_target({"references": ["one", "two", "one", ""]}) == ["one", "two"]
    assert task.read_target({"references": ["one"]}) == "one"
    for empty in (None, "", "  ", float("nan"), [], [None, " "]):
        assert task.read_target({"summary": empty}) is None
    for wrong in ({"text": "one"}, [["one"]]):
        with pytest.raises(RowError):
            task.read_target({"summary": wrong})
    assert task.read_target({"references": '["one", "two"]'}) == ["one", "two"]  # a table has lists as JSON
    assert task.read_target({"summary": "[sic] one"}) == "[sic] one"
    assert task.read_target({"summary": "[1, 2]"}) == "[1, 2]"
    with pytest.raises(RowError, match=r"holds a list where a text is expected|holds an object where"):
        task.read({"document": ["a", "b"]})
    assert Summarization(label_column="subject").answer_column(["references"]) == "subject"
    assert task.answer_column(["document", "references"]) == "references"
    assert task.answer_column(["document", "summary", "references"]) == "summary"


def test_answers_are_texts_with_words_in_them() -> None:
    task = Summarization()
    task.check("short", {})
    task.check(["one", "two"], {})
    for wrong in ("", " ", [], ["one", ""], None, 3, {"text": "one"}):
        with pytest.raises(ValueError, match="neither a text"):
            task.check(wrong, {})
    assert task.answer_format.parse_answer(" short ", {}) == "short"
    with pytest.raises(ValueError, match="a text is missing"):
        task.answer_format.parse_answer(" ", {})


def test_what_is_cut_is_counted_and_said() -> None:
    task = tiny.summary_task(max_length=10, max_new_tokens=4)
    rows = [
        {"id": "a", "document": "good " * 9, "summary": "good bad"},
        {"id": "b", "document": "good " * 8, "summary": "good bad plot it"},
    ]
    data = tiny.encoded_documents(rows, task)
    assert data["whole"] == [11, 10]  # [CLS] and [SEP] are two of the ten
    assert data["long"] == [False, True]  # [SEP] is one of the four
    assert [len(ids) for ids in data["input_ids"]] == [10, 10]
    first, second = task.remarks({"pool": data})
    assert first.startswith("1 of 2 documents (pool) are longer than 10 tokens, the longest 11, and are cut")
    assert second.startswith("50.0 % of the references (pool) are longer than 4 tokens")


def test_references_that_rouge_would_not_see_are_said() -> None:
    rows = [
        {"id": "a", "document": "good", "summary": "хороший фильм"},
        {"id": "b", "document": "bad", "summary": "ok"},
    ]
    (remark,) = (task := tiny.summary_task()).remarks({"pool": tiny.encoded_documents(rows, task)})
    assert remark.startswith("50.0 % of the references (pool) have no word of Latin letters")
    task = tiny.summary_task(rouge="words")
    assert not task.remarks({"pool": tiny.encoded_documents(rows, task)})
    assert task.evaluate(["хороший фильм"], ["хороший фильм"])["rouge1"] == 1


def test_the_prefix_is_read_by_the_model_and_not_by_people() -> None:
    task = tiny.summary_task(prefix="film ")
    (row,) = fetch(tiny.encoded_documents([{"id": "a", "document": "good", "summary": "bad"}], task), [0])
    assert tiny.tokenizer().convert_ids_to_tokens(row["input_ids"]) == ["[CLS]", "film", "good", "[SEP]"]
    assert task.show(row) == "good"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text_column": ["a", "b"]}, "one column"),
        ({"labels": ["a", "b"]}, "--labels is for classification"),
        ({"training": {"class_weights": "balanced"}}, "class_weights is for classes"),
        ({"task_options": {"num_beam": 2}}, "no option 'num_beam'.*num_beams"),
    ],
)
def test_settings_of_other_tasks_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Summarization.from_config(RunConfig(task="summarization", data="pool.jsonl", **changes))


# --- measures -----------------------------------------------------------------------------------------------------


def test_the_best_reference_counts_and_tokens_are_counted() -> None:
    task = tiny.summary_task()
    values = task.evaluate(["good plot", "bad"], [["it was", "good plot"], "bad"])
    assert list(values) == list(Summarization.metrics)
    assert values["rouge1"] == values["rougeLsum"] == 1
    assert values["gen_tokens"] == 1.5
    low, high = task.intervals(["good", "bad"], ["good", "plot"], np.random.default_rng(0))["rouge1"]
    assert low == 0
    assert high == 1


def test_broken_texts_are_counted() -> None:
    task = tiny.summary_task()
    texts = ["good plot", "", "it is so it is so it is so", "bad", "bad"]
    rows = task.breakdown(texts, ["good plot", "bad", "plot", "bad", "good"])
    counts = {"sound": 1, "empty": 1, "repeats itself": 1, "same as for another document": 2}
    assert {row["kind of text"]: row["count"] for row in rows} == counts
    assert [row["rouge1"] for row in rows] == [1, 0, 0, 0.5]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("the cat sat on the mat and the cat sat down", "sound"),
        ("no no no no", "sound"),
        ("no no no no no", "repeats itself"),
        ("好好好好好好", "repeats itself"),
        ("It is so. it is so. It is so. It is so.", "repeats itself"),
    ],
)
def test_what_counts_as_broken(text: str, kind: str) -> None:
    assert soundness([text, "another"]) == [kind, "sound"]


def test_classes_have_no_weights_and_other_tasks_write_nothing() -> None:
    with pytest.raises(Unsupported):
        Summarization().weights(["a"])
    for task in (tiny.task(), tiny.qa_task()):
        with pytest.raises(Unsupported):
            task.write(tiny.classifier(), task.collate, InMemory(), "")  # type: ignore[arg-type]
