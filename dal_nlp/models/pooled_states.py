"""Hidden states of an encoder, averaged over the tokens of each example; in training as in scoring."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dal_nlp.core.errors import NoStates
from dal_nlp.core.task import Batch

#: How many layers ``Forward.hidden`` spreads over the network (Yoo & Kweon, 2019, use four).
LAYERS = 4


@dataclass(frozen=True)
class PooledStates:
    """Sums of an encoder's states over the tokens of each row, of the layers that anything reads.

    Only sums are kept, so that an example of hundreds of rows does not fill the memory with its states.

    Attributes:
        sums: (r, 4, H) of layers spread evenly over the encoder, the last layer last.
        tokens: (r,) how many tokens were summed.
    """

    sums: Tensor
    tokens: Tensor

    @classmethod
    def of(cls, result: Any, inputs: Mapping[str, Tensor], name: str) -> "PooledStates":
        """Sum up what the model returned when it was asked for its hidden states; padding does not count.

        Args:
            result: Of the model.
            inputs: Of the model.
            name: Of the model, for the message.

        Raises:
            NoStates: There is no state for each token.
        """
        layers = result.get("encoder_hidden_states") or result.get("hidden_states")  # the embeddings are the first
        mask = inputs["attention_mask"]
        if not layers or not all(isinstance(layer, Tensor) and layer.shape[:2] == mask.shape for layer in layers):
            raise NoStates(
                f"{name} does not give a hidden state for each token, which this strategy reads: choose one that reads "
                "predictions alone, such as margin or entropy."
            )
        last = len(layers) - 1
        spread = [layers[round(last * (i + 1) / LAYERS)] for i in range(LAYERS)]
        # Not a matrix product, whose rounding would depend on how long the batch's longest row is.
        weights = mask[..., None].to(spread[0].dtype)
        return cls(torch.stack([(layer * weights).sum(1) for layer in spread], 1).float(), mask.sum(1))


def spread_states(states: Sequence[PooledStates], batch: Batch) -> Tensor:
    """Mean states of a few layers over an example's tokens, all its rows together, (B, 4, H)."""
    sums, tokens = (torch.cat(parts) for parts in zip(*((s.sums, s.tokens) for s in states), strict=True))
    total = sums.new_zeros((batch.size, *sums.shape[1:])).index_add(0, batch.owner, sums)
    count = sums.new_zeros(batch.size).index_add(0, batch.owner, tokens.to(sums.dtype))
    return total / count.clamp(min=1)[:, None, None]
