"""The seam between a task and everything else.

Letters: B examples of a batch, R model input rows (a text, or a window of one; R >= B), F categorical distributions of
an example, C outcomes, P positions at which the output layer is applied, A its outputs, H its inputs.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dal_nlp.core.caches import Cache
from dal_nlp.core.categoricals import Categoricals
from dal_nlp.core.config import Settings
from dal_nlp.core.errors import UserError
from dal_nlp.core.targets import Target

if TYPE_CHECKING:
    from datasets import Dataset


#: What an annotator may answer to everything in place of an answer.
REFUSALS = ("skip", "unsure")

Example = Mapping[str, Any]  # one row of an encoded dataset: "id", "target", the task's fields and features


@dataclass
class Batch:
    """Examples made ready for the model.

    Attributes:
        inputs: What the model is called with: tensors of R rows, and, under "encoder_outputs", what the encoder beside
            a decoder gave for them.
        owner: (R,) the example, 0..B-1, that each row belongs to, ascending.
        labels: What ``Task.loss`` compares with, or None where an example has no target.
        weights: (B,) the examples' weights in the loss.
    """

    inputs: dict[str, Any]
    owner: Tensor
    size: int
    labels: Tensor | None = None
    weights: Tensor | None = None
    extra: dict[str, Tensor] = field(default_factory=dict)

    def to(self, device: torch.device) -> "Batch":
        """Return a collated batch with every tensor on ``device``."""
        return Batch(
            {name: tensor.to(device) for name, tensor in self.inputs.items()},
            self.owner.to(device),
            self.size,
            None if self.labels is None else self.labels.to(device),
            None if self.weights is None else self.weights.to(device),
            {name: tensor.to(device) for name, tensor in self.extra.items()},
        )


@dataclass(frozen=True)
class Feeding:
    """How a model has to be fed.

    Attributes:
        longest: Tokens of the longest text that it reads; None where nothing is known.
        padding: The side on which texts are padded; "equal": the texts of a batch must be of equal length, as the model
            cannot be kept from the padding.
        name: Of the model, for messages.
        kind: Of which class it is.
    """

    longest: int | None = None
    padding: Literal["right", "left", "equal"] = "right"
    name: str = ""
    kind: str = ""

    @property
    def equal_lengths(self) -> bool:
        """Whether the texts of a batch must be of equal length."""
        return self.padding == "equal"

    def check(self, tokens: int) -> None:
        """Raise ``UserError`` for texts of more tokens than the model reads."""
        if self.longest is not None and tokens > self.longest:
            raise UserError(
                f"max_length {tokens} is above the {self.longest} tokens that {self.name} reads: lower it, with --set "
                f"max_length={self.longest} for example."
            )


@dataclass(frozen=True)
class Prediction:
    """What the model answers to one example: a target, and how sure it is of it (a probability)."""

    target: Target
    confidence: float


def pad(rows: Sequence[Sequence[int]], value: int, side: str = "right") -> Tensor:
    """Pad lists of numbers to (R, L), on the right or on the left."""
    padded = np.full((len(rows), max(map(len, rows))), value, dtype=np.int64)
    for i, row in enumerate(rows):
        start = 0 if side == "right" else padded.shape[1] - len(row)
        padded[i, start : start + len(row)] = row
    return torch.from_numpy(padded)


class Task(Protocol):
    """How texts become model inputs, and how raw model output becomes categorical distributions.

    A task never names a strategy. ``labels`` is the set of outcomes shared by all examples, in the order of the model's
    outputs where it has one for each; the others differ from example to example.
    """

    recipe: ClassVar[str]  # configs/NAME.yaml
    metrics: ClassVar[tuple[str, ...]]  # columns of metrics.csv; the first is the headline
    offers: ClassVar[
        frozenset[str]
    ]  # such as "shared outcomes" (see Strategy), "groups", "pooled output" (--train head)
    asks: ClassVar[Literal["label", "span", "text"]]  # how people answer: by choosing, by marking, or by writing
    may_collapse: ClassVar[bool]  # whether an unlucky new output layer can make a fit fail; see ``collapsed``
    calibrates: bool  # whether ``calibrate`` reads examples; only then is ``calibration`` measured
    ready: bool  # whether the pretrained model can answer before it has learnt anything
    reduction: Literal["sum", "mean"]
    labels: list[str]
    tokenizer: Any
    feeding: Feeding  # how the model that was loaded last has to be fed

    @classmethod
    def from_config(cls, config: Settings) -> Self:
        """Build the task of a run; raises ``UserError`` where the configuration does not fit it."""

    @classmethod
    def for_model(cls, model: nn.Module, tokenizer: Any, max_length: int, options: Mapping[str, Any]) -> Self:
        """Build the task around a model that a user has trained; raises ``UserError`` for options it does not have."""

    def fields(self, example: Any) -> dict[str, Any]:
        """Return the text fields of an example as a training script holds it: a text, say.

        Raises:
            UserError: It is none that the task knows.
        """

    def target(self, answer: Any, fields: Mapping[str, Any]) -> Target:
        """Return the target that an answer means in a training script; raises ``UserError`` where it means none."""

    def check(self, target: Target, fields: Mapping[str, Any]) -> None:
        """Raise ``ValueError`` with the reason where a target that somebody gave cannot be one of this example."""

    def columns(self) -> list[str]:
        """Return the columns that a file must have, the answer's apart."""

    def answer_column(self, columns: Collection[str]) -> str:
        """Return which of a file's columns holds the answer; where none does, the one that is missing."""

    def read(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the text fields of one raw row.

        A field ``group``, where there is one, is what ``query.max_per_group`` counts.

        Raises:
            RowError: With the reason; ``UnusableRow`` for a row that can be left out.
        """

    def read_target(self, row: Mapping[str, Any]) -> Target | None:
        """Return the answer in one raw row, None where it has none; raises as ``read``."""

    def learn_labels(self, targets: Iterable[Target]) -> None:
        """Take up the outcomes that the known answers show; new ones come after those there are."""

    def check_model(self, source: str) -> None:
        """Raise ``UserError`` where the model of a folder or Hub id is, by its configuration, none for the task."""

    def load(self, source: str) -> nn.Module:
        """Load the model of a folder or Hub id with an output for every label."""

    def encode(self, examples: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Tokenise a column-wise batch, once per run; adds the features, ``length`` (tokens) and ``rows``."""

    def remarks(self, data: Mapping[str, "Dataset"]) -> list[str]:
        """Return what a user should know of the encoded data of a run, in sentences.

        Args:
            data: By what they are for: "pool", "test", "validation", "labeled".
        """

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Pad encoded examples to the longest of the batch."""

    def trainable(self, example: Example) -> bool:
        """Tell whether the model could give the example's target at all; one that it could not give only measures."""

    def calibration(self, predicted: Categoricals, batch: Batch, examples: Sequence[Example]) -> Tensor:
        """Return what ``calibrate`` reads of a batch of examples with targets, (B, ...)."""

    def calibrate(
        self, model: nn.Module, measured: NDArray[np.floating[Any]] | None, targets: Sequence[Target] | None
    ) -> None:
        """Fit what prediction needs beside the weights (a threshold, say) and keep it in ``model.config``.

        Args:
            model: Fitted; in evaluation mode. What an earlier fit left in its configuration holds no longer.
            measured: (N, ...) ``calibration`` of N examples that neither train nor test, under that model; None where
                there are none.
            targets: Their targets.
        """

    def prepare(self, model: nn.Module, batch: Batch) -> Batch:
        """Return the batch with what all readings of it share; sequence-to-sequence tasks run the encoder."""

    def inputs(self, model: nn.Module, batch: Batch, written: Cache) -> Batch:
        """Return what scoring reads; sequence-to-sequence tasks add the model's own hypothesis.

        Args:
            model: In evaluation mode.
            batch: As ``prepare`` returns it.
            written: What the model with these weights has written already, under keys of the task's own.
        """

    def write(self, model: nn.Module, batch: Batch, written: Cache, network: str) -> list[str]:
        """Return a text that the model writes for each example of a prepared batch, as it is thinned at the moment.

        Args:
            model: Thinned by a posterior draw.
            batch: See ``inputs``.
            written: See ``inputs``.
            network: Tells the draws apart.

        Raises:
            Unsupported: The task's answers are not written; those that are offer "generated texts".
        """

    def head(self, model: nn.Module) -> nn.Module:
        """Return the output layer."""

    def logits(self, result: Any) -> Tensor:
        """Return what the model's result says, as ``categoricals`` and ``loss`` read it: R rows of A numbers."""

    def categoricals(self, raw: Tensor, batch: Batch) -> Categoricals:
        """Turn what ``logits`` returned into log-probabilities."""

    def loss(self, raw: Tensor, batch: Batch) -> Tensor:
        """Return the training loss of each example, (B,)."""

    def weights(self, targets: Sequence[Target]) -> list[float]:
        """Return weights in the loss that balance the classes; raises ``Unsupported`` where there are none."""

    def predict(self, predicted: Categoricals, batch: Batch, examples: Sequence[Example]) -> list[Prediction]:
        """Return the model's answer to each example of a batch.

        Args:
            predicted: What the model gave for the batch.
            batch: As it was scored.
            examples: The B examples of the batch.
        """

    def evaluate(self, predictions: Sequence[Target], targets: Sequence[Target]) -> dict[str, float]:
        """Return the values of ``metrics``."""

    def intervals(
        self, predictions: Sequence[Target], targets: Sequence[Target], rng: np.random.Generator
    ) -> dict[str, list[float]]:
        """Return the 95 % interval [low, high] of each of ``metrics``, over the examples that could have been drawn."""

    def breakdown(self, predictions: Sequence[Target], targets: Sequence[Target]) -> list[dict[str, Any]]:
        """Return a table for the report (for classification: count and recall of each class), or []."""

    def agreement(self, predictions: Sequence[Target], targets: Sequence[Target]) -> dict[str, list[float]]:
        """Return how well each prediction agrees with its target, by the measure's name as people write it.

        Empty where the two stand side by side and one sees it.
        """

    def consistency(self, first: Sequence[Target], second: Sequence[Target]) -> float:
        """Return how far two models' predictions for the same examples agree, 1 where they are the same."""

    def collapsed(self, predictions: Sequence[Target], targets: Sequence[Target]) -> bool:
        """Tell whether training failed: one and the same answer to examples whose answers differ."""

    def outcome(self, example: Example, i: int) -> str:
        """Return outcome i of an example (see ``Categoricals.numbers``) as normalised text."""

    def show(self, example: Example) -> str:
        """Return what an annotator reads."""

    def texts(self, example: Example) -> list[str]:
        """Return the same in parts, one for each of ``columns``."""

    def mark(self, example: Example, target: Target) -> list[tuple[int, int]]:
        """Return the parts of ``show(example)`` that a target points at, as character offsets [start, end)."""

    def details(self, target: Target | None) -> dict[str, str]:
        """Return what the csv of ``dal-nlp predict`` says of an answer beside its text and confidence, by column.

        The columns are the same for every target; the cells are "" where there is nothing to say, and all of them for
        None, which is the answer to a row without a text.
        """

    def parse(self, answer: str, example: Example) -> Target:
        """Return the target that an annotator typed; raises ``ValueError`` on nonsense."""

    def spell(self, target: Target, example: Example) -> str:
        """Return what an annotator would type for a target: ``parse`` returns the same target, and it is no refusal."""
