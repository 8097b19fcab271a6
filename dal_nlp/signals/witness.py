"""Machines as witnesses: their answers are logits that enter a linear fit, each machine's with a fitted weight.

Letters: N texts of the pool, n labeled texts, H features, C labels, S offsets.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dal_nlp.core.rng import rng_for
from dal_nlp.learners.cross_validation import FitSetting, choose_setting, deal, fit_with, held_out
from dal_nlp.learners.distillation import Floats
from dal_nlp.learners.head_checkpoint import FittedLayer, read_layer
from dal_nlp.learners.layers import Standard
from dal_nlp.learners.linear import Linear, Offset, strength
from dal_nlp.learners.soft_labels import LABEL_WEIGHT
from dal_nlp.models.vectors import Array

#: The weight of a witness before any label. Any of 1 to 3 does as well; from 0, few labels do not raise it in time.
TRUST = 2.0
#: Texts of the pool on which it is seen how strong a student's labels are.
VALIDATED = 600
#: Labels from which on a witness may be left out, and by how many standard errors it must do harm.
GUARD_FROM, CLEARLY = 20, 2.0
#: Labels from which on a witness may have a table of its answers.
TABLE_FROM = 100
#: Files of the layer that is read together with what witnesses say, and of their weights.
KEPT, WITNESSES = "kept.safetensors", "witnesses.json"


@dataclass(frozen=True)
class Witness:
    """What a machine says of texts, as logits with a mean of 0 for each label and a deviation of 1 over the pool.

    Attributes:
        name: What the report calls it.
        centre: (C,) what is subtracted from its log-probabilities, themselves less their mean over the labels.
        scale: What they are divided by then.
        mean: Of the Gaussian prior of its weight.
    """

    name: str
    centre: Floats
    scale: float
    mean: float = TRUST

    @classmethod
    def over(cls, name: str, pool: Floats, mean: float = TRUST) -> "Witness":
        """Return a witness by its log-probabilities of the pool (N, C); rows of NaN are texts without an answer."""
        answered = pool[~np.isnan(pool).any(1)]
        if not len(answered):
            return cls(name, np.zeros(pool.shape[1]), 1.0, mean)
        relative = answered - answered.mean(1, keepdims=True)
        centre = relative.mean(0)
        return cls(name, centre, float((relative - centre).std()) or 1.0, mean)

    def logits(self, scores: Floats) -> Array:
        """Return its logits of texts by its log-probabilities (n, C); 0 where it did not answer."""
        relative = scores - scores.mean(1, keepdims=True)
        return np.asarray(np.nan_to_num((relative - self.centre) / self.scale, nan=0.0), dtype=np.float32)

    def answers(self, logits: Array) -> NDArray[np.int64]:
        """Return the label (n,) that it gave each text, by its logits; -1 where it gave none."""
        return np.where(logits.any(1), (logits * self.scale + self.centre).argmax(1), -1)

    def added(self, logits: Array, weight: float, table: Floats | None) -> Array:
        """Return what it adds to the logits of texts, (n, C), by its own, its weight and a table; see ``Weighing``."""
        total = weight * logits
        if table is not None:
            total = total + one_hot(self.answers(logits), logits.shape[1]) @ table.T
        return np.asarray(total, dtype=np.float32)


@dataclass(frozen=True)
class Weighing:
    """A layer, and what offsets count beside it.

    Attributes:
        layer: Without the offsets.
        weights: (S,) of the offsets.
        off: Which of them were left out.
        tables: By offset (C, C), where cross-validation wants one: logits (rows) that are added for an answer.
    """

    layer: Linear
    weights: Floats
    off: Sequence[int]
    tables: Mapping[int, Floats]


@dataclass(frozen=True)
class _Problem:
    """Labels that a layer is fitted to, with offsets and the answers (n,) of those that are machines."""

    setting: FitSetting
    x: Array
    y: NDArray[np.int64]
    weights: NDArray[np.float64]
    classes: int
    offsets: Sequence[Offset]
    answers: Mapping[int, NDArray[np.int64]]

    def _with_tables(self, tables: Sequence[int]) -> tuple[FitSetting, Array]:
        """Return setting and features with a column for each answer of some machines.

        A number of a table has a Gaussian prior with mean 0 that is worth one label, as that of an offset's weight.
        """
        wide, setting = len(tables) * self.classes, self.setting
        if not wide:
            return setting, self.x
        rows = [one_hot(self.answers[index], self.classes) for index in tables]
        scale = np.full(wide, np.sqrt(setting.c / np.sqrt(self.weights.sum())), dtype=np.float32)
        standard = setting.standard
        wider = Standard(np.append(standard.mean, 0 * scale), np.append(standard.scale, scale))
        columns = np.append(setting.columns, np.ones(wide, dtype=bool))
        return replace(setting, columns=columns, standard=wider), np.concatenate([self.x, *rows], axis=1)

    def likelihood(self, on: Sequence[int], tables: Sequence[int], folds: NDArray[np.int64]) -> Floats:
        """Return the log-probability (n,) of each label by layers that were fitted to the other folds."""
        setting, x = self._with_tables(tables)
        offsets = [self.offsets[index] for index in on]
        p = held_out(setting, x, self.y, self.weights, self.classes, offsets, folds)
        return np.asarray(np.log(np.maximum(p[np.arange(len(self.y)), self.y], 1e-12)))

    def harmful(self, folds: NDArray[np.int64]) -> list[int]:
        """Return which machines make labels that did not train clearly less probable, one judged after the other."""
        out: list[int] = []
        for index in self.answers:
            there = [other for other in range(len(self.offsets)) if other not in out]
            losses = self.likelihood([other for other in there if other != index], [], folds)
            if _clear(losses - self.likelihood(there, [], folds)):
                out.append(index)
        return out

    def with_table(self, off: Sequence[int], folds: NDArray[np.int64]) -> list[int]:
        """Return of which machines a table makes such labels clearly more probable, left out before or not."""
        chosen: list[int] = []
        on = [index for index in range(len(self.offsets)) if index not in off]
        before = self.likelihood(on, [], folds)
        for index in self.answers:
            there = sorted({*on, index})
            after = self.likelihood(there, [*chosen, index], folds)
            if _clear(after - before):
                chosen.append(index)
                on, before = there, after
        return chosen

    def fit(self, off: Sequence[int], tables: Sequence[int]) -> Weighing:
        """Fit all labels."""
        on = [index for index in range(len(self.offsets)) if index not in off]
        setting, x = self._with_tables(tables)
        fitted = fit_with(setting, x, self.y, self.weights, self.classes, [self.offsets[index] for index in on])
        betas, width = np.zeros(len(self.offsets)), self.x.shape[1]
        betas[on] = fitted.offset_weights
        parts = np.split(fitted.weight[:, width:].astype(np.float64), len(tables) or 1, axis=1)
        return Weighing(
            replace(fitted, weight=fitted.weight[:, :width]), betas, off, dict(zip(tables, parts, strict=False))
        )


def _clear(gains: Floats) -> bool:
    """Tell whether the mean of gains is above 0 by more than its error leaves open."""
    return bool(gains.mean() > CLEARLY * gains.std(ddof=1) / np.sqrt(len(gains)))


def one_hot(answers: NDArray[np.int64], classes: int) -> Array:
    """Return answers (n,) as rows (n, C) with one 1; of zeros where there is no answer (-1)."""
    return np.asarray(answers[:, None] == np.arange(classes), dtype=np.float32)


def fit_weighing(
    setting: FitSetting,
    x: Array,
    y: NDArray[np.int64],
    weights: NDArray[np.float64],
    classes: int,
    offsets: Sequence[Offset],
    answers: Mapping[int, NDArray[np.int64]],
) -> Weighing:
    """Fit a layer and the weights of offsets; cross-validation leaves out machines that do clear harm.

    From ``TABLE_FROM`` labels on a machine whose mistakes are of a kind gets a table of its answers and the labels that
    they mean, where cross-validation says clearly that labels become more probable by it.

    Args:
        setting: Of the fit.
        x: (n, H).
        y: (n,).
        weights: (n,).
        classes: C.
        offsets: All S.
        answers: Those of them that are machines, each with its answers (n,); -1 where it gave none.
    """
    problem = _Problem(setting, x, y, weights, classes, offsets, answers)
    off: list[int] = []
    tables: list[int] = []
    if len(y) >= GUARD_FROM:
        folds = deal(y, rng_for(0, len(y), "guard"))
        off = problem.harmful(folds)
        if len(y) >= TABLE_FROM:
            tables = problem.with_table(off, folds)
    return problem.fit([index for index in off if index not in tables], tables)


def weigh(witnesses: Sequence[Witness], logits: Sequence[Array], y: NDArray[np.int64], classes: int) -> Weighing:
    """Return what witnesses count, by their logits (n, C) of labeled texts alone."""
    none = np.zeros(0, dtype=np.float32)
    setting = FitSetting(none.astype(bool), Standard(none, none), strength(classes), layers=0)
    offsets = [Offset(of, one.mean) for of, one in zip(logits, witnesses, strict=True)]
    heard = {index: one.answers(logits[index]) for index, one in enumerate(witnesses)}
    return fit_weighing(setting, np.zeros((len(y), 0), dtype=np.float32), y, np.ones(len(y)), classes, offsets, heard)


def fit_student(
    candidates: Sequence[FitSetting],
    pool: Array,
    shares: Floats,
    x: Array,
    y: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> Linear:
    """Fit a layer to what the pool is given, each text's most probable label by its probability, and to the labels.

    Answers that follow from the texts may count more than those of which a layer learns the mistakes: how strong they
    are is what foretells answers that did not train, see ``choose_setting``.

    Args:
        candidates: How it may be fitted; the first is the rule.
        pool: (N, H) of texts without a label.
        shares: (N, C) their probabilities.
        x: (n, H) of the labeled texts.
        y: (n,).
        weights: (n,) of the labels, which count ``LABEL_WEIGHT`` times that.
    """
    labels = np.concatenate([shares.argmax(1), y])
    counts = np.concatenate([shares.max(1), LABEL_WEIGHT * weights])
    read, classes, setting = np.concatenate([pool, x]), shares.shape[1], candidates[0]
    if len(candidates) > 1:
        some = rng_for(0, len(labels), "student").permutation(len(labels))[:VALIDATED]
        folds = rng_for(0, len(labels), "student folds")
        setting = choose_setting(candidates, read[some], labels[some], counts[some], classes, (), folds)
    return fit_with(setting, read, labels, counts, classes, [])


@dataclass(frozen=True)
class KeptLayer:
    """A layer, and what witnesses say beside it.

    Attributes:
        layer: Without the witnesses.
        witnesses: That were heard.
        weights: Of their logits, 0 for one that was left out.
        tables: By the index of a witness; see ``Weighing``.
    """

    layer: FittedLayer
    witnesses: Sequence[Witness]
    weights: Sequence[float]
    tables: Mapping[int, Floats] = field(default_factory=dict)

    def added(self, index: int, logits: Array) -> Array:
        """Return what a witness adds to the logits of texts, (n, C), by its own."""
        return self.witnesses[index].added(logits, self.weights[index], self.tables.get(index))

    def save(self, folder: Path) -> None:
        """Write it into a folder."""
        self.layer.save(folder, KEPT)
        rows = [
            {
                **asdict(one),
                "centre": one.centre.tolist(),
                "weight": float(self.weights[index]),
                "table": self.tables[index].tolist() if index in self.tables else None,
            }
            for index, one in enumerate(self.witnesses)
        ]
        (folder / WITNESSES).write_text(json.dumps(rows), encoding="utf-8")


def read_kept(folder: Path) -> KeptLayer:
    """Return the layer with witnesses of a checkpoint, or of ``model/``; older ones have no tables."""
    rows = json.loads((folder / WITNESSES).read_text(encoding="utf-8"))
    heard = [Witness(row["name"], np.array(row["centre"]), row["scale"], row["mean"]) for row in rows]
    tables = {index: np.array(row["table"]) for index, row in enumerate(rows) if row.get("table")}
    return KeptLayer(read_layer(folder, KEPT), heard, [row["weight"] for row in rows], tables)
