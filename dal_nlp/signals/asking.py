"""Machines are asked: each text once, in parts that are on the disk before the next, from a cache where they are there.

Letters: N texts, C labels.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from torch import nn

from dal_nlp.core.caches import OnDisk
from dal_nlp.core.config import DISTIL, Settings
from dal_nlp.core.distributed import broadcast, broadcast_each, is_main
from dal_nlp.core.errors import Unsupported, UserError
from dal_nlp.core.progress import Progress
from dal_nlp.core.targets import Target
from dal_nlp.core.task import Task
from dal_nlp.core.text import counted
from dal_nlp.downloads.demo import cache_folder
from dal_nlp.learners.distillation import Floats
from dal_nlp.learners.head_learner import HeadLearner
from dal_nlp.learners.learner import FullLearner, Learner
from dal_nlp.learners.lora_learner import LoraLearner
from dal_nlp.ledger.events import SignalEvent
from dal_nlp.ledger.ledger import Ledger
from dal_nlp.models.pool import fetch
from dal_nlp.models.vectors import Positions
from dal_nlp.signals import SIGNALS, asked_about, make_signals, mean_of, named
from dal_nlp.signals.base import MachineAnswer, Signal
from dal_nlp.signals.learner import ONE_LABEL, WitnessLearner
from dal_nlp.signals.taught import TaughtLearner, TaughtLora
from dal_nlp.signals.witness import TRUST, KeptLayer
from dal_nlp.word_heads import learner_class

#: What a witness says: the weight before any label, and (a set as the learner sees it, log-probabilities) for each set.
Said = dict[str, tuple[float, list[tuple[Dataset, Floats]]]]
#: What trains in the place of what, where machines are heard or a layer has a student.
LISTENERS: Mapping[type[Learner], type[Learner]] = {
    HeadLearner: WitnessLearner,
    FullLearner: TaughtLearner,
    LoraLearner: TaughtLora,
}
#: As ``Said``, with the weight as the signal names it, and answers.
Replies = dict[str, tuple[float | None, list[tuple[Dataset, list[MachineAnswer]]]]]


def texts_of(task: Task, data: Dataset) -> list[str]:
    """Return each example as a machine reads it."""
    return ["\n".join(task.texts(row)) for row in fetch(data, range(len(data)))]


def answer_keys(signal: Signal, texts: Sequence[str], ids: Sequence[str]) -> list[bytes]:
    """Return what stands for the question about each text: what answers, and the text; the id too where that counts."""
    own = hashlib.blake2b(signal.key.encode(), digest_size=16).digest()
    about = texts if signal.kept else [json.dumps(pair) for pair in zip(ids, texts, strict=True)]
    return [hashlib.blake2b(text.encode("utf-8", "replace"), key=own, digest_size=16).digest() for text in about]


def cached_answers(signal: Signal, cache: OnDisk, keys: Sequence[bytes]) -> dict[bytes, MachineAnswer]:
    """Return the answers of a signal that the cache holds, by what stands for the questions.

    Without what endpoints once gave for probabilities and is none, such as NaN.
    """
    by_key = {key: unpacked(value) for key, value in cache.get(keys).items()} if signal.kept else {}
    return {key: one for key, one in by_key.items() if all(score < math.inf for score in one.log_probs or ())}


def cache_answers(signal: Signal, cache: OnDisk, answers: Mapping[bytes, MachineAnswer]) -> None:
    """Put answers into the cache, if those of the signal are kept."""
    if signal.kept:
        cache.put({key: packed(answer) for key, answer in answers.items() if answer.asked})


def ask_on(
    signal: Signal, rows: Sequence[int], texts: Sequence[str], ids: Sequence[str], progress: Progress, name: str
) -> Iterator[dict[int, MachineAnswer]]:
    """Ask a signal about some of the texts; yield its answers by row, as many as are written down together."""
    parts = [rows[first : first + signal.chunk] for first in range(0, len(rows), signal.chunk)]
    for part in progress.track(parts, f"asking {name}"):
        answers = zip(part, signal.answers([texts[row] for row in part], [ids[row] for row in part]), strict=True)
        while some := dict(islice(answers, signal.together)):
            yield some


def packed(answer: MachineAnswer) -> bytes:
    """Return an answer as bytes."""
    return json.dumps(asdict(answer)).encode()


def unpacked(data: bytes) -> MachineAnswer:
    """Return the answer that ``packed`` made bytes of."""
    return answer_of(json.loads(data))


def answer_of(values: Mapping[str, Any]) -> MachineAnswer:
    """Return the answer in a row of a ``SignalEvent``."""
    scores, rest = values["log_probs"], {name: values[name] for name in ("raw", "tokens_in", "tokens_out", "cost")}
    return MachineAnswer(None if scores is None else tuple(scores), **rest)


def _row(answer: MachineAnswer) -> dict[str, Any]:
    return {name: value for name, value in asdict(answer).items() if name != "asked"}


def open_answers(config: Settings) -> OnDisk:
    """Return the cache of answers, beside that of encoders."""
    folder = Path(config.cache) if config.cache else cache_folder() / "features"
    return OnDisk(folder / "answers.sqlite")


class Asking:
    """Asks the signals of a run.

    Attributes:
        kinds: What the signals may be, see ``make_signals``.

    Args:
        config: Of the run.
        task: With the labels of the run.
        ledger: Takes a ``signal`` event for each part that is answered, and what machines leave out as notes.
        progress: Where it is shown.
    """

    kinds: Mapping[str, str] = SIGNALS

    def __init__(self, config: Settings, task: Task, ledger: Ledger, progress: Progress) -> None:
        self._config, self._task, self._ledger, self._progress = config, task, ledger, progress
        self._cache = open_answers(config)

    def witnesses(self, pool: Dataset, others: Mapping[str, Dataset]) -> Said:
        """Ask about the pool, and where witnesses are kept about the other sets too."""
        classes = len(self._task.labels)
        return {
            name: (TRUST if mean is None else mean, [(data, as_scores(answers, classes)) for data, answers in parts])
            for name, (mean, parts) in self.replies(pool, others).items()
        }

    def replies(self, pool: Dataset, others: Mapping[str, Dataset]) -> Replies:
        """Return what ``witnesses`` returns with answers in the place of log-probabilities, and weights as given."""
        replies: Replies = {}
        sets = {"pool": pool, **(others if self._config.keep_witness else {})}
        signals = make_signals(self._config, self._task.labels, self._progress, self.kinds)
        for name, (spec, signal) in named(signals).items():
            mean = mean_of(spec)
            rows = {"pool": asked_about(self._config, spec, len(pool))}
            parts = [(data, self._about(name, signal, split, data, rows.get(split))) for split, data in sets.items()]
            replies[name] = (mean, parts)
            count = len(rows["pool"])
            for remark in [*self._unanswered(name, count, parts[0][1]), *signal.remarks()]:
                self._progress.say(remark)
        return replies

    def _unanswered(self, name: str, count: int, answers: Sequence[MachineAnswer]) -> list[str]:
        left = len(answers) - count
        silent = sum(one.log_probs is None for one in answers) - left
        remarks = [f"{name} is not asked about {counted(left, 'text')} of the pool (llm.texts)."] if left else []
        return [*remarks, *([f"{name} has no answer to {counted(silent, 'text')} of the pool."] if silent else [])]

    def _about(
        self, name: str, signal: Signal, split: str, data: Dataset, rows: Positions | None = None
    ) -> list[MachineAnswer]:
        """Return what a signal says of some rows (all if left out) of a set, no answer to the others, (N,).

        It is asked what is not known yet.
        """
        where = np.arange(len(data)) if rows is None else rows
        every, names = texts_of(self._task, data), data["id"]
        texts, ids = [every[row] for row in where], [str(names[row]) for row in where]
        answers = self._answers(name, signal, split, texts, ids)
        by_row = [MachineAnswer(None, asked=False)] * len(data)
        for row, answer in zip(where.tolist(), answers, strict=True):
            by_row[row] = answer
        return by_row

    def _answers(
        self, name: str, signal: Signal, split: str, texts: Sequence[str], ids: Sequence[str]
    ) -> list[MachineAnswer]:
        keys, known = answer_keys(signal, texts, ids), self._ledger.state.signals.get((name, split), {})
        # every process writes down the same
        by_key: dict[bytes, MachineAnswer] = broadcast(cached_answers(signal, self._cache, keys) if is_main() else {})
        for key in keys:
            if signal.kept and key not in by_key and key.hex() in known:
                by_key[key] = answer_of(known[key.hex()])
        old = [row for row, key in enumerate(keys) if key in by_key and key.hex() not in known]
        self._note(name, split, old, ids, keys, {key: replace(one, cost=0.0) for key, one in by_key.items()})
        signal.spent = sum(answer["cost"] for kept in self._ledger.state.signals.values() for answer in kept.values())
        new = list({key: row for row, key in enumerate(keys) if key not in by_key}.values())
        for some in broadcast_each(ask_on(signal, new, texts, ids, self._progress, name)):
            by_key |= {keys[row]: answer for row, answer in some.items()}
            if is_main():
                cache_answers(signal, self._cache, {keys[row]: answer for row, answer in some.items()})
            rows = [row for row, answer in some.items() if answer.asked and keys[row].hex() not in known]
            self._note(name, split, rows, ids, keys, by_key)
        return [by_key[key] for key in keys]

    def _note(
        self,
        name: str,
        split: str,
        rows: Sequence[int],
        ids: Sequence[str],
        keys: Sequence[bytes],
        by_key: Mapping[bytes, MachineAnswer],
    ) -> None:
        """Write down what was answered about some rows."""
        if rows:
            answers = {ids[row]: {"key": keys[row].hex(), **_row(by_key[keys[row]])} for row in rows}
            self._ledger.append(SignalEvent(signal=name, on=split, answers=answers))


def make_learner(
    config: Settings, task: Task, source: str, folder: Path, progress: Progress, predicts_loss: bool
) -> Learner:
    """Return what trains in the rounds of a run; see ``Learner``."""
    kind = learner_class(config.training.mode, task.capabilities)
    if config.signals or config.pseudo_labels.policy == DISTIL:
        if kind not in LISTENERS:
            raise Unsupported(ONE_LABEL)
        kind = LISTENERS[kind]
    return kind(config, task, source, folder, progress, predicts_loss)


def listen(
    learner: Learner,
    config: Settings,
    task: Task,
    ledger: Ledger,
    progress: Progress,
    pool: Dataset,
    others: Mapping[str, Dataset],
) -> None:
    """Let a learner that hears witnesses know what they say of the sets of a run."""
    if isinstance(learner, WitnessLearner | TaughtLearner):
        learner.listen(Asking(config, task, ledger, progress).witnesses(pool, others))


def models_beside(learner: Learner, heard: bool) -> dict[str, Callable[[int], nn.Module]]:
    """Return what gives further models of a round that are measured beside it; {} where no machine is heard.

    Args:
        learner: Of a run.
        heard: Whether machines were asked about the texts that measure.
    """
    return learner.models_beside(heard) if isinstance(learner, WitnessLearner) else {}


def answered(learner: Learner, round: int, examples: Dataset) -> NDArray[np.bool_]:
    """Return of which examples (n,) a machine that counts after a round says anything; of none where none is heard."""
    if isinstance(learner, WitnessLearner):
        return learner.answered(round, examples)
    return np.zeros(len(examples), dtype=np.bool_)


def teacher(learner: Learner, round: int) -> nn.Module | None:
    """Return what may teach a model of the text alone, after a round: a layer that hears machines; None without one."""
    return learner.teacher(round) if isinstance(learner, WitnessLearner) else None


def lessons(learner: Learner, examples: Dataset) -> Floats | None:
    """Return what machines say of the pool, (N, C) probabilities, by the labels of examples; rows of NaN: nothing.

    None where a model learns from labels alone, or machines are heard in another way.
    """
    return learner.teach(examples) if isinstance(learner, TaughtLearner) else None


def agreement(learner: Learner, examples: Dataset, answers: Sequence[Target]) -> list[Floats]:
    """Return how probable each machine that a learner hears finds answers to examples, (n,) each; 0 where it is silent.

    Each machine has a scale of its own, see ``Witness``. [] where none is heard, and for answers that are no labels.
    """
    return learner.agreement(examples, answers) if isinstance(learner, WitnessLearner) else []


def hear(
    config: Settings,
    signals: Mapping[str, Signal],
    labels: Sequence[str],
    kept: KeptLayer,
    texts: Sequence[str],
    ids: Sequence[str],
    progress: Progress,
) -> Floats:
    """Ask the witnesses of a run, see ``make_signals``, about texts; return the sum of their weighed logits, (N, C).

    Raises:
        UserError: The run's settings name other signals than its model has heard.
    """
    cache = open_answers(config)
    if len(signals) != len(kept.witnesses):
        raise UserError("The run's model has heard other signals than its settings name: run it again.")
    total = np.zeros((len(texts), len(labels)))
    for index, (signal, witness) in enumerate(zip(signals.values(), kept.witnesses, strict=True)):
        if not kept.weights[index]:
            continue
        answers = ask_once(signal, cache, texts, ids, progress, witness.name)
        total += kept.added(index, witness.logits(as_scores(answers, len(labels))))
        for remark in signal.news():
            progress.say(remark)
    return total


def hear_one(
    config: Settings,
    signals: Mapping[str, Signal],
    labels: Sequence[str],
    kept: KeptLayer,
    name: str,
    texts: Sequence[str],
    ids: Sequence[str],
    progress: Progress,
) -> Floats:
    """Ask the witness of a run that has a name about texts; return its log-probabilities (N, C), NaN for no answer."""
    index = [witness.name for witness in kept.witnesses].index(name)
    signal = list(signals.values())[index]
    answers = ask_once(signal, open_answers(config), texts, ids, progress, name)
    for remark in signal.news():
        progress.say(remark)
    return as_scores(answers, len(labels))


def ask_once(
    signal: Signal, cache: OnDisk, texts: Sequence[str], ids: Sequence[str], progress: Progress, name: str
) -> list[MachineAnswer]:
    """Return a signal's answer to each text; it is asked what the cache does not hold, which holds it then."""
    keys = answer_keys(signal, texts, ids)
    by_key = cached_answers(signal, cache, keys)
    new = list({key: row for row, key in enumerate(keys) if key not in by_key}.values())
    for some in ask_on(signal, new, texts, ids, progress, name):
        by_key |= {keys[row]: answer for row, answer in some.items()}
        cache_answers(signal, cache, {keys[row]: answer for row, answer in some.items()})
    return [by_key[key] for key in keys]


def as_scores(answers: Sequence[MachineAnswer], classes: int) -> Floats:
    """Return the log-probabilities of answers, (N, C); a row of NaN is "no answer"."""
    silent = [float("nan")] * classes
    rows = [silent if one.log_probs is None else list(one.log_probs) for one in answers]
    return np.array(rows, dtype=np.float64).reshape(len(answers), classes)
