"""What a model folder must hold, and whether all of a model's weights came from there: nothing is made up."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dal_nlp.core.errors import ModelError
from dal_nlp.pretrained.reading import FAILURES, unreadable

#: How a file begins whose content stayed with Git LFS.
POINTER = b"version https://git-lfs"
#: Names that a message shows.
SHOWN = 3
#: What else is JSON in a model's folder.
OBJECTS = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json")


def check_folder(folder: Path) -> None:
    """Raise ``UserError`` for a model folder whose files are not what their names say."""
    if (folder / "adapter_config.json").is_file():
        raise ModelError(
            f"{folder} holds a PEFT adapter: merge it into its model with merge_and_unload(), and give the folder "
            "where save_pretrained wrote the result."
        )
    for file in sorted(path for path in folder.iterdir() if path.is_file()):
        with file.open("rb") as opened:
            if opened.read(len(POINTER)) == POINTER:
                raise ModelError(
                    f"{file} is a pointer of Git LFS, not the file itself: fetch it with `git lfs install` and `git "
                    "lfs pull`."
                )
    for name in ("config.json", *OBJECTS, "model.safetensors.index.json"):
        check_json(folder / name)
    _check_label_numbers(folder / "config.json")
    for file in sorted(folder.glob("*.safetensors")):
        _check_tensors(file)


def check_json(file: Path) -> None:
    """Raise ``UserError`` for a file that is there and holds no JSON object."""
    if not file.is_file():
        return
    try:
        whole = isinstance(json.loads(file.read_text(encoding="utf-8")), dict)
    except (ValueError, RecursionError):
        whole = False
    if not whole:
        raise ModelError(f"{file} is damaged (it holds no JSON object): get it again from where the model is from.")


def _check_label_numbers(file: Path) -> None:
    """Raise ``UserError`` where a configuration does not say by numbers which output is which label."""
    mapping = json.loads(file.read_text(encoding="utf-8")).get("id2label") if file.is_file() else None
    keys = list(mapping) if isinstance(mapping, dict) else []
    if mapping is not None and not (isinstance(mapping, dict) and all(re.fullmatch(r"-?\d+", key) for key in keys)):
        raise ModelError(
            f'id2label in {file} is not a mapping of numbers to labels, such as {{"0": "negative", "1": "positive"}}: '
            "correct it, or leave it out."
        )


def _check_tensors(file: Path) -> None:
    """Raise ``UserError`` for weights that are damaged or cut off, or quantized."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as opened:
            weights = [name for name in opened.keys() if name.endswith("weight")]  # noqa: SIM118 - no mapping
            integers = [name for name in weights if opened.get_slice(name).get_dtype()[0] in "IU"]
    except (SafetensorError, OSError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"{file} is damaged or cut off ({first}): get it again from where the model is from."
        ) from None
    if integers:
        raise ModelError(
            f"{file} holds whole numbers in place of weights ({integers[0]}), as quantized models do: give the model "
            "that it was made from."
        )


def check_config(config: Any, source: str) -> None:
    """Raise ``UserError`` for a model whose weights are quantized."""
    if config.to_dict().get("quantization_config") is not None:
        raise ModelError(
            f"The weights of {source} are quantized (quantization_config in its config.json), and cannot be trained: "
            "give the model that they were made from."
        )


def check_weights(model: Any, info: Mapping[str, Any], source: str, fresh: bool, whole: bool) -> None:
    """Refuse a model of which anything but an output layer was drawn at random.

    Args:
        model: As ``from_pretrained`` returned it.
        info: What it said of the weights: ``output_loading_info``.
        source: Folder or Hub id.
        fresh: Whether what stands on the pretrained part may be new: the output layer, and what leads to it.
        whole: Whether the model was saved by this very class, so that nothing may be missing.

    Raises:
        UserError: Weights of the pretrained part are missing or have other shapes, or are left over.
    """
    base = model.base_model
    inner = model.base_model_prefix + "." if base is not model else ""
    missing, reshaped = set(info["missing_keys"]), {entry[0] for entry in info["mismatched_keys"]}
    if fresh and (missing or reshaped):
        pretrained = _pretrained(model, inner, missing | reshaped)
        missing, reshaped = (missing if whole else missing & pretrained), reshaped & pretrained
    missing |= reshaped
    left_over = {name for name in info["unexpected_keys"] if _belongs(name, base, model.base_model_prefix)}
    if not missing and not left_over:
        return
    wrapper = _wrapper(missing, info["unexpected_keys"], model.base_model_prefix)
    if wrapper is not None:
        raise ModelError(
            f"The weights of {source} are named {wrapper!r} and then as transformers names them: save the model that "
            "is inside the wrapper, with save_pretrained."
        )
    wrong, kind = (missing, "missing or of another shape") if missing else (left_over, "left over")
    shown = ", ".join(sorted(wrong)[:SHOWN]) + (", ..." if len(wrong) > SHOWN else "")
    raise ModelError(
        f"The weights of {source} do not fit its config.json: {len(wrong):,} are {kind} ({shown}), and nothing is made "
        "up in their place. Correct config.json, or save the model anew with save_pretrained."
    )


def _pretrained(model: Any, inner: str, names: set[str]) -> set[str]:
    """Return which of some weights are of the pretrained part, and not of what a task puts on it."""
    import transformers

    base = model.base_model
    if not inner:
        with torch.device("meta"):
            plain = transformers.AutoModel.from_config(model.config)  # type: ignore[no-untyped-call]
        own = {name for name in names if name in plain.state_dict()}
        if type(plain) is not type(model):  # a head in the same module, as T5's for questions
            return own
    else:
        own = {name for name in names if name.startswith(inner)}
    # What the hidden states do not depend on, such as BERT's pooler, leads to the output layer.
    return own & {inner + name for name in _read_by_states(base)} if own else own


def _read_by_states(base: nn.Module) -> set[str]:
    """Return which parameters the hidden states of a model depend on, from one pass over a few tokens.

    Raises:
        UserError: The model cannot read them.
    """
    ids = torch.tensor([[1, 2, 1, 2]])
    of: Any = base
    decoder = {"decoder_input_ids": ids} if of.config.is_encoder_decoder else {}
    named = {name: parameter for name, parameter in base.named_parameters() if parameter.requires_grad}
    training = base.training
    with torch.enable_grad():
        try:
            states = base.eval()(input_ids=ids, **decoder)[0]
        except FAILURES as error:
            raise unreadable(type(base).__name__, error) from None
        gradients = torch.autograd.grad(states.sum(), list(named.values()), allow_unused=True)
    base.train(training)
    return {name for name, gradient in zip(named, gradients, strict=True) if gradient is not None}


def _belongs(name: str, base: nn.Module, prefix: str) -> bool:
    """Tell whether a weight that no part of the model took is one of the pretrained part.

    Such as a layer more than config.json has, or an adapter's weight beside that of its layer.
    """
    inner = name.removeprefix(f"{prefix}.")
    patterns = {re.sub(r"\d+", "#", own) for own, _ in base.named_parameters()}
    if re.sub(r"\d+", "#", inner) in patterns:
        return True
    layers = {own for own, module in base.named_modules() if own and not list(module.children())}
    parts = inner.split(".")
    return any(".".join(parts[:n]) in layers for n in range(1, len(parts) - 1))


def _wrapper(missing: set[str], unexpected: Iterable[str], prefix: str) -> str | None:
    """Return what stands before the names of the weights, where that is why they are missing."""
    for name in sorted(missing):
        for inner in (name, name.removeprefix(f"{prefix}.")):
            before = sorted(other.removesuffix(inner) for other in unexpected if other.endswith(f".{inner}"))
            if before:
                return before[0]
    return None
