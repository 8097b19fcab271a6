"""The files of a whole file at a stated error, and the sentence that is said before they are written."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dal_nlp.core.files import new_file
from dal_nlp.core.targets import readable
from dal_nlp.core.task import Capability
from dal_nlp.core.text import counted, duration
from dal_nlp.data.corpus import Rejected, write_rejected
from dal_nlp.data.examples import ReadRow, context_of
from dal_nlp.inquiries.inquiry import Inquiry
from dal_nlp.inquiries.machines import MODEL, STACK
from dal_nlp.inquiries.routing import Prices, Routing
from dal_nlp.readers.spreadsheets import inert_rows

#: Seconds in which people are taken to answer one text.
SECONDS = 6.0
_SPOKEN = {MODEL: "the model", STACK: "the model with its witnesses"}


@dataclass(frozen=True)
class FileResult:
    """What became of a file.

    Attributes:
        rows: That can be labeled, repeats of a text among them.
        texts: Distinct texts.
        known: How many of them people had answered in the run.
        machines: By machine how many get its answer.
        people: How many people answer, those that were drawn among them.
        bound: The upper bound of the file's error; None while the draws have no answers.
        pending: How many people have still to answer.
        remarks: What to do next.
        cost: Of the machines and people by their prices; None where none are given.
    """

    rows: int
    texts: int
    known: int
    machines: dict[str, int]
    people: int
    bound: float | None
    pending: int
    remarks: list[str]
    cost: float | None = None

    @property
    def machine(self) -> int:
        """How many get the answer of a machine."""
        return sum(self.machines.values())


def result_of(
    inquiry: Inquiry, rows: int, routing: Routing, machines: Sequence[str], prices: Prices | None
) -> FileResult:
    """Return what becomes of a file of so many rows."""
    counts = {name: sum(by == name for _, by in routing.given.values()) for name in machines}
    cost = None
    if prices is not None:
        sizes = [counts[machines[0]], routing.asked]  # a cheap machine's price is that of what it answers
        cost = prices.people * len(routing.rest) + sum(
            n * price for n, price in zip(sizes, prices.machines, strict=False)
        )
    known = len(inquiry.known)
    return FileResult(rows, len(inquiry.ids), known, counts, len(routing.rest), routing.bound, 0, [], cost)


def sentence(result: FileResult, error: float, drawn: int, of: frozenset[Capability]) -> str:
    """Say what machines and people do, what that costs, and what is guaranteed of a task of some capabilities."""
    hours = duration(SECONDS * result.people)
    known = f", {result.known:,} known from the run" if result.known else ""
    repeats = f" ({counted(result.rows, 'row')})" if result.rows > result.texts else ""
    whole = f"Of {counted(result.texts, 'distinct text')}{repeats}"
    shares = ", ".join(f"{count:,} by {_SPOKEN.get(name, name)}" for name, count in result.machines.items())
    cost = "" if result.cost is None else f", for {result.cost:,.2f} in all"
    start = f"{whole}: {shares}, {result.people:,} by people (at {SECONDS:g} s a text: {hours}){cost}{known}"
    share, answers = f"at most {100 * error:g} %", counted(drawn, "answer")
    if result.machine:
        wrong = " (texts with any wrong label, so for each label too)" if Capability.SEVERAL_LABELS in of else ""
        return f"{start}; error of the file {share}{wrong}, 95 % sure, measured on {answers}."
    if result.people <= drawn:
        return f"{start}: all that was not known was drawn, so that no text is left for a machine."
    who = " and ".join(_SPOKEN.get(name, name) for name in result.machines)
    has = "has" if len(result.machines) == 1 else "have"
    return (
        f"{start}: on {answers} {who} {has} shown too many mistakes for {share} in the file. More labels in the run, "
        "or a larger --error, help."
    )


def write_file(inquiry: Inquiry, examples: Sequence[ReadRow], routing: Routing, out: Path) -> None:
    """Write labeled.csv, people.csv (what is still to be answered, the most uncertain first) and rejected.csv.

    Every row of the source is in one of the three; repeats of a text get its answer.
    """
    places = {int(content): row for row, content in enumerate(inquiry.corpus.contents.tolist())}
    dropped = {row.row: row.reason for row in inquiry.corpus.rejected}
    ids = inquiry.ids
    labeled, people, rejected = [], [], list[Rejected]()
    context = inquiry.config.context_columns or ()
    for example in examples:
        row = places.get(example.content_hash) if example.fields is not None else None
        if example.fields is None or row is None:
            reason = example.reason or dropped.get(example.row, "not usable")
            rejected.append(Rejected(inquiry.corpus.source, example.row, example.id, reason))
            continue
        fields = {"id": example.id, **example.fields}
        answer, id = inquiry.answers[row], ids[row]
        start, end = [example.id, inquiry.run.task.show(fields)], list(context_of(example.fields).values())
        if id in inquiry.known or id in inquiry.state.answers:
            target = inquiry.state.answers.get(id, inquiry.known.get(id))
            assert target is not None
            labeled.append([*start, readable(target), "", "people", *end])
        elif row in routing.given:
            answer, by = routing.given[row]
            labeled.append([*start, readable(answer.target), f"{answer.confidence:.6f}", by, *end])
        elif id in inquiry.state.skipped:
            why = inquiry.state.skipped[id]
            reason = f"people have skipped it ({why})" if why else "people have skipped it"
            rejected.append(Rejected(inquiry.corpus.source, example.row, example.id, reason))
        else:
            people.append((answer.confidence, [*start, readable(answer.target), f"{answer.confidence:.6f}", *end]))
    people.sort(key=lambda pair: pair[0])
    _csv(out / "labeled.csv", ["id", "text", "label", "confidence", "by"], labeled, context)
    _csv(out / "people.csv", ["id", "text", "suggestion", "confidence"], [cells for _, cells in people], context)
    write_rejected(out / "rejected.csv", rejected)


def _csv(path: Path, header: list[str], rows: Sequence[Sequence[str]], context: Sequence[str]) -> None:
    names = [f"{name} (context)" if name in header else name for name in context]
    with new_file(path) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(inert_rows([*header, *names], rows))
