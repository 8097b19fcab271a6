"""Loading models and tokenizers: an alias, a folder or a Hub id; safetensors only, no remote code.

A *source* is a folder, ``ID`` on the Hub, or ``ID@REVISION`` for a branch, tag or commit there.
"""

import hashlib
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dal_nlp.core.errors import ModelError, UserError
from dal_nlp.core.progress import Progress
from dal_nlp.pretrained.tokenizers import check_files, needs_sentencepiece, settle_padding_token
from dal_nlp.pretrained.weights import check_config, check_folder, check_weights

#: Short names that need pip only.
PACKAGED = ("minilm", "mpnet")
#: Short names of models on the Hub; the last four embed sentences.
ALIASES = {
    "distilbert": "distilbert/distilbert-base-uncased",
    "bert": "google-bert/bert-base-uncased",
    "roberta": "FacebookAI/roberta-base",
    "modernbert": "answerdotai/ModernBERT-base",
    "e5": "intfloat/e5-base-v2",
    "bge": "BAAI/bge-base-en-v1.5",
    "gte": "thenlper/gte-base",
    "modernbert-embed": "nomic-ai/modernbert-embed-base",
}
#: What a model gives, whatever its configuration was left with: named results, and no attention beside them.
PLAIN: Mapping[str, Any] = {"return_dict": True, "output_attentions": False, "output_hidden_states": False}


def resolve(name: str, progress: Progress, revision: str | None = None) -> str:
    """Return the folder or Hub id that a model's name stands for; a pinned Hub id is ``ID@REVISION``.

    Raises:
        UserError: A folder without a configuration or without safetensors weights, a download that failed, or a
            revision of what does not come from the Hub.
    """
    from dal_nlp.downloads import demo, split_archive

    folder = Path(name)
    if revision is not None and (name in PACKAGED or folder.exists()):
        raise ModelError(f"--revision {revision} pins a model of the Hub, and {name} is none: leave --revision out.")
    if name == "minilm":
        return str(demo.encoder(progress))
    if name == "mpnet":
        return str(split_archive.fetch_archive(name, progress))
    if not folder.exists() and (folder.is_absolute() or name.startswith(".") or name.count("/") > 1):
        raise ModelError(f"There is no model folder {name}: give one that save_pretrained wrote, or a Hub id.")
    if not folder.exists():
        return ALIASES.get(name, name) if revision is None else f"{ALIASES.get(name, name)}@{revision}"
    if (folder / "adapter_config.json").is_file():
        check_folder(folder)
    if not (folder / "config.json").is_file():
        raise ModelError(f"{name} is no model folder: it has no config.json; give a folder that save_pretrained wrote.")
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"{name} has no weights (*.safetensors): save the model with save_pretrained, or name another --model."
        )
    check_folder(folder)
    return name


@contextmanager
def located(source: str, what: str = "model ") -> Iterator[tuple[str, str]]:
    """Give the folder or Hub id of a source, and the revision, which means nothing to a folder, to what loads it.

    Args:
        source: See the module.
        what: Of it is loaded.

    Raises:
        UserError: It cannot be loaded.
    """
    name, at, revision = source.partition("@")
    folder = Path(source)
    try:
        if folder.is_dir():
            check_folder(folder)
        yield (name, revision) if at and not folder.exists() else (source, "main")
    except (UserError, MemoryError):
        raise
    except Exception as error:  # of transformers, safetensors, json and what they call: of any kind
        if folder.is_dir() and needs_sentencepiece(folder):
            raise ModelError(
                f"The tokenizer of {source} needs two packages more: pip install 'dal-nlp[sentencepiece]'."
            ) from error
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        kind = "" if isinstance(error, OSError | ValueError) else f"{type(error).__name__}: "
        raise ModelError(
            f"The {what}{source} cannot be loaded ({kind}{first.rstrip('.')}): give a folder that save_pretrained "
            "wrote, or check the name and the network."
        ) from error


def load_tokenizer(source: str) -> Any:
    """Load the fast tokenizer of a folder or Hub id, for which special tokens inside texts are text.

    Where it has no padding token, its end token is one.

    Raises:
        UserError: It cannot be had, or has neither token.
    """
    from transformers import AutoTokenizer

    with located(source, "tokenizer of ") as (name, revision):
        tokenizer = AutoTokenizer.from_pretrained(
            name, revision=revision, use_fast=True, trust_remote_code=False, split_special_tokens=True
        )
        if not isinstance(tokenizer.model_max_length, int | float):
            raise ModelError(f"model_max_length in tokenizer_config.json of {source} is no number: correct it.")
    if Path(source).is_dir():
        check_files(Path(source), tokenizer)
    settle_padding_token(tokenizer, source)
    return tokenizer


def load_config(source: str) -> Any:
    """Return the configuration of a folder's or Hub id's model; raises ``UserError`` where it cannot be had."""
    from transformers import AutoConfig

    with located(source) as (name, revision):
        config = AutoConfig.from_pretrained(name, revision=revision, trust_remote_code=False)
    check_config(config, source)
    return config


def check_class(auto_class: str, source: str) -> Any:
    """Return the configuration of a folder's or Hub id's model, for which transformers has a class of a kind.

    Raises:
        UserError: It has none.
    """
    import transformers

    config = load_config(source)
    kind: Any = getattr(transformers, auto_class)
    if type(config) not in kind._model_mapping:
        what = re.sub("(?<=[a-z])(?=[A-Z])", " ", auto_class.removeprefix("AutoModelFor")).lower()
        head = (
            "; --train head, without --finish, takes it, as that needs the encoder alone"
            if what == "sequence classification"
            else ""
        )
        raise ModelError(
            f"transformers has no model for {what} of the kind {config.model_type!r}, which {source} is: use another "
            f"--model{head}."
        )
    return config


def load_model(
    auto_class: str,
    source: str,
    id2label: dict[int, str] | None = None,
    config: Any | None = None,
    fresh: bool = True,
) -> nn.Module:
    """Load a model in fp32 on the CPU, with a new output layer where the labels' number differs.

    New weights are drawn from torch's global state: call it under ``rng.torch_seeded``.

    Args:
        auto_class: A class of transformers.
        source: Folder or Hub id.
        id2label: The labels' names.
        config: In place of the model's own configuration; then any weights may be new.
        fresh: Whether the output layer, and what leads to it, may be new.

    Raises:
        UserError: It cannot be had, or some of its weights would be made up.
    """
    import transformers

    quiet_loading()
    stored = check_class(auto_class, source)
    settings: dict[str, Any] = dict(PLAIN) if config is None else {"config": config}
    if id2label is not None:
        settings |= {"id2label": id2label, "label2id": {label: i for i, label in id2label.items()}}
    with located(source) as (name, revision):
        model, loading_info = getattr(transformers, auto_class).from_pretrained(
            name,
            revision=revision,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **settings,
        )
    if config is None:
        whole = type(model).__name__ in (stored.architectures or [])
        with located(source):
            check_weights(model, loading_info, source, fresh, whole)
    # What other heads of this model were used for; pipelines would go by it.
    old = model.config.to_dict()
    model.config.update({name: None for name in ("problem_type", "task_specific_params") if old.get(name) is not None})
    loaded: nn.Module = model
    return loaded


def load_classifier(source: str, labels: Sequence[str], kind: str = "AutoModelForSequenceClassification") -> nn.Module:
    """Load a classifier of texts, or of tokens, with one output for every label.

    A model whose own labels are the first of these keeps its outputs and gets further ones behind them: that is a run's
    checkpoint to whose data a label was added. One with the same labels in another order has its outputs put into this
    order; one with other labels gets a new output layer, as nobody can tell what its outputs mean.
    """
    known = known_labels(load_config(source))
    grows = len(known) < len(labels) and known == list(labels[: len(known)])
    first = known if grows else labels
    model = load_model(kind, source, id2label=dict(enumerate(first)))
    if grows:
        _add_outputs(model, len(known), labels)
    elif known != list(labels):
        _reorder_outputs(output_layer(model, len(labels)), known, labels)
    return model


def known_labels(config: Any) -> list[str]:
    """Return a model's labels in the order of its outputs; [] where their numbers do not say which is which."""
    named = {int(number): str(label) for number, label in (config.id2label or {}).items()}
    return [named[i] for i in range(len(named))] if set(named) == set(range(len(named))) else []


def _reorder_outputs(head: nn.Linear, known: Sequence[str], labels: Sequence[str]) -> None:
    """Bring outputs into the order of ``labels`` where these are the known ones, else draw them anew."""
    with torch.no_grad():
        if set(known) == set(labels):
            order = torch.tensor([known.index(label) for label in labels])
            head.weight.copy_(head.weight[order])
            if head.bias is not None:
                head.bias.copy_(head.bias[order])
            return
        nn.init.normal_(head.weight, std=0.02)
        if head.bias is not None:
            nn.init.zeros_(head.bias)


def _add_outputs(model: nn.Module, old: int, labels: Sequence[str]) -> None:
    """Widen the output layer to all labels; the new rows are drawn as new layers are, from torch's global state."""
    head = output_layer(model, old)
    name = next(name for name, module in model.named_modules() if module is head)
    wider = nn.Linear(head.in_features, len(labels), bias=head.bias is not None)
    nn.init.normal_(wider.weight, std=0.02)
    with torch.no_grad():
        wider.weight[:old] = head.weight
        if head.bias is not None:
            wider.bias.zero_()
            wider.bias[:old] = head.bias
    model.set_submodule(name, wider)
    config: Any = model.config
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: i for i, label in enumerate(labels)}


def quiet_loading() -> None:
    """Keep transformers from reporting a new output layer, which every fresh classifier has."""
    import transformers

    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    # The second remarks, below that level of the first, that nothing was spread over several devices.
    for name in ("transformers.modeling_utils", "transformers.distributed.tensor_parallel"):
        logging.getLogger(name).setLevel(logging.ERROR)


def digest(model: nn.Module) -> str:
    """Return 16 hex digits that stand for a model's weights."""
    key = hashlib.blake2b(digest_size=8)
    for name, values in sorted(model.state_dict().items()):
        key.update(name.encode())
        key.update(values.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return key.hexdigest()


def weights_key(source: str) -> str:
    """Return what stands for the weights of a folder (a digest of its files) or Hub id (its commit); loads nothing."""
    folder = Path(source)
    if not folder.is_dir():
        return f"{source} {_commit(source)}"
    files = [folder / "config.json", *sorted(folder.glob("*.safetensors"))]
    return " ".join(_file_digest(file, file.stat().st_mtime_ns, file.stat().st_size) for file in files)


def _commit(source: str) -> str:
    """Return the commit of a Hub id: the name of the folder that its files are kept in."""
    from transformers.utils.hub import cached_file

    with located(source) as (name, revision):
        return Path(str(cached_file(name, "config.json", revision=revision))).parent.name


@cache
def _file_digest(path: Path, changed: int, size: int) -> str:
    """Return the digest of a file; once for a file as it is, in a process of many runs."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:16]


def output_layer(model: nn.Module, outputs: int) -> nn.Linear:
    """Return the last linear layer with ``outputs`` outputs; raises ``UserError`` where there is none."""
    layers = [m for m in model.modules() if isinstance(m, nn.Linear) and m.out_features == outputs]
    if not layers:
        raise ModelError(
            f"{type(model).__name__} has no linear output layer of {outputs} outputs: use another --model or a task "
            "class with a `head` of its own."
        )
    return layers[-1]
