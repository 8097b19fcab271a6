"""Hidden states of an encoder, averaged over the tokens of each example; in training as in scoring."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dal_nlp.tasks.base import Batch

#: How many layers ``Forward.hidden`` spreads over the network (Yoo & Kweon, 2019, use four).
LAYERS = 4


@dataclass(frozen=True)
class States:
    """What every layer of the encoder gave in one call of the model.

    Attributes:
        layers: (r, L, H) each, the embeddings first.
        mask: (r, L), which tokens are no padding.
    """

    layers: tuple[Tensor, ...]
    mask: Tensor

    @classmethod
    def of(cls, result: Any, inputs: Mapping[str, Tensor]) -> "States":
        """Take them from what the model returned when it was asked for its hidden states."""
        return cls(result.get("encoder_hidden_states") or result["hidden_states"], inputs["attention_mask"])


def mean_state(states: Sequence[States], layer: int, batch: Batch) -> Tensor:
    """Average one layer's states over an example's tokens, all its rows together, (B, H)."""
    sums, counts = [], []
    for call in states:
        weights = call.mask[..., None].to(call.layers[layer].dtype)
        sums.append((call.layers[layer] * weights).sum(1))
        counts.append(weights.sum(1))
    total, count = torch.cat(sums), torch.cat(counts)
    shape = (batch.size, total.shape[-1])
    summed = total.new_zeros(shape).index_add(0, batch.owner, total)
    return summed / count.new_zeros((shape[0], 1)).index_add(0, batch.owner, count).clamp(min=1)


def spread_states(states: Sequence[States], batch: Batch) -> Tensor:
    """Mean states of a few layers spread evenly over the encoder, (B, 4, H)."""
    last = len(states[0].layers) - 1
    layers = [round(last * (i + 1) / LAYERS) for i in range(LAYERS)]
    return torch.stack([mean_state(states, layer, batch) for layer in layers], dim=1).float()
