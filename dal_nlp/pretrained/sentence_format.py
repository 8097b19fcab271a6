"""What a sentence encoder's folder says of its use: how states are pooled, and what prompt stands before texts.

The files are those of sentence-transformers: ``modules.json``, ``config.json`` of the pooling, and
``config_sentence_transformers.json``. A model without them is read as the mean of its states, without a prompt.
"""

import json
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast
from transformers.utils.hub import cached_file

from dal_nlp.core.errors import ModelError
from dal_nlp.core.task import Capability
from dal_nlp.pretrained.loading import load_tokenizer
from dal_nlp.pretrained.pooling import POOLINGS

#: Modules that may be there. A layer that is fitted has a scale of its own, so lengths of one (Normalize) are given to
#: the vectors of ``query.embedding_model`` alone.
_KNOWN = ("Transformer", "Pooling", "Normalize", "Dense")
#: Names of the pooling's switches, where these differ from those of ``POOLINGS``.
_SWITCHES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
#: Prompts of texts that are sought, beside which a bare text is nothing that a model has seen.
_SOUGHT = ("passage", "document")


@dataclass(frozen=True)
class SentenceFormat:
    """How a sentence encoder reads a text.

    Attributes:
        pooling: One of ``POOLINGS``.
        include_prompt: Whether the tokens of the prompt count in it.
        prompt: What stands before each text; "" for nothing.
        dense: Whether the folder has layers behind the pooling, which change what the vector says.
    """

    pooling: str = "mean"
    include_prompt: bool = True
    prompt: str = ""
    dense: bool = False

    @property
    def is_mean(self) -> bool:
        """Whether all tokens count alike."""
        return self.pooling == "mean" and (self.include_prompt or not self.prompt)

    def remarks(self) -> list[str]:
        """Return what a user should know of it, in sentences."""
        remarks = []
        if self.pooling != "mean":
            remarks.append(f"The encoder's states are pooled as its folder says ({self.pooling}).")
        if self.prompt:
            remarks.append(f"Before each text the encoder reads {self.prompt!r}, as its folder says.")
        if self.dense:
            remarks.append(
                "The dense layer of the encoder's folder is not read: --train head reads the states below it."
            )
        return remarks

    def skipped(self, tokenizer: Any) -> int:
        """Return how many tokens at the start of a text do not count in its vector."""
        if not self.prompt or self.include_prompt:
            return 0
        return len(_around(tokenizer.backend_tokenizer)[0])


def read_format(source: str) -> SentenceFormat:
    """Return what the files of a folder or Hub id say.

    Raises:
        ModelError: They name a module, or a pooling, that is not known here.
    """
    modules = _json(source, "modules.json")
    if modules is None:
        return SentenceFormat()
    kinds = {str(module["type"]).rpartition(".")[2]: str(module.get("path", "")) for module in modules}
    unknown = [kind for kind in kinds if kind not in _KNOWN]
    if unknown:
        raise ModelError(
            f"{source} is a sentence encoder with a module {unknown[0]}, which is not known here: --train head and "
            f"query.embedding_model read {', '.join(_KNOWN)}; use another encoder."
        )
    pooling = _json(source, f"{kinds['Pooling']}/config.json".lstrip("/")) if "Pooling" in kinds else None
    prompt = _prompt(_json(source, "config_sentence_transformers.json") or {})
    values = pooling or {}
    return SentenceFormat(_kind(values, source), bool(values.get("include_prompt", True)), prompt, "Dense" in kinds)


@cache
def _of_hub(source: str, name: str) -> Path | None:
    """Return where a file of a Hub id lies on this machine; asked once in a process."""
    repository, _, revision = source.partition("@")
    path = cached_file(
        repository,
        name,
        revision=revision or "main",
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    return None if path is None else Path(path)


def _json(source: str, name: str) -> Any:
    """Return what a file of a source holds, None where it has none."""
    folder = Path(source)
    path = (folder / name if (folder / name).is_file() else None) if folder.exists() else _of_hub(source, name)
    try:
        return None if path is None else json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{name} of {source} cannot be read ({error}): save the sentence encoder again.") from error


def _kind(values: Mapping[str, Any], source: str) -> str:
    """Return the pooling that a configuration names."""
    named = values.get("pooling_mode")
    kinds = [named] if isinstance(named, str) else list(named or [])
    kinds += [kind for switch, kind in _SWITCHES.items() if values.get(switch)]
    if len(kinds) > 1 or not set(kinds) <= set(POOLINGS):
        raise ModelError(
            f"{source} is a sentence encoder that pools by {' and '.join(map(str, kinds))}: one of "
            f"{', '.join(POOLINGS)} is known here; use another encoder."
        )
    return kinds[0] if kinds else "mean"


def _prompt(values: Mapping[str, Any]) -> str:
    """Return the prompt of texts that are compared with each other.

    That is the default one; else that for classification; else, where texts that are sought have a prompt too, that of
    queries, which stands before both sides of symmetric tasks. Where queries alone have one, texts have none.
    """
    prompts = {str(name).casefold(): str(prompt) for name, prompt in (values.get("prompts") or {}).items() if prompt}
    default = values.get("default_prompt_name")
    if default is not None:
        return prompts.get(str(default).casefold(), "")
    both = any(name in prompts for name in _SOUGHT)
    return prompts.get("classification") or (prompts.get("query", "") if both else "")


def load_prompted(source: str, form: SentenceFormat) -> Any:
    """Return the tokenizer of a source, which puts the prompt of its format before each text.

    The prompt's tokens stand among those that the tokenizer puts around a text, in each window of a long one; so a
    saved model has them in the tokenizer beside it. (A tokenizer of bytes cuts the first word of a text as it does
    without a prompt.)

    Raises:
        ModelError: The tokenizer cannot be told so.
    """
    tokenizer = load_tokenizer(source)
    if not form.prompt:
        return tokenizer
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise ModelError(f"{source} reads {form.prompt!r} before each text, which its tokenizer cannot be told.")
    backend = tokenizer.backend_tokenizer
    before, between, after, second = _around(backend)
    whole = backend.encode(f"{form.prompt}a", add_special_tokens=False).ids
    prompt = whole[: len(whole) - len(backend.encode("a", add_special_tokens=False).ids)]
    parts = {"BEFORE": [*before, *prompt], "BETWEEN": between, "AFTER": after}
    pieces = [
        {"id": name, "ids": ids, "tokens": [str(backend.id_to_token(id)) for id in ids]}
        for name, ids in parts.items()
        if ids
    ]
    first, middle, last = (f"{name}:0" if parts[name] else "" for name in parts)
    single = f"{first} $A:0 {last}".strip()
    pair = f"{first} $A:0 {middle} $B:{second} {last[:-1] + str(second) if last else ''}".strip()
    backend.post_processor = TemplateProcessing(single=single, pair=pair, special_tokens=pieces)
    return tokenizer


def _around(backend: Any) -> tuple[list[int], list[int], list[int], int]:
    """Return the tokens before, between and behind two texts, and the kind of the second's."""
    two = backend.encode("a", "a")
    places = [[i for i, owner in enumerate(two.sequence_ids) if owner == which] for which in (0, 1)]
    (first, *_), (other, *_) = places
    before, between, after = two.ids[:first], two.ids[places[0][-1] + 1 : other], two.ids[places[1][-1] + 1 :]
    return before, between, after, two.type_ids[other]


def load_reader(source: str, mode: str, capabilities: Container[Capability]) -> Any:
    """Return the tokenizer by which a way to train reads texts: a frozen encoder of whole texts as its folder says."""
    if mode == "head" and Capability.POOLED_OUTPUT in capabilities:
        return load_prompted(source, read_format(source))
    return load_tokenizer(source)
