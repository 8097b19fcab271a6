"""The pooling of token states into a vector of a text, in the ways of sentence-transformers.

Letters: R texts, T tokens, H numbers of a state. Copied beside saved models, see ``head_model``.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor


def _mean(states: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of the states of a text."""
    return (states * mask).sum(1) / mask.sum(1).clamp(min=1)


def _cls(states: Tensor, mask: Tensor) -> Tensor:
    """Return the state of the first token."""
    return _at(states, mask, mask[..., 0].argmax(1))


def _last(states: Tensor, mask: Tensor) -> Tensor:
    """Return the state of the last token."""
    return _at(states, mask, (mask[..., 0].cumsum(1) * mask[..., 0]).argmax(1))


def _at(states: Tensor, mask: Tensor, places: Tensor) -> Tensor:
    """Return the state of one token of each text."""
    return states.gather(1, places[:, None, None].expand(-1, 1, states.shape[-1]))[:, 0]


def _max(states: Tensor, mask: Tensor) -> Tensor:
    """Return the largest number of each dimension."""
    return states.masked_fill(mask == 0, torch.finfo(states.dtype).min).max(1).values


def _weighted_mean(states: Tensor, mask: Tensor) -> Tensor:
    """Return the mean, in which the first token counts once, the second twice, and so on."""
    return _mean(states, mask * mask.cumsum(1))


def _mean_sqrt_len(states: Tensor, mask: Tensor) -> Tensor:
    """Return the sum over the root of the number of tokens."""
    return (states * mask).sum(1) / mask.sum(1).clamp(min=1).sqrt()


#: By the name that sentence-transformers gives each.
POOLINGS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": _mean,
    "cls": _cls,
    "max": _max,
    "lasttoken": _last,
    "weightedmean": _weighted_mean,
    "mean_sqrt_len_tokens": _mean_sqrt_len,
}


def pool_states(states: Tensor, attention_mask: Tensor, kind: str, skip: int = 0) -> Tensor:
    """Return a vector of each text, (R, H).

    Args:
        states: (R, T, H) of one layer.
        attention_mask: (R, T) 0 where there is padding, on either side.
        kind: One of ``POOLINGS``.
        skip: How many tokens at the start of a text do not count: those of a prompt, where a model was trained so;
            the first token alone is the state that it always is.
    """
    mask = attention_mask
    if skip and kind != "cls":
        mask = mask * (mask.cumsum(1) > skip)
    return POOLINGS[kind](states, mask[..., None].to(states.dtype))
