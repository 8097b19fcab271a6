"""Low-rank adapters on a frozen model, and its new output layer: less to train, as much to score."""

from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dal_nlp.core.distributed import process_state
from dal_nlp.core.errors import UserError
from dal_nlp.core.rng import seed_for, torch_seeded
from dal_nlp.learners.checkpoints import fitted_settings, read_json, write_model
from dal_nlp.learners.learner import WHOLE, FullLearner

#: The adapters' file in a checkpoint, beside the model into which they are merged.
ADAPTERS = "lora.safetensors"
#: Rank of an adapter, what it is scaled by times the rank, and its dropout, which serves for posterior draws.
RANK, ALPHA, DROPOUT = 8, 16, 0.1


def check_peft() -> None:
    """Raise ``UserError`` where the optional package is missing."""
    try:
        import peft  # noqa: F401
    except ImportError:
        raise UserError("--train lora needs the package peft: pip install 'dal-nlp[lora]'.") from None


class LoraLearner(FullLearner):
    """Trains low-rank adapters on all linear layers, and the layers that the pretrained model does not have.

    Hu et al. (2022), LoRA. A checkpoint holds the model with its adapters merged, which ``from_pretrained`` loads, and
    the adapters apart: a resumed run goes on with both, as their dropout is a part of posterior draws.
    """

    weights: ClassVar[tuple[str, ...]] = (*WHOLE, ADAPTERS)
    has_dropout: ClassVar[bool] = True

    def after(self, round: int) -> nn.Module:
        """Return the model that was fitted in a round; the pretrained one for round -1."""
        if self._current is None or self._current[0] != round:
            self._current = (round, self._adapted(round).to(process_state().device).eval())
        return self._current[1]

    def _adapted(self, round: int) -> nn.Module:
        """Return the model of a round with its adapters, on the CPU; labels may have come up since it was fitted."""
        from safetensors.torch import load_file

        with torch_seeded(seed_for(self._config.seed, 0, "weights")):
            model = self._load_new()
        if round >= 0:
            values = load_file(self.place(round) / ADAPTERS)
            with torch.no_grad():
                for name, parameter in _trained(model).items():
                    parameter[: len(values[name])] = values[name]
            config: Any = model.config
            content = read_json(self.place(round) / "config.json")
            config.update(fitted_settings(content if isinstance(content, dict) else {}))
        return model

    def _load_new(self) -> nn.Module:
        """Load the pretrained model and put adapters, which change nothing yet, on its linear layers."""
        from peft import LoraConfig, inject_adapter_in_model
        from transformers.pytorch_utils import Conv1D

        model = super()._load_new()
        head, base = self._task.head(model), _base(model)
        layers = {name: layer for name, layer in model.named_modules() if name.startswith(base) and layer is not head}
        count = 0
        # Inside another module, the names are taken as they are: those of a transformers model peft translates from
        # older versions, so that the layers of shared experts become the fused ones of all the others.
        outer = nn.Sequential(model)
        for kind in (nn.Linear, Conv1D):  # the latter, of GPT-2 and its kin, keeps its weight the other way round
            inside = sorted(f"0.{name}" for name, of in layers.items() if isinstance(of, kind) and _gives_rows(of))
            count += len(inside)
            if inside:
                config = LoraConfig(
                    r=RANK,
                    lora_alpha=ALPHA,
                    lora_dropout=DROPOUT,
                    target_modules=inside,
                    fan_in_fan_out=kind is Conv1D,
                )
                inject_adapter_in_model(config, outer)
        if not count:
            raise UserError(
                f"{type(model).__name__} has no linear layers that an adapter can stand on: leave --train lora out."
            )
        for name, parameter in model.named_parameters():
            if base and not name.startswith(base):
                parameter.requires_grad_(True)
        return model

    def _write(self, round: int, draft: Path) -> None:
        """Write the merged model, its tokenizer and the adapters."""
        from safetensors.torch import save_file

        values = {name: p.detach().cpu().contiguous() for name, p in _trained(self.after(round)).items()}
        merged = self._adapted(-1)
        with torch.no_grad():
            for name, parameter in _trained(merged).items():
                parameter.copy_(values[name])
        merged.config = self.after(round).config  # with what the task has calibrated
        write_model(merge(merged), self._task, draft)
        save_file(values, draft / ADAPTERS)


def _gives_rows(layer: Any) -> bool:
    """Tell whether a linear layer gives what an adapter can add to: a router of experts gives more than numbers."""
    width = layer.in_features if isinstance(layer, nn.Linear) else layer.nx
    with torch.no_grad():
        return isinstance(layer(torch.zeros((1, width), dtype=layer.weight.dtype)), Tensor)


def merge(model: nn.Module) -> nn.Module:
    """Fold the adapters of a model into its weights, in place, so that it is of its own class again."""
    from peft.tuners.lora import LoraLayer

    for name, layer in list(model.named_modules()):
        if isinstance(layer, LoraLayer):
            layer.merge()
            model.set_submodule(name, layer.get_base_layer())
    return model


def _trained(model: nn.Module) -> dict[str, Tensor]:
    """Return what is trained, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def _base(model: Any) -> str:
    """Return how the names in the pretrained part of a model begin; "" where all of it is."""
    prefix = f"{model.base_model_prefix}."
    return prefix if any(name.startswith(prefix) for name, _ in model.named_parameters()) else ""
