"""A language model behind an OpenAI-compatible endpoint as a signal.

Letters of the labels are asked for, with the probabilities of the first token. An endpoint that gives none is asked
several times, with the labels in other orders, for one of them: as a choice, as JSON of a schema, or in words.
"""

import json
import math
import string
import threading
from abc import abstractmethod
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np

from dal_nlp.core.errors import UserError
from dal_nlp.core.text import counted
from dal_nlp.signals.base import MachineAnswer, Making, Signal
from dal_nlp.signals.client import Client, Misunderstood, Reply
from dal_nlp.signals.matching import match, plain
from dal_nlp.signals.prompt import Prompt

#: Most candidates for a token that endpoints give.
MOST_LETTERS = 20
#: Tokens that a reply may have where it is a label, and more where it is one in JSON.
ROOM, MORE = 24, 16
#: What is added to the votes for each label.
SMOOTHING = 0.5
#: How it is asked, in the order in which that is tried.
LETTERS, CHOICE, SCHEMA, PLAIN = "letters", "choice", "schema", "plain"


def schema(labels: Sequence[str]) -> dict[str, Any]:
    """Return the ``response_format`` of an object with one of some labels, and nothing else."""
    of = {"type": "object", "properties": {"label": {"type": "string", "enum": list(labels)}}}
    whole = {**of, "required": ["label"], "additionalProperties": False}
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": whole}}


def in_schema(reply: str) -> str:
    """Return the label in a reply of ``schema``; the reply itself where it is something else."""
    try:
        parsed = json.loads(reply)
    except ValueError:
        return reply
    return str(parsed["label"]) if isinstance(parsed, dict) and "label" in parsed else reply


class Remote(Signal):
    """A language model behind an endpoint, which is asked about several texts at a time, as far as the money lasts.

    Args:
        making: Its target is the model, if ``llm.model`` is not; ``llm`` says the rest.
        mode: How it is asked first.

    Raises:
        UserError: See ``Client``.
    """

    chunk = 32
    together: ClassVar[int] = 1
    #: What comes after a way to ask that the endpoint does not take.
    following: ClassVar[Mapping[str, str]]
    #: What an answer that is of no use is said to be.
    strange: ClassVar[str]
    #: Tokens that an answer may have, where one that has more is cut.
    longest: ClassVar[int] = 0
    #: Tokens that it writes about a text, as far as that is known before.
    writes: ClassVar[int] = 1

    def __init__(self, making: Making, mode: str) -> None:
        super().__init__(making)
        self._llm, self.client = making.llm, Client(making.llm)
        self._model = making.llm.model or making.target
        self._first = self._mode = mode
        self._lock, self._failed, self._strange, self._left, self._cut = threading.Condition(), 0, 0, 0, 0
        self._asking, self._dearest, self.spent = 0, math.inf, 0.0

    @abstractmethod
    def _by(self, mode: str, text: str) -> MachineAnswer | None:
        """Ask about a text in one way; None where the endpoint has not enough to say when it is asked so."""

    def answers(self, texts: Sequence[str], ids: Sequence[str]) -> Iterator[MachineAnswer]:
        """Yield the answers; what failed, or was left for want of money, counts as not asked."""
        waiting = deque[Future[MachineAnswer]]()
        with ThreadPoolExecutor(self._llm.parallel) as workers:
            for text in texts:
                if len(waiting) == self._llm.parallel:  # no more than these are lost where everything dies
                    yield waiting.popleft().result()
                waiting.append(workers.submit(self._answer, text))
            while waiting:
                yield waiting.popleft().result()

    def remarks(self) -> list[str]:
        """Return how many questions failed, were left out or had an answer that is no label, or that was cut."""
        remarks = []
        if self._failed:
            remarks.append(
                f"{counted(self._failed, 'question')} failed {self._llm.tries} times: the same command asks again."
            )
        were = {True: "was", False: "were"}
        if self._strange:
            answers = f"{counted(self._strange, 'answer')} of {self._model}"
            remarks.append(f"{answers} {were[self._strange == 1]} {self.strange}.")
        if self._cut:
            answers = f"{counted(self._cut, 'answer')} of {self._model}"
            remarks.append(f"{answers} {were[self._cut == 1]} cut at {self.longest} tokens.")
        if self._left:
            texts, left = counted(self._left, "text"), were[self._left == 1]
            remarks.append(f"{texts} {left} not asked about: --llm-budget {self._llm.budget} is spent.")
        return remarks

    def _answer(self, text: str) -> MachineAnswer:
        budget = math.inf if self._llm.budget is None else self._llm.budget
        with self._lock:
            self._lock.wait_for(lambda: not self._asking or self._expected() < budget or budget == math.inf)
            if self.spent >= budget:
                self._left += 1
                return MachineAnswer(None, asked=False)
            self._asking += 1
        answer: MachineAnswer | None = None
        try:
            answer = self._asked(text)
        finally:
            with self._lock:
                self._asking -= 1
                if answer is not None:
                    self.spent += answer.cost
                    self._dearest = answer.cost if self._dearest == math.inf else max(self._dearest, answer.cost)
                    self._failed += not answer.asked
                    self._strange += answer.asked and answer.log_probs is None
                self._lock.notify_all()
        return answer

    def _expected(self) -> float:
        """Return what has been spent once what is asked now has cost as much as the dearest so far."""
        return self.spent + self._asking * self._dearest

    def _asked(self, text: str) -> MachineAnswer:
        """Ask about a text, in the first way that the endpoint takes."""
        while True:
            mode = self._mode
            try:
                answer = self._by(mode, text)
            except Misunderstood as error:
                if mode not in self.following:
                    raise UserError(f"The endpoint does not take the question: {error}.") from None
                answer = None
            if answer is not None:
                return answer
            with self._lock:
                if self._mode == mode:
                    self._mode = self.following[mode]

    def _note_cut(self) -> None:
        """Count an answer that was cut."""
        with self._lock:
            self._cut += 1

    def _ask(self, prompt: str, own: dict[str, Any]) -> Reply | None:
        body = {"model": self._model, "messages": [{"role": "user", "content": prompt}], "temperature": 0, **own}
        return self.client.ask(body)

    def _made(
        self, log_probs: tuple[float, ...] | None, replies: Sequence[Reply], raw: str | None = None
    ) -> MachineAnswer:
        """Return an answer with what it cost; ``raw`` in the place of the replies as they came."""
        read, wrote = sum(reply.tokens_in for reply in replies), sum(reply.tokens_out for reply in replies)
        cost = (read * self._llm.price_in + wrote * self._llm.price_out) / 1e6
        told = " | ".join(reply.text for reply in replies) if raw is None else raw
        return MachineAnswer(log_probs, told, read, wrote, cost)


class Endpoint(Remote):
    """An endpoint that is asked for the label of each text.

    Args:
        making: Its target is the model, if ``llm.model`` is not; ``llm`` says the rest.

    Raises:
        UserError: See ``Client``.
    """

    following: ClassVar[Mapping[str, str]] = {LETTERS: CHOICE, CHOICE: SCHEMA, SCHEMA: PLAIN}
    strange = "none of the labels"

    def __init__(self, making: Making) -> None:
        super().__init__(making, LETTERS if len(making.labels.names) <= MOST_LETTERS else CHOICE)
        self._prompt = Prompt(self._llm.prompt, making.guidelines, making.labels, self._llm.demonstrations)

    @property
    def key(self) -> str:
        """Model, prompt and words."""
        return "\n".join(["endpoint", self._model, self.shown("{text}"), *self._labels.spoken])

    def shown(self, text: str) -> str:
        """Return the first question, in the way that is tried first: what an answer is kept under stays so."""
        return self._lettered(text) if self._first == LETTERS else self._chosen(text, self._labels.spoken)

    def _lettered(self, text: str) -> str:
        options = "\n".join(
            f"{a}) {words}" for a, words in zip(string.ascii_uppercase, self._labels.spoken, strict=False)
        )
        return f"{self._prompt.of(text)}\n\n{options}\n\nAnswer with the letter alone."

    def _chosen(self, text: str, words: Sequence[str]) -> str:
        return f"{self._prompt.of(text)}\n\nAnswer with one of these alone: {', '.join(words)}."

    def _by(self, mode: str, text: str) -> MachineAnswer | None:
        return self._by_letter(text) if mode == LETTERS else self._by_votes(text, mode)

    def _by_letter(self, text: str) -> MachineAnswer | None:
        """Ask for a letter; None where the endpoint gives no probabilities of letters."""
        own = {"max_tokens": 1, "logprobs": True, "top_logprobs": MOST_LETTERS}
        reply = self._ask(self._lettered(text), own)
        if reply is None:
            return MachineAnswer(None, asked=False)
        if not reply.first:
            return None
        letters = string.ascii_uppercase[: len(self._labels.names)]
        floor = min(reply.first.values()) - 1
        scores = np.full(len(letters), -np.inf)
        for token, log_p in reply.first.items():
            index = letters.find(plain(token).upper() or "?")
            if index >= 0:
                scores[index] = np.logaddexp(scores[index], log_p)
        if np.isneginf(scores).all():
            return self._made(None, [reply])
        return self._made(tuple(np.where(np.isneginf(scores), floor, scores).tolist()), [reply])

    def _by_votes(self, text: str, mode: str) -> MachineAnswer:
        """Ask several times, with the labels in other orders, for one of them."""
        words, classes = self._labels.spoken, len(self._labels.names)
        replies, votes = [], Counter[int]()
        for shift in range(min(self._llm.permutations, classes)):
            order = [*words[shift * classes // self._llm.permutations :], *words][:classes]
            own: dict[str, Any] = {"max_tokens": ROOM}
            if mode == CHOICE:
                own["structured_outputs"] = {"choice": order}
            if mode == SCHEMA:
                own = {"max_tokens": ROOM + MORE, "response_format": schema(order)}
            reply = self._ask(self._chosen(text, order), own)
            if reply is None:
                continue
            replies.append(reply)
            answer = in_schema(reply.text)
            index = match(answer, words)
            if index is None:
                index = match(answer, self._labels.names)
            if index is not None:
                votes[index] += 1
        if not replies:
            return MachineAnswer(None, asked=False)
        if not votes:
            return self._made(None, replies)
        total = votes.total() + SMOOTHING * classes
        return self._made(tuple(float(np.log((votes[k] + SMOOTHING) / total)) for k in range(classes)), replies)
