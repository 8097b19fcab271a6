"""Layers of an encoder side by side: which are read, and the scale on which a linear layer sees them.

Letters: N texts, L layers that are read, H numbers of a hidden state.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dal_nlp.core.config import DEPTHS
from dal_nlp.models.vectors import Array


@dataclass(frozen=True)
class Standard:
    """Mean and scale by which features are standardised: z = (x - mean) / scale.

    Attributes:
        mean: (L H,).
        scale: (L H,); one number for each layer, times the root of L, so that |z|^2 does not grow with L.
    """

    mean: Array
    scale: Array

    def apply(self, x: Array) -> Array:
        """Return the standardised features of x (N, L H)."""
        standardised: Array = (x - self.mean) / self.scale
        return standardised


def places(depths: Sequence[int]) -> list[int]:
    """Return where layers of some depths stand among those that are kept."""
    return [DEPTHS.index(depth) for depth in depths]


def side_by_side(states: Array, depths: Sequence[int]) -> Array:
    """Return the states of the layers of some depths, (N, L H), of those of all that are kept, (N, 4, H)."""
    return np.ascontiguousarray(states[:, places(depths)]).reshape(len(states), len(depths) * states.shape[-1])


def standard_of(x: Array, layers: int) -> Standard:
    """Return the mean of x (N, L H), and of each layer the root of the mean variance.

    One scale for all numbers of a layer: with a scale for each, accuracy was lower by up to .01 at 20 to 200 labels.
    """
    spread = np.sqrt(x.astype(np.float64).var(0).reshape(layers, -1).mean(1))
    spread[spread == 0] = 1
    scale = np.repeat(spread * np.sqrt(layers), x.shape[1] // layers)
    return Standard(x.mean(0, dtype=np.float64).astype(np.float32), scale.astype(np.float32))
