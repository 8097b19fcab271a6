"""What goes into a layer of a model and comes out of it while the model runs."""

from types import TracebackType
from typing import Self

from torch import Tensor, nn


class Tap:
    """Record what goes into the output layer and what comes out of it while the model runs.

    Reading the layer itself serves every architecture: a task needs no model's own output class.
    """

    def __init__(self, head: nn.Module) -> None:
        self._hook = head.register_forward_hook(self._record)

    def _record(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.input, self.output = inputs[0], output

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hook.remove()
