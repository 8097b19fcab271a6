"""Drafts of the texts that people write: read from a file, or written by a language model.

They are shown to people, with ``suggest``, in the place of what the run's model would write, and nothing learns from
them. The audit sample has none.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from datasets import Dataset

from dal_nlp.core.config import Settings
from dal_nlp.core.errors import UserError
from dal_nlp.core.progress import Progress
from dal_nlp.core.task import Task
from dal_nlp.ledger.events import DraftsEvent
from dal_nlp.ledger.ledger import Ledger
from dal_nlp.signals import make_signals, named
from dal_nlp.signals.answer_file import COLUMNS
from dal_nlp.signals.asking import Asking
from dal_nlp.signals.base import CONFIDENCE, Making
from dal_nlp.signals.prompt import Prompt
from dal_nlp.span_witnesses.endpoint import WritingEndpoint
from dal_nlp.span_witnesses.sources import WordsFile
from dal_nlp.span_witnesses.writing import TURN, Writer
from dal_nlp.tasks.summarization import Summarization

#: What stands before the colon of ``--signal`` where people write texts.
DRAFT_SIGNALS: Mapping[str, str] = {
    "file": "dal_nlp.span_witnesses.drafts:DraftFile",
    "llm": "dal_nlp.span_witnesses.drafts:DraftWriter",
    "endpoint": "dal_nlp.span_witnesses.drafts:DraftEndpoint",
}
#: What is asked where no prompt is given.
SUMMARIZE = "{about}Summarize the text in one or two sentences, and write nothing else.\n\nText: {text}"
#: Most tokens of a draft.
WRITTEN = 128


def has_drafts(config: Settings, task: Task) -> bool:
    """Tell whether the signals of a run draft what people write."""
    return bool(config.signals) and isinstance(task, Summarization)


def check_drafts(config: Settings, task: Task, from_file: bool) -> None:
    """Raise ``UserError`` for settings under which the drafts of a run do nothing; see ``Oracle`` for ``from_file``."""
    if not has_drafts(config, task):
        return
    if not config.suggest:
        raise UserError(
            "With this task --signal drafts what people write, and only --suggest shows it to them: add --suggest, or "
            "leave --signal out."
        )
    if config.keep_witness:
        raise UserError("With this task --signal drafts what people write, and answers nothing: no --keep-witness.")
    if config.llm.texts is not None:
        raise UserError("With this task --signal drafts what people are asked about, and nothing else: no --llm-texts.")
    if from_file:
        raise UserError(
            "With this task --signal drafts what people write, and nobody does where a file holds the answers: leave "
            "--signal out, or ask people, with --oracle file for one."
        )


def most_drafts(config: Settings, task: Task) -> int | None:
    """Return how many texts the signals of a whole run are asked about: those of its queries; None if not for drafts.

    What people may go on with while a model trains comes on top.
    """
    if not has_drafts(config, task):
        return None
    count = (config.initial or 0) + (config.rounds or 0) * config.query_size
    return max(0, min(count, (config.budget or 0) - (config.audit or 0)))


class DraftFile(WordsFile):
    """A table with the draft for each id, else for each document, and a confidence in it.

    Args:
        making: See ``AnswerFile``; the columns are ``id``, ``document``, ``draft`` and ``confidence`` where the options
            ``id``, ``text``, ``label`` and ``confidence`` give no other names.
    """

    usual: ClassVar[Mapping[str, str]] = {**COLUMNS, "text": "document", "label": "draft"}


class DraftWriter(Writer):
    """A causal or sequence-to-sequence model on this machine; its confidence is the mean one of its tokens, in logs.

    Args:
        making: Its target is a folder or Hub id; ``llm`` says the rest.
    """

    most = WRITTEN
    cut = "document"
    writes = "draft"

    def __init__(self, making: Making) -> None:
        super().__init__(making)
        self._prompt = Prompt(making.llm.prompt or SUMMARIZE, making.guidelines, making.labels)

    @property
    def key(self) -> str:
        """Weights and prompt."""
        return "\n".join(["drafts", self.weights_key, self._prompt.of("{text}" + TURN)])

    def read(
        self, tokens: Sequence[int], log_probs: Sequence[float], ends: Collection[int]
    ) -> tuple[float | None, str]:
        """Return the mean log-probability of the tokens up to the end, None for an empty text, and the text."""
        count = next((index + 1 for index, token in enumerate(tokens) if token in ends), len(tokens))
        raw = self._loaded[0].decode(tokens[:count], skip_special_tokens=True).strip()
        return float(np.mean(log_probs[:count])) if raw else None, raw


class DraftEndpoint(WritingEndpoint):
    """An endpoint that writes drafts; each is believed as much as a file's without a confidence."""

    usual, kept_as = SUMMARIZE, "endpoint drafts"
    strange = "empty"
    writes = 60
    longest = WRITTEN

    def read(self, reply: str) -> tuple[float | None, str]:
        """Return how far a draft is believed, None for an empty reply, and the draft."""
        raw = reply.strip()
        return float(np.log(CONFIDENCE)) if raw else None, raw


class DraftAsking(Asking):
    """Asks the signals of a run for drafts."""

    kinds = DRAFT_SIGNALS

    def drafts(self, data: Dataset) -> list[dict[str, Any]]:
        """Return a row for each example of whom all signals were reached; see ``DraftsEvent``.

        The draft is that of the first signal, in the order of the settings, that has one.
        """
        rows: dict[str, dict[str, Any]] = {str(id): {"id": str(id), "target": None} for id in data["id"]}
        for name, (_, signal) in named(make_signals(self._config, (), self._progress, self.kinds)).items():
            answers = self._about(name, signal, "pool", data)
            for id, answer in zip(map(str, data["id"]), answers, strict=True):
                if not answer.asked:
                    rows.pop(id, None)
                elif answer.log_probs is not None and id in rows and rows[id]["target"] is None:
                    sure = float(np.exp(answer.log_probs[0]))
                    rows[id] |= {"target": answer.raw, "confidence": sure, "by": name}
            for remark in signal.remarks():
                self._progress.say(remark)
        return list(rows.values())


def draft(config: Settings, task: Task, ledger: Ledger, progress: Progress, data: Dataset, round: int) -> None:
    """Ask for drafts of some examples of a round, and write them down; what could not be asked is asked again."""
    rows = DraftAsking(config, task, ledger, progress).drafts(data)
    silent = sum(row["target"] is None for row in rows)
    if silent:
        progress.say(f"No machine has a draft for {silent:,} of {len(rows):,} documents: they begin without.")
    if rows:
        ledger.append(DraftsEvent(round=round, rows=rows))
