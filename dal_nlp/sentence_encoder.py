"""A pretrained encoder that embeds texts in the place of the model that is trained; once per text, kept on disk."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dal_nlp.caches import Cache
from dal_nlp.models import load_model, load_tokenizer
from dal_nlp.processes import process_state

#: Tokens after which a text is cut; what sentence encoders are trained on is shorter.
LONGEST = 256


class SentenceEncoder:
    """Mean-pooled last states of an encoder, scaled to length one.

    Nothing is loaded before a text is embedded that the cache does not hold.

    Args:
        source: Folder or Hub id of an encoder.
        cache: Of this encoder alone.
    """

    def __init__(self, source: str, cache: Cache) -> None:
        self._source, self._cache = source, cache

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
    def _loaded(self) -> tuple[nn.Module, Any]:
        model = load_model("AutoModel", self._source)
        return model.to(process_state().device).eval(), load_tokenizer(self._source)

    def _run(self, texts: Sequence[str]) -> Tensor:
        model, tokenizer = self._loaded
        most = min(LONGEST, tokenizer.model_max_length)
        inputs = tokenizer(texts, truncation=True, max_length=most, padding=True, return_tensors="pt")
        inputs = {name: values.to(process_state().device) for name, values in inputs.items()}
        with torch.inference_mode():
            states = model(**inputs).last_hidden_state.float()
        mask = inputs["attention_mask"][..., None].to(states)
        means = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
        return nn.functional.normalize(means, dim=-1)
