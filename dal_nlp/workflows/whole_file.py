"""A whole file at a stated error: the model labels what it may, people the rest, and a bound holds with 95 %.

Of its rows, m are drawn at random and put to people; t is the largest threshold of uncertainty under which the model
may answer by an upper bound of mean(1[wrong] 1[u < t]) over the rows (PAC labels: Candes, Ilyas & Zrnic, 2025).
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dal_nlp.core.errors import Unsupported, UserError, unknown, writing
from dal_nlp.core.progress import Progress, Silent
from dal_nlp.core.rng import generator
from dal_nlp.core.targets import readable
from dal_nlp.core.task import Capability
from dal_nlp.core.text import counted, duration
from dal_nlp.data.corpus import Rejected, write_rejected
from dal_nlp.data.examples import Example, context_of
from dal_nlp.ledger.ledger import read_state
from dal_nlp.measuring.bounds import Cut, betting_upper, binomial_upper, largest_cut, least_answers
from dal_nlp.readers.spreadsheets import inert_rows
from dal_nlp.workflows.inquiry import MODEL, Floats, Inquiry, Positions, answered_by, open_inquiry
from dal_nlp.workflows.predict import open_run, read_aloud, reader_of

#: How many times as many texts are drawn, where nothing else is said, as a promise takes without a mistake.
TIMES = 4
#: Seconds in which people are taken to answer one text.
SECONDS = 6.0
_SPOKEN = {"model": "the model", "stack": "the model with its witnesses"}


@dataclass(frozen=True)
class FileResult:
    """What became of a file.

    Attributes:
        rows: That can be labeled, repeats of a text among them.
        texts: Distinct texts.
        known: How many of them people had answered in the run.
        machine: How many get the model's answer.
        people: How many people answer, those that were drawn among them.
        cut: The threshold and its bound; None while the draws have no answers.
        pending: How many people have still to answer.
        remarks: What to do next.
    """

    rows: int
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
    design: str = "uniform",
    told: Callable[[str], object] = print,
    keep_witness: bool | None = None,
    answers_by: str | None = None,
) -> FileResult:
    """Label a file so that at most a share of its rows is wrong, with 95 %; the same call goes on.

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
        design: ``uniform``, whose bound is exact; or ``active``, which draws half of the texts where the model may be
            wrong, and bounds the weighed mistakes by betting.
        told: Is told what will be, before anything is written.
        keep_witness: Whether the run's witnesses are asked about each text too; None: as the run has it.
        answers_by: ``model``, ``stack`` (with the witnesses), the name of a witness, or ``best``, in the place of
            ``keep_witness``: whoever of them was right most often on the run's audit sample.

    Raises:
        UserError: No model yet, a file that cannot be read, or fewer draws than the promise takes.
        Unsupported: The task's answers are neither right nor wrong.
    """
    if not 0 < error < 1:
        raise UserError(f"--error {error:g} is no share: give a number between 0 and 1, such as 0.05.")
    if design not in ("uniform", "active"):
        raise unknown("design", design, ("uniform", "active"))
    least = least_answers(error)
    size = TIMES * least if draws is None else draws
    if size < least:
        raise UserError(
            f"At most {100 * error:g} % wrong, 95 % sure, takes at least {least} known answers, without a mistake "
            f"among them: raise --draws from {size}."
        )
    shown = Silent() if progress is None else progress
    by = None if answers_by is None else answered_by(read_state(folder), answers_by, shown)
    run = open_run(folder, shown, keep_witness if by is None else by != MODEL)
    if {Capability.ANSWER_TEXTS, Capability.GENERATED_TEXTS} & run.task.capabilities:
        raise Unsupported("Answers in words are more or less right, so no error is promised: leave --error out.")
    own = {"text_column": list(text_column or ()), "id_column": id_column, "encoding": encoding, "quoting": quoting}
    with open_inquiry(run, source, out, oracle, size, {**own, "label_column": label_column}, by) as inquiry:
        inquiry.begin("error", size, error)
        reader = reader_of(run.config, source, text_column, id_column, encoding, quoting)
        examples = list(read_aloud(reader, Silent()))
        draws_made, ids = _draw(inquiry, examples, size, design), inquiry.ids
        inquiry.draw(list(dict.fromkeys(ids[row] for row in draws_made.places)))
        if inquiry.state.audit != list(dict.fromkeys(ids[row] for row in draws_made.places)):
            raise UserError(f"{out} was begun with other rows or another --design: choose another --out.")
        pending = inquiry.ask()
        if inquiry.state.pending(inquiry.state.audit or []):
            drawn = len(inquiry.state.audit or [])
            told(
                f"Nothing is labeled yet: {drawn:,} of {counted(len(ids), 'text')} were drawn at random and go to "
                f"people first; at most {100 * error:g} % wrong takes at least {least} known answers."
            )
            remarks = inquiry.oracle.remarks(pending)
            n = draws_made.rows
            return FileResult(n, len(ids), len(inquiry.known), 0, len(ids), None, len(pending), remarks)
        cut = _cut(inquiry, draws_made, error)
        machine = _machine(inquiry, cut)
        rest = np.setdiff1d(inquiry.open, machine)
        uncertainty = 1 - inquiry.confidence
        rest = rest[np.argsort(-uncertainty[rest], kind="stable")]
        found = FileResult(draws_made.rows, len(ids), len(inquiry.known), len(machine), len(rest), cut, 0, [])
        told(sentence(found, error, len(draws_made.places), inquiry.by))
        inquiry.ask_further([ids[row] for row in rest], uncertainty[rest].tolist())
        pending = inquiry.ask()
        _write(inquiry, examples, machine, out)
        return replace(found, pending=len(pending), remarks=inquiry.oracle.remarks(pending))


def sentence(found: FileResult, error: float, drawn: int, by: str = MODEL) -> str:
    """Say what the machine and people do, and what is promised."""
    who = _SPOKEN.get(by, by)
    hours = duration(SECONDS * found.people)
    known = f", {found.known:,} known from the run" if found.known else ""
    repeats = f" ({counted(found.rows, 'row')})" if found.rows > found.texts else ""
    whole = f"Of {counted(found.texts, 'distinct text')}{repeats}"
    parts = f"{whole}: {found.machine:,} by {who}, {found.people:,} by people"
    if found.machine:
        return (
            f"{parts} (at {SECONDS:g} s a text: {hours}){known}; error of the file at most {100 * error:g} %, 95 % "
            f"sure, measured on {counted(drawn, 'answer')}."
        )
    return (
        f"{parts} (at {SECONDS:g} s a text: {hours}){known}: on {counted(drawn, 'answer')} {who} has shown too "
        f"many mistakes for at most {100 * error:g} % in the file. More labels in the run, or a larger --error, help."
    )


@dataclass(frozen=True)
class Draws:
    """Random rows of a file, whose texts measure.

    Attributes:
        places: (m,) of their texts in the corpus; a text that was drawn several times stands there as often.
        weights: (m,) one over the number of times that each was expected, over m; None where all are equally likely.
        most: The largest weight that a row can have.
        rows: How many the file has.
    """

    places: Positions
    weights: Floats | None
    most: float
    rows: int


def _draw(inquiry: Inquiry, examples: Sequence[Example], size: int, design: str) -> Draws:
    """Draw rows of which nobody knows the answer; the same ones in every call."""
    places = {content: row for row, content in enumerate(inquiry.corpus.contents.tolist())}
    counts = np.zeros(len(inquiry.corpus), dtype=np.int64)
    for example in examples:
        if example.fields is not None and example.content_hash in places:
            counts[places[example.content_hash]] += 1
    rows = np.repeat(inquiry.open, counts[inquiry.open])
    rng, n = generator(inquiry.config.seed, 0, "whole file"), int(counts.sum())
    if design == "uniform":
        return Draws(rng.permutation(rows)[:size], None, 1.0, n)
    doubt = np.sqrt(inquiry.confidence * (1 - inquiry.confidence))[rows] + 1e-12
    probabilities = 0.5 / len(rows) + 0.5 * doubt / doubt.sum()
    drawn = rng.choice(len(rows), size, p=probabilities)
    weights = 1 / (len(rows) * probabilities)
    return Draws(rows[drawn], weights[drawn], float(weights.max()), n)


def _cut(inquiry: Inquiry, draws: Draws, error: float) -> Cut:
    """Return the threshold; what people have passed over counts as a mistake of the model."""
    names = inquiry.ids
    ids = [names[place] for place in draws.places]
    answered = [id for id in dict.fromkeys(ids) if id in inquiry.state.answers]
    right = dict(zip(answered, inquiry.right(answered).tolist(), strict=True))
    wrong = np.array([not right.get(id, False) for id in ids], dtype=bool)
    uncertainty: Floats = 1 - inquiry.confidence[draws.places]

    def upper(errors: NDArray[np.bool_]) -> float:
        if draws.weights is None:
            return binomial_upper(int(errors.sum()), len(errors))
        return betting_upper(draws.weights * errors, draws.most)

    return largest_cut(uncertainty, wrong, error, upper)


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
            labeled.append([*start, readable(given.target), f"{given.confidence:.6f}", inquiry.by, *end])
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
