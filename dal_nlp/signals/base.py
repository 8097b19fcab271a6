"""The seam of machine-made answers: a signal says of texts how probable each label is, or that it has no answer.

Letters: N texts, C labels.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dal_nlp.core.config import LanguageModelSection
from dal_nlp.core.progress import Progress, Silent
from dal_nlp.learners.prior import words_of

#: Confidence that is believed of an answer that states none, and the least and the most that is believed of any.
CONFIDENCE, LEAST, MOST = 0.8, 0.02, 0.98


@dataclass(frozen=True)
class MachineAnswer:
    """What a signal says of one text.

    Attributes:
        log_probs: Of each label, on any scale that is the same for all labels; where ``raw`` is the answer, in words,
            one number, its log-probability; None is "no answer".
        raw: What was answered, as it came.
        tokens_in: Tokens that were read for it, as far as somebody counts them.
        tokens_out: Tokens that were written for it.
        cost: Money.
        asked: Whether it was: what failed, or was left out, is asked by the next start.
    """

    log_probs: tuple[float, ...] | None
    raw: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    asked: bool = True


@dataclass(frozen=True)
class LabelSet:
    """The label set as machines are told of it.

    Attributes:
        names: In the order of the outputs.
        descriptions: Sentences by label, as far as there are any.
        words: What stands for a label in a prompt, where that is not its name in words.
    """

    names: Sequence[str]
    descriptions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)

    @property
    def spoken(self) -> list[str]:
        """The words of each label, in the order of the outputs."""
        return [self.words.get(name) or words_of(name) or name for name in self.names]


@dataclass(frozen=True)
class Making:
    """What a signal is made from.

    Attributes:
        target: What stands after the kind: a file, a folder, a name.
        options: What stands after that, KEY=VALUE.
        labels: Of the run.
        llm: How language models are asked.
        progress: Where it is shown that something is loaded or left out.
        guidelines: What people and language models are told of the task, "" for nothing.
    """

    target: str
    options: Mapping[str, str]
    labels: LabelSet
    llm: LanguageModelSection = field(default_factory=LanguageModelSection)
    progress: Progress = field(default_factory=Silent)
    guidelines: str = ""


class Signal(ABC):
    """A source of machine-made answers. It is deterministic as far as it can be, and knows no task.

    Args:
        making: See ``Making``.
    """

    #: Texts that it is asked about at once.
    chunk = 256
    #: Answers that are written down together. What costs money is written down one by one.
    together: ClassVar[int] = 256
    #: Whether its answers are kept for other starts, by the texts; what is looked up by id, at no cost, is not.
    kept: ClassVar[bool] = True
    #: Money that it has cost so far, where it costs any.
    spent = 0.0

    def __init__(self, making: Making) -> None:
        self._making, self._labels, self._progress = making, making.labels, making.progress
        self._told = set[str]()

    @property
    @abstractmethod
    def key(self) -> str:
        """What the answer to a text depends on: two signals of one key give the same answers."""

    @abstractmethod
    def answers(self, texts: Sequence[str], ids: Sequence[str]) -> Iterator[MachineAnswer]:
        """Yield the answer to each text, in their order; a file of answers may find them by the ids."""

    def remarks(self) -> list[str]:
        """Return what a user should know of what was answered so far, in sentences."""
        return []

    def news(self) -> list[str]:
        """Return the remarks that it has not returned before: many answers may be asked for one after the other."""
        remarks = [remark for remark in self.remarks() if remark not in self._told]
        self._told.update(remarks)
        return remarks

    def shown(self, text: str) -> str:
        """Return what is asked of a text, for people to read."""
        return f"It is asked nothing in words: its answers come from {self._making.target}."


def log_odds(label: int, confidence: float | None, classes: int) -> tuple[float, ...]:
    """Return the log-probabilities (C,) of an answer: its confidence, and the rest shared by the other labels."""
    p = min(max(CONFIDENCE if confidence is None else confidence, LEAST), MOST)
    rest = np.log((1 - p) / max(classes - 1, 1))
    return tuple(float(np.log(p)) if k == label else float(rest) for k in range(classes))


def log_softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return scores (..., C) as log-probabilities."""
    shifted = scores - scores.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))
