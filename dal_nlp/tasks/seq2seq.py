"""Models that write: encoder-decoders, and pairs of them warm-started from an encoder."""

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dal_nlp.core.caches import Cache
from dal_nlp.core.errors import ModelError, UserError
from dal_nlp.core.task import Batch
from dal_nlp.pretrained.loading import load_config, load_model
from dal_nlp.pretrained.reading import COARSE, SHORT, TOLERANCE, most

#: Tells a pair that was warm-started here from a model that was trained to write.
WARM_STARTED = "dal_nlp_warm_started"


def check_writer(source: str) -> None:
    """Raise ``UserError`` where the model of a folder or Hub id can neither write nor be made to."""
    _check_kind(source, load_config(source))


def is_weak(source: str) -> bool:
    """Tell whether a source holds an encoder alone, from which a pair has to be made, or a pair that was made so."""
    config = load_config(source)
    return not config.is_encoder_decoder or bool(config.to_dict().get(WARM_STARTED))


def load_writer(source: str, tokenizer: Any) -> nn.Module:
    """Load an encoder-decoder in fp32 on the CPU; of an encoder alone, make a pair.

    The pair's decoder is the encoder once more, with new cross-attention between the layers (Rothe et al., 2020,
    Leveraging pre-trained checkpoints for sequence generation tasks, section 2): call it under ``chance.torch_seeded``.

    Raises:
        UserError: It is a decoder alone, has no kind of decoder, or lacks the token that a text starts with.
    """
    config = load_config(source)
    _check_kind(source, config)
    if config.is_encoder_decoder:
        model = load_model("AutoModelForSeq2SeqLM", source, fresh=False)
        if config.model_type != "encoder-decoder":
            _say_whether_tied(model)
    else:
        try:
            model = _pair(source, config, tokenizer)
        except UserError:
            raise
        except Exception as error:  # of whatever kind the model's code has for it
            raise UserError(
                f"{source} ({config.model_type}) is an encoder of which no pair can be made that writes: use an "
                "encoder-decoder (T5, BART, Pegasus) such as --model google/flan-t5-small."
            ) from error
    check_start(model, source)
    return model


def _say_whether_tied(model: nn.Module) -> None:
    """Have a saved configuration say what the weights are: transformers 5 finds them untied and keeps "tied" in it."""
    weights: Any = model
    output, embeddings = weights.get_output_embeddings(), weights.get_input_embeddings()
    if output is not None and output.weight is not embeddings.weight:
        weights.config.tie_word_embeddings = False


def check_start(model: nn.Module, name: str) -> None:
    """Raise ``UserError`` where it is not known with which token a text starts."""
    if start_token(model) is None:
        raise UserError(
            f"{name} has no decoder start token: set decoder_start_token_id in its config.json, to the token that its "
            "texts were trained to start with (for T5 the padding token)."
        )


def start_token(model: nn.Module) -> int | None:
    """Return the token before a text's first one, None where it is not known."""
    configs: tuple[Any, Any] = (model.generation_config, model.config)
    tokens = (config.to_dict().get("decoder_start_token_id") for config in configs)
    return next((int(token) for token in tokens if token is not None), None)


def end_token(model: nn.Module) -> int | None:
    """Return the token that ends a text, the first where there are several, None where there is none."""
    config: Any = model.generation_config
    end: int | list[int] | None = config.eos_token_id
    return end[0] if isinstance(end, list) else end


def check_decoder(model: Any, longest: int, name: str) -> None:
    """Raise ``UserError`` where a decoder cannot read so many tokens, by trying, or looks ahead.

    One that looks ahead says something else of a token where another one, or padding, stands behind it.
    """
    document = torch.full((1, 2), start_token(model) or 0, device=model.device)
    inputs = {"input_ids": document, "attention_mask": torch.ones_like(document)}
    tokens = [token for token in range(SHORT + 1) if token != model.config.get_text_config(decoder=True).pad_token_id]
    begun = torch.tensor([tokens * longest], device=model.device)  # any but padding, and not all the same

    def logits(count: int) -> Tensor:
        with torch.no_grad():
            scores: Tensor = model(**inputs, decoder_input_ids=begun[:, :count]).logits[0].float()
        return scores

    def fits(tokens: int) -> bool:
        try:
            logits(tokens)
        except (IndexError, RuntimeError, ValueError):
            return False
        return True

    limit = most(fits, longest)
    if limit < longest:
        raise UserError(
            f"task_options.max_new_tokens {longest} does not fit into the {limit} positions of the decoder: lower it, "
            f"with --set task_options.max_new_tokens={limit} for example."
        )
    short = max(1, min(SHORT, longest // 2))
    training = model.training
    model.eval()
    alone, followed = logits(short), logits(longest)[:short]
    model.train(training)
    share = max(TOLERANCE, COARSE * torch.finfo(model.dtype).eps)
    if alone.isfinite().all() and (alone - followed).abs().max() > share * alone.abs().max():
        raise ModelError(
            f"What {name} writes next depends on what stands behind it, so that texts of different lengths cannot be "
            "compared: use another --model."
        )


def read_rows(model: Any, inputs: Mapping[str, Tensor]) -> list[Tensor]:
    """Return what a model that writes would begin with, for each of its documents."""
    ids = inputs["input_ids"]
    begun = torch.full((len(ids), 4), start_token(model) or 0, device=ids.device)
    named = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    return list(model(**named, decoder_input_ids=begun).logits)


def generation_config(model: Any, settings: dict[str, Any]) -> Any:
    """Return a model's own generation settings (its tokens, that is) under those that are given; nothing is sampled."""
    config = copy.deepcopy(model.generation_config)
    # Numbers, not None: where a setting is None, `generate` takes the model's own.
    greedy = {"do_sample": False, "temperature": 1.0, "top_k": 50, "top_p": 1.0, "early_stopping": False}
    lengths = {"max_length": None, "min_length": None, "min_new_tokens": 0, "length_penalty": 1.0}
    one = {"num_return_sequences": 1, "return_dict_in_generate": False, "use_cache": True}
    # What would come with the tokens: settings that ask for it without a dictionary cannot be saved.
    alone = dict.fromkeys(("output_scores", "output_logits", "output_attentions", "output_hidden_states"), False)
    searched = {"penalty_alpha": 0.0, "prompt_lookup_num_tokens": None, "dola_layers": None}  # in no other way
    start = {"decoder_start_token_id": start_token(model)}
    config.update(**{**greedy, **lengths, **one, **alone, **searched, **start, **settings})
    return config


def hypotheses(model: Any, config: Any, batch: Batch, cache: Cache, network: str) -> list[list[int]]:
    """Return y_1 ... y_T of each example, T at least 1, from the cache where it is there, else by the model.

    Args:
        model: As it is set: in evaluation mode, or sampled by dropout.
        config: See ``generation_config``.
        batch: Whose encoder has run.
        cache: What the model with these weights has written already.
        network: Tells the draws apart.
    """
    mask = batch.inputs["attention_mask"].bool()
    rows = [row[there].tolist() for row, there in zip(batch.inputs["input_ids"], mask, strict=True)]
    key = hashlib.blake2b(f"{network}\n{config.to_json_string()}".encode(), digest_size=16)
    keys = []
    for row in rows:
        of = key.copy()
        of.update(json.dumps(row).encode())
        keys.append(of.digest())
    known = cache.get(keys)
    missing = [i for i, name in enumerate(keys) if name not in known]
    if missing:
        texts = generate(model, config, batch.inputs["encoder_outputs"], batch.inputs["attention_mask"], missing)
        new = {keys[i]: json.dumps(tokens).encode() for i, tokens in zip(missing, texts, strict=True)}
        cache.put(new)
        known |= new
    return [json.loads(known[name]) for name in keys]


def generate(model: Any, config: Any, encoded: Any, attention_mask: Tensor, rows: Sequence[int]) -> list[list[int]]:
    """Let a model write for some rows of a batch; return the tokens behind the start token, the end token included.

    Args:
        model: As it is set: in evaluation mode, or sampled by dropout.
        config: See ``generation_config``.
        encoded: What its encoder gave, ``BaseModelOutput``; it is not changed.
        attention_mask: (R, L).
        rows: Which of the R rows.
    """
    # A copy: beam search repeats the rows in the object that it is given.
    states = type(encoded)(last_hidden_state=encoded.last_hidden_state[list(rows)])
    generations = model.generate(
        encoder_outputs=states, attention_mask=attention_mask[list(rows)], generation_config=config
    )
    ends = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
    return [_until(tokens, ends) for tokens in generations[:, 1:].tolist()]


def _until(tokens: list[int], ends: Sequence[int | None]) -> list[int]:
    """Cut off what stands behind the first end token."""
    end = next((i for i, token in enumerate(tokens) if token in ends), len(tokens) - 1)
    return tokens[: end + 1]


def _check_kind(source: str, config: Any) -> None:
    """Refuse what is neither an encoder-decoder that writes nor an encoder that can be made one."""
    from transformers.models.auto import modeling_auto as auto

    mend = "use an encoder-decoder (T5, BART, Pegasus) such as --model google/flan-t5-small"
    kind = config.model_type
    if config.is_encoder_decoder:
        if kind not in auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES:
            raise UserError(f"{source} ({kind}) does not write texts from texts: {mend}.")
        return
    # An encoder guesses masked words; a model that writes and does not is a decoder.
    if kind not in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        raise UserError(f"{source} ({kind}) is a decoder without an encoder, which is not supported: {mend}.")
    if kind not in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise UserError(f"{source} ({kind}) is an encoder that has no form as a decoder: {mend}.")


def _pair(source: str, config: Any, tokenizer: Any) -> nn.Module:
    """Make an encoder-decoder of two copies of an encoder, with cross-attention between them."""
    from transformers import EncoderDecoderModel

    as_decoder = copy.deepcopy(config)
    as_decoder.update({"is_decoder": True, "add_cross_attention": True})
    encoder: Any = load_model("AutoModel", source)
    decoder: Any = load_model("AutoModelForCausalLM", source, config=as_decoder)
    model: Any = EncoderDecoderModel(encoder=encoder, decoder=decoder)
    tokens = {
        "decoder_start_token_id": _first(tokenizer.cls_token_id, tokenizer.bos_token_id),
        "eos_token_id": _first(tokenizer.sep_token_id, tokenizer.eos_token_id),
        "pad_token_id": tokenizer.pad_token_id,
    }
    model.config.update({**tokens, WARM_STARTED: True})
    model.generation_config.update(**tokens)
    paired: nn.Module = model
    return paired


def _first(*tokens: int | None) -> int | None:
    return next((token for token in tokens if token is not None), None)
