"""What is known of the labels before any text is labeled: scores of texts by descriptions of the labels.

Letters: N texts of the pool, H numbers of an embedding, C labels.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from dal_nlp.core.task import Task
from dal_nlp.core.text import counted
from dal_nlp.data.text_windows import SIZES
from dal_nlp.learners.distillation import Floats, MachineSource, scaled
from dal_nlp.learners.feature_cache import Features
from dal_nlp.models.vectors import Array

#: Letters that a word of a label's name must have to say anything.
LETTERS = 3


def unit_rows(x: NDArray[np.floating[Any]]) -> Floats:
    """Return the rows of x scaled to length one; rows of zeros stay."""
    rows = x.astype(np.float64)
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1))


def label_directions(sentences: Sequence[Array]) -> Floats:
    """Return a direction for each label, (C, H): the mean of its sentences' unit embeddings, less that of all labels.

    Args:
        sentences: For each label the embeddings (m, H) of what describes it, m >= 1.
    """
    means = np.stack([unit_rows(embeddings).mean(0) for embeddings in sentences])
    return unit_rows(means - means.mean(0))


def zero_shot_scores(embeddings: Array, directions: Floats) -> Floats:
    """Return how well each label suits each text, (N, C): cosines between what sets the text and the label apart.

    A label's mean over the texts is subtracted from its scores, and all are divided by one number, their deviation.

    Args:
        embeddings: (N, H) of the last layer.
        directions: See ``label_directions``.
    """
    directed = unit_rows(embeddings)
    return scaled(unit_rows(directed - directed.mean(0)) @ directions.T)


def neighbour_agreement(scores: Floats, embeddings: Array, neighbours: int = 5) -> float:
    """Return how far near texts get the same label beyond chance: Cohen's kappa of a text and its neighbours.

    It tells without a label how well an encoder and descriptions go together: where meanings lie apart, a text's
    neighbours mean the same. 0 where one label is all that the scores give.

    Args:
        scores: (N, C) of labels for N texts.
        embeddings: (N, H) of the same texts; cosines after centring say what is near.
        neighbours: How many nearest texts each is compared with, at most N - 1.
    """
    labels = scores.argmax(1)
    x = unit_rows(embeddings - embeddings.mean(0))
    near = x @ x.T
    np.fill_diagonal(near, -np.inf)
    nearest = np.argsort(-near, axis=1, kind="stable")[:, : min(neighbours, len(x) - 1)]
    observed = float((labels[nearest] == labels[:, None]).mean())
    chance = float(((np.bincount(labels) / len(labels)) ** 2).sum())
    return (observed - chance) / (1 - chance) if chance < 1 else 0.0


def words_of(name: str) -> str:
    """Return a label's name as words: "creditCard_lost" is "credit Card lost"."""
    return " ".join(re.sub(r"(?<=[a-z])(?=[A-Z])|[\W_]+", " ", name).split())


def names_that_speak(names: Sequence[str], pieces: Sequence[Sequence[str]]) -> bool:
    """Tell whether at least half of the labels have a name with a word that the tokenizer knows as a whole.

    Args:
        names: As ``words_of`` gives them.
        pieces: How it cuts each name.
    """
    return sum(map(_speaks, names, pieces)) * 2 >= len(names)


def _speaks(name: str, pieces: Sequence[str]) -> bool:
    """Tell whether a word of the name is one of the pieces into which the tokenizer cuts it."""
    whole = {piece.strip("▁Ġ ").casefold() for piece in pieces}
    words = [word.casefold() for word in name.split() if len(word) >= LETTERS and word.isalpha()]
    return any(word in whole for word in words)


class DescriptionSource:
    """The descriptions of the labels; of a label without one, its name in words.

    Args:
        task: With the labels of the run, and a tokenizer.
        descriptions: Sentences by label; None or {} where there are none.

    Attributes:
        name: What the report calls it; "" where nothing is known of the labels.
    """

    def __init__(self, task: Task, descriptions: Mapping[str, Sequence[str]] | None) -> None:
        self._task, described = task, descriptions or {}
        names = [words_of(str(label)) for label in task.labels]
        speaking = names_that_speak(names, [task.tokenizer.tokenize(name) for name in names])
        self.name = "descriptions" if described else "names" if speaking else ""
        self._sentences = [
            list(described.get(str(label), [name])) for label, name in zip(task.labels, names, strict=True)
        ]
        self._without = [str(label) for label in task.labels if described and str(label) not in described]

    def remarks(self) -> list[str]:
        """Return what a user should know of it, in sentences."""
        if not self.name:
            return [
                "The names of the labels say nothing to the encoder, so the layer starts from nothing: describe them, "
                "a sentence each, under labels in the configuration or with --describe FILE."
            ]
        if self.name == "names":
            return [
                "The names of the labels stand for descriptions of them; a sentence or two on each, with --describe "
                "FILE or under labels in the configuration, tell more and save labels."
            ]
        if self._without:
            few = ", ".join(self._without[:3])
            return [f"{counted(len(self._without), 'label')} without a description ({few}): the name stands for it."]
        return []

    def add_to(self, features: Features) -> None:
        """Have the encoder read the sentences, as texts of their own."""
        flat = [self._task.fields(sentence) for group in self._sentences for sentence in group]
        encoded = self._task.encode({name: [fields[name] for fields in flat] for name in flat[0]})
        columns = sorted(set(encoded) - SIZES)
        first = features.add(Dataset.from_dict(dict(encoded)), columns)
        self._places = np.arange(first, first + len(flat))
        self._features = features

    def source(self, embeddings: Array) -> MachineSource:
        """Return what they say of texts with some embeddings (N, H) of the last layer."""
        self._features.require(self._places)
        read = self._features.rows(self._places)[:, -1]
        ends = np.cumsum([len(group) for group in self._sentences])[:-1]
        return MachineSource(self.name, zero_shot_scores(embeddings, label_directions(np.split(read, ends))))
