"""A language model behind an OpenAI-compatible endpoint that answers questions about contexts."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from dal_nlp.signals.base import CONFIDENCE, MachineAnswer, Making
from dal_nlp.signals.endpoint import Remote
from dal_nlp.signals.prompt import Prompt
from dal_nlp.span_witnesses.sources import ABOUT, OR_NONE, QUESTION, WRITTEN, parts

#: How it is asked: with the probabilities of what it writes, or without.
SURE, PLAIN = "sure", "plain"
#: Chat models explain themselves where nobody asks them not to.
_SHORT = "\n\nAnswer in as few words as you can, which you copy from the context, and write nothing else."


class WritingEndpoint(Remote):
    """An endpoint that is asked one thing about a text, in one way, and whose reply is read as a whole.

    Args:
        making: Its target is the model, if ``llm.model`` is not; ``llm`` says the rest.

    Raises:
        UserError: See ``Client``.
    """

    following: ClassVar[Mapping[str, str]] = {}
    #: What is asked where no prompt is given, and what kept replies go by.
    usual: ClassVar[str]
    kept_as: ClassVar[str]

    def __init__(self, making: Making) -> None:
        super().__init__(making, PLAIN)
        self._prompt = Prompt(making.llm.prompt or self.usual, making.guidelines, making.labels)

    @property
    def key(self) -> str:
        """Model and prompt."""
        return "\n".join([self.kept_as, self._model, self._prompt.of("{text}")])

    def shown(self, text: str) -> str:
        """Return the prompt."""
        return self._prompt.of(text)

    @abstractmethod
    def read(self, reply: str) -> tuple[float | None, str]:
        """Return the log-probability of what a reply says, None where it is of no use, and the reply as it is kept."""

    def _by(self, mode: str, text: str) -> MachineAnswer:
        reply = self._ask(self.shown(text), {"max_tokens": self.longest})
        if reply is None:
            return MachineAnswer(None, asked=False)
        if reply.cut:
            self._note_cut()
        log_p, raw = self.read(reply.text)
        return self._made(None if log_p is None else (log_p,), [reply], raw)


class AnswerEndpoint(Remote):
    """An endpoint that writes the answer; its confidence is the probability of its tokens, .8 where it gives none.

    Args:
        making: Its target is the model, if ``llm.model`` is not; a prompt of the settings ``llm`` has the context and
            the question in the place of {text}.

    Raises:
        UserError: See ``Client``.
    """

    following: ClassVar[Mapping[str, str]] = {SURE: PLAIN}
    strange = "empty"
    writes = 10
    longest = WRITTEN

    def __init__(self, making: Making) -> None:
        super().__init__(making, SURE)
        self._prompt = Prompt(making.llm.prompt or QUESTION, making.guidelines, making.labels)
        self._or_none = OR_NONE if making.labels.names else ""

    @property
    def key(self) -> str:
        """Model and prompt."""
        return "\n".join(["endpoint writes", self._model, self._prompt.of(ABOUT + self._or_none + _SHORT)])

    def shown(self, text: str) -> str:
        """Return the prompt."""
        question, context = parts(text)
        about = ABOUT.format(or_none=self._or_none, context=context, question=question)
        return self._prompt.of(about + _SHORT)

    def _by(self, mode: str, text: str) -> MachineAnswer:
        own = {"max_tokens": WRITTEN, **({"logprobs": True} if mode == SURE else {})}
        reply = self._ask(self.shown(text), own)
        if reply is None:
            return MachineAnswer(None, asked=False)
        if reply.cut and "\n" not in reply.text.strip():
            self._note_cut()
        raw = first_line(reply.text)
        sure = log_probability(reply.written) if reply.written else float(np.log(CONFIDENCE))
        return self._made((sure,) if raw else None, [reply], raw)


def first_line(text: str) -> str:
    """Return the first line of a reply that is not blank, without quotation marks around it."""
    line = text.strip().partition("\n")[0].strip()
    return line[1:-1].strip() if len(line) > 1 and line[0] + line[-1] in ('""', "''", "\u201c\u201d") else line


def log_probability(tokens: Sequence[tuple[str, float]]) -> float:
    """Return the log-probability of the first line that is not blank, and of what ends it, of tokens with theirs."""
    total, text = 0.0, ""
    for token, log_p in tokens:
        total, text = total + log_p, (text + token).lstrip()
        if "\n" in text:
            break
    return total
