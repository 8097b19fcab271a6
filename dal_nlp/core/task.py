"""The seam between a task and everything else.

Letters: B examples of a batch, R model input rows (a text, or a window of one; R >= B), F categorical distributions of
an example, C outcomes, P positions at which the output layer is applied, A its outputs, H its inputs.

Importing this loads no torch: commands that train nothing need a task to read answers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from dal_nlp.core.batch import Batch as Batch
from dal_nlp.core.batch import Feeding as Feeding
from dal_nlp.core.batch import Prediction as Prediction
from dal_nlp.core.batch import pad as pad
from dal_nlp.core.caches import Cache
from dal_nlp.core.config import Settings
from dal_nlp.core.errors import RowError, Unsupported, UserError
from dal_nlp.core.targets import Target

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from dal_nlp.core.answer_format import AnswerFormat
    from dal_nlp.core.categoricals import Categoricals


class Capability(StrEnum):
    """A property of a task, a run or its model that a strategy or a policy may require; the value is its name in words.

    The last three are no task's, but a run's or its checkpoint's.
    """

    SHARED_OUTCOMES = "shared outcomes"  # an answer is one outcome, and outcome i means the same in every example
    DRAWS = "draws"  # posterior draws of the model can be scored
    POOLED_OUTPUT = "pooled output"  # the output layer reads one vector for each example, so that it can train alone
    WORD_OUTPUT = "word output"  # likewise one vector for each word
    PARTS = "parts of answers"  # an answer has parts, each of one or several factors
    ANSWER_TEXTS = "answer texts"  # outcomes are answers in words
    GROUPS = "groups"  # examples belong together in groups
    SEVERAL_LABELS = "several labels"  # any number of labels a text: factor i is label i of every example, yes or no
    GENERATED_TEXTS = "generated texts"  # the model writes its answers
    PREDICTED_LOSS = "predicted loss"  # a head learns to predict losses in every fit
    MASKED_LM = "masked language model"  # the checkpoint has its head
    WITNESSES = "machine-made answers"  # the model hears machines beside the text


Example = Mapping[str, Any]  # one row of an encoded dataset: "id", "target", the task's fields and features


class Task(ABC):
    """A kind of problem: how texts become inputs, raw output categorical distributions, and how people answer.

    A task never names a strategy. What has a default here is what most tasks have no use for.

    Attributes:
        recipe: The configuration that a run begins with: ``configs/NAME.yaml``.
        metrics: Columns of metrics.csv; the first is the headline.
        usual_length: Tokens after which a text is cut at the earliest, where the pool decides it.
        capabilities: What strategies and policies may require of the task.
        calibrates: Whether ``calibrate`` reads examples; only then is ``calibration`` measured.
        ready: Whether the pretrained model can answer before it has learnt anything.
        reduction: How the values of an example's distributions become its own.
        labels: The outcomes that all examples share, in the order of the model's outputs where it has one for each.
        naming: What a user can do about a column of answers that is not there.
        tokenizer: A Hugging Face tokenizer; set before anything is encoded.
        feeding: How the model that was loaded last has to be fed.

    Example:
        >>> from dal_nlp.tasks.classification import Classification
        >>> task = Classification(labels=["negative", "positive"])
        >>> task.evaluate(["negative", "positive"], ["negative", "negative"])["accuracy"]
        0.5
    """

    recipe: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]]
    usual_length: ClassVar[int] = 128
    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    may_collapse: ClassVar[bool] = False
    ready: bool = False
    naming: str = "name the column with --label-column"
    reduction: Literal["sum", "mean"] = "sum"
    feeding: Feeding = Feeding()
    labels: list[str]
    tokenizer: Any

    @classmethod
    @abstractmethod
    def from_config(cls, config: Settings) -> Self:
        """Build the task of a run; raises ``UserError`` where the configuration does not fit it."""

    @classmethod
    def for_model(cls, model: nn.Module, tokenizer: Any, max_length: int, options: Mapping[str, Any]) -> Self:
        """Build the task around a model that a user has trained; raises ``UserError`` for options it does not have."""
        raise Unsupported(f"{cls.__name__} is a task of runs alone and cannot be built around a model: use a run.")

    @property
    def outputs(self) -> list[str]:
        """What the model's outputs mean, in their order, where it has one for each label or for parts of labels."""
        return self.labels

    # Reading rows

    @abstractmethod
    def columns(self) -> list[str]:
        """Return the columns that a file must have, the answer's apart."""

    def further_columns(self) -> list[str] | None:
        """Return the columns that are read beside ``columns`` and the answer's where a file has them; None: all."""
        return None

    @abstractmethod
    def answer_column(self, columns: Collection[str]) -> str:
        """Return which of a file's columns holds the answer; where none does, the one that is missing."""

    @abstractmethod
    def read(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the text fields of one raw row.

        A field ``group``, where there is one, is what ``query.max_per_group`` counts.

        Raises:
            RowError: With the reason; ``UnusableRow`` for a row that can be left out.
        """

    @abstractmethod
    def read_target(self, row: Mapping[str, Any]) -> Target | None:
        """Return the answer in one raw row, None where it has none; raises as ``read``."""

    @abstractmethod
    def check(self, target: Target, fields: Mapping[str, Any]) -> None:
        """Raise ``ValueError`` with the reason where a target that somebody gave cannot be one of this example."""

    def learn_labels(self, targets: Iterable[Target]) -> None:  # noqa: B027 - most outcomes are known without
        """Take up the outcomes that the known answers show; new ones come after those there are."""

    def fields(self, example: Any) -> dict[str, Any]:
        """Return the text fields of an example as a training script holds it: a text, or a mapping with ``columns``.

        Raises:
            UserError: It is none that the task knows.
        """
        columns = self.columns()
        row = {columns[0]: example} if isinstance(example, str) and len(columns) == 1 else example
        if not isinstance(row, Mapping) or not set(columns) <= row.keys():
            names = ", ".join(map(repr, columns))
            raise UserError(f"{str(example)[:60]!r} is no example of the task: give a mapping with {names}.")
        try:
            return self.read(row)
        except RowError as error:
            raise UserError(f"{str(row)[:60]} cannot be used: {error}.") from None

    def target(self, answer: Any, fields: Mapping[str, Any]) -> Target:
        """Return the target that an answer means in a training script; raises ``UserError`` where it means none."""
        try:
            self.check(answer, fields)
        except ValueError as error:
            raise UserError(f"The answer {str(answer)[:60]!r} cannot be used: {error}.") from None
        return answer

    # Tokens and model

    def check_model(self, source: str) -> None:  # noqa: B027 - most tasks can do with any encoder
        """Raise ``UserError`` where the model of a folder or Hub id is, by its configuration, none for the task."""

    @abstractmethod
    def load(self, source: str) -> nn.Module:
        """Load the model of a folder or Hub id with an output for every label."""

    @abstractmethod
    def head(self, model: nn.Module) -> nn.Module:
        """Return the output layer."""

    @abstractmethod
    def encode(self, examples: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Tokenise a column-wise batch, once per run; adds the features, ``length`` (tokens) and ``rows``."""

    def remarks(self, data: Mapping[str, Dataset]) -> list[str]:
        """Return what a user should know of the encoded data of a run, in sentences.

        Args:
            data: By what they are for: "pool", "test", "validation", "labeled".
        """
        return []

    @abstractmethod
    def collate(self, examples: Sequence[Example]) -> Batch:
        """Pad encoded examples to the longest of the batch."""

    def prepare(self, model: nn.Module, batch: Batch) -> Batch:
        """Return the batch with what all readings of it share; sequence-to-sequence tasks run the encoder."""
        return batch

    def inputs(self, model: nn.Module, batch: Batch, written: Cache) -> Batch:
        """Return what scoring reads; sequence-to-sequence tasks add the model's own hypothesis.

        Args:
            model: In evaluation mode.
            batch: As ``prepare`` returns it.
            written: What the model with these weights has written already, under keys of the task's own.
        """
        return batch

    def write(self, model: nn.Module, batch: Batch, written: Cache, network: str) -> list[str]:
        """Return a text that the model writes for each example of a prepared batch, as it is sampled at the moment.

        Args:
            model: Thinned by a posterior draw.
            batch: See ``inputs``.
            written: See ``inputs``.
            network: Tells the draws apart.

        Raises:
            Unsupported: The task's answers are not written; those that are have ``Capability.GENERATED_TEXTS``.
        """
        raise Unsupported(
            "The answers of this task are not written: choose a strategy that reads no texts of the model."
        )

    # Predictions and loss

    def logits(self, result: Any) -> Tensor:
        """Return what the model's result says, as ``categoricals`` and ``loss`` read it: R rows of A numbers."""
        logits: Tensor = result["logits"]
        return logits

    @abstractmethod
    def categoricals(self, raw: Tensor, batch: Batch) -> Categoricals:
        """Turn what ``logits`` returned into log-probabilities."""

    @abstractmethod
    def predict(self, predicted: Categoricals, batch: Batch, examples: Sequence[Example]) -> list[Prediction]:
        """Return the model's answer to each example of a batch.

        Args:
            predicted: What the model gave for the batch.
            batch: As it was scored.
            examples: The B examples of the batch.
        """

    def outcome(self, example: Example, i: int) -> str:
        """Return outcome i of an example (see ``Categoricals.numbers``) as normalised text."""
        return self.labels[i]

    @abstractmethod
    def loss(self, raw: Tensor, batch: Batch) -> Tensor:
        """Return the training loss of each example, (B,)."""

    def trainable(self, example: Example) -> bool:
        """Tell whether the model could give the example's target at all; one that it could not give only measures."""
        return True

    def weights(self, targets: Sequence[Target]) -> list[float]:
        """Return weights in the loss that balance the classes; raises ``Unsupported`` where there are none."""
        raise Unsupported("training.class_weights is for classes, and this task has none: leave it out.")

    @property
    def calibrates(self) -> bool:
        """Whether ``calibrate`` reads examples."""
        return False

    def calibration(self, predicted: Categoricals, batch: Batch, examples: Sequence[Example]) -> Tensor:
        """Return what ``calibrate`` reads of a batch of examples with targets, (B, ...), if it reads any."""
        raise NotImplementedError

    def calibrate(  # noqa: B027 - most predictions need nothing beside the weights
        self, model: nn.Module, measured: NDArray[np.floating[Any]] | None, targets: Sequence[Target] | None
    ) -> None:
        """Fit what prediction needs beside the weights (a threshold, say) and keep it in ``model.config``.

        Args:
            model: Fitted; in evaluation mode. What an earlier fit left in its configuration holds no longer.
            measured: (N, ...) ``calibration`` of N examples that the model has not seen, or of such as trained by
                models that have not; None where there are none.
            targets: Their targets.
        """

    # Measuring

    @abstractmethod
    def evaluate(self, predictions: Sequence[Target], targets: Sequence[Target]) -> dict[str, float]:
        """Return the values of ``metrics``."""

    @abstractmethod
    def intervals(
        self, predictions: Sequence[Target], targets: Sequence[Target], rng: np.random.Generator
    ) -> dict[str, list[float]]:
        """Return the 95 % interval [low, high] of each of ``metrics``, over the examples that could have been drawn."""

    def metric_inputs(self, predictions: Sequence[Target], targets: Sequence[Target]) -> tuple[list[Any], list[Any]]:
        """Return predictions and references as metrics of the library ``evaluate`` take them (labels as labels)."""
        return list(predictions), list(targets)

    def breakdown(self, predictions: Sequence[Target], targets: Sequence[Target]) -> list[dict[str, Any]]:
        """Return a table for the report (for classification: count and recall of each class), or []."""
        return []

    def agreement(self, predictions: Sequence[Target], targets: Sequence[Target]) -> dict[str, list[float]]:
        """Return how well each prediction agrees with its target, by the measure's name as people write it.

        Empty where the two stand side by side and one sees it.
        """
        return {}

    def consistency(self, first: Sequence[Target], second: Sequence[Target]) -> float:
        """Return how far two models' predictions for the same examples agree, 1 where they are the same."""
        return self.answer_format.agreement.between(first, second)

    def collapsed(self, predictions: Sequence[Target], targets: Sequence[Target]) -> bool:
        """Tell whether training failed: one and the same answer to examples whose answers differ."""
        return False

    # Answer format

    @property
    @abstractmethod
    def answer_format(self) -> AnswerFormat:
        """How people answer, with the labels there are now."""

    @abstractmethod
    def texts(self, example: Example) -> list[str]:
        """Return what an annotator reads, in parts: one for each of ``columns``."""

    def cells(self, example: Example) -> dict[str, Any]:
        """Return the texts of an example as the row of a file has them, by column."""
        return dict(zip(self.columns(), self.texts(example), strict=True))

    def show(self, example: Example) -> str:
        """Return the same as one text."""
        return "\n---\n".join(self.texts(example))

    def mark(self, example: Example, target: Target) -> list[tuple[int, int]]:
        """Return the parts of ``show(example)`` that a target points at, as character offsets [start, end)."""
        return []

    def details(self, target: Target | None) -> dict[str, str]:
        """Return what the csv of ``dal-nlp predict`` says of an answer beside its text and confidence, by column.

        The columns are the same for every target; the cells are "" where there is nothing to say, and all of them for
        None, which is the answer to a row without a text.
        """
        return {}
