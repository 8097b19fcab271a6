"""Text classification: one categorical over the labels (F = 1, C = number of labels)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from dal_nlp.answer_formats.label import LabelFormat
from dal_nlp.core.answer_format import AnswerFormat
from dal_nlp.core.config import Settings
from dal_nlp.core.errors import RowError, UserError, nearest
from dal_nlp.core.plugins import construct
from dal_nlp.core.targets import Target, class_number
from dal_nlp.core.task import Batch, Capability, Example, Feeding, Prediction, Task, pad
from dal_nlp.data.text_windows import (
    WINDOWS,
    cut_remarks,
    encode_cut,
    encode_windows,
    number_of_tokens,
    rows_of,
    window_size,
)
from dal_nlp.readers.values import canonical_label, label_of, read_text
from dal_nlp.tasks import metrics

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor, nn

    from dal_nlp.core.categoricals import Categoricals


@dataclass(frozen=True)
class ClassificationOptions:
    """There are none."""


class Classification(Task):
    """One label a text, or a pair of texts.

    Args:
        columns: Names of the one or two text columns.
        label_column: Name of the label's column.
        labels: The label set in the order of the model's outputs; learnt from the data where it is empty.
        max_length: Tokens after which a text is cut; "auto" where it is read whole, in windows. A pair is always cut.
        fixed: Whether a label outside ``labels`` is an error (it was given by the user) or is taken up.
        tokenizer: A Hugging Face tokenizer; set before anything is encoded.
    """

    recipe: ClassVar[str] = "classification"
    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1")
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.SHARED_OUTCOMES, Capability.DRAWS, Capability.POOLED_OUTPUT}
    )
    may_collapse: ClassVar[bool] = True

    def __init__(
        self,
        columns: Sequence[str] = ("text",),
        label_column: str = "label",
        labels: Sequence[str] = (),
        max_length: int | Literal["auto"] = 128,
        fixed: bool = False,
        tokenizer: Any = None,
    ) -> None:
        self.labels = list(labels)
        self.tokenizer = tokenizer
        self.feeding = Feeding()
        self._columns, self._label_column = list(columns), label_column
        self._max_length, self._fixed = max_length, fixed

    @classmethod
    def from_config(cls, config: Settings) -> Classification:
        """Build the task of a run; raises ``UserError`` for more than two text columns or a label set of one."""
        construct("task", ClassificationOptions, config.task_options)
        if not 1 <= len(config.text_column) <= 2:
            raise UserError(
                "--text-column wants one column, or two for pairs of texts: --text-column premise,hypothesis."
            )
        labels = config.labels
        if labels is not None and (len(labels) < 2 or len(set(map(canonical_label, labels))) < len(labels)):
            raise UserError("--labels wants at least two labels, each of them once: --labels negative,positive.")
        length: int | Literal["auto"] = (
            "auto" if config.max_length == "auto" else number_of_tokens(config, cls.usual_length)
        )
        return cls(config.text_column, config.label_column, labels or (), length, labels is not None)

    @classmethod
    def for_model(cls, model: nn.Module, tokenizer: Any, max_length: int, options: Mapping[str, Any]) -> Classification:
        """Build the task around a sequence classifier, whose ``config.id2label`` names the labels.

        Raises:
            UserError: It is a model of another kind, or of one output, or of several labels a text.
        """
        if type(model).__name__.endswith("ForQuestionAnswering"):
            raise UserError(f"{type(model).__name__} answers questions: pass task='qa'.")
        construct("task", ClassificationOptions, options)
        config: Any = model.config
        from dal_nlp.pretrained.loading import known_labels

        labels = known_labels(config)
        if len(labels) < 2:
            raise UserError(
                f"{type(model).__name__} has {len(labels)} outputs (regression, say), and a classifier needs two "
                "labels at least: give a model with config.id2label."
            )
        if config.problem_type in ("multi_label_classification", "regression"):
            raise UserError(
                f"{type(model).__name__} is one for {config.problem_type} (config.problem_type), which is not "
                "supported: give a model of one label a text."
            )
        task = cls(labels=labels, max_length=max_length, fixed=True, tokenizer=tokenizer)
        task._settle(model, type(model).__name__, trusted=False)
        return task

    def fields(self, example: Any) -> dict[str, Any]:
        """Return the fields of a text, of a pair of texts, or of a mapping with the columns of a file."""
        if isinstance(example, Mapping):
            missing = [name for name in self.columns() if name not in example]
            if missing:
                raise UserError(f"An example has no {missing[0]!r}: give a text, or a mapping with it.")
            example = tuple(example[name] for name in self.columns())
        texts = list(example) if isinstance(example, tuple | list) else [example]
        if not 1 <= len(texts) <= 2 or not all(isinstance(text, str) for text in texts):
            raise UserError(f"{example!r} is neither a text nor a pair of texts: give one of the two.")
        return {"text": texts[0], "pair": texts[1] if len(texts) == 2 else None}

    def target(self, answer: Any, fields: Mapping[str, Any]) -> Target:
        """Return the label of a name or a class number; raises ``UserError`` for one that the model does not have."""
        number = class_number(answer)
        if number is not None and 0 <= number < len(self.labels):
            return self.labels[number]
        if answer not in self.labels:
            raise UserError(f"The label {answer!r} is none of the model's: {', '.join(self.labels)}.")
        return answer

    def check(self, target: Target, fields: Mapping[str, Any]) -> None:
        """Raise ``ValueError`` for a label outside ``labels``."""
        if target not in self.labels:
            close = nearest(str(target), self.labels)
            raise ValueError(
                f"the label {target!r}{close} is not among {', '.join(self.labels)}: name all labels with --labels"
            )

    def columns(self) -> list[str]:
        """Return the text columns."""
        return self._columns

    def answer_column(self, columns: Collection[str]) -> str:
        """Return the label's column."""
        return self._label_column

    def read(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return {"text": ..., "pair": ... or None}; raises ``EmptyRow`` where a text is empty."""
        texts = [read_text(row, column) for column in self._columns]
        return {"text": texts[0], "pair": texts[1] if len(texts) == 2 else None}

    def read_target(self, row: Mapping[str, Any]) -> Target | None:
        """Return the label as text; raises ``RowError`` for several labels and for one outside ``labels``."""
        label = label_of(row.get(self._label_column))
        return None if label is None else self._known(label)

    def _known(self, text: str) -> Target:
        """Return the label as it is known, or in its canonical form; raises ``RowError`` for one that was not given."""
        label = text.strip()
        if label not in self.labels:
            label = canonical_label(label)
            label = next((known for known in self.labels if canonical_label(known) == label), label)
        if self._fixed and label not in self.labels:
            comma = """ (with a comma, in double quotes: --labels '"a, b",c')""" if "," in label else ""
            raise RowError(
                f"has the label {label!r}, which is not one of {', '.join(self.labels)}{nearest(label, self.labels)}: "
                f"correct it or add it to --labels{comma}"
            )
        return label

    def plain_fields(self) -> dict[str, str | None]:
        """Return where the one or two texts are."""
        return {"text": self._columns[0], "pair": self._columns[1] if len(self._columns) > 1 else None}

    def further_columns(self) -> list[str]:
        """Return nothing: texts and a label are all."""
        return []

    def learn_labels(self, targets: Iterable[Target]) -> None:
        """Add labels that are not in the set yet, in alphabetical order, after those there are.

        Raises:
            UserError: There is only one label, or none at all.
        """
        self.labels += sorted(set(targets) - set(self.labels))
        if len(self.labels) < 2:
            seen = f"only one label, {self.labels[0]!r}," if self.labels else "no label"
            raise UserError(
                f"The data shows {seen} and a classifier needs two at least: name all of them with --labels a,b, or "
                "correct --label-column."
            )

    def load(self, source: str) -> nn.Module:
        """Load a sequence classifier with one output for every label."""
        from dal_nlp.pretrained.loading import load_classifier

        model = load_classifier(source, self.labels)
        self._settle(model, source, trusted=True)
        return model

    def _settle(self, model: nn.Module, source: str, trusted: bool) -> None:
        """Find out how the model has to be fed."""
        from dal_nlp.pretrained.reading import Wanted, settle

        def read(inputs: Mapping[str, Tensor]) -> list[Tensor]:
            logits = self.logits(model(**inputs))
            if logits.shape != (len(inputs["input_ids"]), len(self.labels)):
                raise UserError(
                    f"{type(model).__name__} does not give one number for each label of a text: give a sequence "
                    "classifier."
                )
            return list(logits)

        wanted = Wanted(self._most(), ("right", "left", "equal"), name=source)
        self.feeding = settle(model, self.tokenizer, read, wanted, self.feeding if trusted else None)

    def encode(self, examples: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Tokenise texts; adds the tokenizer's outputs, ``length``, ``rows`` (always 1) and ``whole``.

        Raises:
            UserError: Some examples are pairs and others are not.
        """
        if len({pair is None for pair in examples["pair"]}) > 1:
            raise UserError("Some texts are pairs and others are not: give all as text or all as (text, text).")
        pairs = examples["pair"] if examples["pair"][0] is not None else None
        if self._max_length == "auto" and pairs is None:
            return encode_windows(self.tokenizer, examples["text"])
        return encode_cut(self.tokenizer, examples["text"], pairs, self._most())

    def _most(self) -> int:
        """Return the tokens that the model reads at once at most."""
        return window_size(self.tokenizer) if self._max_length == "auto" else self._max_length

    def remarks(self, data: Mapping[str, Dataset]) -> list[str]:
        """Say how many texts are cut, or are read in windows."""
        return cut_remarks(data, self.tokenizer, self.feeding)

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Pad to the longest text of the batch, on the tokenizer's side."""
        import torch

        side = self.tokenizer.padding_side
        names = [name for name in self.tokenizer.model_input_names if name in examples[0]]
        rows, sizes = examples, [1] * len(examples)
        if WINDOWS in examples[0]:
            parts = [rows_of({name: e[name] for name in (*names, WINDOWS)}) for e in examples]
            rows, sizes = [row for part in parts for row in part], list(map(len, parts))
        inputs = {
            name: pad([row[name] for row in rows], self.tokenizer.pad_token_id if name == "input_ids" else 0, side)
            for name in names
        }
        inputs["attention_mask"] = pad([[1] * len(row["input_ids"]) for row in rows], 0, side)
        owner = torch.repeat_interleave(torch.arange(len(examples)), torch.tensor(sizes))
        known = all(e.get("target") is not None for e in examples)
        labels = torch.tensor([self.labels.index(e["target"]) for e in examples]) if known else None
        return Batch(inputs, owner, len(examples), labels)

    def head(self, model: nn.Module) -> nn.Module:
        """Return the linear layer that gives the logits."""
        from dal_nlp.pretrained.loading import output_layer

        return output_layer(model, len(self.labels))

    def logits(self, result: Any) -> Tensor:
        """Return the logits of the labels, (R, C)."""
        logits: Tensor = result["logits"]
        return logits

    def categoricals(self, raw: Tensor, batch: Batch) -> Categoricals:
        """Return log-softmax of the logits (B, C) as (B, 1, C)."""
        import torch

        from dal_nlp.core.categoricals import Categoricals

        logits = self.text_logits(raw, batch)
        mask = torch.ones((len(logits), 1), dtype=torch.bool, device=raw.device)
        return Categoricals(logits.log_softmax(-1)[:, None], mask, self.reduction)

    def text_logits(self, raw: Tensor, batch: Batch) -> Tensor:
        """Return the logits of texts (B, C): those of their rows (R, C), each weighed by its tokens."""
        logits = raw.float()
        if len(logits) == batch.size:
            return logits
        tokens = batch.inputs["attention_mask"].sum(1).to(logits)
        total = logits.new_zeros((batch.size, logits.shape[1])).index_add(0, batch.owner, logits * tokens[:, None])
        return total / logits.new_zeros(batch.size).index_add(0, batch.owner, tokens)[:, None]

    def loss(self, raw: Tensor, batch: Batch) -> Tensor:
        """Return the cross-entropy of each example, (B,)."""
        if batch.labels is None:
            raise ValueError("the loss needs examples with targets")
        from torch.nn.functional import cross_entropy

        return cross_entropy(self.text_logits(raw, batch), batch.labels, reduction="none")

    def weights(self, targets: Sequence[Target]) -> list[float]:
        """Return n / (classes x n_class), which makes every class that was seen weigh the same."""
        counts = Counter(targets)
        return [len(targets) / (len(counts) * counts[target]) for target in targets]

    def predict(self, predicted: Categoricals, batch: Batch, examples: Sequence[Example]) -> list[Prediction]:
        """Return the most likely label and its probability."""
        best = predicted.best()
        confidence = predicted.at(best).exp()[:, 0].tolist()
        return [Prediction(self.labels[i], p) for i, p in zip(best[:, 0].tolist(), confidence, strict=True)]

    def evaluate(self, predictions: Sequence[Target], targets: Sequence[Target]) -> dict[str, float]:
        """Return accuracy and macro-averaged F1."""
        return {
            "accuracy": metrics.accuracy(predictions, targets),
            "macro_f1": metrics.macro_f1(predictions, targets),
        }

    def intervals(
        self, predictions: Sequence[Target], targets: Sequence[Target], rng: np.random.Generator
    ) -> dict[str, list[float]]:
        """Return Wilson's interval of the accuracy and the bootstrap's of macro F1."""
        hits = sum(prediction == wanted for prediction, wanted in zip(predictions, targets, strict=True))
        return {
            "accuracy": list(metrics.wilson(hits, len(targets))),
            "macro_f1": list(metrics.bootstrap_macro_f1(predictions, targets, rng, n=300)),
        }

    def breakdown(self, predictions: Sequence[Target], targets: Sequence[Target]) -> list[dict[str, Any]]:
        """Return count, recall, precision and F1 of every label."""
        return metrics.per_class(predictions, targets, self.labels)

    def collapsed(self, predictions: Sequence[Target], targets: Sequence[Target]) -> bool:
        """Tell whether all predictions are one class while the labels are not."""
        return len(set(predictions)) == 1 and len(set(targets)) > 1

    @property
    def answer_format(self) -> AnswerFormat:
        """A label."""
        return LabelFormat(self.labels, metrics.KAPPA)

    def texts(self, example: Example) -> list[str]:
        """Return the text, or both texts."""
        return [example["text"]] if example["pair"] is None else [example["text"], example["pair"]]
