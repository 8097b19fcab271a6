"""A pretrained encoder that embeds texts in the place of the model that is trained; once per text, kept on disk."""

import hashlib
from collections.abc import Container, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dal_nlp.core.caches import Cache
from dal_nlp.core.distributed import process_state
from dal_nlp.core.errors import UserError
from dal_nlp.core.task import Feeding, pad
from dal_nlp.pretrained.loading import load_config, load_model
from dal_nlp.pretrained.pooling import pool_states
from dal_nlp.pretrained.reading import Wanted, settle
from dal_nlp.pretrained.sentence_format import SentenceFormat, load_prompted, read_format

#: Tokens after which a text is cut; what sentence encoders are trained on is shorter.
LONGEST = 256


def check_encoder(source: str) -> str:
    """Return hex digits that stand for an encoder and its files; raises ``UserError`` for what is none."""
    config = load_config(source)
    if config.is_encoder_decoder or config.to_dict().get("is_decoder") or config.model_type not in _encoders():
        raise UserError(
            f"query.embedding_model {source} ({config.model_type}) is no encoder of texts: name one, such as minilm."
        )
    form = read_format(source)
    if form.dense:
        raise UserError(
            f"query.embedding_model {source} has a dense layer behind its pooling, which is not read: name another."
        )
    weights = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in Path(source).glob("*.safetensors")]
    description = f"{source} {config.to_json_string()} {sorted(weights)}{'' if form == SentenceFormat() else form}"
    return hashlib.blake2b(description.encode(), digest_size=8).hexdigest()


def _encoders() -> Container[str]:
    """Return the kinds of models that guess masked words, as encoders do."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    return MODEL_FOR_MASKED_LM_MAPPING_NAMES


class SentenceEncoder:
    """Last states of an encoder, pooled as its folder says (by their mean if it says nothing), scaled to length one.

    Nothing is loaded before a text is embedded that the cache does not hold.

    Args:
        source: Folder or Hub id of an encoder.
        cache: Of this encoder alone.
    """

    def __init__(self, source: str, cache: Cache) -> None:
        self._source, self._cache, self._skip = source, cache, 0

    def embed(self, texts: Sequence[str]) -> Tensor:
        """Return the embeddings of B texts, (B, H) in fp32, on the CPU; raises ``UserError`` for what is no encoder."""
        keys = [hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts]
        known = self._cache.get(keys)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            embedded = self._run(list(missing.values())).cpu().numpy()
            new = {key: row.tobytes() for key, row in zip(missing, embedded, strict=True)}
            self._cache.put(new)
            known |= new
        return torch.from_numpy(np.stack([np.frombuffer(known[key], dtype=np.float32) for key in keys]))

    @cached_property
    def _format(self) -> SentenceFormat:
        return read_format(self._source)

    @cached_property
    def _loaded(self) -> tuple[Any, Any, Feeding]:
        model, tokenizer = load_model("AutoModel", self._source), load_prompted(self._source, self._format)
        model = model.to(process_state().device).eval()
        self._skip = self._format.skipped(tokenizer)
        wanted = Wanted(int(min(LONGEST, tokenizer.model_max_length)), ("right", "left", "equal"), self._source)
        return (
            model,
            tokenizer,
            settle(model, tokenizer, lambda inputs: self._vectors(model, inputs), wanted, Feeding()),
        )

    def _run(self, texts: Sequence[str]) -> Tensor:
        model, tokenizer, feeding = self._loaded
        encoded = tokenizer(texts, truncation=True, max_length=feeding.longest)
        names = [name for name in tokenizer.model_input_names if name in encoded and name != "attention_mask"]
        parts = [[i] for i in range(len(texts))] if feeding.equal_lengths else [list(range(len(texts)))]
        vectors = []
        for part in parts:
            rows = {name: [encoded[name][i] for i in part] for name in names}
            rows["attention_mask"] = [[1] * len(ids) for ids in rows["input_ids"]]
            fill, side = {"input_ids": tokenizer.pad_token_id}, tokenizer.padding_side
            inputs = {name: pad(ids, fill.get(name, 0), side).to(model.device) for name, ids in rows.items()}
            with torch.inference_mode():
                vectors.append(self._vectors(model, inputs))
        return nn.functional.normalize(torch.cat(vectors), dim=-1)

    def _vectors(self, model: Any, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return what the last states of each text are pooled to, (B, H)."""
        states = model(**inputs).last_hidden_state.float()
        return pool_states(states, inputs["attention_mask"], self._format.pooling, self._skip)
