"""Spans by enumeration, in plain Python: every window, every start, every end."""

import math

NULL = None


def owner(shift, count, i, j):
    """The window in which a span of context tokens (i, j) counts: the one that gives its start the most context."""
    best = None
    for w, (a, n) in enumerate(zip(shift, count, strict=True)):
        if a <= i and j < a + n:
            context = min(i - a, a + n - 1 - i)
            if best is None or context > best[0]:
                best = (context, w)
    return None if best is None else best[1]


def distribution(starts, ends, first, shift, count, null_at, longest, unanswerable):
    """{(i, j): p} over the spans of one question, with the key NULL for "no answer".

    starts, ends: the model's scores, one list for each window.
    """
    scores = {}
    for i in range(shift[-1] + count[-1]):
        for j in range(i, min(i + longest, shift[-1] + count[-1])):
            w = owner(shift, count, i, j)
            if w is not None:
                scores[i, j] = starts[w][first[w] + i - shift[w]] + ends[w][first[w] + j - shift[w]]
    if unanswerable:
        scores[NULL] = min(s[at] + e[at] for s, e, at in zip(starts, ends, null_at, strict=True))
    top = max(scores.values())
    total = sum(math.exp(score - top) for score in scores.values())
    return {key: math.exp(score - top) / total for key, score in scores.items()}


def disagreement(texts, p):
    """1 - sum_ab p_a p_b F1(a, b) over all pairs, outcomes of the same text not merged."""
    total = sum(p)
    agreement = 0.0
    for a, p_a in zip(texts, p, strict=True):
        for b, p_b in zip(texts, p, strict=True):
            agreement += p_a / total * p_b / total * f1(a, b)
    return 1 - agreement


def f1(a, b):
    if a == b:
        return 1.0
    left, shared = b.split(), 0
    for word in a.split():
        if word in left:
            left.remove(word)
            shared += 1
    if not shared:
        return 0.0
    precision, recall = shared / len(a.split()), shared / len(b.split())
    return 2 * precision * recall / (precision + recall)
