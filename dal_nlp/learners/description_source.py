"""Descriptions of a run's labels as a source: what they are, and how well each suits the texts of the pool."""

from collections.abc import Mapping, Sequence

import numpy as np
from datasets import Dataset

from dal_nlp.core.task import Task
from dal_nlp.core.text import counted
from dal_nlp.learners.distillation import Source
from dal_nlp.learners.feature_cache import Features
from dal_nlp.learners.prior import label_directions, names_that_speak, words_of, zero_shot_scores
from dal_nlp.models.vectors import Array


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
        if self._without:
            few = ", ".join(self._without[:3])
            return [f"{counted(len(self._without), 'label')} without a description ({few}): the name stands for it."]
        return []

    def add_to(self, features: Features) -> None:
        """Have the encoder read the sentences, as texts of their own."""
        flat = [self._task.fields(sentence) for group in self._sentences for sentence in group]
        encoded = self._task.encode({name: [fields[name] for fields in flat] for name in flat[0]})
        columns = sorted(set(encoded) - {"length", "rows"})
        first = features.add(Dataset.from_dict(dict(encoded)), columns)
        self._places = np.arange(first, first + len(flat))
        self._features = features

    def source(self, embeddings: Array) -> Source:
        """Return what they say of texts with some embeddings (N, H) of the last layer."""
        self._features.require(self._places)
        read = self._features.rows(self._places)[:, -1]
        ends = np.cumsum([len(group) for group in self._sentences])[:-1]
        return Source(self.name, zero_shot_scores(embeddings, label_directions(np.split(read, ends))))
