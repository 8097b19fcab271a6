"""Batches of examples, made ready for the model, and what it answers to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from dal_nlp.core.errors import UserError
from dal_nlp.core.targets import Target

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass
class Batch:
    """Examples made ready for the model.

    Attributes:
        inputs: What the model is called with: tensors of R rows, and, under "encoder_outputs", what the encoder beside
            a decoder gave for them.
        owner: (R,) the example, 0..B-1, that each row belongs to, ascending.
        labels: What ``Task.loss`` compares with, or None where an example has no target.
        weights: (B,) the examples' weights in the loss.
    """

    inputs: dict[str, Any]
    owner: Tensor
    size: int
    labels: Tensor | None = None
    weights: Tensor | None = None
    extra: dict[str, Tensor] = field(default_factory=dict)

    def to(self, device: torch.device) -> Batch:
        """Return a collated batch with every tensor on ``device``."""
        return Batch(
            {name: tensor.to(device) for name, tensor in self.inputs.items()},
            self.owner.to(device),
            self.size,
            None if self.labels is None else self.labels.to(device),
            None if self.weights is None else self.weights.to(device),
            {name: tensor.to(device) for name, tensor in self.extra.items()},
        )


#: From here on, what a tokenizer says its model reads says nothing.
LIMITLESS = 10**6


@dataclass(frozen=True)
class Feeding:
    """How a model has to be fed.

    Attributes:
        longest: Tokens of the longest text that it reads; None where nothing is known.
        padding: The side on which texts are padded; "equal": the texts of a batch must be of equal length, as the model
            cannot be kept from the padding.
        name: Of the model, for messages.
        kind: Of which class it is.
        limit: Tokens that its configuration says it reads at most; None where that says nothing.
        whole: Whether it reads the longest text that the task makes, so that none is checked: a frozen encoder's words
            are counted instead of its tokens.
    """

    longest: int | None = None
    padding: Literal["right", "left", "equal"] = "right"
    name: str = ""
    kind: str = ""
    limit: int | None = None
    whole: bool = False

    @property
    def equal_lengths(self) -> bool:
        """Whether the texts of a batch must be of equal length."""
        return self.padding == "equal"

    def check(self, tokens: int) -> None:
        """Raise ``UserError`` for texts of more tokens than the model reads."""
        if self.longest is not None and tokens > self.longest and not self.whole:
            raise UserError(
                f"max_length {tokens} is above the {self.longest} tokens that {self.name} reads: lower it, with --set "
                f"max_length={self.longest} for example."
            )


@dataclass(frozen=True)
class Prediction:
    """What the model answers to one example: a target, and how sure it is of it (a probability)."""

    target: Target
    confidence: float


def pad(rows: Sequence[Sequence[int]], value: int, side: str = "right") -> Tensor:
    """Pad lists of numbers to (R, L), on the right or on the left."""
    import numpy as np
    import torch

    padded = np.full((len(rows), max(map(len, rows))), value, dtype=np.int64)
    for i, row in enumerate(rows):
        start = 0 if side == "right" else padded.shape[1] - len(row)
        padded[i, start : start + len(row)] = row
    return torch.from_numpy(padded)
