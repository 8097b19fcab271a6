"""A reader that is trained on the labels alone, and machines beside it, each with a weight that the labels give.

Letters: n labeled examples, S machines.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import nn

from dal_nlp.core.categoricals import Categoricals
from dal_nlp.core.distributed import process_state
from dal_nlp.core.rng import rng_for
from dal_nlp.core.task import Batch, Example
from dal_nlp.learners.checkpoints import read_json
from dal_nlp.learners.learner import NOTE, FullLearner, Learner
from dal_nlp.learners.lora_learner import LoraLearner
from dal_nlp.models.pool import fetch, make_batches
from dal_nlp.models.trainer import Fit
from dal_nlp.span_witnesses.weights import READERS, Judged, WitnessedExample, fit_weights
from dal_nlp.tasks.entities import heard as heard_words
from dal_nlp.tasks.qa import THRESHOLD
from dal_nlp.tasks.questions import heard
from dal_nlp.word_heads.word_head_learner import WordHeadLearner

#: Most labels of a fold, and fewest labels of which folds are made.
FOLD, FEWEST = 100, 4


class ReaderBesideMachines(Learner):
    """Chooses by a reader and machines together, and answers by the reader alone unless they are kept.

    The weights are fitted to what readers say of labels that did not train them: two more are trained in each round,
    each without another fold of the labels, at most ``FOLD`` of them.
    """

    _means: Mapping[str, float] = {}  # by machine
    _weights: tuple[int, list[float], float] | None = None  # of a round: those of machines, that of the reader
    _together: tuple[nn.Module, nn.Module] | None = None
    _judged: Judged | None = None  # of the last fit

    def listen(self, means: Mapping[str, float]) -> None:
        """Take up which machines have answered, and what each counts before any label; before the first fit."""
        self._means = means

    @property
    def ready(self) -> bool:
        """Whether it can answer before it has learnt anything: it has heard somebody."""
        return bool(self._means)

    def remarks(self) -> list[str]:
        """Return what the model that the run leaves knows."""
        if self._config.keep_witness:
            return ["With --keep-witness machines are asked at prediction too: model/ alone knows the labels only."]
        return [
            "Machines help to choose the questions; model/, which is measured, learns from people's labels alone and "
            "does not know what machines answer. --keep-witness has them answer with it."
        ]

    def fitted(self, round: int) -> Fit | None:
        """Return what the fit of a round was, if its checkpoint is there and has heard the same machines."""
        done = super().fitted(round)
        return done if done and list(done.notes.get("signals", {})) == list(self._means) else None

    def after(self, round: int) -> nn.Module:
        """Return the reader of a round, with machines beside it where they are kept."""
        return self.choosing(round) if self._config.keep_witness else self.text_model(round)

    def text_model(self, round: int) -> nn.Module:
        """Return the reader alone; without the threshold of "no answer" that was fitted to it and its machines."""
        return heard.alone(self._reader(round), [THRESHOLD])

    def choosing(self, round: int) -> nn.Module:
        """Return the reader with machines beside it."""
        reader = self._reader(round)
        if self._together is None or self._together[0] is not reader:
            self._together = (reader, heard.hearing(reader, *self._weights_of(round)))
        return self._together[1]

    def models_beside(self) -> dict[str, Callable[[int], nn.Module]]:
        """Return the reader alone where machines are kept."""
        return {"people": self.text_model} if self._config.keep_witness else {}

    def _weights_of(self, round: int) -> tuple[list[float], float]:
        if round < 0:
            return list(self._means.values()), 1.0
        if self._weights is None or self._weights[0] != round:
            self._weights = (round, *weights_in(read_json(self.place(round) / NOTE)))
        return self._weights[1:]

    def fit(self, round: int, examples: Dataset, weights: NDArray[np.float64], attempt: int = 0) -> Fit:
        """Train the reader of a round, and fit what machines count beside readers of other labels."""
        seconds = 0.0
        if not attempt or self._judged is None:  # another attempt at a collapsed fit is one at the reader alone
            self._judged, seconds = self._held_out(round, examples, weights, attempt)
        done, judged = self._learn(round, examples, weights, attempt), self._judged
        fitted = fit_weights(judged, list(self._means.values()))
        self._weights, self._together, names = (round, fitted.values, fitted.reader), None, list(self._means)
        notes = {
            "signals": dict(zip(names, fitted.values, strict=True)),
            "means": dict(self._means),
            "reader": fitted.reader,
            "answers": fitted.answers,
            "off": [names[index] for index in fitted.off],
            "judged": len(judged[1.0]),
        }
        return replace(done, seconds=done.seconds + seconds, notes={**done.notes, **notes})

    def _held_out(
        self, round: int, examples: Dataset, weights: NDArray[np.float64], attempt: int
    ) -> tuple[Judged, float]:
        """Return what readers say of labels that did not train them, in an order by chance, and the time that took."""
        n, seconds = len(examples), 0.0
        by_reader: dict[float, list[WitnessedExample]] = {own: [] for own in READERS}
        if n < FEWEST:
            return by_reader, seconds
        order, size = rng_for(self._config.seed, round, "witness folds").permutation(n), min(n // 2, FOLD)
        for fold in (order[:size], order[size : 2 * size]):
            rest = np.setdiff1d(np.arange(n), fold)
            seconds += self._learn(round, examples.select(rest), weights[rest], attempt).seconds
            for own, judged in self._said(self._reader(round), examples.select(fold)).items():
                by_reader[own] += judged
        mixed = rng_for(self._config.seed, round, "witness questions").permutation(len(by_reader[1.0]))
        return {own: [judged[index] for index in mixed] for own, judged in by_reader.items()}, seconds

    @torch.inference_mode()
    def _said(self, reader: nn.Module, examples: Dataset) -> dict[float, list[WitnessedExample]]:
        by_reader: dict[float, list[WitnessedExample]] = {own: [] for own in READERS}
        self.require(examples)
        lengths, rows = np.array(examples["length"]), np.array(examples["rows"])
        for part in make_batches(lengths, rows, self.scoring, self._task.feeding.equal_lengths):
            read = fetch(examples, part)
            batch = self._task.collate(read).to(process_state().device)
            predicted = self._task.categoricals(self._task.logits(reader(**batch.inputs)), batch)
            for own, judged in by_reader.items():
                judged += self._heard(predicted, batch, own, read)
        return by_reader

    @abstractmethod
    def _learn(self, round: int, examples: Dataset, weights: NDArray[np.float64], attempt: int) -> Fit:
        """Train the reader of a round."""

    @abstractmethod
    def _reader(self, round: int) -> nn.Module:
        """Return the reader of a round."""

    @abstractmethod
    def _heard(self, predicted: Categoricals, batch: Batch, own: float, examples: Sequence[Example]) -> list[Any]:
        """Return what weights are fitted to, of what a reader whose scores have a weight says of some examples."""


class SpanWitnessLearner(ReaderBesideMachines, FullLearner):
    """A reader of questions, all of whose weights are trained."""

    def _learn(self, round: int, examples: Dataset, weights: NDArray[np.float64], attempt: int) -> Fit:
        return FullLearner.fit(self, round, examples, weights, attempt)

    def _reader(self, round: int) -> nn.Module:
        return FullLearner.after(self, round)

    def _heard(
        self, predicted: Categoricals, batch: Batch, own: float, examples: Sequence[Example]
    ) -> list[heard.Question]:
        task: Any = self._task
        return heard.questions(predicted, batch, own, examples, task.longest_answer)


class SpanWitnessLora(SpanWitnessLearner, LoraLearner):
    """The same with low-rank adapters."""

    def _reader(self, round: int) -> nn.Module:
        return LoraLearner.after(self, round)


class EntityWitnessLearner(ReaderBesideMachines, WordHeadLearner):
    """An output layer on the words of a frozen encoder."""

    def _learn(self, round: int, examples: Dataset, weights: NDArray[np.float64], attempt: int) -> Fit:
        return WordHeadLearner.fit(self, round, examples, weights, attempt)

    def _reader(self, round: int) -> nn.Module:
        return WordHeadLearner.after(self, round)

    def _heard(
        self, predicted: Categoricals, batch: Batch, own: float, examples: Sequence[Example]
    ) -> list[heard_words.TaggedWords]:
        task: Any = self._task
        return heard_words.texts(predicted, batch, own, task.outputs)


#: What trains beside machines, by ``training.mode``: readers of questions, and of texts with entities.
OF_QUESTIONS: Mapping[str, type[ReaderBesideMachines]] = {"full": SpanWitnessLearner, "lora": SpanWitnessLora}
OF_ENTITIES: Mapping[str, type[ReaderBesideMachines]] = {"head": EntityWitnessLearner}


def weights_in(note: Any) -> tuple[list[float], float]:
    """Return the weights of machines and of the reader in a fit's note; older ones have only the former."""
    notes = note["fit"]["notes"]
    return list(notes["signals"].values()), float(notes.get("reader", 1.0))
