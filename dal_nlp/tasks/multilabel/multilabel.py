"""Multi-label classification: a yes or no for each label (F labels, C = 2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from dal_nlp.answer_formats.labels import LabelsFormat
from dal_nlp.core.answer_format import AnswerFormat
from dal_nlp.core.caches import Cache
from dal_nlp.core.config import Names, Settings
from dal_nlp.core.errors import RowError, UserError
from dal_nlp.core.plugins import construct
from dal_nlp.core.targets import NO_LABEL, Target
from dal_nlp.core.task import Batch, Capability, Example, Prediction
from dal_nlp.readers.values import alike, canonical_label
from dal_nlp.tasks.classification import Classification
from dal_nlp.tasks.multilabel import measures
from dal_nlp.tasks.multilabel.reading import (
    BITS,
    as_meant,
    as_typed,
    listed_labels,
    not_known,
    of_several,
    one_hot_labels,
    seem_several,
)
from dal_nlp.tasks.multilabel.thresholds import DEFAULT, fit_thresholds

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor, nn

    from dal_nlp.core.categoricals import Categoricals

#: What Hugging Face calls the kind, and where the fitted thresholds of a model lie.
PROBLEM, THRESHOLDS = "multi_label_classification", "dal_nlp_label_thresholds"
#: What thresholds are fitted on without a validation file.
HELD_OUT = "the labels that train, each text by a layer that was fitted to others, from ten labels on, and .5 before"
FINISHED = "; the model of --finish has those of the layer"
AUDIT = "the audit sample"
#: What the two outcomes of a label say.
OUTCOMES = ("no", "yes")


@dataclass(frozen=True)
class MultiLabelOptions:
    """What ``task_options`` may hold.

    Attributes:
        label_separator: What stands between the labels in a cell of text; "" where a text is one label.
        label_columns: A column of 0 and 1 for each label, in place of one column of labels.
    """

    label_separator: str = "|"
    label_columns: Names | None = None


class MultiLabel(Classification):
    """Any number of labels a text, or a pair of texts: a target is a sorted list of labels, which may be empty.

    Texts are read, encoded and put into a model as for one label a text.
    """

    recipe: ClassVar[str] = "multilabel"
    metrics: ClassVar[tuple[str, ...]] = ("micro_f1", "macro_f1", "subset_accuracy")
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.SEVERAL_LABELS, Capability.DRAWS, Capability.POOLED_OUTPUT}
    )
    may_collapse: ClassVar[bool] = False  # a model that gives no text a label has learnt that labels are rare
    reduction: Literal["sum", "mean"] = "mean"
    options: MultiLabelOptions = MultiLabelOptions()
    naming: str = "name the column with --label-column, or a column of 0 and 1 for each label with --label-columns"
    fitted_on: str = ""  # what thresholds are fitted on, "" where there is nothing

    @classmethod
    def from_config(cls, config: Settings) -> MultiLabel:
        """Build the task of a run; raises ``UserError`` for more than two text columns or a label set of one."""
        options = construct("task", MultiLabelOptions, config.task_options)
        columns = options.label_columns
        if columns is not None and (len(columns) < 2 or len(set(columns)) < len(columns)):
            raise UserError("--label-columns wants a column for each of two labels or more, each once: joy,anger.")
        if columns is not None and config.labels is not None and set(config.labels) != set(columns):
            raise UserError("--label-columns are the labels: leave --labels out, or name the same ones.")
        made = super().from_config(config.model_copy(update={"task_options": {}}))
        assert isinstance(made, MultiLabel)
        made.options = options
        if columns is not None:
            made.naming = "name the columns with --label-columns"
        held_out = HELD_OUT if config.finish == "none" else HELD_OUT + FINISHED
        without = held_out if config.training.mode == "head" else AUDIT if config.audit else ""
        made.fitted_on = "the validation file" if config.validation else without
        return made

    @classmethod
    def for_model(cls, model: nn.Module, tokenizer: Any, max_length: int, options: Mapping[str, Any]) -> MultiLabel:
        """Build the task around a sequence classifier, whose ``config.id2label`` names the labels.

        Raises:
            UserError: It is a model of another kind, or of one label a text.
        """
        from dal_nlp.pretrained.loading import known_labels

        config: Any = model.config
        labels = known_labels(config)
        if config.problem_type != PROBLEM or len(labels) < 2:
            raise UserError(
                f"{type(model).__name__} is no model of several labels a text: give one whose config.problem_type is "
                f"{PROBLEM!r} and whose config.id2label names two labels or more."
            )
        task = cls(labels=labels, max_length=max_length, fixed=True, tokenizer=tokenizer)
        task.options = construct("task", MultiLabelOptions, options)
        task._settle(model, type(model).__name__, trusted=False)
        return task

    # Reading rows

    def target(self, answer: Any, fields: Mapping[str, Any]) -> Target:
        """Return the labels of a list of names or numbers of labels; raises ``UserError`` for one that is unknown."""
        if isinstance(answer, str) or not isinstance(answer, Iterable):
            raise UserError(f"The answer {str(answer)[:60]!r} is no list of labels: give one, which may be empty.")
        return sorted({super(MultiLabel, self).target(label, fields) for label in answer})

    def check(self, target: Target, fields: Mapping[str, Any]) -> None:
        """Raise ``ValueError`` for what is no list, and for a label outside ``labels``."""
        if not isinstance(target, list):
            raise ValueError("it is no list of labels")
        for label in target:
            super().check(label, fields)

    def answer_column(self, columns: Collection[str]) -> str:
        """Return the column of labels; of a column for each label one that is missing, or the first."""
        own = self.options.label_columns
        if own is None:
            return super().answer_column(columns)
        return next((name for name in own if name not in columns), own[0])

    def further_columns(self) -> list[str]:
        """Return the columns of the labels."""
        return list(self.options.label_columns or ())

    def plain_fields(self) -> dict[str, str | None]:
        """Return nothing: rows are read one by one, as answers are lists, or stand in several columns."""
        return {}

    def read_target(self, row: Mapping[str, Any]) -> Target | None:
        """Return the labels, None for an empty cell; raises ``RowError`` for what says no label."""
        if self.options.label_columns is None:
            named = self.labels if self._fixed else ()
            labels = listed_labels(row.get(self._label_column), as_meant(self.options.label_separator), named)
        else:
            labels = one_hot_labels(row, self.options.label_columns)
        return None if labels is None else sorted({self._known(label) for label in labels})

    def _known(self, text: str) -> Target:
        """Return the label as it is known; raises ``RowError`` for one that was not given, or is several of them."""
        separator = not_known(text.strip(), self.labels) if self._fixed and text.strip() not in self.labels else ""
        if separator:
            raise RowError(
                f"has {text.strip()[:60]!r}, which is several labels with {separator!r} between: say --label-separator "
                f"'{as_typed(separator)}'"
            )
        return super()._known(text)

    def answer_cells(self, target: Target) -> dict[str, Any]:
        """Return the cell of labels, or 0 or 1 for each of them."""
        own = self.options.label_columns
        if own is None:
            return {self._label_column: target}
        return {name: int(canonical_label(name) in target) for name in own}

    def learn_labels(self, targets: Iterable[Target]) -> None:
        """Add labels that are not in the set yet, after those there are: columns in their order, others by alphabet.

        Raises:
            UserError: There is only one label, or none; or a label is several with a separator between.
        """
        named = [canonical_label(name) for name in self.options.label_columns or ()]
        distinct = set(map(tuple, targets))
        if distinct == {("0", "1")}:
            raise UserError(f"Every text has the labels 0 and 1, {BITS}.")
        new_labels = sorted({label for target in distinct for label in target} - {*named, *self.labels})
        for label in [] if self._fixed else new_labels:
            if alike(label) == NO_LABEL:
                raise UserError(
                    f"The label {label!r} is the word by which people say that no label applies: write [] in its "
                    "place, or name all labels with --labels if it is one."
                )
        self.labels += [label for label in [*named, *new_labels] if label not in self.labels]
        joined = None if self._fixed else of_several(self.labels)
        if joined:
            raise UserError(
                f"The label {joined[0]!r} is several labels with {joined[1]!r} between: say --label-separator "
                f"'{as_typed(joined[1])}', or name the labels with --labels where it is one."
            )
        if len(self.labels) < 2:
            raise UserError(
                f"The data shows {len(self.labels)} labels, and this task is for two or more: name all of them with "
                "--labels a,b, or correct --label-column."
            )

    # Model

    def load(self, source: str) -> nn.Module:
        """Load a sequence classifier with one output for every label, each of which says yes or no for itself."""
        from dal_nlp.pretrained.loading import load_config

        fitted = load_config(source).to_dict().get(THRESHOLDS)
        model = super().load(source)
        config: Any = model.config
        config.update({"problem_type": PROBLEM, THRESHOLDS: fitted})
        return model

    def remarks(self, data: Mapping[str, Dataset]) -> list[str]:
        """Say what thresholds are fitted on, beside what becomes of long texts."""
        if "pool" not in data:
            return super().remarks(data)
        if not self.fitted_on:
            remark = (
                "The thresholds from which on labels are given are .5: with --validation FILE or --audit N they are "
                "fitted, by which rare labels are found more often."
            )
        else:
            measures = self.fitted_on == AUDIT and "test" not in data
            too = ", which measures too, so that scores are a little high" if measures else ""
            remark = f"The thresholds from which on labels are given are fitted on {self.fitted_on}{too}."
        joined = None if self._fixed else seem_several(self.labels)
        if joined:
            remark += (
                f" The label {joined[0]!r} looks like several labels with {joined[1]!r} between: --label-separator "
                f"'{as_typed(joined[1])}' takes it apart, --labels says that it is one."
            )
        return [*super().remarks(data), remark]

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Pad to the longest text of the batch; labels are (B, F), 1 or 0."""
        import torch

        batch = super().collate([{**example, "target": None} for example in examples])
        if any(example.get("target") is None for example in examples):
            return batch
        bits = measures.indicators([example["target"] for example in examples], self.labels)
        return replace(batch, labels=torch.from_numpy(bits))

    def inputs(self, model: nn.Module, batch: Batch, written: Cache) -> Batch:
        """Return the batch with the thresholds that were fitted for this model; those of new labels are .5."""
        import torch

        config: Any = model.config
        fitted = config.to_dict().get(THRESHOLDS) or []
        values = [*fitted, *[DEFAULT] * len(self.labels)][: len(self.labels)]
        thresholds = torch.tensor(values, dtype=torch.float64, device=batch.owner.device)
        return replace(batch, extra={**batch.extra, "thresholds": thresholds})

    def categoricals(self, raw: Tensor, batch: Batch) -> Categoricals:
        """Return the log-probabilities of no and yes for each label, (B, F, 2); the logit of no is 0."""
        import torch

        from dal_nlp.core.categoricals import Categoricals

        logits = self.text_logits(raw, batch)
        mask = torch.ones(logits.shape, dtype=torch.bool, device=raw.device)
        both = torch.stack([torch.zeros_like(logits), logits], -1)
        return Categoricals(both.log_softmax(-1), mask, self.reduction)

    def loss(self, raw: Tensor, batch: Batch) -> Tensor:
        """Return the mean binary cross-entropy over the labels of each example, (B,)."""
        if batch.labels is None:
            raise ValueError("the loss needs examples with targets")
        from torch.nn.functional import binary_cross_entropy_with_logits

        logits = self.text_logits(raw, batch)
        return binary_cross_entropy_with_logits(logits, batch.labels.to(logits), reduction="none").mean(1)

    def weights(self, targets: Sequence[Target]) -> list[float]:
        """Return weights whose mean is 1, by which examples of rare labels count for more.

        A label weighs the mean count of all over its own, and an example as much as its labels do on average; one
        without labels weighs as one of a label of mean count.
        """
        counts = Counter(label for target in targets for label in target)
        mean = sum(counts.values()) / max(len(counts), 1)
        raw = [float(np.mean([mean / counts[label] for label in target])) if target else 1.0 for target in targets]
        return [weight * len(raw) / sum(raw) for weight in raw]

    # Predictions

    def predict(self, predicted: Categoricals, batch: Batch, examples: Sequence[Example]) -> list[Prediction]:
        """Return the labels whose probabilities lie above their thresholds, and the probability of exactly these."""
        yes = predicted.log_probs[..., 1].exp().double()
        above = yes > batch.extra["thresholds"] if "thresholds" in batch.extra else yes > DEFAULT
        confidence = predicted.at(above.long()).sum(1).exp().tolist()
        return [
            Prediction(sorted(label for label, there in zip(self.labels, row, strict=True) if there), p)
            for row, p in zip(above.tolist(), confidence, strict=True)
        ]

    def outcome(self, example: Example, i: int) -> str:
        """Return "no" or "yes"."""
        return OUTCOMES[i]

    @property
    def calibrates(self) -> bool:
        """Always: thresholds are fitted."""
        return True

    def calibration(self, predicted: Categoricals, batch: Batch, examples: Sequence[Example]) -> Tensor:
        """Return the probabilities of the labels, (B, F)."""
        return predicted.log_probs[..., 1].exp()

    def calibrate(
        self, model: nn.Module, measured: NDArray[np.floating[Any]] | None, targets: Sequence[Target] | None
    ) -> None:
        """Fit the thresholds to F1 on examples that the model has not seen; they are .5 without any."""
        fitted = None
        if measured is not None and targets is not None:
            fitted = fit_thresholds(measured, measures.indicators(targets, self.labels))
        config: Any = model.config
        config.update({"problem_type": PROBLEM, THRESHOLDS: fitted})

    # Measuring

    def evaluate(self, predictions: Sequence[Target], targets: Sequence[Target]) -> dict[str, float]:
        """Return micro F1, macro F1 and the share of texts whose labels are all right."""
        return {
            "micro_f1": measures.micro_f1(predictions, targets),
            "macro_f1": measures.macro_f1(predictions, targets),
            "subset_accuracy": measures.subset_accuracy(predictions, targets),
        }

    def intervals(
        self, predictions: Sequence[Target], targets: Sequence[Target], rng: np.random.Generator
    ) -> dict[str, list[float]]:
        """Return the bootstrap's intervals."""
        return measures.bootstrap_scores(predictions, targets, rng)

    def breakdown(self, predictions: Sequence[Target], targets: Sequence[Target]) -> list[dict[str, Any]]:
        """Return count, recall, precision and F1 of every label."""
        return measures.per_label(predictions, targets, self.labels)

    @property
    def answer_format(self) -> AnswerFormat:
        """Labels."""
        return LabelsFormat(self.labels, measures.JACCARD)
