"""Extractive question answering: one categorical over all answer spans of a context (F = 1)."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dal_nlp.answer_formats.span import SpanFormat
from dal_nlp.core.answer_format import AgreementMeasure, AnswerFormat
from dal_nlp.core.caches import Cache
from dal_nlp.core.config import Settings
from dal_nlp.core.errors import RowError, UserError
from dal_nlp.core.plugins import construct
from dal_nlp.core.targets import Target
from dal_nlp.core.task import Batch, Capability, Example, Feeding, Prediction, Task
from dal_nlp.data.answer_spans import FURTHER_COLUMNS, read_answers
from dal_nlp.data.text_windows import number_of_tokens
from dal_nlp.readers.values import read_text
from dal_nlp.tasks import metrics
from dal_nlp.tasks.questions.spans import NO_ANSWER, encode_questions, gold, said
from dal_nlp.tasks.questions.windows import DEFAULT_OPTIONS, QAOptions
from dal_nlp.tasks.squad_metrics import by_answerable, squad_format

if TYPE_CHECKING:
    from torch import Tensor, nn

    from dal_nlp.core.categoricals import Categoricals

#: The one outcome that all questions share, where there are questions without an answer.
NONE = "no answer"
#: Where the fitted threshold of a model lies, and whether it knows the outcome "no answer".
THRESHOLD, UNANSWERABLE = "dal_nlp_no_answer_threshold", "dal_nlp_unanswerable"
#: The measure of agreement of answers that are parts of a context.
MEAN_F1 = AgreementMeasure("mean F1", lambda first, second: float(np.mean(metrics.answer_scores(first, second)[1])))


class ExtractiveQA(Task):
    """The answer to a question is a part of its context, or that the context holds none.

    The model scores each token as a start s and as an end e of the answer. A span (i, j) with i <= j < i + L, L the
    longest answer, has p(i, j) = exp(s_i + e_j) / Z, with Z over all spans of all windows of the question together and
    over "no answer" where there is such a thing; its score is that of the classification token (Devlin et al., 2019,
    section 4.3), the least of all windows, as in that paper's code. A span in two windows counts once: see
    ``windows.nearest_ends``. Training minimises - log of the probability of all gold spans together, under the same
    distribution.

    A target is {"text": [...], "answer_start": [...]}, as SQuAD has it: the answers of one or several annotators and
    their first characters in the context; two empty lists are "no answer".

    Args:
        options: See ``QAOptions``.
        columns: Names of the columns of the question and the context.
        label_column: Name of the answers' column.
        max_length: Tokens of a window.
        tokenizer: A fast Hugging Face tokenizer; set before anything is encoded.
    """

    recipe: ClassVar[str] = "qa"
    metrics: ClassVar[tuple[str, ...]] = ("exact_match", "f1")
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.DRAWS, Capability.ANSWER_TEXTS, Capability.GROUPS}
    )
    may_collapse: ClassVar[bool] = True

    def __init__(
        self,
        options: QAOptions = DEFAULT_OPTIONS,
        columns: Sequence[str] = ("question", "context"),
        label_column: str = "answers",
        max_length: int = 384,
        tokenizer: Any = None,
    ) -> None:
        self.labels = [NONE] if options.unanswerable else []
        self.tokenizer, self.feeding = tokenizer, Feeding()
        self._options, self._columns, self._label_column = options, list(columns), label_column
        self._max_length, self.longest_answer = max_length, options.longest_answer

    @property
    def unanswerable(self) -> bool:
        """Whether "no answer" is an outcome."""
        return bool(self.labels)

    @classmethod
    def from_config(cls, config: Settings) -> ExtractiveQA:
        """Build the task of a run; raises ``UserError`` for settings that it does not have."""
        if len(config.text_column) != 2:
            raise UserError("--text-column wants the columns of the question and of the context: question,context.")
        if config.labels is not None:
            raise UserError("--labels is for classification: answers to questions are parts of their contexts.")
        options = construct("task", QAOptions, config.task_options)
        return cls(options, config.text_column, config.label_column, number_of_tokens(config, cls.usual_length))

    @classmethod
    def for_model(cls, model: nn.Module, tokenizer: Any, max_length: int, options: Mapping[str, Any]) -> ExtractiveQA:
        """Build the task around a question-answering model; raises ``UserError`` for a classifier."""
        if type(model).__name__.endswith("ForSequenceClassification"):
            raise UserError(f"{type(model).__name__} classifies texts: leave task='qa' out.")
        task = cls(construct("task", QAOptions, options), max_length=max_length, tokenizer=tokenizer)
        task._settle(model, type(model).__name__, trusted=False)
        config: Any = model.config
        if config.to_dict().get(UNANSWERABLE, False):
            task.labels = [NONE]
        return task

    def fields(self, example: tuple[str, str] | Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of a (question, context), or of a mapping with the columns of a file."""
        if isinstance(example, Mapping):
            row = dict(example)
        elif isinstance(example, tuple | list) and len(example) == len(self._columns):
            row = dict(zip(self._columns, example, strict=True))
        else:
            raise UserError(f"{str(example)[:60]!r} is no question with its context: give (question, context).")
        missing = [name for name in self._columns if name not in row]
        if missing:
            raise UserError(f"An example has no {missing[0]!r}: give (question, context), or a mapping with both.")
        return super().fields(row)

    def target(self, answer: str | Mapping[str, Any], fields: Mapping[str, Any]) -> Target:
        """Return the target of {"text": [...], "answer_start": [...]}, or of a text that the context holds once."""
        try:
            target = self.answer_format.parse_answer(answer, fields) if isinstance(answer, str) else answer
        except ValueError as error:
            raise UserError(f"The answer {str(answer)[:60]!r} cannot be used: {error}.") from None
        return super().target(target, fields)

    def check(self, target: Target, fields: Mapping[str, Any]) -> None:
        """Raise ``ValueError`` for anything but {"text": [...], "answer_start": [...]} that the context holds."""
        lists = isinstance(target, Mapping) and all(
            isinstance(target.get(name), list) for name in ("text", "answer_start")
        )
        if not lists or self._answers({self._label_column: target}, fields) != target:
            raise ValueError('has not the form {"text": [...], "answer_start": [...]}, with a start for each text')

    def columns(self) -> list[str]:
        """Return the columns of the question and the context."""
        return self._columns

    def answer_column(self, columns: Collection[str]) -> str:
        """Return the configured column, or ``answer`` where a table has that in its place."""
        return "answer" if self._label_column not in columns and "answer" in columns else self._label_column

    def read(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return {"question", "context", "group"}; raises ``EmptyRow`` where one of the first two is empty."""
        question, context = (read_text(row, column) for column in self._columns)
        return {"question": question, "context": context, "group": self._group(row, context)}

    def further_columns(self) -> list[str]:
        """Return what says that a question has no answer, where answers start, and the groups."""
        group = self._options.group_column
        return [*FURTHER_COLUMNS, *([] if group is None else [group])]

    def _group(self, row: Mapping[str, Any], context: str) -> str | None:
        """Return what the row is counted under; None where it does not have the column, as rows that only measure."""
        column = self._options.group_column
        if column is None:
            return hashlib.blake2b(context.encode(), digest_size=8).hexdigest()
        return None if row.get(column) is None else str(row[column])

    def read_target(self, row: Mapping[str, Any]) -> Target | None:
        """Return the answers in one raw row, checked against its context; see ``read_answers``."""
        if self._columns[1] not in row:
            raise RowError(f"has no column {self._columns[1]!r}, which its answer is checked against: add the context")
        return self._answers(row, {"context": read_text(row, self._columns[1])})

    def _answers(self, row: Mapping[str, Any], fields: Mapping[str, Any]) -> Target | None:
        return read_answers(row, self.answer_column(row.keys()), fields["context"])

    def learn_labels(self, targets: Iterable[Target]) -> None:
        """Take up "no answer" as an outcome where a target is that."""
        if self._options.unanswerable or any(not target["text"] for target in targets):
            self.labels = [NONE]

    def load(self, source: str) -> nn.Module:
        """Load a question-answering model, which knows whether questions may have no answer, and hears no machine."""
        from dal_nlp.pretrained.loading import load_model
        from dal_nlp.tasks.questions.heard import alone

        model = alone(load_model("AutoModelForQuestionAnswering", source, id2label={0: "start", 1: "end"}))
        self._settle(model, source, trusted=True)
        config: Any = model.config
        config.update({UNANSWERABLE: self.unanswerable})
        return model

    def _settle(self, model: nn.Module, source: str, trusted: bool) -> None:
        """Find out how the model has to be fed; a window's places count from its left."""
        from dal_nlp.tasks.questions import tensors

        known = self.feeding if trusted else None
        self.feeding = tensors.feeding(model, self.tokenizer, self.logits, self._max_length, source, known)

    def encode(self, examples: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Cut contexts into windows; adds these, ``length`` (tokens of the longest window) and ``rows`` (windows)."""
        if not self.tokenizer.is_fast:
            raise UserError("Question answering needs a fast tokenizer, and this model has none: use another --model.")
        texts = examples["question"], examples["context"]
        return encode_questions(*texts, self.tokenizer, self._max_length, self._options)

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Put all windows of the examples below each other, padded to the longest."""
        from dal_nlp.tasks.questions import tensors

        return tensors.collate(examples, self.tokenizer, self.longest_answer, self.unanswerable)

    def trainable(self, example: Example) -> bool:
        """Tell whether the model could give one of the gold answers: short enough, and "no answer" only if it may."""
        return bool(gold(example, self.longest_answer, self.unanswerable))

    def inputs(self, model: nn.Module, batch: Batch, written: Cache) -> Batch:
        """Return the batch with the threshold that was fitted for this model, and the weights of machines."""
        from dal_nlp.tasks.questions import tensors

        return replace(batch, extra={**batch.extra, **tensors.fitted(batch, model, THRESHOLD)})

    def head(self, model: nn.Module) -> nn.Module:
        """Return the linear layer that scores every token as a start and as an end."""
        from dal_nlp.pretrained.loading import output_layer

        return output_layer(model, 2)

    def logits(self, result: Any) -> Tensor:
        """Return the scores of every token as a start and as an end, (R, T, 2)."""
        import torch

        return torch.stack([result["start_logits"], result["end_logits"]], -1)

    def categoricals(self, raw: Tensor, batch: Batch) -> Categoricals:
        """Return log p of every span and of "no answer", from starts and ends (R, T, 2), as rows of 1 + T x L.

        See ``spans`` for the columns.
        """
        from dal_nlp.tasks.questions import tensors

        return tensors.span_categoricals(raw, batch, self.longest_answer, self.unanswerable)

    def loss(self, raw: Tensor, batch: Batch) -> Tensor:
        """Return - log of the gold outcomes' total probability, (B,); 0 where the model could give none of them."""
        from dal_nlp.tasks.questions import tensors

        if batch.labels is None:
            raise ValueError("the loss needs examples with targets")
        return tensors.gold_loss(self.categoricals(raw, batch), batch.labels)

    def weights(self, targets: Sequence[Target]) -> list[float]:
        """Return n / (2 x n_kind), which makes questions with and without an answer weigh the same."""
        answerable = [bool(target["text"]) for target in targets]
        return [len(targets) / (len(set(answerable)) * answerable.count(kind)) for kind in answerable]

    def predict(self, predicted: Categoricals, batch: Batch, examples: Sequence[Example]) -> list[Prediction]:
        """Return the most likely span; "no answer" where its log-probability is that much above the span's.

        The threshold is 0 until ``calibrate`` has fitted it. The confidence is the probability of what is answered.
        """
        from dal_nlp.tasks.questions import tensors

        answers = tensors.best_answers(predicted, batch)
        return [
            Prediction(NO_ANSWER, p_null) if none else Prediction(said(example, number, self.longest_answer), p_best)
            for example, (number, none, p_best, p_null) in zip(examples, answers, strict=True)
        ]

    def calibrate(
        self, model: nn.Module, measured: NDArray[np.floating[Any]] | None, targets: Sequence[Target] | None
    ) -> None:
        """Fit the threshold of "no answer" to the mean F1 on examples that neither train nor test; 0 without any."""
        threshold = 0.0
        if measured is not None and targets is not None:
            answerable = [bool(target["text"]) for target in targets]
            threshold = metrics.best_threshold(measured[:, 0], measured[:, 1], answerable)
        config: Any = model.config
        config.update({UNANSWERABLE: self.unanswerable, THRESHOLD: threshold})

    @property
    def calibrates(self) -> bool:
        """Whether questions may have no answer, so that a threshold is fitted."""
        return self.unanswerable

    def calibration(self, predicted: Categoricals, batch: Batch, examples: Sequence[Example]) -> Tensor:
        """Return log p(no answer) - log p(best span), and the F1 of that span, (B, 2)."""
        from dal_nlp.tasks.questions import tensors

        above, numbers = tensors.null_above_best(predicted, batch)
        spans = [said(example, number, self.longest_answer) for example, number in zip(examples, numbers, strict=True)]
        _, f1 = metrics.answer_scores(spans, [example["target"] for example in examples])
        return above.new_tensor([above.tolist(), f1]).T

    def evaluate(self, predictions: Sequence[Target], targets: Sequence[Target]) -> dict[str, float]:
        """Return the shares of exact matches and the mean token F1, each from 0 to 1."""
        scores = metrics.answer_scores(predictions, targets)
        return {name: float(np.mean(of)) for name, of in zip(self.metrics, scores, strict=True)}

    def metric_inputs(self, predictions: Sequence[Target], targets: Sequence[Target]) -> tuple[list[Any], list[Any]]:
        """Return both as SQuAD's scripts have them."""
        return squad_format(predictions, targets)

    def intervals(
        self, predictions: Sequence[Target], targets: Sequence[Target], rng: np.random.Generator
    ) -> dict[str, list[float]]:
        """Return the bootstrap's intervals, over the questions."""
        scores = zip(self.metrics, metrics.answer_scores(predictions, targets), strict=True)
        return {name: list(metrics.mean_interval(of, rng)) for name, of in scores}

    def breakdown(self, predictions: Sequence[Target], targets: Sequence[Target]) -> list[dict[str, Any]]:
        """Return count, exact matches and F1 of questions with an answer (HasAns) and without (NoAns)."""
        return by_answerable(predictions, targets)

    def agreement(self, predictions: Sequence[Target], targets: Sequence[Target]) -> dict[str, list[float]]:
        """Return the token F1 of each answer."""
        return {"F1": metrics.answer_scores(predictions, targets)[1]}

    def collapsed(self, predictions: Sequence[Target], targets: Sequence[Target]) -> bool:
        """Tell whether all questions get one and the same answer, although their answers differ."""
        predicted, wanted = ({tuple(answer["text"][:1]) for answer in answers} for answers in (predictions, targets))
        return len(predicted) == 1 and len(wanted) > 1

    def outcome(self, example: Example, i: int) -> str:
        """Return an answer as SQuAD's script compares it; "" is "no answer"."""
        (text,) = said(example, i, self.longest_answer)["text"] or [""]
        return metrics.normalise_answer(text) or text

    @property
    def answer_format(self) -> AnswerFormat:
        """A part of the context, or "no answer" where that is an outcome."""
        return SpanFormat(MEAN_F1, NONE if self.unanswerable else "")

    def show(self, example: Example) -> str:
        """Return the question, an empty line and the context."""
        return f"{example['question']}\n\n{example['context']}"

    def texts(self, example: Example) -> list[str]:
        """Return the question, in one line, and the context."""
        return [" ".join(example["question"].split()), example["context"]]

    def mark(self, example: Example, target: Target) -> list[tuple[int, int]]:
        """Return where the answers are in what is shown."""
        before = len(example["question"]) + 2
        answers = zip(target["text"], target["answer_start"], strict=True)
        return sorted({(before + start, before + start + len(text)) for text, start in answers})

    def details(self, target: Target | None) -> dict[str, str]:
        """Return the first character of the answer in the context and the one behind its last; "" without an answer."""
        if target is None or not target["text"]:
            return {"start": "", "end": ""}
        start = target["answer_start"][0]
        return {"start": str(start), "end": str(start + len(target["text"][0]))}
