"""Abstractive summarization, and any other text written for a text: one categorical over the vocabulary per token."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from dal_nlp.answer_formats.text import TextFormat
from dal_nlp.core.answer_format import AgreementMeasure, AnswerFormat
from dal_nlp.core.caches import Cache
from dal_nlp.core.config import Settings
from dal_nlp.core.errors import UserError
from dal_nlp.core.plugins import construct
from dal_nlp.core.targets import Target
from dal_nlp.core.task import Batch, Capability, Example, Feeding, Prediction, Task, pad
from dal_nlp.data.references import read_references, references
from dal_nlp.data.text_windows import number_of_tokens
from dal_nlp.readers.values import read_text
from dal_nlp.tasks import metrics
from dal_nlp.tasks.summary_tokens import (
    DEFAULT_OPTIONS,
    WEAK,
    SummarizationOptions,
    encode_documents,
    reference_tokens,
    summary_remarks,
)
from dal_nlp.tasks.text_checks import KINDS, soundness

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor, nn

    from dal_nlp.core.categoricals import Categoricals


DEFAULT_COLUMN = "summary"
_SHOWN = ("rouge1", "rougeL")
#: Where a text has no token; cross-entropy passes over it.
NOWHERE = -100


class Summarization(Task):
    """A text that the model writes for a document.

    Its predictive distribution has as many factors as its own hypothesis has tokens, each over the vocabulary and given
    the tokens before it: p(y_t | y_<t, x); an example's value is their mean. The hypothesis is written once (greedily,
    or by beams) and read by everything that is measured; the encoder runs once, so posterior draws are of the decoder
    alone. Training minimises the mean cross-entropy of the reference's tokens, each document counting the same, the
    first of several references; measuring takes the reference that suits a text best.

    A target is a text, or a list of several references.

    Args:
        options: See ``SummarizationOptions``.
        columns: Name of the document's column.
        label_column: Name of the reference's column; in place of ``summary`` there may be one named ``references``.
        max_length: Tokens after which a document is cut.
        tokenizer: A fast Hugging Face tokenizer; set before anything is encoded.
    """

    recipe: ClassVar[str] = "summarization"
    usual_length: ClassVar[int] = 512
    metrics: ClassVar[tuple[str, ...]] = ("rouge1", "rouge2", "rougeL", "rougeLsum", "gen_tokens")
    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.DRAWS, Capability.GENERATED_TEXTS})
    ready: bool = True
    reduction: Literal["sum", "mean"] = "mean"

    def __init__(
        self,
        options: SummarizationOptions = DEFAULT_OPTIONS,
        columns: Sequence[str] = ("document",),
        label_column: str = DEFAULT_COLUMN,
        max_length: int = 512,
        tokenizer: Any = None,
    ) -> None:
        self.labels: list[str] = []
        self.tokenizer = tokenizer
        self.feeding = Feeding()
        self._options, self._columns, self._label_column = options, list(columns), label_column
        self._max_length = max_length
        self._weak = False
        self._scored: tuple[Any, dict[str, list[float]]] = (None, {})
        # Of the model, once it is there.
        self._start: int | None = None
        self._end: int | None = None

    @classmethod
    def from_config(cls, config: Settings) -> Summarization:
        """Build the task of a run; raises ``UserError`` for settings that it does not have."""
        if len(config.text_column) != 1:
            raise UserError("--text-column wants one column, that of the documents.")
        if config.labels is not None:
            raise UserError("--labels is for classification: summaries are written.")
        if config.training.class_weights != "none":
            raise UserError("training.class_weights is for classes, and summaries have none: leave it out.")
        options = construct("task", SummarizationOptions, config.task_options)
        return cls(options, config.text_column, config.label_column, number_of_tokens(config, cls.usual_length))

    @classmethod
    def for_model(cls, model: nn.Module, tokenizer: Any, max_length: int, options: Mapping[str, Any]) -> Summarization:
        """Build the task around an encoder-decoder that writes; raises ``UserError`` for any other model."""
        from dal_nlp.tasks import seq2seq

        config: Any = model.config
        if not config.is_encoder_decoder or model.get_output_embeddings() is None:  # type: ignore[operator]
            raise UserError(
                f"{type(model).__name__} is no encoder-decoder that writes texts: give an AutoModelForSeq2SeqLM."
            )
        task = cls(construct("task", SummarizationOptions, options), max_length=max_length, tokenizer=tokenizer)

        seq2seq.check_start(model, type(model).__name__)
        task._adopt(model, type(model).__name__, trusted=False)
        return task

    def fields(self, example: str | Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of a document, or of a mapping with the column of a file."""
        row = {self._columns[0]: example} if isinstance(example, str) else example
        if not isinstance(row, Mapping) or self._columns[0] not in row:
            raise UserError(f"{str(example)[:60]!r} is no document: give a text, or a mapping with 'document'.")
        return super().fields(row)

    def check(self, target: Target, fields: Mapping[str, Any]) -> None:
        """Raise ``ValueError`` for anything but a text that is not empty, or a list of such."""
        texts = references(target)
        if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
            raise ValueError("it is neither a text with words in it nor a list of such")

    def columns(self) -> list[str]:
        """Return the document's column."""
        return self._columns

    def answer_column(self, columns: Collection[str]) -> str:
        """Return the configured column, or ``references`` where a file has that in place of the usual one."""
        listed = self._label_column == DEFAULT_COLUMN and DEFAULT_COLUMN not in columns and "references" in columns
        return "references" if listed else self._label_column

    def read(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return {"document"}; raises ``EmptyRow`` where it is empty."""
        return {"document": read_text(row, self._columns[0])}

    def further_columns(self) -> list[str]:
        """Return nothing: a document and its references are all."""
        return []

    def read_target(self, row: Mapping[str, Any]) -> Target | None:
        """Return the summary in one raw row, several as a list, None where there is none; raises ``RowError``."""
        return read_references(row.get(self.answer_column(row.keys())))

    def check_model(self, source: str) -> None:
        """Raise ``UserError`` for what is neither an encoder-decoder nor an encoder that a pair can be made from."""
        from dal_nlp.tasks import seq2seq

        seq2seq.check_writer(source)
        self._weak = seq2seq.is_weak(source)
        self.ready = not self._weak

    def load(self, source: str) -> nn.Module:
        """Load an encoder-decoder, whose saved copies will write as this task does; see ``load_writer``."""
        from dal_nlp.tasks import seq2seq

        model: Any = seq2seq.load_writer(source, self.tokenizer)
        self._adopt(model, source, trusted=True)
        model.generation_config = self._generation(model)
        loaded: nn.Module = model
        return loaded

    def _adopt(self, model: nn.Module, source: str, trusted: bool) -> None:
        """Take up what collating and scoring need to know of a model, which stays the same while it is trained."""
        from dal_nlp.tasks import seq2seq

        self._start, self._end = seq2seq.start_token(model), seq2seq.end_token(model)
        from dal_nlp.pretrained.reading import Wanted, settle

        self.feeding = settle(
            model,
            self.tokenizer,
            lambda inputs: seq2seq.read_rows(model, inputs),
            Wanted(self._max_length, ("right", "equal"), name=source, all_lengths=True),
            self.feeding if trusted else None,
        )
        seq2seq.check_decoder(model, self._options.max_new_tokens, source)

    def _generation(self, model: nn.Module) -> Any:
        from dal_nlp.tasks import seq2seq

        options = self._options
        beams: dict[str, Any] = {"num_beams": options.num_beams}
        if options.num_beams > 1:
            beams["length_penalty"] = options.length_penalty
        limits = {"max_new_tokens": options.max_new_tokens, "no_repeat_ngram_size": options.no_repeat_ngram_size}
        return seq2seq.generation_config(model, {**beams, **limits})

    def encode(self, examples: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Tokenise documents; adds ``input_ids``, ``length``, ``rows`` (1), and what of a row is cut.

        ``cut`` tells that the document is, ``long`` that the first reference, where there is one, is; ``foreign`` that
        this has no Latin word.
        """
        return encode_documents(examples, self.tokenizer, self._max_length, self._options)

    def remarks(self, data: Mapping[str, Dataset]) -> list[str]:
        """Say how many documents and references are cut, and what to expect of a pair made from an encoder."""
        return ([WEAK] if self._weak else []) + summary_remarks(data, self.tokenizer, self.feeding, self._options)

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Pad documents to the longest of the batch; where all have targets, the decoder reads the references."""
        inputs = {
            "input_ids": pad([e["input_ids"] for e in examples], self.tokenizer.pad_token_id),
            "attention_mask": pad([[1] * len(e["input_ids"]) for e in examples], 0),
        }
        import torch

        batch = Batch(inputs, torch.arange(len(examples)), len(examples))
        if any(example.get("target") is None for example in examples):
            return batch
        ends = self._start, self._end, self._options.max_new_tokens
        texts = [reference_tokens(example["target"], self.tokenizer, *ends) for example in examples]
        batch.inputs["decoder_input_ids"] = self._before(texts)
        batch.labels = pad(texts, NOWHERE)
        return batch

    def _before(self, texts: Sequence[Sequence[int]]) -> Tensor:
        """Return what the decoder reads when it is to give these tokens: the start token, and each before the next."""
        assert self._start is not None  # checked when the model was taken up
        return pad([[self._start, *tokens[:-1]] for tokens in texts], self.tokenizer.pad_token_id)

    def prepare(self, model: nn.Module, batch: Batch) -> Batch:
        """Run the encoder, once for the hypothesis, its score, every draw and every sample."""
        encoder: Any = model.get_encoder()  # type: ignore[operator]
        inputs = {name: batch.inputs[name] for name in ("input_ids", "attention_mask")}
        encoded = encoder(**inputs, output_hidden_states=True)
        return replace(batch, inputs={**batch.inputs, "encoder_outputs": encoded})

    def inputs(self, model: nn.Module, batch: Batch, written: Cache) -> Batch:
        """Let the model write, unless it has; the decoder reads the hypothesis, whose tokens are ``hypothesis``."""
        hypotheses = self._written(model, batch, written, "")
        device = batch.owner.device
        inputs = {**batch.inputs, "decoder_input_ids": self._before(hypotheses).to(device)}
        return replace(batch, inputs=inputs, extra={"hypothesis": pad(hypotheses, NOWHERE).to(device)})

    def write(self, model: nn.Module, batch: Batch, written: Cache, network: str) -> list[str]:
        """Return what the model writes for each example."""
        return self._texts(self._written(model, batch, written, network))

    def _written(self, model: nn.Module, batch: Batch, written: Cache, network: str) -> list[list[int]]:
        from dal_nlp.tasks import seq2seq

        return seq2seq.hypotheses(model, self._generation(model), batch, written, network)

    def _texts(self, tokens: Sequence[Sequence[int]]) -> list[str]:
        decoded = self.tokenizer.batch_decode([list(text) for text in tokens], skip_special_tokens=True)
        return [text.strip() for text in decoded]

    def head(self, model: nn.Module) -> nn.Module:
        """Return the linear layer over the vocabulary."""
        layer: nn.Module = model.get_output_embeddings()  # type: ignore[operator]
        return layer

    def logits(self, result: Any) -> Tensor:
        """Return the logits of every token, (R, T, V)."""
        logits: Tensor = result["logits"]
        return logits

    def categoricals(self, raw: Tensor, batch: Batch) -> Categoricals:
        """Return log p(. | y_<t, x) at every token of the hypothesis, (B, T, V)."""
        from dal_nlp.core.categoricals import Categoricals

        hypothesis = batch.extra["hypothesis"]
        mask = hypothesis != NOWHERE
        return Categoricals(raw.float().log_softmax(-1), mask, self.reduction, hypothesis.clamp(min=0))

    def loss(self, raw: Tensor, batch: Batch) -> Tensor:
        """Return the mean cross-entropy of each reference's tokens, (B,)."""
        if batch.labels is None:
            raise ValueError("the loss needs examples with targets")
        from torch.nn.functional import cross_entropy

        losses = cross_entropy(raw.float().mT, batch.labels, ignore_index=NOWHERE, reduction="none")
        return losses.sum(1) / (batch.labels != NOWHERE).sum(1)

    def predict(self, predicted: Categoricals, batch: Batch, examples: Sequence[Example]) -> list[Prediction]:
        """Return the hypotheses; the confidence is the geometric mean of their tokens' probabilities."""
        confidence = predicted.over_factors(predicted.at(predicted.answered())).exp().tolist()
        tokens = [[token for token in row if token != NOWHERE] for row in batch.extra["hypothesis"].tolist()]
        return [Prediction(text, p) for text, p in zip(self._texts(tokens), confidence, strict=True)]

    def evaluate(self, predictions: Sequence[Target], targets: Sequence[Target]) -> dict[str, float]:
        """Return the mean ROUGE F1 scores, each from 0 to 1, and the mean number of tokens written."""
        return {name: float(np.mean(values)) for name, values in self._scores(predictions, targets).items()}

    def metric_inputs(self, predictions: Sequence[Target], targets: Sequence[Target]) -> tuple[list[Any], list[Any]]:
        """Return texts, and of each document all its references."""
        return list(predictions), [references(target) for target in targets]

    def _scores(self, predictions: Sequence[Target], targets: Sequence[Target]) -> dict[str, list[float]]:
        """Return every metric of every document; remembered for the next question about the same texts."""
        key = (list(predictions), list(targets))
        if self._scored[0] != key:
            scores = metrics.rouge(predictions, [references(target) for target in targets], self._options.rouge)
            counts = [float(len(self.tokenizer(text, add_special_tokens=False)["input_ids"])) for text in predictions]
            self._scored = (key, {**scores, "gen_tokens": counts})
        return self._scored[1]

    def intervals(
        self, predictions: Sequence[Target], targets: Sequence[Target], rng: np.random.Generator
    ) -> dict[str, list[float]]:
        """Return the bootstrap's intervals, over the documents."""
        scored = self._scores(predictions, targets).items()
        return {name: list(metrics.mean_interval(values, rng)) for name, values in scored}

    def breakdown(self, predictions: Sequence[Target], targets: Sequence[Target]) -> list[dict[str, Any]]:
        """Return count and ROUGE of texts by what they look like; see ``soundness``."""
        kinds, scores = np.array(soundness(predictions)), self._scores(predictions, targets)
        rows = []
        for kind in KINDS:
            mine = np.flatnonzero(kinds == kind)
            means = {name: float(np.mean(np.take(scores[name], mine))) if len(mine) else None for name in _SHOWN}
            rows.append({"kind of text": kind, "count": len(mine), **means})
        return rows

    def agreement(self, predictions: Sequence[Target], targets: Sequence[Target]) -> dict[str, list[float]]:
        """Return ROUGE-1 and ROUGE-L of each text."""
        scores = metrics.rouge(predictions, [references(target) for target in targets], self._options.rouge)
        return {"ROUGE-1": scores["rouge1"], "ROUGE-L": scores["rougeL"]}

    def outcome(self, example: Example, i: int) -> str:
        """Return token i of the vocabulary."""
        token: str = self.tokenizer.convert_ids_to_tokens(i)
        return token

    @property
    def answer_format(self) -> AnswerFormat:
        """A text."""
        return TextFormat(AgreementMeasure("mean ROUGE-1", self._rouge1))

    def _rouge1(self, first: Sequence[Target], second: Sequence[Target]) -> float:
        """Return the mean ROUGE-1 between the texts of both; 1 for a text that is the same, whatever it holds."""
        changed = [(one, other) for one, other in zip(first, second, strict=True) if one != other]
        if not changed:
            return 1.0
        scores = metrics.rouge([one for one, _ in changed], [[other] for _, other in changed], self._options.rouge)
        return (len(first) - len(changed) + sum(scores["rouge1"])) / len(first)

    def texts(self, example: Example) -> list[str]:
        """Return the document."""
        return [example["document"]]
