"""Machine-made answers: language models, classifiers, earlier runs and files, each a witness and none a judge."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dal_nlp.core.config import Settings
from dal_nlp.core.errors import UserError
from dal_nlp.core.plugins import check_name, import_class, split_spec
from dal_nlp.core.progress import Progress
from dal_nlp.core.rng import rng_for
from dal_nlp.signals.base import LabelSet, Making, Signal

#: What stands before the colon of ``--signal``.
SIGNALS: Mapping[str, str] = {
    "file": "dal_nlp.signals.answer_file:AnswerFile",
    "llm": "dal_nlp.signals.language_model:LocalModel",
    "endpoint": "dal_nlp.signals.endpoint:Endpoint",
    "model": "dal_nlp.signals.classifier:Classifier",
    "run": "dal_nlp.signals.classifier:EarlierRun",
}
#: What nobody types: ``llm:`` with a URL.
_ENDPOINT = "endpoint"


def make_signals(
    config: Settings, labels: Sequence[str], progress: Progress, kinds: Mapping[str, str] = SIGNALS
) -> dict[str, Signal]:
    """Return the signals of a configuration by what it calls them; raises ``UserError`` for what is no signal.

    Args:
        config: With the signals.
        labels: Of the run.
        progress: Where it is shown that something is loaded.
        kinds: What they may be, by what stands before the colon.
    """
    told = LabelSet(list(labels), config.descriptions or {}, config.llm.words)
    made: dict[str, Signal] = {}
    for spec in config.signals:
        kind, target, options = split_spec(spec)
        check_name("signal", kind, {name: cls for name, cls in kinds.items() if name != _ENDPOINT})
        if kind == "llm" and config.llm.url is not None:
            kind = _ENDPOINT
        if mean_of(spec) is not None:
            del options["mean"]
        cls = import_class("signal", kind, kinds, "dal_nlp.signals.base:Signal")
        made[spec] = cls(Making(target, options, told, config.llm, progress, config.guidelines))
    return made


def mean_of(spec: str) -> float | None:
    """Return the weight that a signal is said to have before any label, None where nothing is said."""
    _, _, options = split_spec(spec)
    if "mean" not in options:
        return None
    with suppress(ValueError):
        mean = float(options["mean"])
        if math.isfinite(mean):
            return mean
    raise UserError(f"--signal {spec!r}: mean= wants a number, such as 1.")


def asked_about(config: Settings, spec: str, n: int) -> NDArray[np.int64]:
    """Return the places of a pool of n texts that a signal is asked about: all, or ``llm.texts`` of them at random.

    A larger number has those of a smaller one among them.
    """
    most = config.llm.texts
    if most is None or not spec.startswith("llm:"):
        return np.arange(n)
    return np.sort(rng_for(config.seed, 0, "llm texts").permutation(n)[:most])


def same_model(config: Settings) -> list[str]:
    """Return the signals that are the language model of ``oracle``: it would be a witness to its own labels."""
    if not config.oracle.startswith("llm:"):
        return []
    _, judge, _ = split_spec(config.oracle)
    machines = [(spec, split_spec(spec)) for spec in config.signals]
    named = config.llm.url is not None and config.llm.model is not None
    return [spec for spec, (kind, target, _) in machines if kind == "llm" and (named or target == judge)]


def named(signals: Mapping[str, Signal]) -> dict[str, tuple[str, Signal]]:
    """Return (what was given, signal) by what reports call each; of those alike the further ones have a mark behind."""
    by_name: dict[str, tuple[str, Signal]] = {}
    for spec, signal in signals.items():
        name = short_name(spec)
        while name in by_name:
            name += "'"
        by_name[name] = (spec, signal)
    return by_name


def short_name(spec: str) -> str:
    """Return what the report calls a signal: its kind and the last part of what it names."""
    kind, target, _ = split_spec(spec)
    return f"{kind}:{Path(target).name or target}"
