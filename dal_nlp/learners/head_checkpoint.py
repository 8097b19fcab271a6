"""A fitted layer: its checkpoint, one small file, the classifier made of it, and it on features that a cache holds."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset, concatenate_datasets
from torch import Tensor, nn
from transformers import PreTrainedConfig

from dal_nlp.core.config import Settings
from dal_nlp.core.distributed import process_state
from dal_nlp.core.errors import ModelError
from dal_nlp.core.progress import Progress
from dal_nlp.core.task import Capability, Task
from dal_nlp.data.text_windows import SIZES, longest_input, window_of
from dal_nlp.learners.checkpoints import write_model
from dal_nlp.learners.feature_cache import Features, fed, fed_words, open_cache
from dal_nlp.learners.layers import places
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import Array, Positions
from dal_nlp.pretrained.loading import load_model
from dal_nlp.pretrained.sentence_format import SentenceFormat, read_format

#: The layer's file in a checkpoint.
HEAD = "head.safetensors"
#: Rows in a batch of features: a linear layer wants it large.
BATCH = 4096


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

    def save(self, folder: Path, name: str = HEAD) -> None:
        """Write it into a folder."""
        from safetensors.torch import save_file

        values = {"weight": self.weight.contiguous(), "bias": self.bias.contiguous()}
        depths = torch.tensor(self.depths, dtype=torch.int64)
        beside = {"settings": json.dumps(dict(self.settings))} if self.settings else None
        save_file({**values, "unseen": torch.tensor(self.unseen), "depths": depths}, folder / name, beside)


def read_layer(folder: Path, name: str = HEAD) -> FittedLayer:
    """Return a layer of a checkpoint; one that does not say what it reads reads the last layer.

    Raises:
        UserError: The file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / name, framework="pt") as file:
            values = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
            settings = json.loads((file.metadata() or {}).get("settings", "{}"))
    except SafetensorError as error:
        raise ModelError(f"{folder / name} is damaged ({error}): the same `dal-nlp run` makes it again.") from None
    depths = tuple(values["depths"].tolist()) if "depths" in values else (100,)
    return FittedLayer(values["weight"], values["bias"], float(values["unseen"]), depths, settings)


def load_whole(source: str, checkpoint: Path, task: Task, settings: Settings) -> nn.Module:
    """Return the classifier of an encoder and the layer of a checkpoint, which reads texts as the run did.

    The task learns how it is to be fed.
    """
    return whole(read_layer(checkpoint), source, task, settings)


def whole(layer: FittedLayer, source: str, task: Task, settings: Settings) -> nn.Module:
    """Return the classifier of an encoder and a layer; see ``load_whole``."""
    from dal_nlp.pretrained.head_model import HeadModel, WordHeadModel

    head, window = layer.linear(len(task.outputs)), window_of(settings, task.tokenizer)
    of_words = Capability.WORD_OUTPUT in task.capabilities
    kind, form = WordHeadModel if of_words else HeadModel, SentenceFormat() if of_words else read_format(source)
    cut, skip = None if window is None else asdict(window), form.skipped(task.tokenizer)
    encoder = load_model("AutoModel", source)
    model = kind.of(encoder, head, task.outputs, layer.depths, cut, layer.settings, form.pooling, skip)
    return (fed_words if of_words else fed)(model, task, source, longest_input(settings, task.tokenizer))


def write_whole(source: str, checkpoint: Path, task: Task, settings: Settings, folder: Path) -> None:
    """Write the classifier of an encoder and the layer of a checkpoint, and its tokenizer, for ``from_pretrained``."""
    write_model(load_whole(source, checkpoint, task, settings), task, folder)


class HeadNet(nn.Module):
    """An output layer on features that are looked up: the model of a round, for all who score.

    A text is one token, whose number is its place in the features. The configuration is empty but for what a task
    leaves in it.

    Args:
        read: Gives the features (B, 4, H) of places (B,).
        output: The layer, on L of the four states side by side.
        depths: Of those states, as in ``layers``.
        offsets: Gives the logits (B, C) of what machines say of places; None where that is not asked.
    """

    def __init__(
        self,
        read: Callable[[Positions], Array],
        output: nn.Linear,
        depths: Sequence[int],
        offsets: Callable[[Positions], Array] | None = None,
    ) -> None:
        super().__init__()
        self._read, self._places, self._said = read, places(depths), offsets
        self.output = output
        self.config: Any = PreTrainedConfig()

    @classmethod
    def of(cls, layer: FittedLayer, read: Callable[[Positions], Array], outputs: int) -> Self:
        """Return a fitted layer, with an output for every class and what the task keeps beside it."""
        net = cls(read, layer.linear(outputs), layer.depths)
        net.config.update(dict(layer.settings))
        return net

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, output_hidden_states: bool = False
    ) -> dict[str, Tensor | tuple[Tensor, ...]]:
        """Return logits (B, C) and "hidden states" of one position: no embeddings, then four layers (B, 1, H)."""
        rows, device = input_ids[:, 0].cpu().numpy(), self.output.weight.device
        features = torch.from_numpy(self._read(rows)).to(device)
        layers = torch.split(features, 1, dim=1)
        logits = self.output(features[:, self._places].flatten(1))
        if self._said is not None:
            logits = logits + torch.from_numpy(self._said(rows)).to(device)
        return {"logits": logits, "hidden_states": (layers[0], *layers)}


class StoredLayer(nn.Module):
    """A fitted layer and what it takes to read texts with its encoder, which is loaded for texts in no cache alone.

    Args:
        config: Of the run.
        task: With its tokenizer and labels.
        source: Folder or Hub id of the encoder.
        layer: What was fitted.
        progress: Where the encoding is shown.
    """

    def __init__(self, config: Settings, task: Task, source: str, layer: FittedLayer, progress: Progress) -> None:
        super().__init__()
        self._config, self._task, self._source, self._progress = config, task, source, progress
        self._layer = layer
        self._cache = open_cache(config, source, task)

    def pool(self, encoded: Dataset, columns: Sequence[str], scratch: Path) -> Pool:
        """Return encoded texts under the layer.

        Args:
            encoded: As ``Task.encode`` made them, with the examples' fields.
            columns: What ``Task.encode`` added.
            scratch: Folder for a nameless file.
        """
        of = self._task, self._source, self._cache, scratch, self._config.scoring, self._progress
        features = Features(*of, longest_input(self._config, self._task.tokenizer))
        read = sorted(set(columns) - SIZES)
        features.add(encoded, read)
        n = len(encoded)
        rows = np.arange(n)
        features.require(rows)
        ends = pa.array(np.arange(n + 1, dtype=np.int32))
        ids = pa.ListArray.from_arrays(ends, pa.array(rows))
        ones = pa.array(np.ones(n, dtype=np.int64))
        numbers = Dataset(pa.table({"input_ids": ids, "length": ones, "rows": ones}))
        fields = encoded.remove_columns([name for name in encoded.column_names if name in columns])
        net = HeadNet.of(self._layer, features.rows, len(self._task.labels))
        scoring = self._config.scoring.model_copy(update={"batch_size": BATCH, "batch_tokens": BATCH})
        draws = make_draws(self._config.draws, self._config.seed, 0)
        model = net.to(process_state().device).eval()
        return Pool(concatenate_datasets([fields, numbers], axis=1), model, self._task, draws, scoring)


def has_layer(config: Settings, checkpoint: Path) -> bool:
    """Tell whether a folder holds the layer alone that a run with a frozen encoder answers with."""
    return config.training.mode == "head" and (checkpoint / HEAD).is_file()
