"""The settings of a run: pydantic models, YAML in, ``--set a.b=c`` over it, JSON schema out.

Layers, later over earlier: the recipe of the task (``configs/``), a YAML file of the user, the flags, ``--set``.
"""

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from dal_nlp.core.config.sections import (
    DISTIL,
    DrawsConfig,
    HeadSection,
    LabelDetails,
    LanguageModelSection,
    Names,
    PseudoLabelsConfig,
    QueryConfig,
    ScoringConfig,
    Section,
    Sentences,
    Share,
    TargetScores,
    TrainingConfig,
)
from dal_nlp.core.errors import ConfigError

DEFAULT_ROUNDS, DEFAULT_INITIAL, DEFAULT_AUDIT = 9, 20, 100
#: A budget of what people read, and the rule that stands for one.
_READING, _READING_RULE = (
    re.compile(r"(?P<amount>\d+)\s*(?P<unit>words|characters)"),
    re.compile(r"(words|characters)=\d+$"),
)


class Settings(Section):
    """The settings of a run, written out: fields, types, ranges and checks between fields.

    Names of tasks, strategies and oracles are not looked up, so reading stored settings imports nothing of a user's.
    ``RunConfig`` adds recipes and looks the names up.

    Raises ``UserError`` for unknown keys and for values that contradict each other; pydantic's ``ValidationError`` for
    values of a wrong type.
    """

    task: str = Field(description="one of sentiment, classification, multilabel, qa, summarization, ner; module:Class")
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
    quoting: Literal["double", "trusted", "none"] = Field(
        "double",
        description="double quotes in tables of text: around cells (double), even if these look as if they had "
        "swallowed rows (trusted), or letters (none)",
    )
    labels: Names | None = Field(
        None, description="the label set (in YAML also names with descriptions); null: those in the files"
    )
    descriptions: dict[str, Sentences] | None = Field(
        None, description="one to three sentences on each label, which --train head starts from; null: the names"
    )
    label_details: dict[str, LabelDetails] = Field({}, description="examples and a color of each label, for people")
    guidelines: str = Field(
        "", description="what people and language models are told of the task, in Markdown (--guidelines: a file of it)"
    )
    labeled: str | None = Field(None, description="labels the team already has: they train and cost nothing")
    validation: str | None = Field(None, description="labeled examples that rules read; null: the audit sample")
    audit: int | None = Field(
        None, ge=0, description="random labels that measure without a test set; null: 100, or 0 with a test set"
    )
    audit_design: Literal["uniform", "active"] = Field("uniform", description="how these are drawn: uniform or active")
    answers: str | None = Field(None, description="the answers, joined by id; null: those in the pool's file")
    signals: list[str] = Field([], description="witnesses: file:, model:, run: or llm:WHAT[,KEY=VALUE]")
    keep_witness: bool = Field(False, description="whether signals are asked at prediction too; else model/ needs none")
    oracle: str = Field(
        "labeled-file",
        description="who answers: labeled-file (data), file (people), label-studio, noisy:0.1, llm:MODEL, module:Class",
    )
    audit_by_llm: bool = Field(
        False, description="whether --oracle llm: answers the audit sample too, as no person does"
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
    max_length: Annotated[int, Field(ge=4)] | Literal["auto", "pool"] = Field(
        128,
        description="tokens after which a text is cut; auto, of --train head: it is read whole, in windows; pool: "
        "where 95 % of the pool's texts end, and no less than the task's own",
    )
    strategy: str = Field("margin", description="how the next examples are chosen")
    strategy_options: dict[str, Any] = Field({}, description="arguments of the strategy")
    initial_strategy: str = Field(
        "kmeans",
        description="how the first examples are chosen; at random where a head of one label a text has descriptions",
    )
    initial: int | None = Field(
        None, ge=0, description="labels of round 0; null: 20, or 0 with labels you already have"
    )
    query_size: int = Field(20, ge=1, description="labels of every later round")
    rounds: int | None = Field(None, ge=0, description="rounds after round 0; null: 9, or as many as the budget allows")
    budget: int | None = Field(
        None,
        ge=0,
        description="all labels that may be bought, or what people may read for them (5000words, "
        "20000characters); null: audit + initial + rounds x query_size",
    )
    price_per_label: float | None = Field(
        None, ge=0, description="what one answer costs, for the report; null: unknown"
    )
    price_per_hour: float | None = Field(
        None, ge=0, description="what an hour of people's time costs, for the report; null: unknown"
    )
    target: TargetScores | None = Field(None, description="stop at METRIC=VALUE, such as accuracy=0.9")
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
    llm: LanguageModelSection = LanguageModelSection()

    @model_validator(mode="before")
    @classmethod
    def _read_budget(cls, values: Any) -> Any:
        """Read a budget of words or characters: a rule that ends the run, and at most as many labels."""
        if not isinstance(values, dict) or not isinstance(values.get("budget"), str):
            return values
        match = _READING.fullmatch(values["budget"].replace(",", "").strip())
        if match is None:
            return values
        amount, unit = int(match["amount"]), match["unit"]
        others = [rule for rule in (values.get("stop") or "").split(" or ") if rule and not _READING_RULE.match(rule)]
        return {**values, "budget": amount, "stop": " or ".join([f"{unit}={amount}", *others])}

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
            if self.pseudo_labels.policy == DISTIL:
                raise ConfigError("--pseudo-labels distil makes a student of --train head's layer: add that.")
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
