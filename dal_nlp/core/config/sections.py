"""Sections of the configuration (``training.``, ``head.``, ``query.`` …), and the types that fields are read with."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from dal_nlp.core.errors import LARGEST_NUMBER, ConfigError, check_letters, nearest
from dal_nlp.core.text import as_names, as_share, sentences


def _target(value: object) -> object:
    """Read "accuracy=0.9" as {"accuracy": 0.9}."""
    if not isinstance(value, str):
        return value
    metric, _, number = value.partition("=")
    try:
        return {metric.strip(): float(number)}
    except ValueError:
        raise ConfigError(f"--target wants METRIC=VALUE, such as accuracy=0.9, and got {value!r}.") from None


def _listed(value: object) -> object:
    """Read one text as a list of it."""
    return [value] if isinstance(value, str) else value


#: Keys that a flag sets under another name.
OF_FLAGS: Mapping[str, str] = {
    "train": "training.mode",
    "prior": "head.prior",
    "describe": "descriptions",
    "pseudo_labels": "pseudo_labels.policy",
    "signal": "signals",
    "metric": "metrics",
    "label_separator": "task_options.label_separator",
    "label_columns": "task_options.label_columns",
    "send_texts": "llm.send_texts",
    **{f"llm_{name}": f"llm.{name}" for name in ("prompt", "examples", "url", "model", "parallel")},
    **{f"llm_{name}": f"llm.{name}" for name in ("texts", "budget", "price_in", "price_out")},
}

Names = Annotated[list[str], BeforeValidator(as_names)]
TargetScores = Annotated[dict[str, float], BeforeValidator(_target)]
Share = Annotated[float, BeforeValidator(as_share)]


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
                    meant = cls._elsewhere(str(key))
                    close = f" (it is {meant})" if meant else nearest(str(key), cls.model_fields)
                    raise ConfigError(
                        f"There is no configuration key '{cls.place}{key}'{close}: `dal-nlp init` writes them all."
                    )
        return values

    @classmethod
    def _elsewhere(cls, key: str) -> str:
        """Return the keys that a flag's name, or a name without its section, stands for; "" where there is none."""
        sections = [field.default for field in cls.model_fields.values() if isinstance(field.default, Section)]
        inside = [f"{section.place}{key}" for section in sections if key in type(section).model_fields]
        if not cls.place and key in OF_FLAGS:
            inside = [OF_FLAGS[key]]
        return " or ".join(map(repr, inside))

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
    start: Literal["pretrained", "head"] = Field(
        "pretrained", description="what --finish full starts from: the pretrained model, or the head of the last round"
    )
    soft_labels: int = Field(
        300,
        ge=0,
        description="texts that train all weights, or adapters, beside the labels, by what layer and signals say",
    )
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
    return as_names(value)


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


class LanguageModelSection(Section):
    """How the language models among ``signals`` are asked."""

    place: ClassVar[str] = "llm."
    prompt: str | None = Field(
        None, description="with {text}, {labels}, {about} (guidelines, descriptions) and {examples}"
    )
    examples: int = Field(0, ge=0, description="texts of each label in the prompt, of those that labeled holds")
    demonstrations: dict[str, Sentences] = Field({}, description="texts by label in the prompt; of a run: those chosen")
    words: dict[str, str] = Field({}, description="what stands for a label in a prompt, where its name says little")
    url: str | None = Field(None, description="an OpenAI-compatible endpoint, such as http://127.0.0.1:8000/v1")
    model: str | None = Field(None, description="its model; null: what stands after llm: among the signals")
    key_variable: str = Field("OPENAI_API_KEY", description="environment variable that holds its key")
    send_texts: bool = Field(False, description="texts may leave this machine")
    parallel: int = Field(4, ge=1, description="most questions at a time")
    tries: int = Field(5, ge=1, description="most attempts at a question")
    permutations: int = Field(3, ge=1, description="orders of the labels, where the endpoint gives no probabilities")
    texts: int | None = Field(None, ge=1, description="random texts of the pool that are asked about; null: all")
    budget: float | None = Field(None, ge=0, description="most money, by the prices")
    price_in: float = Field(0, ge=0, description="of a million tokens that it reads")
    price_out: float = Field(0, ge=0, description="of a million tokens that it writes")


class LabelDetails(Section):
    """What people are shown of a label beside its description."""

    place: ClassVar[str] = "labels.NAME."
    examples: Annotated[list[str], BeforeValidator(_listed)] = Field([], description="texts that have the label")
    color: str | None = Field(None, pattern="^#[0-9a-fA-F]{6}$", description="such as #0072b2; null: the page's own")


#: The policy by which a head's own answers train a student of it, in the round itself.
DISTIL = "distil"


class PseudoLabelsConfig(Section):
    """Which of the model's own answers train beside the labels, for one round each."""

    place: ClassVar[str] = "pseudo_labels."
    policy: str = Field("none", description="answers of the model that train too: none, ceal, distil, module:Class")
    distil_from: int = Field(50, ge=0, description="labels from which on distil fits a student of the layer")
    threshold: float = Field(0.05, ge=0, le=1, description="entropy over log C below which an answer may train")
    decay: float = Field(0.0033, ge=0, description="what the threshold falls by in every round")
    max_per_class: int = Field(50, ge=1, description="most examples of one predicted class")
    weight: float = Field(0.3, ge=0.1, le=1, description="weight in the loss; a label has 1")
