"""What is known of the labels before any text is labelled: scores of texts by descriptions of the labels.

Letters: N texts of the pool, H numbers of an embedding, C labels.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dal_nlp.models.vectors import Array

Floats = NDArray[np.float64]

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


def scaled(scores: Floats) -> Floats:
    """Return scores (N, C) with a mean of 0 for each label and a deviation of 1 over all; all-equal ones give 0."""
    centred = scores - scores.mean(0)
    deviation = centred.std()
    return np.asarray(centred / deviation if deviation > 0 else centred)


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
