"""The configuration of a run as users write it: recipe, YAML file, flags, ``--set``, and names that are looked up.

Layers, later over earlier: the recipe of the task (``configs/``), a YAML file of the user, the flags, ``--set``.
"""

import re
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import ModelWrapValidatorHandler, ValidationError, model_validator

from dal_nlp.annotation import MACHINES, check_oracle
from dal_nlp.core.config import Settings, merge
from dal_nlp.core.errors import ConfigError
from dal_nlp.data.tables import as_files
from dal_nlp.downloads.demo import demo_settings
from dal_nlp.ledger.settings import fingerprint, identity, with_moved_keys
from dal_nlp.readers import yaml_text
from dal_nlp.session.label_descriptions import with_descriptions
from dal_nlp.session.stopping_language import parse
from dal_nlp.strategies import ALIASES, check_strategy
from dal_nlp.strategies.pseudo_labels import check_policy_name
from dal_nlp.tasks import read_metric, recipe_of

#: The model that a run of ``--train head`` chooses itself.
AUTO_MODEL = "auto"
#: Parts of the longest key of ``--set``.
DEEPEST = 20

#: What goes over the recipe, by ``training.mode``: a frozen encoder has no draws, reads texts whole, and is asked again
#: after every ten labels, because a round takes a second; adapters start from nothing. (MiniLM on 100 random TREC-6
#: questions: accuracy .19 at the rate of full training, .70 at ten times that.)
_OF_MODE: Mapping[str, Mapping[str, Any]] = {
    "head": {
        "model": AUTO_MODEL,
        "draws": {"kind": "head"},
        "strategy": "weighted_kmeans",
        "max_length": "auto",
        "query_size": 10,
        "rounds": 18,
    },
    "lora": {"training": {"learning_rate": 1e-3}},
}


class RunConfig(Settings):
    """The configuration of a run: a task's recipe under the given values, with every name looked up.

    Raises ``UserError`` for unknown keys and names, and for values that contradict each other; pydantic's
    ``ValidationError`` for values of a wrong type (``load`` turns these into ``UserError`` too).

    Example:
        >>> from dal_nlp import RunConfig
        >>> config = RunConfig(task="sentiment", data="reviews.csv", strategy="margin", budget=300)
        >>> config.training.mode, config.audit, config.rounds
        ('head', 100, 18)
        >>> RunConfig(task="sentiment", strategy="margn")
        Traceback (most recent call last):
            ...
        dal_nlp.core.errors.ConfigError: There is no strategy 'margn' (did you mean 'margin'?); there are: ...
    """

    @model_validator(mode="wrap")
    @classmethod
    def _note_what_is_named(cls, values: Any, build: ModelWrapValidatorHandler[Self]) -> Self:
        """Have ``model_fields_set`` hold what was given, and not what the recipe says besides."""
        config = build(values)
        if isinstance(values, Mapping):
            config.model_fields_set.intersection_update(key for key, value in values.items() if value is not None)
        return config

    @model_validator(mode="before")
    @classmethod
    def _over_recipe(cls, values: Any) -> Any:
        """Put the recipe of the task, and of its demonstration where there is no data, under the given values."""
        if not isinstance(values, Mapping) or not isinstance(values.get("task"), str):
            return values
        values = as_files(values)
        settings = {key: value for key, value in values.items() if value is not None}
        settings = _without_alias(with_descriptions(with_moved_keys(_spelled_out(settings))))
        demo = {} if "data" in settings else demo_settings(settings["task"])
        layers = [*layers_of(recipe_of(settings["task"]), merge(demo, settings)), demo]
        merged: dict[str, Any] = {}
        for layer in layers:  # with a budget, that decides how many rounds there are
            merged = merge(
                merged, {key: value for key, value in layer.items() if key != "rounds" or "budget" not in settings}
            )
        return merge(merged, settings)

    @model_validator(mode="after")
    def _look_up(self) -> Self:
        """Check the names of strategies, oracles, policies and rules."""
        if self.model == AUTO_MODEL and self.training.mode != "head":
            raise ConfigError("--model auto chooses among encoders for --train head: name the model to train.")
        check_strategy(self.strategy, self.strategy_options)
        check_strategy(self.initial_strategy, {})
        if self.stop is not None:
            parse(self.stop)
        for metric in self.metrics:
            read_metric(metric)
        if self.query.prefilter is not None:
            check_strategy(self.query.prefilter, {})
        check_oracle(self.oracle, self.oracle_options)
        self._check_audited()
        _check_annotators(self.annotators, self.overlap, r"[\w@+-]+" if self.oracle == "file" else r"[\w@+.-]+")
        check_policy_name(self.pseudo_labels)
        return self

    def __repr__(self) -> str:
        named = (
            "task",
            "data",
            "test",
            "model",
            "strategy",
            "initial",
            "query_size",
            "rounds",
            "budget",
            "seed",
            "out",
        )
        values = {"train": self.training.mode, **{name: getattr(self, name) for name in named}}
        return f"<RunConfig {', '.join(f'{name}={value}' for name, value in values.items() if value is not None)}>"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """Return a table of all settings, for notebooks."""
        from dal_nlp.report.html import as_table

        rows = []
        for name, value in self.model_dump(mode="json").items():
            parts = value.items() if isinstance(value, dict) else [("", value)]
            rows += [[f"{name}.{key}" if key else name, "" if part is None else part] for key, part in parts]
        return as_table(["setting", "value"], rows)

    def _check_audited(self) -> None:
        """Raise ``UserError`` where a machine would measure itself and nobody has said that it may."""
        if self.oracle.startswith(MACHINES) and self.audit and not self.audit_by_llm:
            raise ConfigError(
                f"--oracle {self.oracle} would answer the audit sample too, so that the score would be a machine's "
                "opinion: give --test FILE with labels of people, or say --audit-by-llm."
            )

    def identity(self) -> dict[str, Any]:
        """Return what may not change while a run folder is in use."""
        return identity(self.model_dump(mode="json"))

    def fingerprint(self) -> str:
        """Return 16 hex digits that stand for the whole configuration, the folder apart."""
        return fingerprint(self.model_dump(mode="json", exclude={"out"}))

    @classmethod
    def load(
        cls, file: Path | None = None, flags: Mapping[str, Any] | None = None, settings: Iterable[str] = ()
    ) -> "RunConfig":
        """Build a configuration from a YAML file, the flags over it and ``a.b=c`` settings over both."""
        return cls.of(gather_settings(file, flags, settings))

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "RunConfig":
        """Build a configuration from values of ``gather_settings``; raises ``UserError`` for wrong ones."""
        try:
            return cls(**values)
        except ValidationError as error:
            raise _sentence(error) from None


def _check_annotators(names: list[str] | None, overlap: float, letters: str) -> None:
    """Raise ``UserError`` for names of other letters, which could not be part of a file's, and an overlap of nobody."""
    for name in names or []:
        if not re.fullmatch(letters, name) or name.isdecimal() or name in ("conflicts", "majority"):
            raise ConfigError(
                f"--annotators {name!r} cannot name a sheet: use letters, digits, @, +, - and _, not digits alone, and "
                "neither conflicts nor majority."
            )
    if names and len({name.casefold() for name in names}) < len(names):
        raise ConfigError("--annotators names somebody twice: give each name once.")
    if overlap and len(names or []) < 2:
        raise ConfigError("--overlap is what several people answer: name them with --annotators a,b.")


def gather_settings(
    file: Path | None = None, flags: Mapping[str, Any] | None = None, settings: Iterable[str] = ()
) -> dict[str, Any]:
    """Return the values of a YAML file, the flags over it and ``a.b=c`` settings over both."""
    values = _spelled_out(read_yaml(file)) if file else {}
    over = _spelled_out({k: value for k, value in (flags or {}).items() if value is not None})
    for setting in settings:
        over = merge(over, _spelled_out(_setting(setting)))
    if file is not None and "budget" in over and (file.parent / "ledger.jsonl").is_file():
        values.pop("rounds", None)  # a run's own file has what followed from the budget there was
    return merge(values, over)


def _spelled_out(values: Mapping[str, Any]) -> dict[str, Any]:
    """Write ``pseudo_labels: ceal`` as ``{policy: ceal}``, so that layers can be merged."""
    policy = values.get("pseudo_labels")
    return {**values, "pseudo_labels": {"policy": policy}} if isinstance(policy, str) else dict(values)


def _without_alias(values: Mapping[str, Any]) -> dict[str, Any]:
    """Put what an alias stands for in the place of a strategy."""
    return merge(values, ALIASES.get(str(values.get("strategy")), {}))


def recipe(name: str) -> dict[str, Any]:
    """Return the shipped recipe ``configs/NAME.yaml``."""
    text = resources.files("dal_nlp_configs").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    loaded = yaml.safe_load(text)
    return dict(loaded or {})


def layers_of(name: str, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the recipe of a task and, over it, what goes with what trains; values that are given may decide that.

    A recipe's own ``modes`` say what goes with that where it is not the same for all tasks, and its ``described`` what
    goes with a head that starts from descriptions of the labels.
    """
    of_task = recipe(name)
    modes, described = of_task.pop("modes", {}), of_task.pop("described", {})
    values = merge(of_task, settings)
    training, head = values.get("training"), values.get("head")
    mode = training.get("mode") if isinstance(training, Mapping) else None
    of_mode = merge(_OF_MODE.get(str(mode), {}), modes.get(str(mode), {}))
    if "query_size" in settings:  # its number of rounds goes with its own size
        of_mode.pop("rounds", None)
    if of_task.get("training", {}).get("mode") != "head":  # a task that is not made for it keeps its own cut
        of_mode.pop("max_length", None)
    is_described = (
        mode == "head" and settings.get("descriptions") and isinstance(head, Mapping) and head.get("prior") != "none"
    )
    return [of_task, of_mode, *([described] if is_described else [])]


def read_yaml(file: Path) -> dict[str, Any]:
    """Read a configuration file; raises ``UserError`` where it is missing or no mapping."""
    loaded = yaml_text.parse(yaml_text.read_text(file), str(file))
    if loaded is not None and not isinstance(loaded, dict):
        raise ConfigError(f"{file} must hold `key: value` lines; `dal-nlp init` writes an example.")
    return dict(loaded or {})


def _setting(text: str) -> dict[str, Any]:
    """Read "a.b=c" as {"a": {"b": c}}; pydantic gives c its type."""
    path, equals, raw = text.partition("=")
    if not equals or not path:
        raise ConfigError(f"--set wants KEY=VALUE, such as training.min_steps=200, and got {text!r}.")
    value: Any = yaml_text.parse(raw, f"--set {path}") if raw == "null" or raw[:1] in ("[", "{") else raw
    keys = path.split(".")
    if len(keys) > DEEPEST:
        raise ConfigError(f"--set {path[:60]}... has {len(keys):,} parts, and no key has more than {DEEPEST}.")
    for key in reversed(keys):
        value = {key: value}
    return dict(value)


def _sentence(error: ValidationError) -> ConfigError:
    """Turn pydantic's report into one sentence."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return ConfigError(f"The configuration lacks {key!r}: give --{key.replace('_', '-')}.")
    if first["loc"][:1] == ("label_details",):  # as it is written in a file: under labels
        key = key.replace("label_details", "labels", 1)
        return ConfigError(f"{key} {first['input']!r} is not right: {first['msg'][:1].lower()}{first['msg'][1:]}.")
    flag = f"--set {key}" if "." in key else f"--{key.replace('_', '-')}"
    value = repr(first["input"]) if len(repr(first["input"])) <= 100 else f"{repr(first['input'])[:100]}..."
    return ConfigError(f"{flag} {value} is not right: {first['msg'][:1].lower()}{first['msg'][1:]}.")
