"""Entities in texts: one categorical over the BIO tags for each word (F words, C tags)."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from dal_nlp.answer_formats.entities import EntityFormat
from dal_nlp.core.answer_format import AnswerFormat
from dal_nlp.core.caches import Cache
from dal_nlp.core.config import Settings
from dal_nlp.core.errors import RowError, UserError, nearest
from dal_nlp.core.plugins import construct
from dal_nlp.core.targets import Target
from dal_nlp.core.task import Batch, Capability, Example, Feeding, Prediction, Task
from dal_nlp.core.text import counted
from dal_nlp.data.entities import answer_of, runs_of, spans_of, words_of
from dal_nlp.data.text_windows import number_of_tokens
from dal_nlp.readers.entities.exports import TAGS, WORDS, entity_source
from dal_nlp.readers.entities.tags import OUTSIDE, decode_tags, split_tag
from dal_nlp.tasks.entities import metrics as entity_metrics
from dal_nlp.tasks.entities.mended import Mended
from dal_nlp.tasks.entities.options import BLANKS, NEROptions
from dal_nlp.tasks.entities.rows import check_no_tags, read_runs, read_words
from dal_nlp.tasks.entities.windows import encode_texts

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor, nn

    from dal_nlp.core.categoricals import Categoricals
    from dal_nlp.readers.reading import Reading, Source


class NER(Task):
    """Which words of a text are entities, and of which label.

    Every word has a distribution over O and, of each label, B (its first word) and I (a further one). It is that of the
    word's first token, in the window where that lies most central, and training minimises the mean cross-entropy of
    these. A text's value is the mean over its words, so that long texts are not uncertain by their length alone.

    A target is {"tags": [...], "start": [...], "end": [...], "text": [...]}; see ``data.entities``. ``labels`` are
    those of the entities, and ``outputs`` the tags.

    Args:
        options: See ``NEROptions``.
        columns: Name of the column of the words, or of the text.
        label_column: Name of the column of the tags or spans.
        labels: Of the entities; learnt from the data where there are none.
        max_length: Tokens of a window.
        fixed: Whether a label outside ``labels`` is an error (it was given by the user) or is taken up.
        tokenizer: A fast Hugging Face tokenizer; set before anything is encoded.
    """

    recipe: ClassVar[str] = "ner"
    metrics: ClassVar[tuple[str, ...]] = entity_metrics.METRICS
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.DRAWS, Capability.WORD_OUTPUT, Capability.PARTS}
    )
    reduction: Literal["sum", "mean"] = "mean"

    def __init__(
        self,
        options: NEROptions | None = None,
        columns: Sequence[str] = (WORDS,),
        label_column: str = TAGS,
        labels: Sequence[str] = (),
        max_length: int = 128,
        fixed: bool = False,
        tokenizer: Any = None,
    ) -> None:
        self.labels, self.tokenizer, self.feeding = list(labels), tokenizer, Feeding()
        self._options, self._columns, self._label_column = options or NEROptions(), list(columns), label_column
        self._max_length, self._fixed, self._mended = max_length, fixed, Mended()
        self._outputs: list[str] | None = None  # of a model that a user has trained

    @property
    def outputs(self) -> list[str]:
        """The tags, those of a label that comes up later after those of the others."""
        if self._outputs is not None:
            return self._outputs
        return [OUTSIDE, *(f"{prefix}-{label}" for label in self.labels for prefix in "BI")]

    @classmethod
    def from_config(cls, config: Settings) -> NER:
        """Build the task of a run; raises ``UserError`` for settings that it does not have."""
        if config.data is None:
            raise UserError("The task ner has no demonstration: give --data, a file with words or texts.")
        if len(config.text_column) != 1:
            raise UserError("--text-column wants one column, of the words of a text or of the text itself.")
        if config.labels is not None and len(set(config.labels)) < len(config.labels):
            raise UserError("--labels wants each label of entities once: --labels person,location.")
        if config.descriptions:
            raise UserError("Descriptions of labels are for classification: entities are not found by them.")
        values = {**config.task_options}
        if isinstance(values.get("tags"), list):
            values["tags"] = tuple(map(str, values["tags"]))
        options = construct("task", NEROptions, values)
        known, tokens = config.labels or (), number_of_tokens(config, cls.usual_length)
        return cls(options, config.text_column, config.label_column, known, tokens, config.labels is not None)

    @classmethod
    def for_model(cls, model: nn.Module, tokenizer: Any, max_length: int, options: Mapping[str, Any]) -> NER:
        """Build the task around a token classifier whose ``config.id2label`` names tags with prefixes."""
        from dal_nlp.pretrained.loading import known_labels

        config: Any = model.config
        names = known_labels(config)
        labels = list(dict.fromkeys(label for prefix, label in map(split_tag, names) if prefix and label))
        task = cls(construct("task", NEROptions, options), labels=labels, max_length=max_length, fixed=True)
        task.tokenizer, task._outputs = tokenizer, names
        if OUTSIDE not in names or not all(prefix for prefix, _ in map(split_tag, names)):
            raise UserError(
                f"{type(model).__name__} has the labels {', '.join(names[:8])}, and entities need O for other words "
                "beside tags with prefixes (B-PER, I-PER): give a token classifier with such a config.id2label."
            )
        task._settle(model, type(model).__name__, trusted=False)
        return task

    # Reading rows

    def adapted(self, source: Source, reading: Reading) -> Source:
        """Return a source with our columns in place of one in any of the forms in which entities are written."""
        return entity_source(source, self._columns[0], self._label_column, reading)

    def columns(self) -> list[str]:
        """Return the column of the words or the text."""
        return self._columns

    def further_columns(self) -> list[str]:
        """Return the column of words beside a text."""
        return [WORDS]

    def answer_column(self, columns: Collection[str]) -> str:
        """Return the column of the tags or spans."""
        return self._label_column

    def read(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return {"text", "starts", "ends", "tokenized"}; see ``rows.read_words``."""
        return read_words(row, self._columns[0], self._label_column, self._options.split == BLANKS, self._mended)

    def fields(self, example: Any) -> dict[str, Any]:
        """Return the fields of a text, of a list of words, or of a mapping with the column of a file."""
        return super().fields({self._columns[0]: example} if isinstance(example, list) else example)

    def target(self, answer: Any, fields: Mapping[str, Any]) -> Target:
        """Return the target of tags or spans; raises ``UserError`` for what is none."""
        try:
            target = self._target(answer, fields)
        except RowError as error:
            raise UserError(f"The answer {str(answer)[:60]!r} cannot be used: {error}.") from None
        return super().target(target, fields)

    def read_target(self, row: Mapping[str, Any]) -> Target | None:
        """Return the entities of a row; raises ``RowError`` for what does not fit its words."""
        if self._columns[0] not in row:
            raise RowError(f"has no column {self._columns[0]!r}, which its answer is checked against: add the words")
        return self._target(row.get(self._label_column), self.read(row))

    def _target(self, cell: Any, fields: Mapping[str, Any]) -> Target | None:
        runs = read_runs(cell, fields, self._options.tags, self._mended)
        for label in {run.label for run in runs or ()}.difference(self.labels):
            if self._fixed:
                raise RowError(
                    f"has the label {label!r}, which is not one of {', '.join(self.labels)}"
                    f"{nearest(label, self.labels)}: correct it or add it to --labels"
                )
        return None if runs is None else answer_of(runs, fields)

    def check(self, target: Target, fields: Mapping[str, Any]) -> None:
        """Raise ``ValueError`` for what is no answer to this text, and for a label that there is not."""
        tags = target.get("tags") if isinstance(target, Mapping) else None
        if not isinstance(tags, list) or len(tags) != len(fields["starts"]) or not all(type(t) is str for t in tags):
            raise ValueError(f"is no answer about the {len(fields['starts'])} words of the text")
        runs = decode_tags(tags).runs
        for run in runs:
            if run.label not in self.labels:
                close = nearest(run.label, self.labels)
                raise ValueError(f"the label {run.label!r}{close} is not among {', '.join(self.labels)}")
        if answer_of(runs, fields) != target:
            raise ValueError("its entities, their places and their tags do not say the same")

    def learn_labels(self, targets: Iterable[Target]) -> None:
        """Add labels that are not known yet, in alphabetical order; raises ``UserError`` where there are none."""
        self.labels += sorted({run.label for target in targets for run in runs_of(target)}.difference(self.labels))
        if not self.labels:
            raise UserError("The data shows no entity: name the labels with --labels a,b, or correct --label-column.")
        if not self._fixed:
            check_no_tags(self.labels, self._mended.bare)

    # Tokens and model

    def load(self, source: str) -> nn.Module:
        """Load a token classifier with one output for every tag."""
        from dal_nlp.pretrained.loading import load_classifier

        model = load_classifier(source, self.outputs, "AutoModelForTokenClassification")
        self._settle(model, source, trusted=True)
        return model

    def _settle(self, model: nn.Module, source: str, trusted: bool) -> None:
        from dal_nlp.tasks.entities import tensors

        known = self.feeding if trusted else None
        self.feeding = tensors.feeding(model, self.tokenizer, self.logits, self._max_length, source, known)

    def head(self, model: nn.Module) -> nn.Module:
        """Return the linear layer that scores every token."""
        from dal_nlp.pretrained.loading import output_layer

        return output_layer(model, len(self.outputs))

    def encode(self, examples: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Cut texts into windows; adds these, the places of the words, ``length`` and ``rows`` (windows)."""
        if not self.tokenizer.is_fast:
            raise UserError("Entities need a fast tokenizer, and this model has none: use another --model.")
        text, starts, ends = (examples[name] for name in ("text", "starts", "ends"))
        return encode_texts(text, starts, ends, self.tokenizer, self._max_length, self._options.overlap)

    def remarks(self, data: Mapping[str, Dataset]) -> list[str]:
        """Say what was mended, how many texts are read in windows, and how many words the tokenizer drops."""
        remarks = self._mended.remarks()
        for name, rows in data.items():
            windows = rows.with_format("numpy", columns=["rows"])[:]["rows"]
            several = int((windows > 1).sum())
            if several:
                remarks.append(
                    f"{several:,} of {len(rows):,} texts ({name}) are read in windows of {self._max_length} tokens."
                )
            if "word_rows" in rows.column_names:
                unread = sum((np.asarray(row) < 0).sum() for row in rows["word_rows"])
                if unread:
                    remarks.append(
                        f"The tokenizer makes nothing of {counted(unread, 'word')} ({name}): no entity is found there."
                    )
        return remarks

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Put all windows of the examples below each other, padded to the longest."""
        from dal_nlp.tasks.entities import tensors

        return tensors.collate(examples, self.tokenizer, self.outputs)

    # Predictions and loss

    def inputs(self, model: nn.Module, batch: Batch, written: Cache) -> Batch:
        """Return the batch with the weights of machines that a model has heard."""
        from dal_nlp.tasks.questions.heard import weighed

        return replace(batch, extra={**batch.extra, **weighed(batch, model)})

    def categoricals(self, raw: Tensor, batch: Batch) -> Categoricals:
        """Return log p of the tags of every word, (B, F, C), of the scores of tokens (R, T, C)."""
        from dal_nlp.tasks.entities import tensors

        return tensors.word_categoricals(raw, batch, self.outputs)

    def loss(self, raw: Tensor, batch: Batch) -> Tensor:
        """Return the mean cross-entropy of each example's words, (B,)."""
        from dal_nlp.tasks.entities import tensors

        if batch.labels is None:
            raise ValueError("the loss needs examples with targets")
        return tensors.word_loss(self.categoricals(raw, batch), batch.labels)

    def trainable(self, example: Example) -> bool:
        """Tell whether the model reads any word."""
        return any(row >= 0 for row in example["word_rows"])

    def predict(self, predicted: Categoricals, batch: Batch, examples: Sequence[Example]) -> list[Prediction]:
        """Return the likeliest tags, broken sequences mended as files' are, with the probability of all of them."""
        from dal_nlp.tasks.entities import tensors

        words = [len(example["starts"]) for example in examples]
        return [
            Prediction(answer_of(decode_tags(tags).runs, example), p)
            for example, (tags, p) in zip(examples, tensors.best_tags(predicted, self.outputs, words), strict=True)
        ]

    def outcome(self, example: Example, i: int) -> str:
        """Return a tag."""
        return self.outputs[i]

    # Measuring

    def evaluate(self, predictions: Sequence[Target], targets: Sequence[Target]) -> dict[str, float]:
        """Return micro and macro F1, precision and recall of entities, and the share of right tags."""
        return entity_metrics.evaluate(predictions, targets)

    def intervals(
        self, predictions: Sequence[Target], targets: Sequence[Target], rng: np.random.Generator
    ) -> dict[str, list[float]]:
        """Return the bootstrap's intervals, over the texts."""
        return entity_metrics.intervals(predictions, targets, rng)

    def breakdown(self, predictions: Sequence[Target], targets: Sequence[Target]) -> list[dict[str, Any]]:
        """Return count, recall, precision and F1 of each label."""
        return entity_metrics.per_label(predictions, targets, self.labels)

    def metric_inputs(self, predictions: Sequence[Target], targets: Sequence[Target]) -> tuple[list[Any], list[Any]]:
        """Return the tags of both, as the metric seqeval takes them."""
        return [one["tags"] for one in predictions], [one["tags"] for one in targets]

    def agreement(self, predictions: Sequence[Target], targets: Sequence[Target]) -> dict[str, list[float]]:
        """Return the entity F1 of each text."""
        return {"F1": entity_metrics.f1_of_texts(predictions, targets)}

    # Answer format

    @property
    def answer_format(self) -> AnswerFormat:
        """Parts of the text, each with a label."""
        return EntityFormat(self.labels, entity_metrics.ENTITY_F1)

    def texts(self, example: Example) -> list[str]:
        """Return the text."""
        return [example["text"]]

    def cells(self, example: Example) -> dict[str, Any]:
        """Return the words where the example was given as words, else the text."""
        return {self._columns[0]: words_of(example) if example["tokenized"] else example["text"]}

    def mark(self, example: Example, target: Target) -> list[tuple[int, int]]:
        """Return where the entities are."""
        return [(start, end) for start, end, _ in spans_of(target)]

    def details(self, target: Target | None) -> dict[str, str]:
        """Return the entities as JSON, with their places; "" for a row without a text."""
        if target is None:
            return {"entities": ""}
        spans = [{"start": start, "end": end, "label": label} for start, end, label in spans_of(target)]
        return {"entities": json.dumps(spans, ensure_ascii=False)}
