"""Oracles that are no people: a labeled file, one that makes mistakes, a language model, and a user's own function."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from inspect import isroutine
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dal_nlp.annotation.oracle import Answer, Label, Opinion, Oracle, Origin, Query, Setting, Skip
from dal_nlp.annotation.parsing import now, read_answer
from dal_nlp.core.errors import Unsupported, UserError
from dal_nlp.core.rng import rng_for
from dal_nlp.ledger.answer_events import FUNCTION, MACHINE
from dal_nlp.readers.spreadsheets import read_table

#: Column of the true labels in the file of a confusion matrix.
TRUE = "true"


class Noisy(Oracle):
    """Answers from the labeled file, wrongly in a share of the cases.

    ``noisy:0.1`` gives each example, with probability 0.1, another label, all others being equally likely.
    ``noisy:FILE`` reads a csv with the column ``true`` and one for each label that may be given: row by row the shares
    (or counts) with which people give them. Whether an example is mistaken depends on the seed and its id alone.

    Args:
        how: The share, or the file.

    Raises:
        UserError: It is neither.
    """

    from_file: ClassVar[bool] = True

    def __init__(self, how: str) -> None:
        self._how = how
        self._share = _share(how)

    def open(self, setting: Setting) -> None:
        """Keep the file's answers; raises ``Unsupported`` where they are no labels, ``UserError`` for a bad matrix."""
        if not setting.task.answer_format.classes:
            raise Unsupported(
                "--oracle noisy gives wrong labels, and answers in words have none to take: use labeled-file."
            )
        self._answers, self._labels, self._seed = (
            setting.answers,
            list(setting.task.answer_format.classes),
            setting.config.seed,
        )
        self._matrix = self._uniform() if self._share is not None else _read_matrix(Path(self._how), self._labels)

    def label(self, queries: Sequence[Query]) -> Iterator[Label]:
        """Yield a label for each query, the right one or another."""
        for query in queries:
            row = self._matrix[self._labels.index(self._answers[query.id])]
            rng = rng_for(self._seed, 0, f"noise {query.id}")
            yield Label(query.id, self._labels[rng.choice(len(row), p=row)])

    def _uniform(self) -> NDArray[np.float64]:
        """Return the probability of each given label (columns) for each true one (rows)."""
        n, share = len(self._labels), self._share or 0.0
        return np.where(np.eye(n, dtype=bool), 1 - share, share / (n - 1))


def _share(how: str) -> float | None:
    """Return the share of wrong labels, None where a file is named."""
    try:
        share = float(how)
    except ValueError:
        with suppress(OSError, ValueError):  # a name that no file can have
            if Path(how).is_file():
                return None
        raise UserError(
            f"--oracle noisy:{how[:100]} is neither a share nor a file: write noisy:0.1, or name a csv with a "
            "confusion matrix."
        ) from None
    if not 0 <= share <= 1:
        raise UserError(f"--oracle noisy:{how} is no share of labels: give a number from 0 to 1, such as noisy:0.1.")
    return share


def _read_matrix(path: Path, labels: Sequence[str]) -> NDArray[np.float64]:
    """Return the rows of a confusion matrix (C, C), each adding up to 1."""
    try:
        rows = dict((row[TRUE], row) for _, row in read_table(path.read_bytes(), [TRUE, *labels]))
    except UserError as error:
        raise UserError(f"{path} {error}") from None
    missing = [label for label in labels if label not in rows]
    if missing:
        raise UserError(f"{path} has no row for the true label {missing[0]!r}: add it.")
    try:
        matrix = np.array([[float(rows[label][answer]) for answer in labels] for label in labels])
    except (ValueError, KeyError):
        raise UserError(f"{path} holds a cell that is no number: give a share or a count for every pair.") from None
    if not np.isfinite(matrix).all() or (matrix < 0).any() or (matrix.sum(1) == 0).any():
        raise UserError(f"{path} holds a row that is no distribution: give shares or counts, none of them negative.")
    return np.asarray(matrix / matrix.sum(1, keepdims=True), dtype=np.float64)


#: A callable that answers a query as a person would type it ("skip" and "unsure" too), with a target, a ``Label`` or a
#: ``Skip``; None leaves it unanswered for now.
Answerer = Callable[[Query], Any]


class Calling(Oracle):
    """Asks a callable, one query after the other.

    Args:
        answerer: See ``Answerer``; answers are signed with the name of the function, or of the object's class.
    """

    def __init__(self, answerer: Answerer) -> None:
        self._answerer = answerer
        self._name = answerer.__name__ if isroutine(answerer) else type(answerer).__name__

    def open(self, setting: Setting) -> None:
        """Keep what reads answers."""
        self._setting = setting

    def label(self, queries: Sequence[Query]) -> Iterator[Answer]:
        """Yield what the callable says of each query; raises ``UserError`` for what is no answer to it."""
        for query in queries:
            reply = self._answerer(query)
            if reply is not None:
                yield self._answer(query, reply)

    def _answer(self, query: Query, reply: Any) -> Answer:
        origin = Origin(self._name, now(), FUNCTION)
        if isinstance(reply, Opinion):
            return reply if reply.answer.origin else Opinion(replace(reply.answer, origin=origin))
        if isinstance(reply, Label | Skip):
            return reply if reply.origin else replace(reply, origin=origin)
        if not isinstance(reply, str):
            return Label(query.id, reply, origin)
        try:
            return read_answer(self._setting.task, reply, self._setting.example(query.id), origin)
        except ValueError as error:
            raise UserError(f"The answer to {query.id!r} cannot be used: {str(error).rstrip('.')}.") from None


class MachineOracle(Oracle):
    """Answers with what a language model finds most probable; a machine signs each answer, and none is a person's.

    What it has no answer to is skipped. What failed, or was left for want of money, waits for the same command.

    Args:
        spec: As of ``--signal``: ``llm:`` and a folder, a Hub id or, with ``llm.url``, the model of an endpoint.
    """

    def __init__(self, spec: str) -> None:
        self._spec = spec
        self._said: list[str] = []

    def open(self, setting: Setting) -> None:
        """Make what is asked; raises ``Unsupported`` where an answer is no label."""
        from dal_nlp.signals import make_signals, short_name
        from dal_nlp.signals.asking import open_answers

        if not setting.task.answer_format.classes:
            raise Unsupported(f"--oracle {self._spec} gives labels, and this task's answers are none: name people.")
        config = setting.config.model_copy(update={"signals": [self._spec]})
        self._labels, self._setting, self._name = list(setting.task.labels), setting, short_name(self._spec)
        self._signal = make_signals(config, list(map(str, self._labels)), setting.progress)[self._spec]
        self._cache = open_answers(setting.config)

    def label(self, queries: Sequence[Query]) -> Iterator[Answer]:
        """Yield the most probable label of each text."""
        from dal_nlp.signals.asking import ask_once

        examples = [self._setting.example(query.id) for query in queries]
        texts, ids = ["\n".join(self._setting.task.texts(one)) for one in examples], [query.id for query in queries]
        answers = ask_once(self._signal, self._cache, texts, ids, self._setting.progress, self._name)
        self._said = self._signal.remarks()
        for query, answer in zip(queries, answers, strict=True):
            origin = Origin(self._name, now(), MACHINE)
            if answer.log_probs is not None:
                yield Label(query.id, self._labels[int(np.argmax(answer.log_probs))], origin)
            elif answer.asked:
                yield Skip(query.id, "the machine has no answer", origin)

    def remarks(self, pending: Sequence[str]) -> list[str]:
        """Return what it has to say of its answers, what they have cost, and how many are missing."""
        paid = [f"{self._name} has cost {self._signal.spent:.2f} in this start."] if self._signal.spent else []
        return [*self._said, *paid, *super().remarks(pending)]


class LabeledFile(Oracle):
    """Answers from the label column of the pool, or from the file of ``--answers``."""

    from_file: ClassVar[bool] = True

    def open(self, setting: Setting) -> None:
        """Keep the file's answers."""
        self._answers = setting.answers

    def label(self, queries: Sequence[Query]) -> Iterator[Label]:
        """Yield the file's label for each query."""
        for query in queries:
            yield Label(query.id, self._answers[query.id])


def as_oracle(oracle: Oracle | Answerer) -> Oracle:
    """Return an oracle as it is, and one that asks a callable."""
    return oracle if isinstance(oracle, Oracle) else Calling(oracle)
