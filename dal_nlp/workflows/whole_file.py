"""A whole file at a stated error: the model labels what it may, people the rest, and a bound holds with 95 %.

Of n distinct texts, m are drawn at random and put to people; t is the largest threshold of uncertainty under which the
model may answer by an upper bound of mean(1[wrong] 1[u < t]) (PAC labels: Candes, Ilyas & Zrnic, 2025).
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dal_nlp.core.errors import Unsupported, UserError, writing
from dal_nlp.core.progress import Progress, Silent
from dal_nlp.core.rng import generator
from dal_nlp.core.targets import readable
from dal_nlp.core.task import Capability
from dal_nlp.core.text import counted, duration
from dal_nlp.data.corpus import Rejected, write_rejected
from dal_nlp.data.examples import Example, context_of
from dal_nlp.measuring.bounds import Cut, binomial_upper, largest_cut, least_answers
from dal_nlp.readers.spreadsheets import inert_rows
from dal_nlp.workflows.inquiry import Floats, Inquiry, Positions, open_inquiry
from dal_nlp.workflows.predict import open_run, read_aloud, reader_of

#: How many times as many texts are drawn, where nothing else is said, as a promise takes without a mistake.
TIMES = 4
#: Seconds in which people are taken to answer one text.
SECONDS = 6.0


@dataclass(frozen=True)
class FileResult:
    """What became of a file.

    Attributes:
        texts: Distinct texts.
        known: How many of them people had answered in the run.
        machine: How many get the model's answer.
        people: How many people answer, those that were drawn among them.
        cut: The threshold and its bound; None while the draws have no answers.
        pending: How many people have still to answer.
        remarks: What to do next.
    """

    texts: int
    known: int
    machine: int
    people: int
    cut: Cut | None
    pending: int
    remarks: list[str]


def label_file(
    folder: Path,
    source: str,
    error: float,
    out: Path,
    oracle: str = "file",
    draws: int | None = None,
    progress: Progress | None = None,
    text_column: Sequence[str] | None = None,
    id_column: str | None = None,
    encoding: str | None = None,
    quoting: str | None = None,
    label_column: str | None = None,
    told: Callable[[str], object] = print,
) -> FileResult:
    """Label a file so that at most a share of its distinct texts is wrong, with 95 %; the same call goes on.

    Args:
        folder: A run folder.
        source: The rows; with the text columns of the run.
        error: The share.
        out: Where questions, answers and files go.
        oracle: Who answers: ``file`` (sheets) or another name of the oracles.
        draws: How many texts measure; if left out, four times as many as the promise takes without a mistake.
        progress: Where it is shown.
        text_column: The columns of ``source`` that hold the texts; the run's if left out.
        id_column: Its column of ids, likewise; ``none`` where it has no ids.
        encoding: Of a source that is a text file and not UTF-8.
        quoting: ``none`` where double quotes in a table are letters.
        label_column: Of the answers, for oracles that read them from ``source``.
        told: Is told what will be, before anything is written.

    Raises:
        UserError: No model yet, a file that cannot be read, or fewer draws than the promise takes.
        Unsupported: The task's answers are neither right nor wrong.
    """
    if not 0 < error < 1:
        raise UserError(f"--error {error:g} is no share: give a number between 0 and 1, such as 0.05.")
    least = least_answers(error)
    size = TIMES * least if draws is None else draws
    if size < least:
        raise UserError(
            f"At most {100 * error:g} % wrong, 95 % sure, takes at least {least} known answers, without a mistake "
            f"among them: raise --draws from {size}."
        )
    run = open_run(folder, Silent() if progress is None else progress)
    if {Capability.ANSWER_TEXTS, Capability.GENERATED_TEXTS} & run.task.capabilities:
        raise Unsupported("Answers in words are more or less right, so no error is promised: leave --error out.")
    own = {"text_column": list(text_column or ()), "id_column": id_column, "encoding": encoding, "quoting": quoting}
    with open_inquiry(run, source, out, oracle, size, {**own, "label_column": label_column}) as inquiry:
        inquiry.begin("error", size, error)
        rows = generator(run.config.seed, 0, "whole file").permutation(inquiry.open)[:size]
        ids = inquiry.ids
        inquiry.draw([ids[row] for row in rows])
        pending = inquiry.ask()
        if inquiry.state.pending(inquiry.state.audit or []):
            drawn = len(inquiry.state.audit or [])
            told(
                f"Nothing is labeled yet: {drawn:,} of {counted(len(ids), 'text')} were drawn at random and go to "
                f"people first; at most {100 * error:g} % wrong takes at least {least} known answers."
            )
            return FileResult(len(ids), len(inquiry.known), 0, len(ids), None, len(pending), _remarks(inquiry, pending))
        cut = _cut(inquiry, error)
        machine = _machine(inquiry, cut)
        rest = np.setdiff1d(inquiry.open, machine)
        uncertainty = 1 - inquiry.confidence
        rest = rest[np.argsort(-uncertainty[rest], kind="stable")]
        found = FileResult(len(ids), len(inquiry.known), len(machine), len(rest), cut, 0, [])
        told(sentence(found, error, len(inquiry.state.audit or [])))
        inquiry.ask_further([ids[row] for row in rest], uncertainty[rest].tolist())
        pending = inquiry.ask()
        reader = reader_of(run.config, source, text_column, id_column, encoding, quoting)
        _write(inquiry, list(read_aloud(reader, Silent())), machine, out)
        return replace(found, pending=len(pending), remarks=_remarks(inquiry, pending))


def sentence(found: FileResult, error: float, drawn: int) -> str:
    """Say what the machine and people do, and what is promised."""
    hours = duration(SECONDS * found.people)
    known = f", {found.known:,} known from the run" if found.known else ""
    parts = f"Of {counted(found.texts, 'distinct text')}: {found.machine:,} by the model, {found.people:,} by people"
    if found.machine:
        return (
            f"{parts} (at {SECONDS:g} s a text: {hours}){known}; error of the file at most {100 * error:g} %, 95 % "
            f"sure, measured on {counted(drawn, 'answer')}."
        )
    return (
        f"{parts} (at {SECONDS:g} s a text: {hours}){known}: on {counted(drawn, 'answer')} the model has shown too "
        f"many mistakes for at most {100 * error:g} % in the file. More labels in the run, or a larger --error, help."
    )


def _remarks(inquiry: Inquiry, pending: Sequence[str]) -> list[str]:
    return inquiry.oracle.remarks(pending)


def _cut(inquiry: Inquiry, error: float) -> Cut:
    """Return the threshold; what people have passed over counts as a mistake of the model."""
    drawn = inquiry.state.audit or []
    answered = [id for id in drawn if id in inquiry.state.answers]
    right = dict(zip(answered, inquiry.right(answered).tolist(), strict=True))
    wrong = np.array([not right.get(id, False) for id in drawn], dtype=bool)
    uncertainty: Floats = 1 - inquiry.confidence[inquiry.corpus.positions(drawn)]
    n = len(drawn)
    return largest_cut(uncertainty, wrong, error, lambda errors: binomial_upper(int(errors.sum()), n))


def _machine(inquiry: Inquiry, cut: Cut) -> Positions:
    """Return the rows that get the model's answer: those under the threshold that nobody was asked about."""
    sure = np.flatnonzero(1 - inquiry.confidence < cut.threshold)
    drawn = inquiry.corpus.positions(inquiry.state.audit or [])
    return np.setdiff1d(np.intersect1d(inquiry.open, sure), drawn)


def _write(inquiry: Inquiry, examples: Sequence[Example], machine: Positions, out: Path) -> None:
    """Write labeled.csv, people.csv (what is still to be answered, the most uncertain first) and rejected.csv.

    Every row of the source is in one of the three; repeats of a text get its answer.
    """
    places = {int(content): row for row, content in enumerate(inquiry.corpus.contents.tolist())}
    dropped = {row.row: row.reason for row in inquiry.corpus.rejected}
    ids, may = inquiry.ids, set(machine.tolist())
    labeled, people, rejected = [], [], list[Rejected]()
    context = inquiry.config.context_columns or ()
    for example in examples:
        row = places.get(example.content_hash) if example.fields is not None else None
        if example.fields is None or row is None:
            reason = example.reason or dropped.get(example.row, "not usable")
            rejected.append(Rejected(inquiry.corpus.source, example.row, example.id, reason))
            continue
        fields = {"id": example.id, **example.fields}
        given, id = inquiry.answers[row], ids[row]
        start, end = [example.id, inquiry.run.task.show(fields)], list(context_of(example.fields).values())
        if id in inquiry.known or id in inquiry.state.answers:
            target = inquiry.state.answers.get(id, inquiry.known.get(id))
            assert target is not None
            labeled.append([*start, readable(target), "", "people", *end])
        elif row in may:
            labeled.append([*start, readable(given.target), f"{given.confidence:.6f}", "model", *end])
        else:
            people.append((given.confidence, [*start, readable(given.target), f"{given.confidence:.6f}", *end]))
    people.sort(key=lambda pair: pair[0])
    _csv(out / "labeled.csv", ["id", "text", "label", "confidence", "by"], labeled, context)
    _csv(out / "people.csv", ["id", "text", "suggestion", "confidence"], [cells for _, cells in people], context)
    write_rejected(out / "rejected.csv", rejected)


def _csv(path: Path, header: list[str], rows: Sequence[Sequence[str]], context: Sequence[str]) -> None:
    names = [f"{name} (context)" if name in header else name for name in context]
    with writing(path), path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(inert_rows([*header, *names], rows))
