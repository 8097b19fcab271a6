"""What machines would be asked, and what that would cost, before any of it is asked."""

import time
from dataclasses import dataclass

from dal_nlp.core.config import Settings
from dal_nlp.core.progress import Progress
from dal_nlp.core.task import Task
from dal_nlp.core.text import counted, duration
from dal_nlp.data.corpus import Corpus
from dal_nlp.models.pool import fetch
from dal_nlp.signals import make_signals, short_name
from dal_nlp.signals.asking import answer_keys, open_answers, texts_of
from dal_nlp.signals.endpoint import Endpoint

#: Texts that a machine of one's own is timed on, and from whose length tokens are guessed.
TIMED = 16
#: Characters of a token, about.
CHARACTERS = 4


@dataclass(frozen=True)
class Preview:
    """What a signal would be asked.

    Attributes:
        name: Of the signal.
        question: About the first text.
        texts: That it has not answered yet.
        tokens: That it would read, about; 0 where nobody counts them.
        cost: By the prices.
        seconds: For 1,000 texts, None where that cannot be tried for nothing.
    """

    name: str
    question: str
    texts: int
    tokens: int
    cost: float
    seconds: float | None

    def lines(self) -> list[str]:
        """Return what it would take, in sentences."""
        said = f"{self.name} would be asked about {counted(self.texts, 'text')}"
        if self.tokens:
            said += f": about {counted(self.tokens, 'token')}"
            said += f", {self.cost:.2f} by the prices given" if self.cost else ""
        if self.seconds is not None:
            said += f": {duration(self.seconds)} for 1,000 texts"
        return [f"{said}."]


def previews(config: Settings, task: Task, pool: Corpus, progress: Progress) -> list[Preview]:
    """Return what the signals of a configuration would be asked about a pool."""
    found = []
    if not config.signals:
        return []
    texts = texts_of(task, pool.dataset)
    sample = [texts[row] for row in range(0, len(texts), max(1, len(texts) // TIMED))][:TIMED]
    ids = [str(row["id"]) for row in fetch(pool.dataset.select_columns("id"), range(len(sample)))]
    for spec, signal in make_signals(config, task.labels, progress).items():
        keys = answer_keys(signal, texts)
        left = len(set(keys)) - len(open_answers(config).get(keys))
        tokens, cost, seconds = 0, 0.0, None
        if isinstance(signal, Endpoint):
            each = sum(len(signal.shown(text)) for text in sample) / len(sample) / CHARACTERS
            tokens = round(each * left)
            cost = tokens * config.llm.price_in / 1e6 + left * config.llm.price_out / 1e6
        else:
            list(signal.answers(sample[:1], ids[:1]))  # what is loaded once
            started = time.perf_counter()
            list(signal.answers(sample, ids))
            seconds = (time.perf_counter() - started) * 1000 / len(sample)
        found.append(Preview(short_name(spec), signal.shown(texts[0]), left, tokens, cost, seconds))
    return found
