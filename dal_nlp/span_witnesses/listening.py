"""What trains in the rounds of a run that hears machines, and what these say as columns of its examples.

Letters: N examples, S machines.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, Features, Value, concatenate_datasets
from datasets import Sequence as ListOf
from torch import nn

from dal_nlp.core.config import Settings
from dal_nlp.core.errors import Unsupported, UserError
from dal_nlp.core.progress import Progress
from dal_nlp.core.task import Example, Task
from dal_nlp.core.text import counted
from dal_nlp.learners.checkpoints import read_json
from dal_nlp.learners.learner import NOTE, Learner
from dal_nlp.ledger.ledger import Ledger
from dal_nlp.models.pool import fetch
from dal_nlp.signals import SIGNALS as LABEL_SIGNALS
from dal_nlp.signals import asking, short_name
from dal_nlp.signals.base import LEAST, MOST, MachineAnswer, Signal
from dal_nlp.span_witnesses.drafts import DRAFT_SIGNALS, has_drafts
from dal_nlp.span_witnesses.entities import both, entity_columns
from dal_nlp.span_witnesses.learner import OF_ENTITIES, OF_QUESTIONS, ReaderBesideMachines, weights_in
from dal_nlp.span_witnesses.location import meant, nearest
from dal_nlp.span_witnesses.weights import TRUST
from dal_nlp.tasks.entities.ner import NER
from dal_nlp.tasks.qa import ExtractiveQA
from dal_nlp.tasks.questions import heard
from dal_nlp.tasks.summarization import Summarization

#: What stands before the colon of ``--signal`` where answers are parts of a context.
SIGNALS: Mapping[str, str] = {
    "file": "dal_nlp.span_witnesses.sources:SpanFile",
    "llm": "dal_nlp.span_witnesses.sources:AnswerWriter",
    "endpoint": "dal_nlp.span_witnesses.endpoint:AnswerEndpoint",
    "model": "dal_nlp.span_witnesses.sources:QuestionModel",
}
#: The same where answers are entities.
ENTITY_SIGNALS: Mapping[str, str] = {
    "file": "dal_nlp.span_witnesses.entities:EntityFile",
    "llm": "dal_nlp.span_witnesses.entity_lists:EntityWriter",
    "endpoint": "dal_nlp.span_witnesses.entity_lists:EntityEndpoint",
}
_TAGS = Features({heard.PLACES: ListOf(ListOf(Value("string"))), heard.ODDS: ListOf(Value("float64"))})
_COLUMNS = Features({heard.PLACES: ListOf(ListOf(ListOf(Value("int64")))), heard.ODDS: ListOf(Value("float64"))})


def kinds_of(task: Task) -> Mapping[str, str]:
    """Return what signals may be for a task; see ``make_signals``."""
    if isinstance(task, NER):
        return ENTITY_SIGNALS
    if isinstance(task, Summarization):
        return DRAFT_SIGNALS
    return SIGNALS if isinstance(task, ExtractiveQA) else LABEL_SIGNALS


def has_witnesses(config: Settings, task: Task) -> bool:
    """Tell whether signals are witnesses beside the model of a run, and neither drafts for people nor its teachers."""
    beside = config.training.mode == "head" or hears_in_columns(task)
    return bool(config.signals) and beside and not has_drafts(config, task)


def hears_in_columns(task: Task) -> bool:
    """Tell whether the examples of a task hold what machines say of them, for the task to add it to its scores."""
    return isinstance(task, ExtractiveQA | NER)


class SpanAsking(asking.Asking):
    """Asks the signals of a run on questions with contexts."""

    kinds = SIGNALS


class EntityAsking(asking.Asking):
    """Asks the signals of a run on entities."""

    kinds = ENTITY_SIGNALS


def make_learner(
    config: Settings, task: Task, source: str, folder: Path, progress: Progress, predicts_loss: bool
) -> Learner:
    """Return what trains in the rounds of a run; see ``Learner``."""
    if has_drafts(config, task):
        config = config.model_copy(update={"signals": []})  # nothing learns from drafts
    if not (config.signals and hears_in_columns(task)):
        return asking.make_learner(config, task, source, folder, progress, predicts_loss)
    if config.training.warm_start:
        raise UserError(
            "The weights of --signal want readers that know no label of a fold: leave training.warm_start out."
        )
    learners = OF_ENTITIES if isinstance(task, NER) else OF_QUESTIONS
    if config.training.mode not in learners:
        raise Unsupported(f"--signal wants --train {' or '.join(learners)} with the task {config.task}.")
    return learners[config.training.mode](config, task, source, folder, progress, predicts_loss)


def listen(
    learner: Learner,
    config: Settings,
    task: Task,
    ledger: Ledger,
    progress: Progress,
    pool: Dataset,
    others: Mapping[str, Dataset],
) -> tuple[Dataset, Mapping[str, Dataset]]:
    """Let a learner that hears witnesses know what they say; return the sets of a run as it reads them then."""
    if not isinstance(learner, ReaderBesideMachines):
        asking.listen(learner, config, task, ledger, progress, pool, others)
        return pool, others
    kind = EntityAsking if isinstance(task, NER) else SpanAsking
    replies = kind(config, task, ledger, progress).replies(pool, others)
    means = {name: TRUST if mean is None else mean for name, (mean, _) in replies.items()}
    if isinstance(task, NER):
        means = {what: mean for name, mean in means.items() for what in both([name])}
    learner.listen(means)
    sets = {"pool": pool, **others}
    heard_by = {name: [answers for _, answers in parts] for name, (_, parts) in replies.items()}
    read = {}
    for index, (name, data) in enumerate(sets.items()):
        answers = {
            one: by[index] if index < len(by) else [MachineAnswer(None)] * len(data) for one, by in heard_by.items()
        }
        read[name] = with_answers(task, data, answers, progress if name == "pool" else None)
    return read.pop("pool"), read


def columns(
    task: ExtractiveQA,
    examples: Sequence[Example],
    answers: Mapping[str, Sequence[MachineAnswer]],
    progress: Progress | None = None,
) -> dict[str, list[Any]]:
    """Return the columns of N encoded questions: where the answers of S machines are; what has no place is said."""
    places: list[list[list[list[int]]]] = [[[] for _ in answers] for _ in examples]
    odds = [[0.0 for _ in answers] for _ in examples]
    for number, (name, replies) in enumerate(answers.items()):
        nowhere = near = beyond = 0
        for row, (example, answer) in enumerate(zip(examples, replies, strict=True)):
            if answer.log_probs is None:
                continue
            target = meant(answer.raw, example["context"], task.unanswerable)
            if target is None:
                target = nearest(answer.raw, example["context"])
                near += target is not None
            nowhere += target is None
            if target is not None:
                places[row][number] = heard.places(example, target, task.longest_answer, task.unanswerable)
                beyond += not places[row][number]
            p = min(max(float(np.exp(answer.log_probs[0])), LEAST), MOST)
            odds[row][number] = float(np.log(p / (1 - p)))
        if progress is not None and near:
            progress.say(
                f"{name}: {_answers(near)} not word for word in {_their(near)} context; the part that shares most "
                "words with each is taken."
            )
        if progress is not None and nowhere:
            progress.say(f"{name}: {_answers(nowhere)} not in {_their(nowhere)} context.")
        if progress is not None and beyond:
            progress.say(f"{name}: {_answers(beyond)} longer than the task's longest_answer allows.")
    return {heard.PLACES: places, heard.ODDS: odds}


def _answers(number: int) -> str:
    return "1 answer to a question is" if number == 1 else f"{number:,} answers to questions are"


def _their(number: int) -> str:
    return "its" if number == 1 else "their"


def with_answers(
    task: Task, data: Dataset, answers: Mapping[str, Sequence[MachineAnswer]], progress: Progress | None
) -> Dataset:
    """Return examples with what machines say of them; what has no place in them is said."""
    examples = fetch(data, range(len(data)))
    if isinstance(task, ExtractiveQA):
        added, features = columns(task, examples, answers, progress), _COLUMNS
    else:
        added, features = entity_columns(task.labels, examples, answers, progress), _TAGS
    return concatenate_datasets([data, Dataset.from_dict(added, features=features)], axis=1)


def models_beside(learner: Learner, heard: bool) -> dict[str, Callable[[int], nn.Module]]:
    """Return what gives further models of a round that are measured beside it; {} where no machine is heard."""
    if isinstance(learner, ReaderBesideMachines):
        return learner.models_beside()
    return asking.models_beside(learner, heard)


def heard_examples(
    config: Settings, task: Task, signals: Mapping[str, Signal], data: Dataset, progress: Progress
) -> Dataset:
    """Ask signals, see ``make_signals``, about encoded examples; return these with what they say."""
    cache, texts = asking.open_answers(config), asking.texts_of(task, data)
    by_signal: dict[str, Sequence[MachineAnswer]] = {}
    for spec, signal in signals.items():
        answers = asking.ask_once(signal, cache, texts, [str(id) for id in data["id"]], progress, short_name(spec))
        by_signal[spec] = answers
        silent = sum(one.log_probs is None for one in answers)
        if silent:
            progress.say(f"{short_name(spec)} has no answer to {counted(silent, 'text')}.")
        for remark in signal.news():
            progress.say(remark)
    return with_answers(task, data, by_signal, progress)


def with_weights(model: nn.Module, folder: Path) -> nn.Module:
    """Return a reader that hears machines as the run did that has left it; raises ``UserError`` where it heard none."""
    note: Any = read_json(folder / NOTE)
    if not (isinstance(note, dict) and note["fit"]["notes"].get("signals")):
        raise UserError(f"{folder.parent} has heard no signal, so --keep-witness has none to ask: leave it out.")
    return heard.hearing(model, *weights_in(note))
