"""Answers compared word by word, and every threshold tried on every example."""

import math


def token_f1(a, b):
    """F1 of two lists of words: each word of a takes away one equal word of b."""
    if not a or not b:
        return float(a == b)
    left, shared = list(b), 0
    for word in a:
        if word in left:
            left.remove(word)
            shared += 1
    if shared == 0:
        return 0.0
    precision, recall = shared / len(a), shared / len(b)
    return 2 * precision * recall / (precision + recall)


def mean_f1(t, scores, f1, answerable):
    """The mean F1 where no answer is given above a threshold."""
    values = [
        float(not there) if score > t else value for score, value, there in zip(scores, f1, answerable, strict=True)
    ]
    return math.fsum(values) / len(values)


def best_threshold(scores, f1, answerable):
    """The best of 0, all finite scores and one below them; of equally good ones that nearest to 0, then the lower."""
    finite = [score for score in scores if math.isfinite(score)]
    candidates = [0.0, *finite, *([min(finite) - 1] if finite else [])]
    if not scores:
        return 0.0
    best = max(mean_f1(t, scores, f1, answerable) for t in candidates)
    good = [t for t in candidates if mean_f1(t, scores, f1, answerable) > best - 1e-6 / len(scores)]
    return min(good, key=lambda t: (abs(t), t))
