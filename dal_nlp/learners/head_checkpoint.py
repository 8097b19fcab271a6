"""The checkpoint of a fitted layer: one small file, from which a whole classifier can be made."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dal_nlp.core.config import Settings
from dal_nlp.core.task import Capability, Task
from dal_nlp.data.text_windows import longest_input, window_of
from dal_nlp.learners.feature_cache import fed, fed_words
from dal_nlp.learners.learner import write_model
from dal_nlp.pretrained.loading import load_model

#: The layer's file in a checkpoint.
HEAD = "head.safetensors"


@dataclass(frozen=True)
class FittedLayer:
    """A linear layer on layers of an encoder.

    Attributes:
        weight: (C, L H), on states as they are.
        bias: (C,).
        unseen: The bias of a class that has come up since.
        depths: (L,) the layers that it reads, in per cent of the encoder's depth.
        settings: What the task keeps beside the weights; see ``Task.calibrate``.
    """

    weight: Tensor
    bias: Tensor
    unseen: float
    depths: tuple[int, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def linear(self, outputs: int) -> nn.Linear:
        """Return it as a module with an output for every class; those that it does not have are unseen ones."""
        layer = nn.Linear(self.weight.shape[1], outputs)
        with torch.no_grad():
            layer.weight.zero_()[: len(self.weight)] = self.weight
            layer.bias.fill_(self.unseen)[: len(self.bias)] = self.bias
        return layer

    def save(self, folder: Path) -> None:
        """Write it into a folder."""
        from safetensors.torch import save_file

        values = {"weight": self.weight.contiguous(), "bias": self.bias.contiguous()}
        depths = torch.tensor(self.depths, dtype=torch.int64)
        beside = {"settings": json.dumps(dict(self.settings))} if self.settings else None
        save_file({**values, "unseen": torch.tensor(self.unseen), "depths": depths}, folder / HEAD, beside)


def read_layer(folder: Path) -> FittedLayer:
    """Return the layer of a checkpoint; one that does not say what it reads reads the last layer."""
    from safetensors import safe_open

    with safe_open(folder / HEAD, framework="pt") as file:
        values = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        settings = json.loads((file.metadata() or {}).get("settings", "{}"))
    depths = tuple(values["depths"].tolist()) if "depths" in values else (100,)
    return FittedLayer(values["weight"], values["bias"], float(values["unseen"]), depths, settings)


def load_whole(source: str, place: Path, task: Task, settings: Settings) -> nn.Module:
    """Return the classifier of an encoder and the layer of a checkpoint, which reads texts as the run did.

    The task learns how it is to be fed.
    """
    from dal_nlp.learners.head_model import HeadModel, WordHeadModel

    layer = read_layer(place)
    head, window = layer.linear(len(task.outputs)), window_of(settings, task.tokenizer)
    of_words = Capability.WORD_OUTPUT in task.capabilities
    kind = WordHeadModel if of_words else HeadModel
    model = kind.of(load_model("AutoModel", source), head, task.outputs, layer.depths, window, layer.settings)
    return (fed_words if of_words else fed)(model, task, source, longest_input(settings, task.tokenizer))


def write_whole(source: str, place: Path, task: Task, settings: Settings, folder: Path) -> None:
    """Write the classifier of an encoder and the layer of a checkpoint, and its tokenizer, for ``from_pretrained``."""
    write_model(load_whole(source, place, task, settings), task, folder)
