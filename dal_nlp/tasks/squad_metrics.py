"""How well a short answer agrees with the known ones: exact match and token F1, as SQuAD is scored.

The rules are those of its two evaluation scripts (Rajpurkar et al., 2016, section 6.1; Rajpurkar et al., 2018). Where
the two differ, the functions follow the later one and say so. Scores are between 0 and 1.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dal_nlp.core.targets import Target

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_SAME = 1e-6  # sums of n scores that differ by less are equal, but for rounding (some scores come in 32 bits)


def normalise_answer(text: str) -> str:
    """Return a text in lower case, without ASCII punctuation and English articles, its words one blank apart.

    Punctuation goes before articles do, and leaves no gap: "U.S." becomes "us", and "the-end" becomes "theend".
    """
    return " ".join(_ARTICLE.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(prediction: str, golds: Sequence[str]) -> float:
    """Return 1 where the prediction is one of the known answers after normalisation, else 0."""
    wanted = normalise_answer(prediction)
    return float(any(normalise_answer(gold) == wanted for gold in golds))


def token_f1(a: str, b: str) -> float:
    """Return 2 x shared words / words of both, of the normalised texts; a repeated word is shared as often as in both.

    Where either text has no word left the score is 1 if both have none, else 0. The script of SQuAD 1.1 gives 0 there
    in any case.
    """
    left, right = normalise_answer(a).split(), normalise_answer(b).split()
    if not left or not right:
        return float(left == right)
    shared = sum((Counter(left) & Counter(right)).values())
    return 2 * shared / (len(left) + len(right))


def known_answers(target: Target) -> list[str]:
    """Return the texts that a prediction is compared with; "" stands for no answer.

    A known answer of which normalisation leaves nothing does not count, unless there is no other: then it is "".
    """
    return [text for text in target["text"] if normalise_answer(text)] or [""]


def answer_scores(predictions: Sequence[Target], targets: Sequence[Target]) -> tuple[list[float], list[float]]:
    """Return the exact match and the token F1 of each prediction, at the known answer that suits it best.

    Args:
        predictions: {"text": [...], ...}; the first text is what the model says, and none means no answer.
        targets: {"text": [...], ...}, the known answers; none means that there is no answer.
    """
    exact, f1 = [], []
    for prediction, target in zip(predictions, targets, strict=True):
        text, golds = next(iter(prediction["text"]), ""), known_answers(target)
        exact.append(exact_match(text, golds))
        f1.append(max(token_f1(text, gold) for gold in golds))
    return exact, f1


def squad_format(
    predictions: Sequence[Target], targets: Sequence[Target]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return answers and gold answers, N of each, as the scripts of SQuAD 1.1 and 2.0 have them."""
    answers = [
        {
            "id": str(i),
            "prediction_text": target["text"][0] if target["text"] else "",
            "no_answer_probability": 0.0 if target["text"] else 1.0,
        }
        for i, target in enumerate(predictions)
    ]
    return answers, [{"id": str(i), "answers": dict(target)} for i, target in enumerate(targets)]


def best_threshold(scores_null_minus_best: ArrayLike, f1_of_answer: ArrayLike, is_answerable: ArrayLike) -> float:
    """Return the threshold t with the highest mean F1 when "no answer" is given where the score is above t.

    The candidates are 0, every finite score, and one below all of them. Of several that are best it is the one
    nearest to 0 (of t and -t, -t). O(n log n).

    Args:
        scores_null_minus_best: (n,) how much more the model believes in no answer than in its best answer. An infinite
            one is on the same side of every threshold.
        f1_of_answer: (n,) F1 of that best answer.
        is_answerable: (n,) whether there is an answer; giving none then has F1 = 0, and else 1.

    Raises:
        ValueError: A number is NaN, or the three differ in length.
    """
    scores, f1 = np.asarray(scores_null_minus_best, np.float64), np.asarray(f1_of_answer, np.float64)
    none = 1.0 - np.asarray(is_answerable, np.float64)
    if not scores.shape == f1.shape == none.shape:
        raise ValueError(f"{scores.shape} scores, {f1.shape} F1 values and {none.shape} answers do not belong together")
    if np.isnan(scores).any() or np.isnan(f1).any():
        raise ValueError("a score or an F1 value is NaN")
    finite = np.flatnonzero(np.isfinite(scores))
    order = finite[np.argsort(scores[finite])]
    ranked = scores[order]
    candidates = np.concatenate([[0.0], ranked, ranked[:1] - 1.0])
    answered = np.searchsorted(ranked, candidates, side="right")
    # Against never answering, what is gained by answering the first 0..n examples.
    gains = np.concatenate([[0.0], np.cumsum(f1[order] - none[order])])[answered]
    best = candidates[gains >= gains.max() - _SAME]
    return float(best[np.lexsort((best, np.abs(best)))[0]])


def by_answerable(predictions: Sequence[Target], targets: Sequence[Target]) -> list[dict[str, Any]]:
    """Return count, exact matches and F1 of questions with an answer (HasAns) and without (NoAns)."""
    rows = []
    for name, kind in (("HasAns", True), ("NoAns", False)):
        mine = [i for i, target in enumerate(targets) if bool(target["text"]) == kind]
        if mine:
            exact, f1 = answer_scores([predictions[i] for i in mine], [targets[i] for i in mine])
            means = {"exact_match": float(np.mean(exact)), "f1": float(np.mean(f1))}
            rows.append({"kind of question": name, "count": len(mine), **means})
    return rows
