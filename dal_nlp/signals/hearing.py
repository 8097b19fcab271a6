"""A classifier of the user's own beside machines: what they say of a text is added to its logits.

Letters: N texts to choose from, n labeled ones, C labels, R rows of a batch.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor, nn

from dal_nlp.core.config import Settings
from dal_nlp.core.errors import Unsupported
from dal_nlp.core.progress import Progress, Silent
from dal_nlp.core.task import Capability, Task
from dal_nlp.core.text import counted
from dal_nlp.learners.distillation import Floats
from dal_nlp.models.auxiliary import AuxiliaryModels
from dal_nlp.models.vectors import Array
from dal_nlp.signals import make_signals, mean_of, short_name
from dal_nlp.signals.asking import as_scores, ask_once, open_answers, texts_of
from dal_nlp.signals.witness import TRUST, Witness, weigh


class Hearing(nn.Module):
    """A classifier to whose logits is added what machines say of the text.

    A text is known by its tokens; texts that are the same to the model get the mean of what is said of them.

    Args:
        model: The classifier.
        logits: Reads its result.
        texts: (N,) the tokens of texts.
        added: (N, C) what is added for each.
    """

    def __init__(
        self, model: nn.Module, logits: Callable[[Any], Tensor], texts: Sequence[Sequence[int]], added: Array
    ) -> None:
        super().__init__()
        self.model, self._logits = model, logits
        self.config: Any = model.config
        self.training = model.training  # in whose mode both are left
        indices: dict[bytes, list[int]] = {}
        for index, tokens in enumerate(texts):
            indices.setdefault(_key(np.asarray(tokens)), []).append(index)
        self._said = {key: torch.from_numpy(added[where].mean(0)) for key, where in indices.items()}

    def forward(self, input_ids: Tensor, **rest: Any) -> dict[str, Any]:
        """Return what the classifier gives, with other logits."""
        output = self.model(input_ids=input_ids, **rest)
        ids, mask = input_ids.cpu().numpy(), rest.get("attention_mask")
        own = np.ones_like(ids, dtype=bool) if mask is None else mask.cpu().numpy().astype(bool)
        logits = self._logits(output)
        added = torch.stack([self._said[_key(row[there])] for row, there in zip(ids, own, strict=True)])
        return {**output, "logits": logits + added.to(logits)}


class TextAlone(AuxiliaryModels):
    """The classifier without the machines, for strategies that compare the two."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model

    def text_model(self) -> nn.Module:
        """Return the classifier."""
        return self._model


def hear_machines(
    config: Settings,
    task: Task,
    model: nn.Module,
    pool: Dataset,
    known: Dataset | None,
    answers: Sequence[Any],
    seen: Progress | None = None,
) -> tuple[Hearing, list[str]]:
    """Ask machines about texts; return a classifier that hears them, and what should be known of it, in sentences.

    What machines count is fitted to the labels there are, by what they say alone: the classifier has probably trained
    on these labels, so that beside it they tell nothing. The prior is that of a run.

    Args:
        config: With the signals.
        task: Of the classifier.
        model: The classifier.
        pool: N encoded texts to choose from.
        known: n encoded texts with labels; None for none.
        answers: (n,) their labels.
        seen: Where it is shown.

    Raises:
        Unsupported: The task gives a text several answers, or one that is no label.
    """
    if Capability.SHARED_OUTCOMES not in task.capabilities:
        raise Unsupported("signals are for classifiers of one label a text: leave them out.")
    progress, sets = seen or Silent(), [pool, *([] if known is None else [known])]
    texts = [text for data in sets for text in texts_of(task, data)]
    tokens = [row for data in sets for row in data["input_ids"]]
    labels, cache, notes = list(map(str, task.labels)), open_answers(config), list[str]()
    witnesses, logits = [], []
    for spec, signal in make_signals(config, labels, progress).items():
        name, mean = short_name(spec), mean_of(spec)
        scores = as_scores(ask_once(signal, cache, texts, [""] * len(texts), progress, name), len(labels))
        witness = Witness.over(name, scores[: len(pool)], TRUST if mean is None else mean)
        silent = int(np.isnan(scores[: len(pool)]).any(1).sum())
        notes += [f"{name} has no answer to {counted(silent, 'text')}."] if silent else []
        notes += signal.remarks()
        witnesses.append(witness)
        logits.append(witness.logits(scores))
    weights, off, tables = np.array([one.mean for one in witnesses]), list[int](), dict[int, Floats]()
    if answers:
        y = np.array([labels.index(str(answer)) for answer in answers], dtype=np.int64)
        weighing = weigh(witnesses, [of[len(pool) :] for of in logits], y, len(labels))
        weights, off, tables = weighing.weights, list(weighing.off), dict(weighing.tables)
    notes.append(_weights_line(witnesses, weights, off, tables, len(answers)))
    parts = zip(witnesses, logits, weights.tolist(), strict=True)
    added = [one.added(of, weight, tables.get(index)) for index, (one, of, weight) in enumerate(parts)]
    return Hearing(model, task.logits, tokens, np.asarray(sum(added), dtype=np.float32)), notes


def _weights_line(
    witnesses: Sequence[Witness], weights: Floats, off: Sequence[int], tables: Mapping[int, Floats], n: int
) -> str:
    parts = [
        f"{one.name} {'is left out' if index in off else f'counts {weights[index]:.2f}'}"
        + (" and has a table of what its answers mean" if index in tables else "")
        for index, one in enumerate(witnesses)
    ]
    return f"{', '.join(parts)}, by {counted(n, 'label')}."


def _key(tokens: NDArray[Any]) -> bytes:
    return tokens.astype(np.int64).tobytes()
