"""What machines would be asked, and what that would cost, before any of it is asked."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from dal_nlp.core.config import Settings
from dal_nlp.core.progress import Progress
from dal_nlp.core.rng import rng_for
from dal_nlp.core.task import Capability, Task
from dal_nlp.core.text import counted, duration
from dal_nlp.data.corpus import Corpus
from dal_nlp.signals import SIGNALS, asked_about, make_signals, short_name
from dal_nlp.signals.asking import answer_keys, ask_once, cached_answers, open_answers, texts_of
from dal_nlp.signals.base import MachineAnswer
from dal_nlp.signals.endpoint import Remote

#: Texts that a machine of one's own is timed on, and from whose length tokens are guessed.
TIMED = 16
#: Known labels on which it is judged.
JUDGED = 200
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
        right: Share of known labels that it gives, None where none is known.
        judged: How many these are.
    """

    name: str
    question: str
    texts: int
    tokens: int
    cost: float
    seconds: float | None
    right: float | None = None
    judged: int = 0

    def lines(self) -> list[str]:
        """Return what it would take, in sentences."""
        sentence = f"{self.name} would be asked about {counted(self.texts, 'text')}"
        if self.tokens:
            sentence += f": about {counted(self.tokens, 'token')}"
            sentence += f", {self.cost:.2f} by the prices given" if self.cost else ""
        if self.seconds is not None:
            sentence += f": {duration(self.seconds)} for 1,000 texts"
        judged = f" It is right on {100 * (self.right or 0):.0f} % of {counted(self.judged, 'known label')}."
        return [f"{sentence}.{judged if self.judged else ''}"]


def previews(
    config: Settings,
    task: Task,
    pool: Corpus,
    progress: Progress,
    sets: Mapping[str, Corpus] = MappingProxyType({}),
    kinds: Mapping[str, str] = SIGNALS,
    most: int | None = None,
) -> list[Preview]:
    """Return what the signals of a configuration would be asked about a pool; where labels are known, the best first.

    No endpoint is asked: of one only answers that are there already are judged; and only labels are.

    Args:
        config: With the signals; where witnesses are kept, these are asked about all sets.
        task: With the labels.
        pool: The texts to choose from.
        progress: Where it is shown.
        sets: The other sets, by what they are for; "labeled" has the known labels, if it is there, else the pool.
        kinds: See ``make_signals``.
        most: Texts that a run asks about where it does not know yet which of the pool they will be.
    """
    if not config.signals:
        return []
    rows, cache = [], open_answers(config)
    texts = texts_of(task, pool.dataset)
    names = [str(id) for id in pool.dataset["id"]]
    sample = [texts[row] for row in range(0, len(texts), max(1, len(texts) // TIMED))][:TIMED]
    judges = Capability.SHARED_OUTCOMES in task.capabilities
    known = _known(task, sets.get("labeled", pool), config.seed) if judges else []
    others = [corpus.dataset for corpus in sets.values()] if config.keep_witness else []
    beside = (
        [text for data in others for text in texts_of(task, data)],
        [str(id) for data in others for id in data["id"]],
    )
    for spec, signal in make_signals(config, task.labels, progress, kinds).items():
        places = asked_about(config, spec, len(texts)).tolist()
        asked_texts = [*(texts[row] for row in places), *beside[0]]
        keys = answer_keys(signal, asked_texts, [*(names[row] for row in places), *beside[1]])
        left = len(set(keys)) - len(cached_answers(signal, cache, keys))
        left = left if most is None else min(left, most)
        tokens, cost, seconds = 0, 0.0, None
        if isinstance(signal, Remote):
            each = sum(len(signal.shown(text)) for text in sample) / len(sample) / CHARACTERS
            tokens = round(each * left)
            cost = (tokens * config.llm.price_in + signal.writes * left * config.llm.price_out) / 1e6
            known_keys = answer_keys(signal, [text for text, _, _ in known], [id for _, id, _ in known])
            there = cached_answers(signal, cache, known_keys)
            answers: list[MachineAnswer | None] = [there.get(key) for key in known_keys]
        else:
            list(signal.answers(sample[:1], names[:1]))  # what is loaded once
            started = time.perf_counter()
            list(signal.answers(sample, names[: len(sample)]))
            seconds = (time.perf_counter() - started) * 1000 / len(sample)
            of = [text for text, _, _ in known], [id for _, id, _ in known]
            answers = [*ask_once(signal, cache, *of, progress, short_name(spec))]
        judged = [(one, label) for one, (_, _, label) in zip(answers, known, strict=True) if one is not None]
        right = sum(_gives(one, task.labels) == label for one, label in judged)
        what = (short_name(spec), signal.shown(texts[0]), left, tokens, cost, seconds)
        rows.append(Preview(*what, right / len(judged) if judged else None, len(judged)))
    return sorted(rows, key=lambda one: -1.0 if one.right is None else one.right, reverse=True)


def _known(task: Task, corpus: Corpus, seed: int) -> list[tuple[str, str, str]]:
    """Return (text, id, label) of random examples whose labels are known."""
    there = np.array([target is not None for target in corpus.targets()], dtype=bool)
    rows = rng_for(seed, 0, "witnesses").permutation(np.flatnonzero(there))[:JUDGED]
    some = corpus.dataset.select(rows)
    labels = [str(target) for target in corpus.targets(rows.tolist())]
    return list(zip(texts_of(task, some), [str(id) for id in some["id"]], labels, strict=True))


def _gives(answer: MachineAnswer, labels: Sequence[str]) -> str | None:
    return None if answer.log_probs is None else str(labels[int(np.argmax(answer.log_probs))])
