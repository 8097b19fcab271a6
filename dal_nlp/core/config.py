"""The configuration of a run: pydantic models, YAML in, ``--set a.b=c`` over it, JSON schema out.

Layers, later over earlier: the recipe of the task (``configs/``), a YAML file of the user, the flags, ``--set``.
"""

import csv
import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from dal_nlp.core.errors import ConfigError, check_letters, nearest
from dal_nlp.core.text import sentences

#: The largest number that a setting may be: more is no count of anything, and no float holds it exactly.
LARGEST_NUMBER = 2**53
DEFAULT_ROUNDS, DEFAULT_INITIAL, DEFAULT_AUDIT = 9, 20, 100


def split_names(text: str) -> list[str]:
    """Read "a,b" as ["a", "b"]; a name that holds a comma is in double quotes, as in csv."""
    try:
        (cells,) = csv.reader([text], skipinitialspace=True, strict=True)
    except (csv.Error, ValueError):
        cells = text.split(",")
    return [cell.strip() for cell in cells if cell.strip()]


def _names(value: object) -> object:
    """Read a text as a list of names; leave lists alone."""
    return split_names(value) if isinstance(value, str) else value


def _target(value: object) -> object:
    """Read "accuracy=0.9" as {"accuracy": 0.9}."""
    if not isinstance(value, str):
        return value
    metric, _, number = value.partition("=")
    try:
        return {metric.strip(): float(number)}
    except ValueError:
        raise ConfigError(f"--target wants METRIC=VALUE, such as accuracy=0.9, and got {value!r}.") from None


def _share(value: object) -> object:
    """Read "10%" as 0.1."""
    if not isinstance(value, str) or not value.strip().endswith("%"):
        return value
    try:
        return float(value.strip()[:-1]) / 100
    except ValueError:
        return value


Names = Annotated[list[str], BeforeValidator(_names)]
Target = Annotated[dict[str, float], BeforeValidator(_target)]
Share = Annotated[float, BeforeValidator(_share)]


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors that name the nearest known one."""

    model_config = ConfigDict(extra="forbid", validate_default=True, allow_inf_nan=False)
    place: ClassVar[str] = ""  # where its keys are, for messages

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        if isinstance(values, Mapping):
            for key in values:
                if key not in cls.model_fields:
                    close = nearest(str(key), cls.model_fields)
                    raise ConfigError(
                        f"There is no configuration key '{cls.place}{key}'{close}: `dal-nlp init` writes them all."
                    )
        return values

    @model_validator(mode="after")
    def _countable(self) -> Self:
        for key, value in self:
            if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
                raise ConfigError(f"{self.place}{key} is larger than any number of things: lower it.")
            if isinstance(value, str):  # a word of the command line holds bytes that are no UTF-8 as lone surrogates
                check_letters(value, "The configuration", f"{self.place}{key}")
        return self


class TrainingConfig(Section):
    """How a model is fitted in every round."""

    place: ClassVar[str] = "training."
    mode: Literal["full", "head", "lora"] = Field(
        "full", description="what is trained: full (all weights), head (one layer, in a second) or lora (adapters)"
    )
    epochs: float = Field(10, gt=0, description="passes over the labeled examples")
    min_steps: int = Field(100, ge=1, description="least number of optimizer steps; few labels need many epochs")
    batch_size: int = Field(16, ge=1, description="examples in one forward and backward pass")
    accumulation: int = Field(1, ge=1, description="batches summed into one optimizer step")
    learning_rate: float = Field(1e-4, gt=0, description="peak of the schedule")
    weight_decay: float = Field(0.01, ge=0, description="AdamW's decoupled weight decay")
    warmup: float = Field(0.1, ge=0, le=1, description="share of the steps with a rising learning rate")
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    warm_start: bool = Field(False, description="start from last round's weights instead of the checkpoint")
    class_weights: Literal["none", "balanced"] = Field("none", description="weight of a class in the loss")
    precision: Literal["no", "bf16", "fp16"] = Field("no", description="accelerate's mixed precision in training")


#: Depths of the layers that are kept of every text, in per cent of the encoder, and names of choices of them.
DEPTHS = (25, 50, 75, 100)
NAMED_LAYERS: Mapping[str, tuple[int, ...]] = {"last": (100,), "top-half": (50, 75, 100)}


def _layers(value: object) -> object:
    """Read "last", "top-half" or "75,100" as depths; leave lists alone."""
    if isinstance(value, str) and value in NAMED_LAYERS:
        return list(NAMED_LAYERS[value])
    return _names(value)


Sentences = Annotated[list[str], BeforeValidator(sentences), Field(min_length=1)]
Layers = Annotated[list[int], BeforeValidator(_layers), Field(min_length=1)]


class HeadSection(Section):
    """What the layer of ``training.mode`` head reads, and what it starts from."""

    place: ClassVar[str] = "head."
    layers: Layers = Field(
        [75, 100], description="depths of the encoder's layers that it reads: some of 25,50,75,100; last; or top-half"
    )
    c: float | None = Field(None, gt=0, description="n labels against the L2 penalty, times sqrt(n); null: by a rule")
    prior: Literal["descriptions", "none"] = Field(
        "descriptions", description="what --train head starts from: descriptions of the labels, or their names; or none"
    )
    validate_from: int = Field(60, ge=0, description="labels from which on layers and c are cross-validated; 0: never")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        """Refuse depths that are not kept, and put the others in order."""
        wrong = [depth for depth in self.layers if depth not in DEPTHS]
        if wrong:
            raise ConfigError(
                f"head.layers {wrong[0]} is not kept: choose of 25, 50, 75 and 100 (per cent of the depth)."
            )
        object.__setattr__(self, "layers", sorted(set(self.layers)))
        return self


class ScoringConfig(Section):
    """How the pool and the test set are scored; it changes the speed, never the choice."""

    place: ClassVar[str] = "scoring."
    batch_size: int = Field(64, ge=1, description="most rows (texts or windows) in one forward pass")
    batch_tokens: int = Field(4096, ge=1, description="most rows x longest row in one forward pass")
    memory: int = Field(1000, ge=0, description="MB from which on a measurement of the pool lies in a file")


class DrawsConfig(Section):
    """How posterior draws are taken, for the strategies that read them."""

    place: ClassVar[str] = "draws."
    kind: Literal["fixed", "head", "full"] = Field(
        "fixed", description="one mask per dropout call, per head (the only one of training.mode head), or none"
    )
    k: int = Field(20, ge=2, description="number of draws")
    head_p: float = Field(0.1, gt=0, lt=1, description="dropout rate of the kind head")


class QueryConfig(Section):
    """What is put before a strategy, and what of its choice is asked."""

    place: ClassVar[str] = "query."
    candidates: int | None = Field(None, ge=1, description="size of the random part of the pool that it chooses from")
    dedupe: float | None = Field(
        0.99, gt=0, le=1, description="cosine of two texts in a lower layer from which on only one of them is asked"
    )
    prefilter: str | None = Field(
        None, description="strategy that puts the best part of the candidates before the strategy of later rounds"
    )
    prefilter_keep: int | None = Field(None, ge=1, description="how many it puts there; null: 10 for each label wanted")
    embedding_model: str | None = Field(
        None, description="sentence encoder (alias, folder or Hub id) whose embeddings stand for the model's own"
    )
    max_per_group: int | None = Field(
        None, ge=1, description="most questions of a round about one context, or one value of task_options.group_column"
    )
    skip_top_quantile: float = Field(
        0, ge=0, lt=1, description="share with the highest entropy that is left out, as outliers"
    )


class PseudoLabelsConfig(Section):
    """Which of the model's own answers train beside the labels, for one round each."""

    place: ClassVar[str] = "pseudo_labels."
    policy: str = Field("none", description="the model's own answers that train too: none, ceal, or module:Class")
    threshold: float = Field(0.05, ge=0, le=1, description="entropy over log C below which an answer may train")
    decay: float = Field(0.0033, ge=0, description="what the threshold falls by in every round")
    max_per_class: int = Field(50, ge=1, description="most examples of one predicted class")
    weight: float = Field(0.3, ge=0.1, le=1, description="weight in the loss; a label has 1")


class Settings(Section):
    """The settings of a run, written out: fields, types, ranges and checks between fields.

    Names of tasks, strategies and oracles are not looked up, so reading stored settings imports nothing of a user's.
    ``RunConfig`` adds recipes and looks the names up.

    Raises ``UserError`` for unknown keys and for values that contradict each other; pydantic's ``ValidationError`` for
    values of a wrong type.
    """

    task: str = Field(description="sentiment, classification, multilabel, qa, summarization, ner, or module:Class")
    task_options: dict[str, Any] = Field({}, description="arguments of the task")
    data: str | None = Field(None, description="the pool: file, Arrow folder or Hub name; null: the demonstration")
    test: str | None = Field(None, description="labeled examples that only measure; null: an audit sample")
    text_column: Names = Field(["text"], description="one column, or two for pairs of texts")
    label_column: str = Field("label", description="column of the answers")
    id_column: str = Field("id", description="column of stable ids, or none; without one, a hash of the content")
    context_columns: Names | None = Field(None, description="columns that people are shown beside the text")
    encoding: str | None = Field(None, description="of text files that are not UTF-8; null: found by their bytes")
    repeats: Literal["first", "majority", "drop"] | None = Field(
        None, description="what counts where one text has several answers: first, majority or drop; null: an error"
    )
    quoting: Literal["double", "none"] = Field(
        "double", description="double quotes in tables of text: around cells (double), or letters (none)"
    )
    labels: Names | None = Field(
        None, description="the label set (in YAML also names with descriptions); null: those in the files"
    )
    descriptions: dict[str, Sentences] | None = Field(
        None, description="one to three sentences on each label, which --train head starts from; null: the names"
    )
    labeled: str | None = Field(None, description="labels the team already has: they train and cost nothing")
    validation: str | None = Field(None, description="labeled examples that rules read; null: the audit sample")
    audit: int | None = Field(
        None, ge=0, description="random labels that measure without a test set; null: 100, or 0 with a test set"
    )
    audit_design: Literal["uniform", "active"] = Field("uniform", description="active: rather where it may be wrong")
    answers: str | None = Field(None, description="the answers, joined by id; null: those in the pool's file")
    oracle: str = Field(
        "labeled-file", description="who answers: labeled-file, file, label-studio, noisy:0.1 or module:Class"
    )
    oracle_options: dict[str, Any] = Field({}, description="arguments of the oracle's class, a dataclass")
    annotators: Names | None = Field(
        None, description="people who answer, each in a sheet of their own (in Label Studio: addresses); null: anybody"
    )
    overlap: Share = Field(0.0, ge=0, le=1, description="share of a round that all annotators get, such as 10%")
    suggest: bool = Field(False, description="whether people are shown what the model would answer")
    strict: bool = Field(False, description="rows that would be dropped are errors")
    model: str = Field("minilm", description="alias, folder or Hub id; auto, of --train head: mpnet, or minilm if slow")
    revision: str | None = Field(None, description="branch, tag or commit of a model on the Hub; null: its newest")
    max_length: Annotated[int, Field(ge=4)] | Literal["auto"] = Field(
        128, description="tokens after which a text is cut; auto, of --train head: it is read whole, in windows"
    )
    strategy: str = Field("margin", description="how the next examples are chosen")
    strategy_options: dict[str, Any] = Field({}, description="arguments of the strategy")
    initial_strategy: str = Field("kmeans", description="how the first examples are chosen")
    initial: int | None = Field(
        None, ge=0, description="labels of round 0; null: 20, or 0 with labels you already have"
    )
    query_size: int = Field(20, ge=1, description="labels of every later round")
    rounds: int | None = Field(None, ge=0, description="rounds after round 0; null: 9, or as many as the budget allows")
    budget: int | None = Field(
        None, ge=1, description="all labels that may be bought; null: audit + initial + rounds x query_size"
    )
    target: Target | None = Field(None, description="stop at METRIC=VALUE, such as accuracy=0.9")
    metrics: list[str] = Field([], description="metrics beside the task's: f1(average=macro), module:Class, a folder")
    stop: str | None = Field(None, description="further rules that end the run, such as `stable or characters=50000`")
    stop_set: int = Field(2000, ge=2, description="random texts of the pool on which rules compare predictions")
    seed: int = Field(0, ge=0, description="of every source of chance")
    out: str | None = Field(None, description="the run folder; null: runs/TASK-N")
    track: str | None = Field(
        None, description="a tracker of accelerate that is told of each round, such as tensorboard or wandb"
    )
    finish: Literal["none", "full", "full-always"] = Field(
        "none",
        description="what follows a run of training.mode head: none; full (all weights train once, and what the audit "
        "sample or the validation file finds better is kept) or full-always (that is kept in any case)",
    )
    whole: bool = Field(
        True, description="leave model/ for from_pretrained at the end; else, of training.mode head, the layer alone"
    )
    cache: str | None = Field(
        None, description="folder of what frozen encoders made of texts, for all runs; null: ~/.cache/dal-nlp"
    )
    training: TrainingConfig = TrainingConfig()
    head: HeadSection = HeadSection()
    scoring: ScoringConfig = ScoringConfig()
    draws: DrawsConfig = DrawsConfig()
    query: QueryConfig = QueryConfig()
    pseudo_labels: PseudoLabelsConfig = PseudoLabelsConfig()

    @model_validator(mode="after")
    def _resolve(self) -> Self:
        """Fill in what follows from other fields, and check contradictions."""
        if self.query.prefilter is None and self.query.prefilter_keep is not None:
            raise ConfigError("query.prefilter_keep is for query.prefilter, which is not set: name a strategy there.")
        self._check_mode()
        if self.initial is None:
            self.initial = 0 if self.labeled else DEFAULT_INITIAL
        if self.audit is None:
            self.audit = 0 if self.test else DEFAULT_AUDIT
        if self.initial == 0 and self.labeled is None:
            raise ConfigError("--initial 0 leaves nothing to train on: give --labeled FILE or a positive --initial.")
        start = self.audit + self.initial
        if self.rounds is None:
            left = (self.budget or 0) - start
            self.rounds = DEFAULT_ROUNDS if self.budget is None else max(0, math.ceil(left / self.query_size))
        if self.budget is None:
            self.budget = start + self.rounds * self.query_size
        if self.budget <= self.audit and self.labeled is None:
            raise ConfigError(
                f"The budget of {self.budget} is spent on the audit sample of {self.audit}: raise --budget, lower "
                "--audit or give --test."
            )
        return self

    def _check_mode(self) -> None:
        """Raise ``UserError`` for what a frozen encoder cannot do, and for an end that is no other end."""
        if self.training.mode != "head" and self.finish != "none":
            raise ConfigError("--finish full trains all weights after rounds of --train head: add that, or leave it.")
        if self.training.mode != "head":
            if self.max_length == "auto":
                raise ConfigError(
                    "--max-length auto reads texts in windows, as --train head does: give a number of tokens."
                )
            return
        if self.draws.kind != "head":
            raise ConfigError(
                f"With --train head the encoder runs once, without dropout, so draws.kind {self.draws.kind} has "
                "nothing to draw: leave draws.kind out, or set it to head."
            )
        if self.training.warm_start:
            raise ConfigError(
                "--train head fits its layer to the same end wherever it starts from: leave training.warm_start out."
            )


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two nested mappings; values of ``over`` win."""
    merged = dict(under)
    for key, value in over.items():
        if isinstance(value, BaseModel):
            value = value.model_dump(exclude_unset=True)
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged
