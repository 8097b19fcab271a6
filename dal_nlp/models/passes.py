"""What one pass of a model over a batch leaves behind."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from dal_nlp.models.hooks import Applied
from dal_nlp.models.pooled_states import PooledStates


@dataclass(frozen=True)
class Pass:
    """What one pass over R rows leaves behind, a part for each call."""

    applied: list[Applied]
    states: list[PooledStates]  # empty where nothing has asked for them

    @cached_property
    def raw(self) -> Tensor:
        """What the model gave, (R, ..., A) in fp32."""
        return torch.cat([part.raw for part in self.applied])

    @cached_property
    def inputs(self) -> Tensor | None:
        """What went into the output layer, (R, ..., H); None where it alone does not tell what the model gave."""
        tensors = [part.inputs for part in self.applied if part.inputs is not None]
        return torch.cat(tensors) if len(tensors) == len(self.applied) else None

    @cached_property
    def offset(self) -> Tensor | None:
        """What was added behind the output layer, (R, ..., A); None for nothing."""
        if all(part.offset is None for part in self.applied):
            return None
        zero = torch.zeros((), device=self.raw.device)
        return torch.cat([(zero if part.offset is None else part.offset).expand_as(part.raw) for part in self.applied])
