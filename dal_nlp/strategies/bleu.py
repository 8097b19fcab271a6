"""BLEU of texts against each other, and how much several texts about the same thing disagree by it."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dal_nlp.core.text import words

_ORDERS = 4
_EPSILON = 0.1  # stands for a count of 0; the value of Chen and Cherry's experiments


def pairwise_bleu(texts: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Return the sentence BLEU of each text as the hypothesis against each as the only reference, (n, n) in [0, 1].

    Row i, column j is exp(min(0, 1 - |j| / |i|)) x the geometric mean of the precisions of 1- to 4-grams (Papineni et
    al., 2002, section 2). A precision without a hit has 0.1 hits (method 1 of Chen and Cherry, 2014), in a hypothesis
    too short for the order 0.1 of 1, as nltk has it: so a text of less than four tokens is not even to itself a 1
    (one token 0.18, two 0.32, three 0.56). BLEU is 0 where no token is shared; ours is that two empty texts are
    equal, 1.

    The n-grams of each text are counted once. O(n^2 x distinct n-grams) time, O(n x distinct n-grams) memory.

    Args:
        texts: n lists of tokens.
    """
    lengths = np.array([len(text) for text in texts], dtype=np.int64)  # (n,)
    log_precisions = np.zeros((len(texts), len(texts)))
    for order in range(_ORDERS, 0, -1):
        shared = _shared(texts, order)
        possible = np.maximum(lengths - order + 1, 1)[:, None]
        log_precisions += np.log(np.where(shared == 0, _EPSILON, shared) / possible)
    brevity = np.minimum(1 - lengths / np.maximum(lengths, 1)[:, None], 0)
    scores = np.where(shared == 0, 0.0, np.exp(log_precisions / _ORDERS + brevity))  # shared: single tokens by now
    empty = lengths == 0
    scores[np.ix_(empty, empty)] = 1.0
    return scores


def _shared(texts: Sequence[Sequence[str]], order: int) -> NDArray[np.int32]:
    """Return how many n-grams each two texts share, a repeated one as often as it is in both; (n, n)."""
    counters = [Counter(zip(*(text[start:] for start in range(order)), strict=False)) for text in texts]
    columns = {gram: column for column, gram in enumerate({gram: None for grams in counters for gram in grams})}
    counts = np.zeros((len(texts), len(columns)), dtype=np.int32)
    for row, grams in zip(counts, counters, strict=True):
        row[[columns[gram] for gram in grams]] = list(grams.values())
    shared = np.zeros((len(texts), len(texts)), dtype=np.int32)
    for i, row in enumerate(counts):  # all pairs at once would need n times the memory
        shared[i] = np.minimum(counts, row).sum(axis=1)
    return shared


def bleu_variance(texts: Sequence[str]) -> float:
    """Return the mean of (1 - BLEU)^2 over all ordered pairs of different texts, in [0, 1].

    0 where all are the same, 1 where no two share a token. The tokens are those of ``words``. Equal texts agree wholly
    here: BLEU itself gives one of less than four tokens less than 1 against itself (see ``pairwise_bleu``), and ten
    times the same short headline is no disagreement. The measure is that of Xiao, Gomez and Gal (2020), "Wat zei je?
    Detecting out-of-distribution translations with variational transformers"; for summaries see Gidiotis and Tsoumakas
    (2022), "Should we trust this summary? Bayesian abstractive summarization to the rescue".

    Raises:
        ValueError: There are less than two texts.
    """
    n = len(texts)
    if n < 2:
        raise ValueError(f"texts disagree with each other, and {n} is not enough for that")
    tokens = [words(text) for text in texts]
    apart = (1 - pairwise_bleu(tokens)) ** 2
    apart[[[one == other for other in tokens] for one in tokens]] = 0.0
    return float(apart.sum() / (n * (n - 1)))
