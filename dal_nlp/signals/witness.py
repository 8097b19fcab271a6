"""Machines as witnesses: their answers are logits that enter a linear fit, each machine's with a fitted weight.

Letters: N texts of the pool, n labeled texts, H features, C labels, S offsets.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dal_nlp.core.rng import generator
from dal_nlp.learners.cross_validation import Setting, deal, fit_with, held_out
from dal_nlp.learners.distillation import Floats
from dal_nlp.learners.head_checkpoint import FittedLayer, read_layer
from dal_nlp.learners.linear import Linear, Offset
from dal_nlp.models.vectors import Array

#: The weight of a witness before any label. Any of 1 to 3 does as well; from 0, few labels do not raise it in time.
TRUST = 2.0
#: The weight of a label beside a text of the pool, whose weight is at most 1, in the fit of a student.
LABEL_WEIGHT = 2.0
#: Labels from which on a witness may be left out, and by how many standard errors it must do harm.
GUARD_FROM, CLEARLY = 20, 2.0
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


def weighed(logits: Sequence[Array], weights: Sequence[float]) -> Array:
    """Return the sum of logits (n, C), each times its weight."""
    return np.asarray(sum(weight * one for weight, one in zip(weights, logits, strict=True)), dtype=np.float32)


def harmful(
    setting: Setting,
    x: Array,
    y: NDArray[np.int64],
    weights: NDArray[np.float64],
    classes: int,
    offsets: Sequence[Offset],
    folds: NDArray[np.int64],
    judged: Sequence[int],
) -> list[int]:
    """Return which offsets make labels that did not train clearly less probable, one judged after the other.

    Args:
        setting: Of the fit.
        x: (n, H).
        y: (n,).
        weights: (n,).
        classes: C.
        offsets: All S.
        folds: (n,) see ``cross_validation.deal``.
        judged: Which of them may be left out.
    """
    out: list[int] = []

    def likelihood(kept: Sequence[int]) -> Floats:
        p = held_out(setting, x, y, weights, classes, [offsets[place] for place in kept], folds)
        return np.asarray(np.log(np.maximum(p[np.arange(len(y)), y], 1e-12)))

    for place in judged:
        there = [other for other in range(len(offsets)) if other not in out]
        losses = likelihood([other for other in there if other != place]) - likelihood(there)
        if losses.mean() > CLEARLY * losses.std(ddof=1) / np.sqrt(len(losses)):
            out.append(place)
    return out


def fit_weighing(
    setting: Setting,
    x: Array,
    y: NDArray[np.int64],
    weights: NDArray[np.float64],
    classes: int,
    offsets: Sequence[Offset],
    judged: Sequence[int],
) -> tuple[Linear, Floats, list[int]]:
    """Fit a layer and the weights of offsets, those left out that do clear harm by cross-validation.

    Args:
        setting: Of the fit.
        x: (n, H).
        y: (n,).
        weights: (n,).
        classes: C.
        offsets: All S.
        judged: Which of them may be left out.

    Returns:
        The layer without offsets, the weights of these (S,), and which were left out.
    """
    off: list[int] = []
    if len(y) >= GUARD_FROM:
        folds = deal(y, generator(0, len(y), "guard"))
        off = harmful(setting, x, y, weights, classes, offsets, folds, judged)
    on = [place for place in range(len(offsets)) if place not in off]
    found = fit_with(setting, x, y, weights, classes, [offsets[place] for place in on])
    betas = np.zeros(len(offsets))
    betas[on] = found.offset_weights
    return found, betas, off


def fit_student(
    setting: Setting, pool: Array, shares: Floats, x: Array, y: NDArray[np.int64], weights: NDArray[np.float64]
) -> Linear:
    """Fit a layer to what the pool is given, each text's most probable label by its probability, and to the labels.

    Args:
        setting: As that of the fit which gave the probabilities.
        pool: (N, H) of texts without a label.
        shares: (N, C) their probabilities.
        x: (n, H) of the labeled texts.
        y: (n,).
        weights: (n,) of the labels, which count ``LABEL_WEIGHT`` times that.
    """
    given = np.concatenate([shares.argmax(1), y])
    counts = np.concatenate([shares.max(1), LABEL_WEIGHT * weights])
    return fit_with(setting, np.concatenate([pool, x]), given, counts, shares.shape[1], [])


@dataclass(frozen=True)
class KeptLayer:
    """A layer, and what witnesses say beside it.

    Attributes:
        layer: Without the witnesses.
        witnesses: That were heard.
        weights: Of their logits, 0 for one that was left out.
    """

    layer: FittedLayer
    witnesses: Sequence[Witness]
    weights: Sequence[float]

    def save(self, folder: Path) -> None:
        """Write it into a folder."""
        self.layer.save(folder, KEPT)
        rows = [
            {**asdict(one), "centre": one.centre.tolist(), "weight": float(weight)}
            for one, weight in zip(self.witnesses, self.weights, strict=True)
        ]
        (folder / WITNESSES).write_text(json.dumps(rows), encoding="utf-8")


def read_kept(folder: Path) -> KeptLayer:
    """Return the layer with witnesses of a checkpoint, or of ``model/``."""
    rows = json.loads((folder / WITNESSES).read_text(encoding="utf-8"))
    heard = [Witness(row["name"], np.array(row["centre"]), row["scale"], row["mean"]) for row in rows]
    return KeptLayer(read_layer(folder, KEPT), heard, [row["weight"] for row in rows])
