"""A layer on a frozen encoder that weighs what machines say, and a student of both that needs the machines no more.

Letters: n labeled texts, H features, C labels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import nn

from dal_nlp.core.config import DISTIL, Settings
from dal_nlp.core.distributed import process_state
from dal_nlp.core.errors import Unsupported
from dal_nlp.core.progress import Progress
from dal_nlp.core.rng import rng_for
from dal_nlp.core.targets import Target
from dal_nlp.core.task import Task
from dal_nlp.learners.cross_validation import CLASSES, STRONGER, FitSetting, deal, fit_with, splits
from dal_nlp.learners.distillation import Floats
from dal_nlp.learners.feature_cache import places_of
from dal_nlp.learners.head_checkpoint import HEAD, FittedLayer, HeadNet, read_layer
from dal_nlp.learners.head_learner import HeadLearner
from dal_nlp.learners.layers import side_by_side
from dal_nlp.learners.linear import Offset
from dal_nlp.models.pool import fetch
from dal_nlp.models.trainer import Fit
from dal_nlp.models.vectors import Array, Positions
from dal_nlp.signals import same_model
from dal_nlp.signals.witness import (
    KEPT,
    WITNESSES,
    KeptLayer,
    Weighing,
    Witness,
    fit_student,
    fit_weighing,
    read_kept,
)

#: The layer of a checkpoint that hears no machine.
UNHEARD = "people.safetensors"
#: What a task of other answers is told.
ONE_LABEL = (
    "Signals and --pseudo-labels distil are for tasks that give each text one label (signals for question answering, "
    "entities and summaries too): leave them out."
)


class WitnessLearner(HeadLearner):
    """Chooses by a layer that hears witnesses beside the labels, and answers by a student of it unless they are kept.

    Without witnesses the student is that of the layer itself: self-distillation, from ``pseudo_labels.distil_from``
    labels on.
    """

    weights: ClassVar[tuple[str, ...]] = (HEAD, KEPT)
    beside: ClassVar[tuple[str, ...]] = (KEPT, WITNESSES, *HeadLearner.beside)

    _heard: Sequence[Witness] = ()
    _said: Sequence[Array] = ()  # by witness: its logits of all places
    _kept: tuple[int, KeptLayer] | None = None
    _choosing: tuple[int, nn.Module] | None = None
    _unheard: tuple[int, FittedLayer] | None = None

    def __init__(
        self, config: Settings, task: Task, source: str, folder: Path, progress: Progress, predicts_loss: bool
    ) -> None:
        super().__init__(config, task, source, folder, progress, predicts_loss)
        if self._outputs is not CLASSES:
            raise Unsupported(ONE_LABEL)

    def listen(self, witnesses: Mapping[str, tuple[float, Sequence[tuple[Dataset, Floats]]]]) -> None:
        """Take up what witnesses say, before the first fit.

        Args:
            witnesses: By witness the weight that it has before any label, and for sets that ``view`` returned, the pool
                first, its log-probabilities (N, C); rows of NaN where it does not answer.
        """
        heard, tables = [], []
        for name, (mean, parts) in witnesses.items():
            witness = Witness.over(name, parts[0][1], mean)
            table = np.zeros((len(self._features), len(self._task.labels)), dtype=np.float32)
            for examples, scores in parts:
                table[places_of(examples)] = witness.logits(scores)
            heard.append(witness)
            tables.append(table)
        self._heard, self._said = heard, tables

    @property
    def ready(self) -> bool:
        """Whether it can answer before it has learnt anything: it has heard somebody, or knows the labels."""
        return bool(self._heard) or super().ready

    def remarks(self) -> list[str]:
        """Return what a user should know; also that a machine is a witness to the labels that it gives itself."""
        own = same_model(self._config)
        if not own:
            return super().remarks()
        line = (
            f"--oracle {self._config.oracle} gives the labels, and --signal {own[0]} is the same model: the weight of "
            "this witness says how far it agrees with itself, not how often it is right."
        )
        return [*super().remarks(), line]

    def fitted(self, round: int) -> Fit | None:
        """Return what the fit of a round was, if its checkpoint is there and has heard the same witnesses."""
        done = super().fitted(round)
        heard = [one.name for one in self._heard]
        return done if done and [one.name for one in read_kept(self.place(round)).witnesses] == heard else None

    def after(self, round: int) -> nn.Module:
        """Return the student of a round, or, where witnesses are kept, the layer that hears them."""
        return self.choosing(round) if self._config.keep_witness else super().after(round)

    def text_model(self, round: int) -> nn.Module:
        """Return the student of a round, whether or not witnesses are kept."""
        return super().after(round)

    def choosing(self, round: int) -> nn.Module:
        """Return the layer that hears the witnesses."""
        if self._choosing is None or self._choosing[0] != round:
            kept = self._kept_layer(round)
            output = kept.layer.linear(len(self._task.labels))
            net = HeadNet(self._features.rows, output, kept.layer.depths, lambda rows: self._spoken(kept, rows))
            self._choosing = (round, net.to(process_state().device).eval())
        return self._choosing[1]

    def teacher(self, round: int) -> nn.Module | None:
        """Return the layer that hears the witnesses, None where no witness counts in it."""
        return self.choosing(round) if any(self._kept_layer(round).weights) else None

    def answered(self, round: int, examples: Dataset) -> NDArray[np.bool_]:
        """Return of which examples (n,) a witness that counts after a round says anything."""
        answered: NDArray[np.bool_] = np.any(self._spoken(self._kept_layer(round), places_of(examples)), axis=1)
        return answered

    def models_beside(self, heard: bool) -> dict[str, Callable[[int], nn.Module]]:
        """Return the layer that hears no machine, and the one that hears them where the run does not leave it."""
        together = {"stack": self.choosing} if heard and not self._config.keep_witness else {}
        return {"people": self.people_alone, **together}

    def people_alone(self, round: int) -> nn.Module:
        """Return the layer that was fitted to the same labels and hears no machine."""
        if self._unheard is None or self._unheard[0] != round:
            self._unheard = (round, read_layer(self.place(round), UNHEARD))
        return self._net(self._unheard[1]).to(process_state().device).eval()

    def _spoken(self, kept: KeptLayer, rows: Positions) -> Array:
        return np.asarray(sum(kept.added(index, table[rows]) for index, table in enumerate(self._said)))

    def _kept_layer(self, round: int) -> KeptLayer:
        if self._kept is None or self._kept[0] != round:
            self._kept = (round, self._first() if round < 0 else read_kept(self.place(round)))
        return self._kept[1]

    def _first(self) -> KeptLayer:
        """Return what signals and witnesses give before any label."""
        nothing = np.zeros((len(self._task.labels), self._standard.mean.size), dtype=np.float32)
        layer = self._merged(nothing, nothing[:, 0], [signal.mean for signal in self._signals], 0.0)
        return KeptLayer(layer, self._heard, [witness.mean for witness in self._heard])

    def _new(self) -> HeadNet:
        none, nothing = np.zeros(0, dtype=np.int64), np.zeros(0)
        candidates = self._student_settings(self._setting(self._sample[:0, 0], none, nothing, ()))
        return self._net(self._student(candidates, self._kept_layer(-1), none, none, nothing))

    def _student(
        self,
        candidates: Sequence[FitSetting],
        kept: KeptLayer,
        where: Positions,
        y: NDArray[np.int64],
        weights: NDArray[np.float64],
    ) -> FittedLayer:
        """Return a layer that gives, of the texts alone, what another gives together with the witnesses."""
        free = ~np.isin(self._sample_rows, where)
        pool = side_by_side(self._sample[free], self._depths)
        layer, added = kept.layer.linear(len(self._task.labels)), self._spoken(kept, self._sample_rows[free])
        with torch.inference_mode():
            shares = (layer(torch.from_numpy(pool)) + torch.from_numpy(added)).double().softmax(-1).numpy()
        x = side_by_side(self._features.rows(where), self._depths)
        fitted = fit_student(candidates, pool, shares, x, y, weights)
        return FittedLayer(torch.from_numpy(fitted.weight), torch.from_numpy(fitted.bias), fitted.unseen, self._depths)

    def _student_settings(self, setting: FitSetting) -> list[FitSetting]:
        """Return how a student may be fitted: with the strength that is set, else the rule's or one that is larger."""
        head, rule = self._config.head, self._outputs.strength(len(self._task.labels))
        if head.c is not None or not head.validate_from:
            return [setting]
        return [replace(setting, c=rule * stronger) for stronger in STRONGER]

    def _fit_layer(
        self, round: int, x: Array, y: NDArray[np.int64], weights: NDArray[np.float64], where: Positions
    ) -> tuple[FittedLayer, int, dict[str, Any]]:
        """Fit the layer that hears the witnesses, and its student; a witness that does clear harm is left out."""
        offsets, own = self._offsets(x, where), len(self._signals)
        setting = self._setting(x, y, weights, offsets)
        weighing, kept = self._fit_heard(setting, x, y, weights, offsets)
        betas = weighing.weights.tolist()
        self._kept, self._choosing = (round, kept), None
        self._unheard = (round, self._fit_alone(x, y, weights, offsets[:own]))
        student = self._taught(self._student_settings(setting), weighing, kept, where, y, weights)
        known = [(one.name, one.mean) for one in self._signals] + [(one.name, one.mean) for one in self._heard]
        notes = {
            "signals": {name: beta for (name, _), beta in zip(known, betas, strict=True)},
            "means": dict(known),
            "off": [known[index][0] for index in weighing.off],
            "tables": [known[index][0] for index in weighing.tables],
            "layers": list(self._depths[-setting.layers :]),
            "c": setting.c,
            "distilled": self._distils(len(y)),
        }
        return student, weighing.layer.iterations, notes

    def _fit_heard(
        self,
        setting: FitSetting,
        x: Array,
        y: NDArray[np.int64],
        weights: NDArray[np.float64],
        offsets: Sequence[Offset],
    ) -> tuple[Weighing, KeptLayer]:
        """Return the fit of the layer that hears the witnesses, and this layer."""
        own = len(self._signals)
        answers = {own + index: one.answers(offsets[own + index].logits) for index, one in enumerate(self._heard)}
        weighing = fit_weighing(setting, x, y, weights, len(self._task.labels), offsets, answers)
        betas = weighing.weights.tolist()
        layer = self._merged(weighing.layer.weight, weighing.layer.bias, betas[:own], weighing.layer.unseen)
        tables = {index - own: one for index, one in weighing.tables.items()}
        return weighing, KeptLayer(layer, self._heard, betas[own:], tables)

    def _taught(
        self,
        candidates: Sequence[FitSetting],
        weighing: Weighing,
        kept: KeptLayer,
        where: Positions,
        y: NDArray[np.int64],
        weights: NDArray[np.float64],
    ) -> FittedLayer:
        """Return the student of a layer that was fitted to labels at some places; that layer if it has no teacher."""
        taught = len(weighing.off) < len(self._heard) or self._distils(len(y))
        return self._student(candidates, kept, where, y, weights) if taught else kept.layer

    def held_out(
        self, examples: Dataset, done: Fit | None = None, weights: NDArray[np.float64] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return probabilities of examples (n, C) by what the run leaves, fitted to the others, and their classes (n,).

        That is a student, to which the examples of a fold are texts of the pool without a label, as those that measure
        are; where witnesses are kept, the layer that hears them. Its strength is the rule's, whatever was ``done``.
        """
        if self._config.keep_witness:
            return super().held_out(examples, done, weights)
        self.require(examples)
        labels = self._task.collate(fetch(examples, range(len(examples)))).labels
        assert labels is not None
        where, y = places_of(examples), labels.numpy()
        weights = np.ones(len(examples)) if weights is None else weights
        x, classes = side_by_side(self._features.rows(where), self._depths), len(self._task.labels)
        setting, shares = self._setting(x[:0], y[:0], weights[:0], ()), np.zeros((len(y), classes))
        for inside, outside in splits(deal(y, rng_for(0, len(y), "folds"))):
            offsets = self._offsets(x[inside], where[inside])
            weighing, kept = self._fit_heard(setting, x[inside], y[inside], weights[inside], offsets)
            rule = [setting]  # whose strength is not chosen again: that takes three times as long
            layer = self._taught(rule, weighing, kept, where[inside], y[inside], weights[inside])
            with torch.inference_mode():
                logits = layer.linear(classes)(torch.from_numpy(x[outside]))
            shares[outside] = logits.double().softmax(-1).numpy()
        return shares, y

    def agreement(self, examples: Dataset, answers: Sequence[Target]) -> list[NDArray[np.float64]]:
        """Return each witness's logits of answers to examples, (n,) each; 0 where it is silent."""
        where, labels = places_of(examples), [self._task.labels.index(str(answer)) for answer in answers]
        return [table[where, labels].astype(np.float64) for table in self._said]

    def _fit_alone(
        self, x: Array, y: NDArray[np.int64], weights: NDArray[np.float64], offsets: Sequence[Offset]
    ) -> FittedLayer:
        """Fit a layer that hears no machine, as a run without signals would."""
        setting = self._setting(x, y, weights, offsets)
        fitted = fit_with(setting, x, y, weights, len(self._task.labels), offsets)
        return self._merged(fitted.weight, fitted.bias, list(fitted.offset_weights), fitted.unseen)

    def _distils(self, labels: int) -> bool:
        """Tell whether so many labels are enough for a student of a layer that hears nobody."""
        section = self._config.pseudo_labels
        return section.policy == DISTIL and labels >= section.distil_from

    def _offsets(self, x: Array, where: Positions) -> list[Offset]:
        """Return what is known of texts: signals first, then witnesses."""
        heard = zip(self._heard, self._said, strict=True)
        return super()._offsets(x, where) + [Offset(table[where], witness.mean) for witness, table in heard]

    def _write(self, round: int, draft: Path) -> None:
        """Write the student, and the layer that hears the witnesses."""
        super()._write(round, draft)
        self._kept_layer(round).save(draft)
        if self._unheard is not None and self._unheard[0] == round:
            self._unheard[1].save(draft, UNHEARD)
