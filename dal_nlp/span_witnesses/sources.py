"""Machines that answer questions about a context: a file of answers, a language model that writes, a reader.

A text that is asked about is the question, in one line, and the context in the lines after it.

Letters: B questions of a batch.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from datasets import Dataset

from dal_nlp.core.config import DrawsConfig, ScoringConfig
from dal_nlp.core.distributed import process_state
from dal_nlp.core.text import counted
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import Pool
from dal_nlp.pretrained.loading import load_model, load_tokenizer, resolve, weights_key
from dal_nlp.signals.answer_file import COLUMNS, AnswerFile
from dal_nlp.signals.base import CONFIDENCE, MachineAnswer, Making, Signal
from dal_nlp.signals.prompt import Prompt
from dal_nlp.span_witnesses.writing import TURN, Writer
from dal_nlp.tasks.qa import ExtractiveQA

#: What a language model is asked; the text is a context and the question about it.
QUESTION = "{about}{text}"
ABOUT = "Answer the question based on the context.{or_none}\n\nContext: {context}\n\nQuestion: {question}"
OR_NONE = ' If it does not hold the answer, write "unanswerable".'
#: Most tokens of a written answer.
WRITTEN = 40
#: Tokens of a reader's window.
WINDOW = 384


def parts(text: str) -> tuple[str, str]:
    """Return question and context of a text."""
    question, _, context = text.partition("\n")
    return question, context


class WordsFile(AnswerFile):
    """A table of answers in words, each with a confidence in it."""

    def _answer(self, row_number: int, row: Mapping[str, Any]) -> MachineAnswer:
        cell, confidence = row.get(self._columns["label"]), self._confidence(row_number, row)
        raw = "" if cell is None else str(cell).strip()
        known = np.log(max(CONFIDENCE if confidence is None else confidence, 1e-9))
        return MachineAnswer((float(known),) if raw else None, raw)


class SpanFile(WordsFile):
    """A table with the answer to each id, else to each question, in words, and a confidence in it.

    Args:
        making: See ``AnswerFile``; the columns are ``id``, ``question``, ``answer`` and ``confidence`` where the
            options ``id``, ``text``, ``label`` and ``confidence`` give no other names. A question of which rows have
            two answers, about two contexts, is answered by id alone.
    """

    usual: ClassVar[Mapping[str, str]] = {**COLUMNS, "text": "question", "label": "answer"}

    def __init__(self, making: Making) -> None:
        self._told_twice: set[str] = set()
        super().__init__(making)
        for question in self._told_twice:
            del self._by_text[question]

    def _take(self, row_number: int, row: Mapping[str, Any]) -> None:
        question = self._found_by(self._text_of(row))
        before = self._by_text.get(question)
        super()._take(row_number, row)
        if before is not None and before.raw != self._by_text[question].raw:
            self._told_twice.add(question)

    def remarks(self) -> list[str]:
        """Return how many questions have two answers, and what ``AnswerFile`` says."""
        remarks = super().remarks()
        if self._told_twice:
            questions = counted(len(self._told_twice), "question")
            remarks.append(f"{self._making.target}: {questions} with several answers, which are found by id alone.")
        return remarks

    def answers(self, texts: Sequence[str], ids: Sequence[str]) -> Iterator[MachineAnswer]:
        """Yield what the file has for each id, else for each question; no answer where it has neither."""
        yield from super().answers([parts(text)[0] for text in texts], ids)


class AnswerWriter(Writer):
    """A causal or sequence-to-sequence model that writes the answer; its confidence is the probability of its tokens.

    Args:
        making: Its target is a folder or Hub id; a prompt of the settings ``llm`` has the context and the question in
            the place of {text}.
    """

    most = WRITTEN
    cut = "context"
    writes = "answer"

    def __init__(self, making: Making) -> None:
        super().__init__(making)
        self._prompt = Prompt(making.llm.prompt or QUESTION, making.guidelines, making.labels)
        self._or_none = OR_NONE if making.labels.names else ""

    @property
    def key(self) -> str:
        """Weights and prompt."""
        return "\n".join(["writes", self.weights_key, self._prompt.of(ABOUT + self._or_none + TURN)])

    def parted(self, text: str) -> tuple[str, str]:
        """Return question and context: the end of a context is cut where the prompt is too long."""
        return parts(text)

    def asked(self, before: str, text: str) -> str:
        """Return the prompt of a question and a context, but for what ends it."""
        return self._prompt.of(ABOUT.format(or_none=self._or_none, context=text, question=before))

    def ended(self, text: str) -> bool:
        """Tell whether a line has ended."""
        return "\n" in text

    def read(
        self, tokens: Sequence[int], log_probs: Sequence[float], ends: Collection[int]
    ) -> tuple[float | None, str]:
        """Return the log-probability of the first line, None for an empty one, and the line."""
        raw, log_p = first_line(self._loaded[0], tokens, log_probs, ends)
        return log_p if raw else None, raw


def first_line(
    tokenizer: Any, ids: Sequence[int], log_probs: Sequence[float], ends: Collection[int]
) -> tuple[str, float]:
    """Return the first line that is not blank of written tokens, and the log-probability of it and of what ends it.

    Args:
        tokenizer: What makes text of tokens.
        ids: Of the tokens.
        log_probs: Of each.
        ends: Tokens after which nothing is written.
    """
    count, text = 0, ""
    for count in range(1, len(ids) + 1):
        text = tokenizer.decode(ids[:count], skip_special_tokens=True).lstrip()
        if ids[count - 1] in ends or "\n" in text:
            break
    return text.partition("\n")[0].strip(), float(sum(log_probs[:count]))


class QuestionModel(Signal):
    """A reader that learnt to answer questions elsewhere: its best span, with its probability.

    Args:
        making: Its target is a folder or Hub id of a model for extractive question answering.
    """

    def __init__(self, making: Making) -> None:
        super().__init__(making)
        self._source = resolve(making.target, making.progress)

    @property
    def key(self) -> str:
        """Its weights."""
        return "\n".join(["reads", weights_key(self._source)])

    @cached_property
    def _loaded(self) -> tuple[ExtractiveQA, Any]:
        model: Any = load_model("AutoModelForQuestionAnswering", self._source, fresh=False)
        tokenizer: Any = load_tokenizer(self._source)
        known = model.config.to_dict().get("max_position_embeddings", WINDOW)
        task = ExtractiveQA.for_model(model, tokenizer, int(min(WINDOW, known, tokenizer.model_max_length)), {})
        return task, model.to(process_state().device).eval()

    def answers(self, texts: Sequence[str], ids: Sequence[str]) -> Iterator[MachineAnswer]:
        """Yield the words of the best span, or that there is none."""
        task, model = self._loaded
        fields = dict(zip(("question", "context"), map(list, zip(*map(parts, texts), strict=True)), strict=True))
        data = Dataset.from_dict({"id": list(map(str, range(len(texts)))), **fields, **task.encode(fields)})
        pool = Pool(data, model, task, make_draws(DrawsConfig(), 0, 0), ScoringConfig())
        for one in pool.predict():
            raw = one.target["text"][0] if one.target["text"] else "no answer"
            yield MachineAnswer((float(np.log(max(one.confidence, 1e-9))),), raw)
