"""Posterior draws by dropout (Gal and Ghahramani, 2016): K predictions that differ as far as the model is unsure.

Three kinds; see ``forward.Draws`` for what they share:

* ``FixedMasks`` ("fixed"): K passes of the whole network, each under masks that all examples share.
* ``HeadMasks`` ("head"): one pass, and K masks on what goes into the output layer.
* ``FullDropout`` ("full"): K passes under the model's ordinary dropout.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from dal_nlp.core.config import DrawsConfig
from dal_nlp.core.errors import Unsupported
from dal_nlp.core.rng import rng_for, seed_for, seed_torch, torch_seeded
from dal_nlp.models.forward import Draws, Forward, Network
from dal_nlp.models.pool import Pool

#: (number of the dropout call in the pass, features, rate) -> mask (features,)
MaskSource = Callable[[int, int, float], Tensor]

#: Examples on which ``check_draws`` compares the draws.
CHECKED = 8
#: Log-probabilities that differ by less are the same up to the rounding of the device.
ROUNDING = 1e-5


def make_draws(config: DrawsConfig, seed: int, round: int) -> Draws:
    """Build the configured kind; its masks follow from ``seed`` and ``round`` alone."""
    if config.kind == "head":
        return HeadMasks(config.k, config.head_p, seed, round)
    return FixedMasks(config.k, seed, round) if config.kind == "fixed" else FullDropout(config.k, seed, round)


def make_mask(width: int, p: float, rng: np.random.Generator) -> Tensor:
    """Draw a dropout mask (width,): 0 with probability p, else 1 / (1 - p)."""
    return torch.from_numpy((rng.random(width) >= p) / np.float32(1 - p)).float()


class FixedMasks:
    """K passes of the whole network; draw k is the same sampled network for every example.

    Each dropout call of a pass gets one mask over the features (the last dimension), shared by all examples and
    positions, so a prediction depends neither on its batch nor on its padding, and draw k of one example may be
    compared with draw k of another. Dropout on attention probabilities is off: its last dimension is positions.

    Cost: K passes; K masks of every dropout call are kept (megabytes for a base model).
    Deviations: Gal and Ghahramani (2016) draw new masks for every example; a mask shared by all is one draw of the
    parameters, which their equations mean by omega_k. Not reached: dropout inside fused layers such as ``nn.LSTM``.
    """

    consistent = True

    def __init__(self, k: int, seed: int, round: int) -> None:
        self.k, self._seed, self._round = k, seed, round
        self._kept: dict[tuple[int, int, int, float], Tensor] = {}

    def name(self, k: int) -> str:
        """Return what tells draw k from those of other kinds, rounds and seeds."""
        return f"fixed {self._seed} {self._round} {k}"

    def draw(self, network: Network, k: int) -> Tensor:
        """Return the raw output of all rows under draw k."""
        with self.sampled(network.model, network.head, k):
            return network.run()

    @contextmanager
    def sampled(self, model: nn.Module, head: nn.Module, k: int) -> Iterator[None]:
        """Have every call of the model in a block be one of the network of draw k."""
        layers = seed_for(self._seed, self._round, f"layers {k}")  # LayerDrop reads torch's state in training mode
        mode = _Masks(partial(self._mask, k))

        def restart(module: nn.Module, args: Any) -> None:
            """Begin every call of the model alike: long examples and written texts take several."""
            mode.calls = 0
            seed_torch(layers)

        hook = model.register_forward_pre_hook(restart)
        try:
            with _training(model, layers), mode:
                yield
        finally:
            hook.remove()

    def _mask(self, k: int, call: int, width: int, p: float) -> Tensor:
        key = (k, call, width, p)
        if key not in self._kept:
            self._kept[key] = make_mask(width, p, rng_for(self._seed, self._round, f"dropout {k}.{call}"))
        return self._kept[key]


class HeadMasks:
    """One pass of the network and K masks on what goes into the output layer, with a rate of their own.

    Serves models without dropout. Cheap, and weak: it knows the uncertainty of the output layer only.
    """

    consistent = True

    def __init__(self, k: int, p: float, seed: int, round: int) -> None:
        self.k, self._p, self._seed, self._round = k, p, seed, round

    def name(self, k: int) -> str:
        """Return what tells draw k from those of other kinds, rounds and seeds."""
        return f"head {self._p} {self._seed} {self._round} {k}"

    def draw(self, network: Network, k: int) -> Tensor:
        """Return the raw output of all rows under draw k."""
        return network.through(lambda inputs: inputs * self._mask(inputs, k))

    @contextmanager
    def sampled(self, model: nn.Module, head: nn.Module, k: int) -> Iterator[None]:
        """Have every call of the model in a block go into its output layer through mask k."""
        hook = head.register_forward_pre_hook(lambda _, args: (args[0] * self._mask(args[0], k), *args[1:]))
        try:
            yield
        finally:
            hook.remove()

    def _mask(self, inputs: Tensor, k: int) -> Tensor:
        """Return the mask of draw k, (H,), the same at every call."""
        return make_mask(inputs.shape[-1], self._p, rng_for(self._seed, self._round, f"head {k}")).to(inputs)


class FullDropout:
    """K passes under the model's own dropout: masks of their own for every example and position.

    The textbook form, and the only one with dropout on attention. Its numbers depend on the batching.
    """

    consistent = False

    def __init__(self, k: int, seed: int, round: int) -> None:
        self.k, self._seed, self._round = k, seed, round

    def name(self, k: int) -> str:
        """Return what tells draw k from those of other kinds, rounds and seeds."""
        return f"full {self._seed} {self._round} {k}"

    def draw(self, network: Network, k: int) -> Tensor:
        """Return the raw output of all rows under draw k."""
        with self.sampled(network.model, network.head, k):
            return network.run()

    @contextmanager
    def sampled(self, model: nn.Module, head: nn.Module, k: int) -> Iterator[None]:
        """Have every call of the model in a block drop out as in training, from one seed on."""
        with _training(model, seed_for(self._seed, self._round, f"dropout {k}")):
            yield


@contextmanager
def _training(model: nn.Module, seed: int) -> Iterator[None]:
    """Put the whole model into training mode for a block, and torch's random state aside.

    The whole model, because BART and its kin call the dropout function without any ``nn.Dropout`` to switch on.
    """
    with torch_seeded(seed):
        try:
            model.train()
            yield
        finally:
            model.eval()


class _Masks(TorchFunctionMode):
    """Replace dropout: features by given masks, attention probabilities by nothing.

    Attention probabilities are what a softmax has just given, or what has four dimensions (examples, heads, positions,
    positions), where a change of precision came between.
    """

    def __init__(self, masks: MaskSource) -> None:
        super().__init__()
        self.calls = 0
        self._masks = masks
        self._softmax: Any = None

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        if func is F.dropout:
            return self._dropout(*args, **named)
        if func is F.scaled_dot_product_attention:
            if len(args) > 4:  # the rate, given by position
                args = (*args[:4], 0.0, *args[5:])
            else:
                named["dropout_p"] = 0.0
        result = func(*args, **named)
        if func in (F.softmax, torch.softmax, Tensor.softmax):
            self._softmax = result
        return result

    def _dropout(self, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if not training or input is self._softmax or input.dim() > 3:
            return input
        if not 0 < p < 1:
            return F.dropout(input, p)
        mask = self._masks(self.calls, input.shape[-1], p)
        self.calls += 1
        return input * mask.to(input)


def spread(forward: Forward) -> Tensor:
    """Largest difference of a log-probability between any two draws, (B,)."""
    low = high = None
    for c in forward.draws:
        values = c.log_probs.masked_fill(c.log_probs == -torch.inf, 0)  # impossible outcomes do not differ
        low = values if low is None else torch.minimum(low, values)
        high = values if high is None else torch.maximum(high, values)
    assert low is not None and high is not None  # K >= 2
    return c.largest(high - low).amax(1)


def check_draws(name: str, pool: Pool) -> None:
    """Refuse a model whose K draws are all the same.

    Args:
        name: The strategy that reads draws, for the message.
        pool: Any examples under the model; the first few are measured.

    Raises:
        Unsupported: Every draw gives the same predictions, so that there is nothing to disagree about.
    """
    (differences,) = pool.take(np.arange(min(len(pool), CHECKED))).collect(spread)
    if differences.max() < ROUNDING:
        raise Unsupported(
            f"The strategy {name!r} compares predictions under dropout, and this model has none outside its attention, "
            "so that all draws are the same: use --set draws.kind=head, or another --model or --strategy."
        )
