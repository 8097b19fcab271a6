"""The labels that nobody has to buy: what a run's model may label itself, and what it leaves to people."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_softmax
from torch import nn

from dal_nlp.core.config import Settings
from dal_nlp.core.errors import UserError, unknown
from dal_nlp.core.files import new_file
from dal_nlp.core.progress import Progress, Silent
from dal_nlp.core.targets import Target, decode, readable
from dal_nlp.core.task import Capability
from dal_nlp.data.corpus import Rejected, read_corpus, write_rejected
from dal_nlp.data.examples import AnswersById, ExampleReader, ReadRow, context_of
from dal_nlp.data.repeats import Repeats
from dal_nlp.readers.spreadsheets import inert_rows
from dal_nlp.report.summary import texts_asked
from dal_nlp.signals import short_name
from dal_nlp.span_witnesses.listening import has_witnesses
from dal_nlp.strategies import probes
from dal_nlp.tasks import make_task
from dal_nlp.tasks.calibration import PrecisionGuarantee, fit_temperature, precision_guarantee
from dal_nlp.workflows.predict import TrainedRun, distinct, open_run
from dal_nlp.workflows.sources import read_aloud, reader_of

#: Why a row is left out that people have labeled in the run.
LABELED = "labeled in the run"

Floats = NDArray[np.float64]
KnownExample = tuple[dict[str, Any], Target]  # an example's fields, and its answer


@dataclass(frozen=True)
class LabeledRow:
    """What the model says of one row: the answer, how sure it is, whether that is enough, and what stands beside."""

    id: str
    text: str
    answer: str
    confidence: float
    sure: bool
    context: Mapping[str, str]


@dataclass(frozen=True)
class Plan:
    """What would be written.

    Attributes:
        rows: Of the file, in its order.
        rejected: The other rows of the file: those without a text, and those that the run has a label of (same id, same
            text).
        guarantee: What the sure ones are worth; None where the task makes no guarantee, or none can be made.
        by_label: The same for each of several labels a text.
        temperature: By which the log-probabilities were divided; 1 where there is no guarantee.
        measured: How many known answers this rests on.
        classes: Whether answers are labels, for which alone there is a guarantee.
    """

    rows: list[LabeledRow]
    rejected: list[Rejected]
    guarantee: PrecisionGuarantee | None
    temperature: float
    measured: int
    classes: bool
    by_label: Mapping[str, PrecisionGuarantee | None] = field(default_factory=dict)


def plan(
    folder: Path,
    source: str,
    precision: float,
    progress: Progress | None = None,
    validation: str | None = None,
    text_column: Sequence[str] | None = None,
    id_column: str | None = None,
    encoding: str | None = None,
    quoting: str | None = None,
    label_column: str | None = None,
    keep_witness: bool | None = None,
    repeats: str | None = None,
) -> Plan:
    """Label what a run's model is sure enough of.

    The temperature and the threshold come from a file given here, the run's validation file, or else its audit sample:
    never from what trained, and never from the test set.

    Args:
        folder: A run folder.
        source: The rows to label; with the text columns of the run.
        precision: Share of right labels that is wanted among the model's own.
        progress: Where it is shown.
        validation: Labeled rows to measure on, which no run has trained on; the run's own if left out.
        text_column: The columns of ``source`` that hold the texts; the run's if left out.
        id_column: Its column of ids, likewise; ``none`` where it has no ids.
        encoding: Of a source that is a text file and not UTF-8.
        quoting: ``none`` where double quotes in a table are letters, ``trusted`` where they are right as they stand.
        label_column: The column of ``validation`` that holds the answers; the run's if left out.
        keep_witness: Whether the run's witnesses are asked about each text too; None: as the run has it.
        repeats: Which answer counts where ``validation`` has several to one text; the run's rule if left out.

    Raises:
        UserError: No model yet, a file that cannot be read, or nothing to measure on.
    """
    run = open_run(folder, Silent() if progress is None else progress, keep_witness)
    if keep_witness is None:
        say_unasked(run)
    classes = Capability.SHARED_OUTCOMES in run.task.capabilities
    reader = reader_of(run.config, source, text_column, id_column, encoding, quoting)
    examples, rejected = _to_label(run, source, read_aloud(reader, run.progress))
    several = Capability.SEVERAL_LABELS in run.task.capabilities
    known = _known(run, validation, label_column, repeats) if classes or several else []
    model = run.load()
    if several:
        return _several(run, model, examples, rejected, known, precision)
    if not classes:
        return Plan(_by_prediction(run, model, examples), rejected, None, 1.0, 0, False)
    log_probs, answers = run.log_probs(model, [fields for fields, _ in known]), [target for _, target in known]
    truth = np.array([run.task.labels.index(answer) for answer in answers])
    temperature = fit_temperature(log_probs, truth)
    predicted, confidence = _answer(log_probs, temperature)
    guaranteed = precision_guarantee(confidence.tolist(), (predicted == truth).tolist(), precision)
    best, sure = _answer(run.log_probs(model, [_fields(e) for e in examples]), temperature)
    least = guaranteed.threshold if guaranteed else np.inf
    rows = [
        LabeledRow(
            e.id, run.task.show(_fields(e)), run.task.labels[i], float(p), bool(p >= least), context_of(e.fields or {})
        )
        for e, i, p in zip(examples, best, sure, strict=True)
    ]
    return Plan(rows, rejected, guaranteed, temperature, len(known), True)


def say_unasked(run: TrainedRun) -> None:
    """Say that a run's machines are not asked about a file, where they could be."""
    if has_witnesses(run.config, run.task) and not run.keeps:
        names = ", ".join(short_name(spec) for spec in run.config.signals)
        run.progress.say(
            f"{names} helped to train the model and will not be asked: --keep-witness asks about each text."
        )


def _to_label(run: TrainedRun, source: str, there: Iterable[ReadRow]) -> tuple[list[ReadRow], list[Rejected]]:
    """Return the rows that are to be labeled, and the others, each with its reason."""
    done = {id: text for id, text in texts_asked(run.state) if id in run.state.answers}
    examples, rejected = list[ReadRow](), list[Rejected]()
    for example in there:
        known = example.fields is not None and done.get(example.id) == run.task.show(_fields(example))
        reason = LABELED if known else example.reason
        if reason is None:
            examples.append(example)
        else:
            rejected.append(Rejected(source, example.row, example.id, reason))
    counts = Counter(row.reason for row in rejected)
    if not examples:
        reason = "only rows that the run has labels of" if counts[LABELED] else "no row with a text"
        raise UserError(f"{source} has {reason}: nothing is to be labeled.")
    if rejected:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in counts.items())
        run.progress.say(f"Rows left out: {len(rejected):,} ({reasons}); rejected.csv beside the labels names each")
    return examples, rejected


def write(result: Plan, folder: Path) -> tuple[Path, Path, Path]:
    """Write labeled.csv (id, text, label, confidence), people.csv, whose least sure rows come first, and rejected.csv.

    Every row of the source is in one of the three.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "labeled.csv", folder / "people.csv", folder / "rejected.csv"
    write_rejected(paths[2], result.rejected)
    context = list(result.rows[0].context) if result.rows else []
    _csv(paths[0], "label", context, [row for row in result.rows if row.sure])
    unsure = sorted((row for row in result.rows if not row.sure), key=lambda row: row.confidence)
    _csv(paths[1], "suggestion", context, unsure)
    return paths


def _csv(path: Path, name: str, context: Sequence[str], rows: Sequence[LabeledRow]) -> None:
    with new_file(path) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        header = ["id", "text", name, "confidence"]
        header += [f"{column} (context)" if column in header else column for column in context]
        cells = ((row.id, row.text, row.answer, f"{row.confidence:.6f}", *row.context.values()) for row in rows)
        csv.writer(file, lineterminator="\n").writerows(inert_rows(header, cells))


def _fields(example: ReadRow) -> dict[str, Any]:
    return {"id": example.id, **(example.fields or {})}


def _known(
    run: TrainedRun, validation: str | None, label_column: str | None, repeats: str | None
) -> list[KnownExample]:
    """Return known answers that neither train nor choose nor test."""
    if repeats is not None and repeats not in get_args(Repeats):
        raise unknown("repeats", repeats, get_args(Repeats))
    options = {"label_column": label_column, "repeats": repeats}
    config, state = run.config.model_copy(update={name: value for name, value in options.items() if value}), run.state
    training = set(state.training_ids)
    trained = {id: text for id, text in texts_asked(state) if id in training}
    if file := validation or config.validation:
        known = [
            (fields, target)
            for fields, target in _validated(run, config, file)
            if trained.get(fields["id"]) != run.task.show(fields)
        ]
        labels_of = run.task.answer_format.labels_of
        for label in {str(label) for _, target in known for label in labels_of(target)}.difference(run.task.labels):
            raise UserError(f"{file} has the label {label!r}, which the run does not know: leave such rows out.")
        return known
    if state.audit_probabilities:
        raise UserError(
            "The audit sample was drawn rather where the model may err, so a threshold for --precision cannot be "
            "fitted to it: give --validation FILE, or --error for the whole file."
        )
    audit = AnswersById({id: state.answers[id] for id in state.audit or [] if id in state.answers})
    if not audit or config.data is None:
        raise UserError(
            "There is nothing to measure the model's confidence on, as the test set is not for that: give --validation "
            "FILE with labeled rows that were not trained on, or --error, which asks people."
        )
    return list(_answered(run, config, config.data, audit))


def _validated(run: TrainedRun, config: Settings, source: str) -> list[KnownExample]:
    """Return the texts of a file with their answers, each text once."""
    task = make_task(config)
    task.labels = list(run.task.labels)
    corpus = read_corpus(source, task, config, None, "validation", need_targets=True)
    for remark in corpus.remarks:
        run.progress.say(remark)
    if corpus.rejected:
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in Counter(row.reason for row in corpus.rejected).items())
        run.progress.say(f"Rows of {source} left out: {len(corpus.rejected):,} ({reasons})")
    return [
        ({name: cell for name, cell in row.items() if name != "target"}, target)
        for row in corpus.dataset
        if (target := decode(row["target"])) is not None
    ]


def _answered(run: TrainedRun, config: Settings, source: str, answers: AnswersById) -> Iterator[KnownExample]:
    task = make_task(config)
    task.labels = list(run.task.labels)
    for example in read_aloud(ExampleReader(source, task, config, answers=answers), run.progress):
        target = decode(example.target)
        if target is not None and example.fields is not None:
            yield _fields(example), target


def _answer(log_probs: Floats, temperature: float) -> tuple[NDArray[np.int_], Floats]:
    """Return the most likely class of each row and its calibrated probability."""
    calibrated = log_softmax(log_probs / temperature, axis=1)
    best = calibrated.argmax(axis=1)
    return best, np.exp(calibrated[np.arange(len(best)), best])


def _several(
    run: TrainedRun,
    model: nn.Module,
    examples: Sequence[ReadRow],
    rejected: list[Rejected],
    known: Sequence[KnownExample],
    precision: float,
) -> Plan:
    """Label rows of whose labels each is guaranteed: it is sure where all labels that it is given are sure enough.

    A row that the model gives no label is for people, as no precision says how many labels are missed.
    """
    labels, kind = run.task.labels, run.task.answer_format
    p, _ = _yes(run, model, [fields for fields, _ in known])
    truth = [set(kind.labels_of(target)) for _, target in known]
    guarantees = {
        label: precision_guarantee(p[:, column].tolist(), [label in held for held in truth], precision)
        for column, label in enumerate(labels)
    }
    least = {label: np.inf if bound is None else bound.threshold for label, bound in guarantees.items()}
    fields = [_fields(example) for example in examples]
    sure, answers = _yes(run, model, fields)
    rows = []
    for row, example, probabilities, target in zip(fields, examples, sure, answers, strict=True):
        scores = {label: float(probabilities[labels.index(label)]) for label in kind.labels_of(target)}
        certain = bool(scores) and all(q >= least[label] for label, q in scores.items())
        confidence = min(scores.values()) if scores else float(1 - probabilities.max())
        answer = kind.format_answer(target, row)
        rows.append(
            LabeledRow(example.id, run.task.show(row), answer, confidence, certain, context_of(example.fields or {}))
        )
    return Plan(rows, rejected, None, 1.0, len(known), True, guarantees)


def _yes(run: TrainedRun, model: nn.Module, examples: Sequence[dict[str, Any]]) -> tuple[Floats, list[Target]]:
    """Return the probability of each label, (N, F), and the labels that the model gives."""
    kept, numbers = distinct(examples)
    pool = run.pool(model, kept)
    (log_odds,) = pool.collect(probes.label_log_odds)
    shares, answers = expit(np.asarray(log_odds, dtype=np.float64)), pool.predict()
    return np.asarray(shares[numbers]), [answers[number].target for number in numbers]


def _by_prediction(run: TrainedRun, model: nn.Module, examples: Sequence[ReadRow]) -> list[LabeledRow]:
    """Return answers in words, all of them for people to look at."""
    rows = [_fields(example) for example in examples]
    answers = run.answers(model, rows)
    return [
        LabeledRow(
            str(row["id"]), run.task.show(row), readable(answer.target), answer.confidence, False, context_of(row)
        )
        for row, answer in zip(rows, answers, strict=True)
    ]
