"""Extractive question answering: one categorical over all answer spans of a context (F = 1)."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from dal_nlp.core.caches import Cache
from dal_nlp.core.categoricals import Categoricals, Ragged
from dal_nlp.core.config import Settings, number_of_tokens
from dal_nlp.core.errors import RowError, Unsupported, UserError
from dal_nlp.core.plugins import construct
from dal_nlp.core.targets import Target
from dal_nlp.core.task import REFUSALS, Batch, Example, Feeding, Prediction, pad
from dal_nlp.data.answer_spans import FURTHER_COLUMNS, places_of, read_answers
from dal_nlp.models.reading import Wanted, settle
from dal_nlp.readers.values import read_text
from dal_nlp.tasks import metrics
from dal_nlp.tasks.qa_spans import NO_ANSWER, first_distances, gold, limits, positions, said
from dal_nlp.tasks.qa_windows import cut

if TYPE_CHECKING:
    from datasets import Dataset


#: The one outcome that all questions share, where there are questions without an answer.
NONE = "no answer"
#: Where the fitted threshold of a model lies, and whether it knows the outcome "no answer".
THRESHOLD, UNANSWERABLE = "dal_nlp_no_answer_threshold", "dal_nlp_unanswerable"


@dataclass(frozen=True)
class QAOptions:
    """What ``task_options`` may hold.

    Attributes:
        doc_stride: Tokens that neighbouring windows of a long context share: at most half of their room for it, and
            at least what the longest answer needs.
        longest_answer: Tokens of the longest answer that can be given.
        unanswerable: Whether "no answer" is a possible answer; it is where the data has such a question.
        group_column: Column whose values ``query.max_per_group`` counts; none: the context.
    """

    doc_stride: Annotated[int, Field(ge=1)] = 128
    longest_answer: Annotated[int, Field(ge=1)] = 30
    unanswerable: bool = False
    group_column: str | None = None


class ExtractiveQA:
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
    offers: ClassVar[frozenset[str]] = frozenset({"draws", "answer texts", "groups"})
    asks: ClassVar[Literal["label", "span", "text"]] = "span"
    may_collapse: ClassVar[bool] = True
    ready: bool = False
    reduction: Literal["sum", "mean"] = "sum"

    def __init__(
        self,
        options: QAOptions = QAOptions(),
        columns: Sequence[str] = ("question", "context"),
        label_column: str = "answers",
        max_length: int = 384,
        tokenizer: Any = None,
    ) -> None:
        self.labels = [NONE] if options.unanswerable else []
        self.tokenizer = tokenizer
        self.feeding = Feeding()
        self._options, self._columns, self._label_column = options, list(columns), label_column
        self._max_length, self._longest = max_length, options.longest_answer

    @property
    def unanswerable(self) -> bool:
        """Whether "no answer" is an outcome."""
        return bool(self.labels)

    @classmethod
    def from_config(cls, config: Settings) -> "ExtractiveQA":
        """Build the task of a run; raises ``UserError`` for settings that it does not have."""
        if len(config.text_column) != 2:
            raise UserError("--text-column wants the columns of the question and of the context: question,context.")
        if config.labels is not None:
            raise UserError("--labels is for classification: answers to questions are parts of their contexts.")
        options = construct("task", QAOptions, config.task_options)
        return cls(options, config.text_column, config.label_column, number_of_tokens(config))

    @classmethod
    def for_model(cls, model: nn.Module, tokenizer: Any, max_length: int, options: Mapping[str, Any]) -> "ExtractiveQA":
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
        try:
            return self.read(row)
        except RowError as error:
            raise UserError(f"{str(row)[:60]} cannot be used: {error}.") from None

    def target(self, answer: str | Mapping[str, Any], fields: Mapping[str, Any]) -> Target:
        """Return the target of {"text": [...], "answer_start": [...]}, or of a text that the context holds once."""
        try:
            target = self.parse(answer, fields) if isinstance(answer, str) else answer
            self.check(target, fields)
        except ValueError as error:
            raise UserError(f"The answer {str(answer)[:60]!r} cannot be used: {error}.") from None
        return target

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
        """Return the answers in one raw row, checked against its context; see ``data.spans.read_answers``."""
        if self._columns[1] not in row:
            raise RowError(f"has no column {self._columns[1]!r}, which its answer is checked against: add the context")
        return self._answers(row, {"context": read_text(row, self._columns[1])})

    def _answers(self, row: Mapping[str, Any], fields: Mapping[str, Any]) -> Target | None:
        return read_answers(row, self.answer_column(row.keys()), fields["context"])

    def learn_labels(self, targets: Iterable[Target]) -> None:
        """Take up "no answer" as an outcome where a target is that."""
        if self._options.unanswerable or any(not target["text"] for target in targets):
            self.labels = [NONE]

    def check_model(self, source: str) -> None:
        """Do nothing: whatever has an encoder can be loaded with the task's output layer."""

    def load(self, source: str) -> nn.Module:
        """Load a question-answering model; it keeps in its configuration whether questions may have no answer."""
        from dal_nlp.models.loading import load_model

        model = load_model("AutoModelForQuestionAnswering", source, id2label={0: "start", 1: "end"})
        self._settle(model, source, trusted=True)
        config: Any = model.config
        config.update({UNANSWERABLE: self.unanswerable})
        return model

    def _settle(self, model: nn.Module, source: str, trusted: bool) -> None:
        """Find out how the model has to be fed; a window's places count from its left."""

        def read(inputs: Mapping[str, Tensor]) -> list[Tensor]:
            raw = self.logits(model(**inputs))
            return [row[there.bool()] for row, there in zip(raw, inputs["attention_mask"], strict=True)]

        wanted = Wanted(self._max_length, ("right",), name=source, pairs=True, all_lengths=True)
        self.feeding = settle(model, self.tokenizer, read, wanted, self.feeding if trusted else None)

    def encode(self, examples: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Cut contexts into windows; adds these, ``length`` (tokens of the longest window) and ``rows`` (windows)."""
        if not self.tokenizer.is_fast:
            raise UserError("Question answering needs a fast tokenizer, and this model has none: use another --model.")
        found: dict[str, list[Any]] = {}
        for question, context in zip(examples["question"], examples["context"], strict=True):
            windows = cut(self.tokenizer, question, context, self._max_length, self._options.doc_stride, self._longest)
            row = {
                **windows.inputs,
                "first": windows.first,
                "shift": windows.shift,
                "null": windows.null,
                "nearest_end": first_distances(windows, context),
                "starts": windows.starts,
                "ends": windows.ends,
                "length": max(map(len, windows.inputs["input_ids"])),
                "rows": len(windows.shift),
            }
            for name, value in row.items():
                found.setdefault(name, []).append(value)
        return found

    def remarks(self, data: Mapping[str, "Dataset"]) -> list[str]:
        """Return nothing."""
        return []

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Put all windows of the examples below each other, padded to the longest."""
        windows = [(example, w) for example in examples for w in range(example["rows"])]
        names = [name for name in self.tokenizer.model_input_names if name in examples[0]]
        inputs = {
            name: pad([e[name][w] for e, w in windows], self.tokenizer.pad_token_id if name == "input_ids" else 0)
            for name in names
        }
        inputs["attention_mask"] = pad([[1] * len(e["input_ids"][w]) for e, w in windows], 0)
        width = inputs["input_ids"].shape[1]
        near, far = limits(examples, width, self._longest)
        extra = {"near": torch.from_numpy(near), "far": torch.from_numpy(far)}
        extra["null"] = torch.tensor([e["null"][w] for e, w in windows])
        counts = torch.tensor([example["rows"] for example in examples])
        owner = torch.repeat_interleave(torch.arange(len(examples)), counts)
        known = all(example.get("target") is not None for example in examples)
        labels = torch.tensor(positions(examples, width, self._longest, self.unanswerable)) if known else None
        return Batch(inputs, owner, len(examples), labels, extra=extra)

    def trainable(self, example: Example) -> bool:
        """Tell whether the model could give one of the gold answers: short enough, and "no answer" only if it may."""
        return bool(gold(example, self._longest, self.unanswerable))

    def prepare(self, model: nn.Module, batch: Batch) -> Batch:
        """Return the batch as it is."""
        return batch

    def inputs(self, model: nn.Module, batch: Batch, written: Cache) -> Batch:
        """Return the batch with the threshold that was fitted for this model."""
        config: Any = model.config
        threshold = torch.tensor(float(config.to_dict().get(THRESHOLD, 0.0)), device=batch.owner.device)
        return replace(batch, extra={**batch.extra, "threshold": threshold})

    def write(self, model: nn.Module, batch: Batch, written: Cache, network: str) -> list[str]:
        """Raise ``Unsupported``."""
        raise Unsupported(
            "An answer is a part of its context, not written: choose a strategy that reads no texts of the model."
        )

    def head(self, model: nn.Module) -> nn.Module:
        """Return the linear layer that scores every token as a start and as an end."""
        from dal_nlp.models.loading import output_layer

        return output_layer(model, 2)

    def logits(self, result: Any) -> Tensor:
        """Return the scores of every token as a start and as an end, (R, T, 2)."""
        return torch.stack([result["start_logits"], result["end_logits"]], -1)

    def categoricals(self, raw: Tensor, batch: Batch) -> Ragged:
        """Return log p of every span and of "no answer", from starts and ends (R, T, 2), as rows of 1 + T x L.

        See ``span_outcomes`` for the columns.
        """
        start, end = raw.float().unbind(-1)
        ends = nn.functional.pad(end, (0, self._longest - 1)).unfold(1, self._longest, 1)
        distance = torch.arange(self._longest, device=raw.device)
        possible = (distance >= batch.extra["near"][..., None]) & (distance < batch.extra["far"][..., None])
        # Not a product with the mask: 0 times infinity has no gradient.
        spans = torch.where(possible, start[..., None] + ends, -torch.inf).flatten(1)
        return Ragged.of(torch.cat([self._null(start, end, batch)[:, None], spans], 1), batch.owner, batch.size)

    def _null(self, start: Tensor, end: Tensor, batch: Batch) -> Tensor:
        """Return the score of "no answer" in the first row of each example, -inf in the others, (R,)."""
        nowhere = torch.full_like(start[:, 0], -torch.inf)
        if not self.unanswerable:
            return nowhere
        place = batch.extra["null"][:, None]
        scores = (start.gather(1, place) + end.gather(1, place))[:, 0]
        least = scores.new_full((batch.size,), torch.inf).scatter_reduce(0, batch.owner, scores, "amin")
        return torch.where(_is_first(batch.owner), least[batch.owner], nowhere)

    def loss(self, raw: Tensor, batch: Batch) -> Tensor:
        """Return - log of the gold outcomes' total probability, (B,); 0 where the model could give none of them."""
        if batch.labels is None:
            raise ValueError("the loss needs examples with targets")
        log_probs = self.categoricals(raw, batch).log_probs.flatten()
        there = batch.labels >= 0
        found = torch.where(there, log_probs[batch.labels.clamp(min=0)], -torch.inf)
        any_there = there.any(1)
        return -torch.where(any_there[:, None], found, 0.0).logsumexp(1) * any_there

    def weights(self, targets: Sequence[Target]) -> list[float]:
        """Return n / (2 x n_kind), which makes questions with and without an answer weigh the same."""
        answerable = [bool(target["text"]) for target in targets]
        kinds = len(set(answerable))
        return [len(targets) / (kinds * answerable.count(kind)) for kind in answerable]

    def predict(self, predicted: Categoricals, batch: Batch, examples: Sequence[Example]) -> list[Prediction]:
        """Return the most likely span; "no answer" where its log-probability is that much above the span's.

        The threshold is 0 until ``calibrate`` has fitted it. The confidence is the probability of what is answered.
        """
        null, best = _null_and_best(predicted, batch)
        log_null, log_best = predicted.at(null)[:, 0], predicted.at(best)[:, 0]
        nothing = (log_null - log_best > batch.extra["threshold"]).tolist()
        confidence = torch.stack([log_best, log_null], 1).exp().tolist()
        numbers = predicted.numbers(best)[:, 0].tolist()
        return [
            Prediction(NO_ANSWER, p_null) if none else Prediction(said(example, number, self._longest), p_best)
            for example, number, none, (p_best, p_null) in zip(examples, numbers, nothing, confidence, strict=True)
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
        null, best = _null_and_best(predicted, batch)
        numbers = predicted.numbers(best)[:, 0].tolist()
        spans = [said(example, number, self._longest) for example, number in zip(examples, numbers, strict=True)]
        _, f1 = metrics.answer_scores(spans, [example["target"] for example in examples])
        above = (predicted.at(null) - predicted.at(best))[:, 0].cpu()
        return torch.stack([above, torch.tensor(f1, dtype=torch.float32)], 1)

    def evaluate(self, predictions: Sequence[Target], targets: Sequence[Target]) -> dict[str, float]:
        """Return the shares of exact matches and the mean token F1, each from 0 to 1."""
        return {
            name: float(np.mean(scores))
            for name, scores in zip(self.metrics, metrics.answer_scores(predictions, targets), strict=True)
        }

    def intervals(
        self, predictions: Sequence[Target], targets: Sequence[Target], rng: np.random.Generator
    ) -> dict[str, list[float]]:
        """Return the bootstrap's intervals, over the questions."""
        scored = zip(self.metrics, metrics.answer_scores(predictions, targets), strict=True)
        return {name: list(metrics.mean_interval(scores, rng)) for name, scores in scored}

    def breakdown(self, predictions: Sequence[Target], targets: Sequence[Target]) -> list[dict[str, Any]]:
        """Return count, exact matches and F1 of questions with an answer (HasAns) and without (NoAns)."""
        rows = []
        for name, kind in (("HasAns", True), ("NoAns", False)):
            mine = [i for i, target in enumerate(targets) if bool(target["text"]) == kind]
            if mine:
                values = self.evaluate([predictions[i] for i in mine], [targets[i] for i in mine])
                rows.append({"kind of question": name, "count": len(mine), **values})
        return rows

    def agreement(self, predictions: Sequence[Target], targets: Sequence[Target]) -> dict[str, list[float]]:
        """Return the token F1 of each answer."""
        return {"F1": metrics.answer_scores(predictions, targets)[1]}

    def consistency(self, first: Sequence[Target], second: Sequence[Target]) -> float:
        """Return the mean token F1 between the answers of both."""
        return float(np.mean(metrics.answer_scores(first, second)[1]))

    def collapsed(self, predictions: Sequence[Target], targets: Sequence[Target]) -> bool:
        """Tell whether all questions get one and the same answer, although their answers differ."""
        given, wanted = ({tuple(answer["text"][:1]) for answer in answers} for answers in (predictions, targets))
        return len(given) == 1 and len(wanted) > 1

    def outcome(self, example: Example, i: int) -> str:
        """Return an answer as SQuAD's script compares it; "" is "no answer"."""
        (text,) = said(example, i, self._longest)["text"] or [""]
        return metrics.normalise_answer(text) or text

    def show(self, example: Example) -> str:
        """Return the question, an empty line and the context."""
        return f"{example['question']}\n\n{example['context']}"

    def texts(self, example: Example) -> list[str]:
        """Return the question and the context."""
        return [example["question"], example["context"]]

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

    def parse(self, answer: str, example: Mapping[str, Any]) -> Target:
        """Return the target of a typed text: a part of the context that is there once, or nothing for "no answer".

        ``START:text`` says which of several places is meant, ``START-END`` gives the offsets alone (of the first
        character, and of the one behind the last), and what ``read_answers`` takes as JSON text is taken here too.

        Raises:
            ValueError: The context does not hold it, or more than once.
        """
        text, context = answer.strip(), example["context"]
        if self.unanswerable and text.casefold() in ("", NONE):
            return NO_ANSWER
        if not text:
            raise ValueError("an answer is missing: copy it from the context")
        if text.startswith("{"):
            written = self._answers({self._label_column: text}, example)
            if written is not None:
                return written
        number, colon, rest = text.partition(":")
        if colon and _is_number(number) and rest and context[int(number) :].startswith(rest):
            return {"text": [rest], "answer_start": [int(number)]}
        places = list(places_of(text, context))
        if len(places) > 1:
            shown = ", ".join(f"{place}:{text[:20]}" for place in places[:4])
            raise ValueError(f"the context holds {text[:60]!r} {len(places)} times: write which one, such as {shown}")
        if places:
            return {"text": [text], "answer_start": places}
        first, dash, last = text.partition("-")
        if dash and _is_number(first) and _is_number(last) and int(first) < int(last) <= len(context):
            return {"text": [context[int(first) : int(last)]], "answer_start": [int(first)]}
        raise ValueError(f"the context does not hold {text[:60]!r}: copy the answer from it")

    def spell(self, target: Target, example: Mapping[str, Any]) -> str:
        """Return the answer alone where that is enough, else with its start, else everything as JSON."""
        texts: list[str] = target["text"]
        if not texts:
            return NONE
        ways = [texts[0], f"{target['answer_start'][0]}:{texts[0]}"] if len(texts) == 1 else []
        for way in ways:
            if way.casefold() not in REFUSALS and self._means(way, target, example):
                return way
        return json.dumps(target, ensure_ascii=False)

    def _means(self, answer: str, target: Target, example: Mapping[str, Any]) -> bool:
        try:
            return bool(self.parse(answer, example) == target)
        except ValueError:
            return False


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10


def _is_first(owner: Tensor) -> Tensor:
    """Tell which rows are the first of their example, (R,)."""
    return torch.cat([owner.new_ones(1, dtype=torch.bool), owner[1:] != owner[:-1]])


def _null_and_best(predicted: Categoricals, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the positions of "no answer" and of the best span, (B, 1) each."""
    null = (_is_first(batch.owner).nonzero() * predicted.log_probs.shape[1]).reshape(-1, 1)
    return null, predicted.without(null).best()
