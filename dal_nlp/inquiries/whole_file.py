"""A whole file at a stated error: the model labels what it may, people the rest, and a bound holds with 95 %.

Of its rows, m are drawn at random and put to people; t is the largest threshold of uncertainty under which the model
may answer by an upper bound of mean(1[wrong] 1[u < t]) over the rows (PAC labels: Candes, Ilyas & Zrnic, 2025).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from dal_nlp.core.errors import LARGEST_NUMBER, Unsupported, UserError, unknown
from dal_nlp.core.progress import Progress, Silent
from dal_nlp.core.task import Capability
from dal_nlp.core.text import counted
from dal_nlp.inquiries.inquiry import AS_THE_RUN, FileColumns, Inquiry, open_inquiry
from dal_nlp.inquiries.machines import MODEL, Machine, named_machines
from dal_nlp.inquiries.routing import draw_rows, prices_of, route
from dal_nlp.inquiries.second_fit import FOLDER, fit_again
from dal_nlp.inquiries.written import FileResult, result_of, sentence, write_file
from dal_nlp.ledger.ledger import read_state
from dal_nlp.measuring.bounds import least_answers
from dal_nlp.report.summary import spoken
from dal_nlp.workflows.autolabel import say_unasked
from dal_nlp.workflows.predict import open_run
from dal_nlp.workflows.sources import read_aloud, reader_of

#: How many times as many texts are drawn, where nothing else is said, as a guarantee takes without a mistake.
TIMES = 4


def label_file(
    folder: Path,
    source: str,
    error: float,
    out: Path,
    oracle: str = "file",
    draws: int | None = None,
    progress: Progress | None = None,
    columns: FileColumns = AS_THE_RUN,
    design: str = "uniform",
    told: Callable[[str], object] = print,
    keep_witness: bool | None = None,
    answers_by: str | None = None,
    prices: Mapping[str, float] | None = None,
    learn: bool = False,
) -> FileResult:
    """Label a file so that at most a share of its rows is wrong, with 95 %; the same call goes on.

    Args:
        folder: A run folder.
        source: The rows; with the text columns of the run.
        error: The share.
        out: Where questions, answers and files go.
        oracle: Who answers: ``file`` (sheets) or another name of the oracles.
        draws: How many texts measure; if left out, four times as many as the guarantee takes without a mistake.
        progress: Where it is shown.
        columns: How ``source`` is read; as the run reads its own if left out.
        design: ``uniform``, whose bound is exact; or ``active``, which draws half of the texts where the model may be
            wrong, and bounds the weighed mistakes by betting.
        told: Is told what will be, before anything is written.
        keep_witness: Whether the run's witnesses are asked about each text too; None: as the run has it.
        answers_by: ``model``, ``stack`` (with the witnesses), the name of a witness, or ``best``, in the place of
            ``keep_witness``: whoever of them was right most often on the run's audit sample. Two names with a comma
            between are a cheap and a dear machine; the dear one is asked about what the cheap one may not answer.
        prices: Of an answer of ``people`` and of each machine by its name; a cheap machine without one costs nothing.
        learn: Whether people's answers, but not those that measure, train a second model once all of them are there.

    Raises:
        UserError: No model yet, a file that cannot be read, or fewer draws than the guarantee takes.
        Unsupported: The task's answers are neither right nor wrong.
    """
    if not 0 < error < 1:
        raise UserError(f"--error {error:g} is no share: give a number between 0 and 1, such as 0.05.")
    if least_answers(error) > LARGEST_NUMBER:
        raise UserError(f"--error {error:g} is too little to be guaranteed: give a larger one, such as 0.05.")
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
    machines = [] if answers_by is None else named_machines(read_state(folder), answers_by, shown)
    first = machines[0] if machines else None
    run = open_run(folder, shown, keep_witness if first is None else first != MODEL)
    if keep_witness is None and first is None:
        say_unasked(run)
    if learn and design != "uniform":
        raise UserError("--learn measures the second model on the draws, which have to be uniform: leave --design out.")
    if {Capability.ANSWER_TEXTS, Capability.GENERATED_TEXTS} & run.task.capabilities:
        raise Unsupported("Answers in words are more or less right, so no error is guaranteed: leave --error out.")
    with open_inquiry(run, source, out, oracle, size, columns, first) as inquiry:
        machines = machines or [inquiry.by]
        priced = prices_of(prices, machines)
        dear = Machine(machines[1], open_run(folder, shown, machines[1] != MODEL)) if len(machines) > 1 else None
        inquiry.begin("error", size, error, "" if priced is None else f"{machines} {priced}")
        reader = reader_of(
            run.config, source, columns.text_column, columns.id_column, columns.encoding, columns.quoting
        )
        examples = list(read_aloud(reader, Silent()))
        draws_made, ids = draw_rows(inquiry, examples, size, design), inquiry.ids
        inquiry.draw(list(dict.fromkeys(ids[row] for row in draws_made.places)))
        if inquiry.state.audit != list(dict.fromkeys(ids[row] for row in draws_made.places)):
            raise UserError(f"{out} was begun with other rows or another --design: choose another --out.")
        pending = inquiry.ask()
        if inquiry.state.pending(inquiry.state.audit or []):
            drawn = len(inquiry.state.audit or [])
            told(
                f"Nothing is labeled yet: {drawn:,} of {counted(len(ids), 'text')} were drawn at random and go to "
                f"people first; at most {100 * error:g} % wrong takes at least {least} known answers."
                + (
                    f" That is the whole file: --draws {least} leaves more to machines."
                    if size > len(ids) > least
                    else ""
                )
            )
            remarks, n, known = inquiry.oracle.remarks(pending), draws_made.rows, len(inquiry.known)
            return FileResult(n, len(ids), known, {}, len(ids) - known, None, len(pending), remarks)
        routing = route(inquiry, draws_made, error, dear, priced, told)
        result = result_of(inquiry, draws_made.rows, routing, machines, priced)
        told(sentence(result, error, len(draws_made.places), run.task.capabilities))
        inquiry.ask_further([ids[row] for row in routing.rest], routing.uncertainty.tolist())
        pending = inquiry.ask()
        write_file(inquiry, examples, routing, out)
        remarks = inquiry.oracle.remarks(pending)
        if learn:
            remarks = [*remarks, _learn(inquiry, source, out, shown, len(pending))]
        return replace(result, pending=len(pending), remarks=remarks)


def _learn(inquiry: Inquiry, source: str, out: Path, progress: Progress, pending: int) -> str:
    """Fit a second model once everything is answered; return what should be known of it."""
    if pending:
        return "A second model is trained once all of these are answered."
    done = fit_again(inquiry, source, out / FOLDER, progress)
    scores = ", ".join(f"{spoken(name)} {value:.3f}" for name, value in done.curve[-1]["values"].items())
    return (
        f"{done.folder}: a second model, that people's answers have trained too; on the texts that measured: {scores}"
    )
