"""What strategies measure on one batch; each reads a ``Forward`` and returns B rows."""

import torch
from torch import Tensor

from dal_nlp.core import categoricals
from dal_nlp.models.forward import Forward
from dal_nlp.models.vectors import Dense, Outer


def entropy(forward: Forward) -> Tensor:
    """Entropy in nats, (B,)."""
    return categoricals.entropy(forward.categoricals)


def least_confidence(forward: Forward) -> Tensor:
    """One minus the largest probability, (B,)."""
    return categoricals.least_confidence(forward.categoricals)


def margin(forward: Forward) -> Tensor:
    """One minus the gap between the most likely outcome and the best one that says something else, (B,)."""
    return categoricals.margin(forward.categoricals, forward.text)


def length(forward: Forward) -> Tensor:
    """Tokens that the model reads, (B,): those of all rows of an example together."""
    mask: Tensor = forward.given.inputs["attention_mask"]
    return mask.new_zeros(forward.given.size).index_add(0, forward.given.owner, mask.sum(1))


def embedding(forward: Forward) -> Tensor:
    """Mean of the last hidden states, (B, H)."""
    return forward.embedding


def vectors(forward: Forward) -> Dense:
    """Mean of the last hidden states, B vectors of H numbers, for those who ask for distances or go by blocks."""
    return Dense(forward.embedding.detach().cpu().numpy())


def directions(forward: Forward) -> Dense:
    """Mean of the last hidden states, scaled to length one (0 stays), B vectors of H numbers."""
    lengths = torch.linalg.vector_norm(forward.embedding, dim=1, keepdim=True)
    return Dense((forward.embedding / torch.where(lengths > 0, lengths, 1)).detach().cpu().numpy())


def lower_embedding(forward: Forward) -> Tensor:
    """Mean states of a lower layer, a quarter of the way up, (B, H): near each other where the wording is alike."""
    return forward.hidden[:, 0]


def gradient(forward: Forward) -> Outer:
    """Gradient by the output layer's weight at the model's answer, factored."""
    return forward.gradient


def predicted_loss(forward: Forward) -> Tensor:
    """The loss that a network trained beside the model expects, (B,)."""
    return forward.predicted_loss


def loss(forward: Forward) -> Tensor:
    """The training loss of labeled examples, (B,)."""
    return forward.loss


def two_views(forward: Forward) -> Tensor:
    """Log-probabilities by the text alone and by what machines say of it, (B, 2, C)."""
    return torch.stack(forward.two_views, 1)


def class_log_probs(forward: Forward) -> Tensor:
    """Log-probabilities of outcomes that all examples share, (B, C)."""
    return forward.log_probs.squeeze(1)


def label_log_odds(forward: Forward) -> Tensor:
    """Log-odds of yes against no for each of several labels, (B, F)."""
    return forward.log_probs[..., 1] - forward.log_probs[..., 0]


def number_of_labels(forward: Forward) -> Tensor:
    """How many labels each labeled example has, (B,)."""
    if forward.given.labels is None:
        raise ValueError("the number of labels is that of examples with targets")
    return forward.given.labels.sum(1).double()


def draw_log_probs(forward: Forward) -> Tensor:
    """Log-probabilities under every draw, (B, K, C), of one factor an example; draw k is the same for all examples."""
    return torch.stack([c.log_probs.squeeze(1) for c in forward.consistent_draws], 1)
