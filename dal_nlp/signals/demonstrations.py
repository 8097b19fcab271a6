"""Demonstrations of a prompt: labeled texts that stand for the others of their label.

Letters: N texts of a label.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def medoids(likeness: NDArray[np.float64], k: int) -> list[int]:
    """Return k of N positions that are, one after the other, the best addition to a set that all others are like.

    Greedy maximisation of sum_i max_j likeness_ij over the chosen j (facility location); of equals the first.

    Args:
        likeness: (N, N), at least 0.
        k: How many, or all N where these are fewer.
    """
    nearest, chosen = np.zeros(len(likeness)), list[int]()
    while len(chosen) < min(k, len(likeness)):
        gains = np.maximum(likeness, nearest[:, None]).sum(0)
        gains[chosen] = -np.inf
        chosen.append(int(gains.argmax()))
        nearest = np.maximum(nearest, likeness[:, chosen[-1]])
    return chosen


def choose_demonstrations(texts: Sequence[str], labels: Sequence[str], k: int) -> dict[str, list[str]]:
    """Return k texts of each label by label: medoids by the cosine of their TF-IDF vectors.

    Args:
        texts: That are labeled.
        labels: Of each of them.
        k: How many of a label, or as many as it has.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer  # seconds, which a run without demonstrations saves

    vectors = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\S+").fit_transform(texts)
    found = {}
    for label in sorted(set(labels)):
        rows = [row for row, other in enumerate(labels) if other == label]
        own = vectors[rows]
        found[label] = [texts[rows[place]] for place in medoids((own @ own.T).toarray(), k)]
    return found
