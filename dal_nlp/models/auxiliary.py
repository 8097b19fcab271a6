"""Networks beside the model of a run, and what the pretrained language model among them says of a text."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from dal_nlp.core.caches import Cache, InMemory
from dal_nlp.core.errors import Unsupported
from dal_nlp.core.task import Batch
from dal_nlp.models.sentence_encoder import SentenceEncoder

#: Inputs of a model that are about its text; a task's further ones mean nothing to a language model.
TEXT_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
#: Most tokens in one call of a language model: its output has a number for every word of the vocabulary.
VOCABULARY_TOKENS = 1024


class AuxiliaryModels:
    """What stands beside the model: other networks, loaded when a probe reads them, and what the model has written.

    Here there are no other networks, and what was written is forgotten with this object. A run's learner has more.
    """

    @cached_property
    def written(self) -> Cache:
        """What the model, with the weights that it has, has written already; see ``Task.inputs``."""
        return InMemory()

    def sentence_encoder(self) -> SentenceEncoder | None:
        """Return what embeds texts in the place of the model, or None where the model does it."""
        return None

    def loss_head(self) -> nn.Module:
        """Return what predicts losses, (B,), from ``Forward.hidden``; raises ``Unsupported`` where nothing does."""
        raise Unsupported("Nothing has been trained to predict losses here: choose another strategy.")

    def text_model(self) -> nn.Module:
        """Return the model that reads the text alone, of a model that hears machines too; raises ``Unsupported``."""
        raise Unsupported("No machine is heard here beside the text: choose another strategy.")

    def masked_lm(self) -> nn.Module:
        """Return the pretrained masked language model, in evaluation mode; raises ``Unsupported`` without one."""
        raise Unsupported("There is no masked language model here: choose another strategy.")

    def token_losses(self, batch: Batch, tokenizer: Any) -> "TokenLosses":
        """Return what the masked language model makes of the tokens of a batch; raises as ``masked_lm``."""
        return token_losses(self.masked_lm(), batch, tokenizer)


@dataclass(frozen=True)
class TokenLosses:
    """What a masked language model makes of every token of each example's first row.

    Attributes:
        losses: (B, L) its cross-entropy, in nats.
        ids: (B, L) the tokens.
        own: (B, L) which tokens are the text's own: neither padding nor put there by the tokenizer.
    """

    losses: Tensor
    ids: Tensor
    own: Tensor


def token_losses(language_model: nn.Module, batch: Batch, tokenizer: Any) -> TokenLosses:
    """Measure how badly a masked language model would guess each token that it is shown unmasked.

    Of an example of several rows, the first one is measured. Memory is bounded whatever the batch.
    """
    first = torch.searchsorted(batch.owner, torch.arange(batch.size, device=batch.owner.device))
    inputs = {name: values[first] for name, values in batch.inputs.items() if name in TEXT_INPUTS}
    ids, losses = inputs["input_ids"], []
    rows = max(1, VOCABULARY_TOKENS // ids.shape[1])
    with torch.no_grad():
        for start in range(0, len(ids), rows):
            part = {name: values[start : start + rows] for name, values in inputs.items()}
            logits = language_model(**part).logits.float()
            losses.append(nn.functional.cross_entropy(logits.mT, part["input_ids"], reduction="none"))
    added = torch.tensor(_added(tokenizer), device=ids.device)
    return TokenLosses(torch.cat(losses), ids, inputs["attention_mask"].bool() & ~torch.isin(ids, added))


def _added(tokenizer: Any) -> list[int]:
    """Return the tokens that a tokenizer adds to a text; an unknown word is of the text's own."""
    return [number for number in tokenizer.all_special_ids if number != tokenizer.unk_token_id]


def joined(parts: list[TokenLosses], order: Tensor) -> TokenLosses:
    """Put batches of different lengths together, in another order."""
    longest = max(part.ids.shape[1] for part in parts)

    def pad(values: Tensor) -> Tensor:
        return nn.functional.pad(values, (0, longest - values.shape[1]))

    losses, ids, own = (
        torch.cat([pad(getattr(part, name)) for part in parts])[order.to(parts[0].ids.device)]
        for name in ("losses", "ids", "own")
    )
    return TokenLosses(losses, ids, own)
