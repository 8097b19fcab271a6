"""A pool whose model is a linear layer over features in memory: every strategy of the package runs on it as it is.

Letters: N texts, L layers, H numbers of a hidden state, D = L H, C labels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dal_nlp.core.categoricals import Categoricals
from dal_nlp.core.errors import Unsupported
from dal_nlp.models.forward import Forward
from dal_nlp.models.measurements import Measured, Probe, join, parts
from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import Array, Outer, Positions

#: Draws of the layer and the share of its inputs that each leaves out: what a run does where nothing is set.
DRAWS, DROPPED = 10, 0.1


@dataclass
class LinearForward:
    """What probes read of N texts at once.

    Attributes:
        states: (N, L, H) mean states of the layers, the last one last.
        inputs: (N, D) what enters the output layer.
        weight: (C, D) of the layer.
        bias: (C,).
        targets: (N,) labels, or None where they are not known.
    """

    states: Array
    inputs: Array
    weight: Array
    bias: Array
    targets: NDArray[np.int64] | None

    def _categoricals(self, inputs: Array) -> Categoricals:
        logits = torch.from_numpy(inputs @ self.weight.T + self.bias)
        log_probs = logits.double().log_softmax(-1).unsqueeze(1)
        return Categoricals(log_probs, torch.ones(log_probs.shape[:2], dtype=torch.bool))

    @cached_property
    def categoricals(self) -> Categoricals:
        """The predictions."""
        return self._categoricals(self.inputs)

    @property
    def log_probs(self) -> Tensor:
        """(N, 1, C)."""
        return self.categoricals.log_probs

    def text(self, i: int, outcome: int) -> str:
        """Return what an outcome says: each says something else."""
        return str(outcome)

    @property
    def embedding(self) -> Tensor:
        """(N, H)."""
        return torch.from_numpy(np.ascontiguousarray(self.states[:, -1]))

    @property
    def hidden(self) -> Tensor:
        """(N, L, H)."""
        return torch.from_numpy(self.states)

    @property
    def layer_inputs(self) -> Tensor:
        """(N, D)."""
        return torch.from_numpy(self.inputs)

    @property
    def gradient(self) -> Outer:
        """The gradient of -log p(the model's answer) by the weight."""
        left = self.log_probs.squeeze(1).exp()
        left[torch.arange(len(left)), left.argmax(1)] -= 1
        return Outer(left.float().numpy()[:, None], self.inputs[:, None])

    @property
    def loss(self) -> Tensor:
        """(N,) of texts whose labels are known."""
        assert self.targets is not None
        return -self.log_probs[torch.arange(len(self.targets)), 0, torch.from_numpy(self.targets)]

    @property
    def consistent_draws(self) -> Iterator[Categoricals]:
        """Yield predictions of the layer with some of its inputs left out, the same for all texts."""
        rng = np.random.default_rng(0)
        for _ in range(DRAWS):
            kept = np.asarray(rng.random(self.inputs.shape[1]) >= DROPPED, dtype=np.float32)
            yield self._categoricals(self.inputs * kept / np.float32(1 - DROPPED))

    draws = consistent_draws


class FeaturePool:
    """N texts in memory and the layer that answers; see ``dal_nlp.models.pool.Pool``, whose place it takes.

    Args:
        forward: Of all texts.
        known: Of the labeled ones, or None.
    """

    def __init__(self, forward: LinearForward, known: LinearForward | None) -> None:
        self._forward, self._known = forward, known
        self._measured: dict[Probe, Measured] = {}

    def __len__(self) -> int:
        """Return N."""
        return len(self._forward.inputs)

    @property
    def has_labeled(self) -> bool:
        """Whether there are labeled texts."""
        return self._known is not None

    @property
    def labeled(self) -> "FeaturePool":
        """The labeled texts."""
        if self._known is None:
            raise Unsupported("there are no labels yet")
        return FeaturePool(self._known, None)

    @property
    def targets(self) -> Sequence[int]:
        """The labels, N of them."""
        assert self._forward.targets is not None
        return [int(target) for target in self._forward.targets]

    def take(self, positions: Positions) -> "FeaturePool":
        """Return a pool of some of the texts."""
        of, targets = self._forward, self._forward.targets
        some = None if targets is None else targets[positions]
        return FeaturePool(
            LinearForward(of.states[positions], of.inputs[positions], of.weight, of.bias, some), self._known
        )

    def also(self, *probes: Probe) -> None:
        """Measure nothing ahead: all lies in memory."""

    def collect(self, *probes: Probe) -> tuple[Any, ...]:
        """Return what probes give of all texts."""
        for probe in probes:
            if probe not in self._measured:
                self._measured[probe] = join(*parts(probe(cast(Forward, self._forward))))
        return tuple(self._measured[probe] for probe in probes)

    @property
    def as_pool(self) -> Pool:
        """Itself, as what strategies ask for."""
        return cast(Pool, self)
