"""The output layer of a model while it runs: what goes into it, and how the model's results follow from what comes out.

Letters: r rows of a call, P positions at which the layer is applied, A its outputs, H its inputs.
"""

from dataclasses import dataclass
from types import TracebackType
from typing import Self

import torch
from torch import Tensor, nn

from dal_nlp.core.errors import Unsupported


@dataclass(frozen=True)
class Applied:
    """The output layer's part in one call of a model.

    Attributes:
        raw: (r, ..., A) what the model made of the layer's results, in fp32.
        inputs: (r, ..., H) what went into the layer, in fp32, where ``raw`` is the layer's result at these inputs plus
            ``offset``: as it is, or as the same weighted sum over positions for every output. None where the model does
            something else with it.
        offset: What is added behind the layer; None for nothing.
        calls: What went into the layer (r, ..., H) and came out of it (r, ..., A), in each of its calls; only where
            ``inputs`` is None.
        outcome: What the model gave, with its graph down to what came out of the layer; likewise.
    """

    raw: Tensor
    inputs: Tensor | None
    offset: Tensor | None = None
    calls: tuple[tuple[Tensor, Tensor], ...] = ()
    outcome: Tensor | None = None

    def pulled(self, delta: Tensor) -> tuple[Tensor, Tensor]:
        """Return the derivative by the layer's results, from that by ``raw``, and the inputs beside it.

        (r, A) and (r, H) where a row has one position, else (r, P, A) and (r, P, H).
        """
        if self.inputs is not None:
            return _flat(delta), _flat(self.inputs)
        assert self.outcome is not None
        results = [result for _, result in self.calls]
        deltas = torch.autograd.grad(self.outcome, results, delta.to(self.outcome), retain_graph=True)
        rows = len(self.raw)
        return (
            torch.cat([d.float().reshape(rows, -1, d.shape[-1]) for d in deltas], 1),
            torch.cat([x.float().reshape(rows, -1, x.shape[-1]) for x, _ in self.calls], 1),
        )


def _flat(values: Tensor) -> Tensor:
    """Return (r, P, A) for any number of dimensions of positions, (r, A) for none."""
    return values if values.dim() == 2 else values.flatten(1, -2)


class LayerRecorder:
    """Record the calls of the output layer while the model runs under ``torch.no_grad()``.

    What the model does behind the layer (choosing a token, averaging, capping) is recorded by autograd, so that it
    needs no list of families. Everything before the layer stays without a graph.
    """

    def __init__(self, head: nn.Module) -> None:
        self._calls: list[tuple[Tensor, Tensor]] = []
        self._hooks = [head.register_forward_pre_hook(self._before), head.register_forward_hook(self._after)]

    def _before(self, module: nn.Module, args: tuple[Tensor, ...]) -> None:
        torch.set_grad_enabled(True)  # until the caller's no_grad() ends

    def _after(self, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        leaf = output.detach().requires_grad_(True)
        self._calls.append((args[0].detach(), leaf))
        return leaf

    def read(self, raw: Tensor, name: str) -> Applied:
        """Return the layer's part in the call of the model that gave ``raw``.

        Args:
            raw: What the task reads of the model's result.
            name: Of the model, for the message.

        Raises:
            Unsupported: What the model gives does not come out of the layer.
        """
        calls, self._calls = self._calls, []
        if not calls or not raw.requires_grad:
            raise Unsupported(
                f"{name} does not give what its last linear layer of that size gives, so that its output layer is not "
                "known: use another --model, or a task class with a `head` of its own."
            )
        plain = raw.detach().float()
        parts = _linear(*calls[0], raw) if len(calls) == 1 else None
        if parts is None:
            return Applied(plain, None, None, tuple(calls), raw)
        inputs, offset = parts
        return Applied(plain, inputs, offset)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()


def _linear(inputs: Tensor, result: Tensor, raw: Tensor) -> tuple[Tensor, Tensor | None] | None:
    """Return the inputs at which the layer gives ``raw``, and what is added to that; None where there are none.

    A linear function has a derivative without a graph of its own: it does not depend on where it is taken.
    """
    if raw.shape == result.shape and raw.data_ptr() == result.data_ptr():
        return inputs.float(), None
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(raw.sum(), result, create_graph=True)
    if slope.requires_grad:
        return None
    if raw.shape == result.shape:
        if not bool((slope == 1).all()):
            return None
        offset = (raw.detach() - result.detach()).float()
        return inputs.float(), offset if bool(offset.any()) else None
    if raw.dim() != 2 or len(raw) != len(result) or raw.shape[-1] != result.shape[-1]:
        return None
    weights = slope.float().reshape(len(raw), -1, slope.shape[-1])
    shares = weights[..., :1]
    if not bool((weights == shares).all()) or bool(((shares.sum(1) - 1).abs() > 1e-3).any()):
        return None
    return (shares * inputs.float().reshape(len(raw), -1, inputs.shape[-1])).sum(1), None
