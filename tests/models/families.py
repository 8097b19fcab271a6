"""Tiny random models of many families, made on the spot, with a tokenizer of the kind that the family has."""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import AutoConfig, CanineTokenizer, EsmTokenizer, PreTrainedTokenizerFast
from transformers.models.auto import modeling_auto

from dal_nlp.core.rng import torch_seeded
from tests import tiny

WORDS = [*tiny.SPECIAL, *tiny.POSITIVE, *tiny.NEGATIVE, *tiny.NEUTRAL]
#: Tokens of the byte-level tokenizer: the five special ones, 256 bytes, and what it merges.
BYTES = 340
#: How a text, and a pair, is dressed: [PAD] is 0, [UNK] 1, [CLS] 2, [SEP] 3.
TEMPLATES = {
    "bert": ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"),
    "roberta": ("[CLS] $A [SEP]", "[CLS] $A [SEP] [SEP] $B [SEP]"),
    "end": ("$A [SEP]", "$A [SEP] $B [SEP]"),
    "plain": ("$A", "$A $B"),
    "xlnet": ("$A [SEP] [CLS]:2", "$A [SEP] $B:1 [SEP]:1 [CLS]:2"),
}

#: What most configurations understand, under these names or others that they map to them.
SIZES: Mapping[str, Any] = {
    "vocab_size": len(WORDS),
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 80,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "initializer_range": 0.3,
    "init_std": 0.3,
}
_BART: Mapping[str, Any] = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "decoder_start_token_id": 3,
    "forced_eos_token_id": None,
    "scale_embedding": False,
}
_T5: Mapping[str, Any] = {
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 64,
    "num_layers": 2,
    "num_decoder_layers": 2,
    "num_heads": 4,
    "initializer_factor": 3.0,
    "decoder_start_token_id": 0,
}
_UNSET = object()  # what a configuration has no name for
_GROUPED: Mapping[str, Any] = {"num_key_value_heads": 2, "head_dim": 8}

#: Mixtures of experts, and attention through a smaller space.
_EXPERTS: Mapping[str, Any] = {
    "num_experts": 2,
    "num_local_experts": 2,
    "num_experts_per_tok": 1,
    "moe_intermediate_size": 32,
    "n_routed_experts": 2,
    "n_shared_experts": 1,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
}
_LATENT: Mapping[str, Any] = {
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "v_head_dim": 8,
    "head_dim": 8,
}

#: family -> (kind of tokenizer, what its configuration has of its own)
FAMILIES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "albert": ("bert", {"embedding_size": 16, "num_attention_heads": 4}),
    "bart": ("roberta", _BART),
    "bert": ("bert", {}),
    "big_bird": ("bert", {"block_size": 4, "num_random_blocks": 1, "attention_type": "block_sparse"}),
    "bigbird_pegasus": ("end", {**_BART, "block_size": 4, "num_random_blocks": 1, "attention_type": "block_sparse"}),
    "blenderbot-small": ("end", _BART),
    "biogpt": ("roberta", {}),
    "bloom": ("plain", {"n_layer": 2, "n_head": 4}),
    "camembert": ("roberta", {}),
    "canine": ("characters", {"num_hash_buckets": 64, "downsampling_rate": 2, "local_transformer_stride": 8}),
    "convbert": ("bert", {"embedding_size": 32, "head_ratio": 2}),
    "ctrl": ("plain", {"n_embd": 32, "n_layer": 2, "n_head": 4, "dff": 64, "n_positions": 80}),
    "data2vec-text": ("roberta", {}),
    "deepseek_v3": ("plain", {**_EXPERTS, **_LATENT}),
    "deberta": ("bert", {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "max_relative_positions": 40}),
    "deberta-v2": ("bert", {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_buckets": 16,
                            "share_att_key": True, "norm_rel_ebd": "layer_norm", "position_biased_input": False}),
    "distilbert": ("bert", {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}),
    "electra": ("bert", {"embedding_size": 16}),
    "ernie": ("bert", {}),
    "esm": ("python", {"mask_token_id": 4, "position_embedding_type": "absolute", "token_dropout": False}),
    "eurobert": ("bert", {**_GROUPED, "classifier_pooling": "late"}),
    "falcon": ("plain", {"num_kv_heads": 4}),
    "flaubert": ("python", {"emb_dim": 32, "n_layers": 2, "n_heads": 4}),
    "fnet": ("bert", {"tpu_short_seq_length": 80}),
    "fsmt": ("end", {**_BART, "langs": ["en", "de"], "src_vocab_size": len(WORDS), "tgt_vocab_size": len(WORDS)}),
    "funnel": ("bert", {"num_hidden_layers": _UNSET, "num_attention_heads": _UNSET, "hidden_size": _UNSET, "intermediate_size": _UNSET,
                        "d_model": 32, "n_head": 4, "d_head": 8, "d_inner": 64, "block_sizes": [1, 1], "num_decoder_layers": 1, "architectures": ["FunnelModel"]}),
    "gemma": ("plain", _GROUPED),
    "gemma2": ("plain", {**_GROUPED, "query_pre_attn_scalar": 8}),
    "gemma3_text": ("plain", {**_GROUPED, "query_pre_attn_scalar": 8}),
    "glm4": ("plain", _GROUPED),
    "gpt2": ("plain", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 80}),
    "gpt_bigcode": ("plain", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 80}),
    "gpt_neo": ("plain", {"num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]], "window_size": 8}),
    "gpt_neox": ("plain", {}),
    "gptj": ("plain", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 80, "rotary_dim": 4}),
    "gpt_oss": ("plain", {**_GROUPED, **_EXPERTS}),
    "gte": ("bert", {}),
    "ibert": ("roberta", {"quant_mode": False}),
    "jamba": ("plain", {**_GROUPED, **_EXPERTS, "mamba_d_state": 8, "mamba_dt_rank": 4, "attn_layer_period": 2, "attn_layer_offset": 1, "use_mamba_kernels": False}),
    "jina_embeddings_v3": ("roberta", {}),
    "layoutlm": ("bert", {}),
    "layoutlmv3": ("roberta", {"visual_embed": False, "coordinate_size": 6, "shape_size": 4}),
    "led": ("roberta", {**_BART, "max_encoder_position_embeddings": 80, "max_decoder_position_embeddings": 80, "attention_window": 8}),
    "lilt": ("roberta", {"hidden_size": 48, "channel_shrink_ratio": 4}),
    "llama": ("plain", _GROUPED),
    "longformer": ("roberta", {"attention_window": 8, "sep_token_id": 3}),
    "longt5": ("end", {**_T5, "local_radius": 8, "global_block_size": 4}),
    "luke": ("roberta", {"entity_vocab_size": 8, "entity_emb_size": 16}),
    "m2m_100": ("end", _BART),
    "marian": ("end", {**_BART, "decoder_start_token_id": 0}),
    "mbart": ("end", _BART),
    "megatron-bert": ("bert", {}),
    "mistral": ("plain", {**_GROUPED, "sliding_window": None}),
    "mixtral": ("plain", {**_GROUPED, "num_local_experts": 2, "num_experts_per_tok": 1, "sliding_window": None}),
    "mobilebert": ("bert", {"embedding_size": 16, "intra_bottleneck_size": 16, "true_hidden_size": 16}),
    "modernbert": ("bert", {"global_attn_every_n_layers": 2, "local_attention": 8, "cls_token_id": 2, "sep_token_id": 3, "reference_compile": False}),
    "modernbert-decoder": ("plain", {"global_attn_every_n_layers": 2, "local_attention": 8, "cls_token_id": 2, "sep_token_id": 3}),
    "mpnet": ("roberta", {}),
    "mpt": ("plain", {"d_model": 32, "n_heads": 4, "n_layers": 2, "max_seq_len": 80}),
    "mra": ("bert", {"block_per_row": 2}),
    "mt5": ("end", _T5),
    "mvp": ("roberta", _BART),
    "nomic_bert": ("bert", {"n_embd": 32, "n_layer": 2, "n_head": 4}),
    "nystromformer": ("bert", {"num_landmarks": 16, "segment_means_seq_len": 16, "conv_kernel_size": 5}),
    "olmo2": ("plain", _GROUPED),
    "openai-gpt": ("plain", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 80}),
    "opt": ("bert", {"ffn_dim": 64, "word_embed_proj_dim": 32}),
    "pegasus": ("end", {**_BART, "decoder_start_token_id": 0}),
    "pegasus_x": ("end", {**_BART, "block_size": 8, "num_global_tokens": 4, "decoder_start_token_id": 0}),
    "perceiver": ("bert", {"num_latents": 8, "d_latents": 32, "d_model": 32}),
    "persimmon": ("plain", {}),
    "phi": ("plain", {}),
    "phi3": ("plain", _GROUPED),
    "phimoe": ("plain", {**_GROUPED, **_EXPERTS}),
    "plbart": ("python", _BART),
    "prophetnet": ("end", {"num_hidden_layers": _UNSET, "num_encoder_layers": 2, "num_decoder_layers": 2, "num_encoder_attention_heads": 4,
                           "num_decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "decoder_start_token_id": 2}),
    "qwen2": ("bytes", {**_GROUPED, "vocab_size": BYTES}),
    "qwen3": ("plain", _GROUPED),
    "qwen3_moe": ("plain", {**_GROUPED, **_EXPERTS}),
    "reformer": ("bert", {"attn_layers": ["local", "lsh"], "axial_pos_shape": [8, 10], "axial_pos_embds_dim": [16, 16], "feed_forward_size": 64,
                          "attention_head_size": 8, "local_attn_chunk_length": 8, "lsh_attn_chunk_length": 8, "is_decoder": False}),
    "rembert": ("bert", {"input_embedding_size": 16, "output_embedding_size": 16}),
    "roberta": ("roberta", {}),
    "roberta-prelayernorm": ("roberta", {}),
    "roc_bert": ("bert", {"enable_shape": False, "enable_pronunciation": False}),
    "roformer": ("bert", {"embedding_size": 32}),
    "smollm3": ("plain", {**_GROUPED, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}}),
    "splinter": ("bert", {}),
    "squeezebert": ("bert", {"embedding_size": 32, "q_groups": 1, "k_groups": 1, "v_groups": 1, "post_attention_groups": 1, "intermediate_groups": 1, "output_groups": 1}),
    "stablelm": ("plain", _GROUPED),
    "starcoder2": ("plain", _GROUPED),
    "switch_transformers": ("end", {**_T5, "num_experts": 2, "expert_capacity": 64, "num_sparse_encoder_layers": 1, "num_sparse_decoder_layers": 1}),
    "t5": ("end", _T5),
    "umt5": ("end", _T5),
    "xlm": ("python", {"emb_dim": 32, "n_layers": 2, "n_heads": 4}),
    "xlm-roberta": ("roberta", {}),
    "xlm-roberta-xl": ("roberta", {}),
    "xlnet": ("xlnet", {"max_position_embeddings": _UNSET, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64}),
    "xmod": ("roberta", {"languages": ["en"], "default_language": "en"}),
    "yoso": ("bert", {"num_hash": 2}),
}  # fmt: skip

MAPPINGS = {
    "classification": modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    "qa": modeling_auto.MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES,
    "summarization": modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
}


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer without an unknown token: transformers makes one of any file that such a family has."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=BYTES, special_tokens=list(tiny.SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator([" ".join(WORDS[len(tiny.SPECIAL) :])], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token="[PAD]", eos_token="[SEP]")


def python_tokenizer() -> EsmTokenizer:
    """A tokenizer of words that is written in Python, as those of some families are: it tells no places in the text."""
    names = dict(zip(("pad_token", "unk_token", "cls_token", "eos_token", "mask_token"), tiny.SPECIAL, strict=True))
    with TemporaryDirectory() as folder:
        vocabulary = Path(folder, "vocab.txt")
        vocabulary.write_text("\n".join(WORDS), encoding="utf-8")
        return EsmTokenizer(str(vocabulary), **names)


def tokenizer(kind: str) -> Any:
    """A word-level tokenizer that dresses texts as a kind of family does.

    ``bytes``: the byte-level one, ``python``: that of Python, ``characters``: that of characters.
    """
    other: Mapping[str, Callable[[], Any]] = {
        "bytes": byte_tokenizer,
        "python": python_tokenizer,
        "characters": CanineTokenizer,
    }
    if kind in other:
        return other[kind]()
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    single, pair = TEMPLATES[kind]
    core.post_processor = processors.TemplateProcessing(
        single=single, pair=pair, special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), tiny.SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="[CLS]", eos_token="[SEP]", **names)


def config(family: str) -> Any:
    """The configuration of a tiny model."""
    settings = {**SIZES, **FAMILIES[family][1]}
    return AutoConfig.for_model(family, **{name: value for name, value in settings.items() if value is not _UNSET})


def save(family: str, task: str, folder: Path) -> str:
    """Write a random model as it is published, without what a task puts on it, and its tokenizer; return the folder.

    Where the task needs a head of the model's own (writing), that is there.
    """
    import transformers

    writes = task == "summarization" and family in MAPPINGS[task]
    kind = transformers.AutoModelForSeq2SeqLM if writes else transformers.AutoModel
    with torch_seeded(1):
        of = config(family)
        model = kind.from_config(of)
        with torch.no_grad():
            for name, parameter in model.named_parameters():  # so that position, type and place tell
                if parameter.dim() == 1 and name.endswith("bias"):
                    parameter.normal_(std=0.1)
    model.save_pretrained(folder)
    tokenizer(FAMILIES[family][0]).save_pretrained(folder)
    return str(folder)
