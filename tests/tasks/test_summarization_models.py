"""Which models write summaries, how they are loaded and saved, and which are refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForSeq2SeqLM,
    GPT2Config,
    GPT2LMHeadModel,
    T5ForConditionalGeneration,
    T5ForQuestionAnswering,
)

from dal_nlp.core.config import DrawsConfig, ScoringConfig
from dal_nlp.core.errors import UserError
from dal_nlp.core.rng import torch_seeded
from dal_nlp.learners.learner import write_model
from dal_nlp.models.forward import Forward
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import Pool, fetch
from dal_nlp.models.sketch import SIZE
from dal_nlp.tasks.seq2seq import WARM_STARTED
from dal_nlp.tasks.summarization import Summarization, SummarizationOptions
from tests import tiny, tiny_summaries
from tests.tasks.test_summarization import answers_of, bart, forward_of, task_of

# --- models -------------------------------------------------------------------------------------------------------


def loaded(folder: Path, **options: Any) -> tuple[Summarization, Any]:
    task = Summarization(SummarizationOptions(max_new_tokens=8, **options), max_length=24, tokenizer=tiny.tokenizer())
    with torch_seeded(0):
        task.check_model(str(folder))
        return task, task.load(str(folder))


def test_untied_output_layers_survive_saving_and_loading(tmp_path: Path) -> None:
    tiny_summaries.save_writer(tmp_path / "first")
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
    tiny_summaries.save_writer(tmp_path / "first")
    task, model = loaded(tmp_path / "first", num_beams=3, no_repeat_ngram_size=2)
    write_model(model, task, tmp_path / "model")
    copy = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "model")
    rows = tiny_summaries.encoded_documents(tiny_summaries.documents(5), task)
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
    rows = tiny_summaries.encoded_documents(tiny_summaries.documents(4), task)
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
    for model in (tiny.classifier(), T5ForQuestionAnswering(tiny_summaries.writer_config())):
        with pytest.raises(UserError, match="no encoder-decoder that writes texts"):
            task_of(model)


def bend(module: torch.nn.Module, args: Any, result: Any) -> None:
    """Bend what the output layer gives, as T5Gemma does."""
    result["logits"] = 3 * torch.tanh(result["logits"] / 3 + 1)


def test_what_a_model_does_behind_its_output_layer_counts() -> None:
    model = tiny_summaries.writer()
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
    tiny_summaries.save_writer(tmp_path / "first")
    task, model = loaded(tmp_path / "first", length_penalty=2.0)
    write_model(model, task, tmp_path / "model")
    assert AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "model").generation_config.num_beams == 1


def test_what_a_model_was_set_to_write_does_not_count() -> None:
    model = tiny_summaries.writer()
    plain = [answer.target for answer in _predict(model)]
    model.generation_config.update(
        min_new_tokens=8, num_return_sequences=2, num_beams=2, do_sample=True, return_dict_in_generate=True
    )
    assert [answer.target for answer in _predict(model)] == plain


def test_a_model_that_was_set_to_give_more_than_tokens_or_to_search_otherwise_is_saved_and_writes(
    tmp_path: Path,
) -> None:
    source = tiny_summaries.save_writer(tmp_path / "writer")
    file = Path(source, "generation_config.json")
    more = {"return_dict_in_generate": True, "output_scores": True, "output_attentions": True}
    other = {"penalty_alpha": 0.6, "prompt_lookup_num_tokens": 3}
    file.write_text(json.dumps({**json.loads(file.read_text()), **more, **other}))
    task = tiny_summaries.summary_task()
    model = task.load(source)
    write_model(model, task, tmp_path / "model")
    assert len(_predict(model)) == 6


def _predict(model: torch.nn.Module) -> Any:
    forward = forward_of(model)
    return answers_of(forward)


def test_the_gradient_by_a_vocabulary_is_a_sketch_of_it() -> None:
    config = tiny_summaries.writer_config()
    config.vocab_size = SIZE + 400
    with torch_seeded(0):
        model = T5ForConditionalGeneration(config).eval()
    task = task_of(model)
    rows = fetch(tiny_summaries.encoded_documents(tiny_summaries.documents(8), task), range(8))
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
    model = tiny_summaries.writer()
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
