"""BLEU of two lists of tokens and BLEU variance, as they are defined, one n-gram at a time."""

import math


def ngrams(tokens, n):
    return [tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1)]


def bleu(hypothesis, reference):
    """Precisions of 1- to 4-grams with 0.1 for no hit, their geometric mean, and the brevity penalty."""
    if not hypothesis and not reference:
        return 1.0
    product = 1.0
    for n in (1, 2, 3, 4):
        left, hits = ngrams(reference, n), 0
        for gram in ngrams(hypothesis, n):
            if gram in left:
                left.remove(gram)
                hits += 1
        if n == 1 and hits == 0:
            return 0.0
        product *= (hits or 0.1) / max(len(hypothesis) - n + 1, 1)
    penalty = math.exp(1 - len(reference) / len(hypothesis)) if len(hypothesis) < len(reference) else 1.0
    return penalty * product**0.25


def bleu_variance(texts):
    """Mean of (1 - BLEU)^2 over the ordered pairs of different texts (lists of tokens); 0 for a pair of equal ones."""
    pairs = [(a, b) for i, a in enumerate(texts) for j, b in enumerate(texts) if i != j]
    return sum((1 - bleu(a, b)) ** 2 for a, b in pairs if a != b) / len(pairs)
