"""The prompt that a language model is asked with: guidelines, what the labels mean, the text, and the question.

It may show labeled texts that stand for the others of their label. Letters: N texts of a label.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dal_nlp.core.errors import UserError
from dal_nlp.signals.base import LabelSet

#: What is asked where no prompt is given.
DEFAULT = "{about}{examples}Text: {text}\nIs this text {labels}?"
_NAMES = ("about", "examples", "labels", "text")


def listed(words: Sequence[str]) -> str:
    """Return "a, b or c"."""
    return "".join(words) if len(words) < 2 else f"{', '.join(words[:-1])} or {words[-1]}"


def about(guidelines: str, labels: LabelSet) -> str:
    """Return the guidelines and a line for each label that is described; "" where there are neither."""
    told, named = labels.descriptions, zip(labels.names, labels.spoken, strict=True)
    lines = [f"{words}: {' '.join(told[name])}" for name, words in named if name in told]
    parts = [part for part in (guidelines.strip(), "\n".join(lines)) if part]
    return "".join(f"{part}\n\n" for part in parts)


class Prompt:
    """A template with {text}, {labels} ("a, b or c"), {about} (guidelines and descriptions) and {examples}.

    Examples are the same question about texts whose answers are known, each with its answer, the labels in turn.

    Args:
        template: None or "" for the default.
        guidelines: What annotators are told; "" for nothing.
        labels: Of the run.
        shown: Texts by label that the prompt shows with their answers.

    Raises:
        UserError: A template without {text}, or with another name in braces; or texts that it has no place for.
    """

    def __init__(
        self, template: str | None, guidelines: str, labels: LabelSet, shown: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        self.template = template or DEFAULT
        names = re.findall(r"\{(\w*)\}", self.template)
        wrong = [name for name in names if name not in _NAMES]
        if wrong or "text" not in names:
            problem = f"holds {{{wrong[0]}}}" if wrong else "does not hold {text}"
            raise UserError(
                f"The prompt {problem}: it may hold {{about}}, {{examples}} and {{labels}}, and must hold {{text}}."
            )
        if shown and "examples" not in names:
            raise UserError("The prompt has no place for labeled texts: put {examples} before its question.")
        strange = [label for label in shown or {} if label not in labels.names]
        if strange:
            raise UserError(f"llm.demonstrations has texts of {strange[0]!r}, which is none of the labels.")
        self._values = {"about": "", "examples": "", "labels": listed(labels.spoken)}
        self._values["examples"] = "".join(
            f"{question}\n{words}\n\n" for question, words in self._shown(labels, shown or {})
        )
        self._values["about"] = about(guidelines, labels)

    def _shown(self, labels: LabelSet, shown: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
        """Return questions and their answers: the first text of each label, then the second, and so on."""
        of = [
            (self.of(text).strip(), words, index)
            for name, words in zip(labels.names, labels.spoken, strict=True)
            for index, text in enumerate(shown.get(name, ()))
        ]
        return [(question, words) for question, words, _ in sorted(of, key=lambda one: one[2])]

    def of(self, text: str, labels: str | None = None) -> str:
        """Return what is asked about a text; ``labels`` stands for the list of them where it is another one."""
        values = {**self._values, "text": text} | ({} if labels is None else {"labels": labels})
        return re.sub(r"\{(\w+)\}", lambda match: values[match[1]], self.template)


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
    demonstrations = {}
    for label in sorted(set(labels)):
        rows = [row for row, other in enumerate(labels) if other == label]
        own = vectors[rows]
        demonstrations[label] = [texts[rows[index]] for index in medoids((own @ own.T).toarray(), k)]
    return demonstrations
