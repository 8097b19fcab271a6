"""What a run leaves behind for people: two csv files, the learning curve and one self-contained page.

Everything is rebuilt from the ledger's ``State``, so a report can be made again at any time, and the same
state gives the same bytes. Each file is replaced whole: a reader never sees half of one.
"""

import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dal_nlp.core.errors import UserError, unknown
from dal_nlp.core.files import replace_file
from dal_nlp.core.targets import readable
from dal_nlp.ledger.events import MetricsEvent
from dal_nlp.ledger.state import State
from dal_nlp.ledger.times import SECONDS, seconds
from dal_nlp.readers.spreadsheets import inert_rows
from dal_nlp.report.html import inline, render
from dal_nlp.report.machines import (
    balance,
    drafts_line,
    labeled_by_machines,
    machine_rows,
    saved_line,
    suggestions_line,
    taught_line,
)
from dal_nlp.report.run_forecast import advice
from dal_nlp.report.starting_point import starting_line
from dal_nlp.report.summary import (
    contents,
    finished_line,
    headline,
    metric_names,
    round_line,
    rounds_table,
    spoken,
    trained_otherwise,
)

if TYPE_CHECKING:
    from dal_nlp.report.plots import Look, MetricCurve

__all__ = [
    "curve_lines",
    "finished_line",
    "headline",
    "round_line",
    "rounds_table",
    "trained_otherwise",
    "write_all",
    "write_figure",
    "write_metrics",
    "write_queries",
    "write_report",
]


def write_all(folder: Path, state: State) -> None:
    """Write metrics.csv, queries.csv, curve.svg, curve.png and report.html into a run folder."""
    write_metrics(folder, state)
    write_queries(folder, state)
    write_report(folder, state)


def write_metrics(folder: Path, state: State) -> None:
    """Write metrics.csv: one line per finished round, numbers as exact as the ledger's.

    The columns are round, labels, the task's metrics (none before the first round is finished) and the times
    in seconds. The times for scoring the pool and for choosing are those of the round's own query; empty
    where there was none.
    """
    names = metric_names(state.metrics)
    rows = [
        [event.round, event.labels, *(event.value(name) for name in names), *seconds(state, event)]
        for event in state.metrics
    ]
    replace_file(folder / "metrics.csv", _csv(["round", "labels", *names, *SECONDS], rows, csv.QUOTE_MINIMAL))


def write_queries(folder: Path, state: State) -> None:
    """Write queries.csv: every example that was asked about, best first within its round, rank from 1.

    Then come the model's own answer, before it was told, and its confidence, both empty in round 0, and the characters
    that an annotator has to read. A cell that a spreadsheet would run as a formula (it begins with = + - @, a tab or a
    line break) gets an apostrophe in front, and the row a mark by which it is read back; see ``readers.spreadsheets``.
    UTF-8 without a byte order mark; text cells are quoted, so line breaks inside them are safe.
    """
    header = ["round", "rank", "id", "score", "text", "model_answer", "confidence", "characters"]
    rows: list[list[Any]] = []
    for query in state.queries:
        predictions = [[readable(prediction["target"]), prediction["confidence"]] for prediction in query.predictions]
        examples = zip(query.ids, query.scores, query.texts, predictions or [["", ""]] * len(query.ids), strict=True)
        for rank, (id, score, text, prediction) in enumerate(examples, start=1):
            rows.append([query.round, rank, id, score, text, *prediction, len(text)])
    # All text is quoted: Python 3.11 would leave a lone carriage return bare, and a reader break there.
    replace_file(folder / "queries.csv", _csv(header, rows, csv.QUOTE_NONNUMERIC))


def write_report(folder: Path, state: State) -> None:
    """Write report.html, a page that needs no other file and no network, and the curve as svg and png."""
    curve = _write_curve(folder, state) if state.metrics else ""
    replace_file(
        folder / "report.html",
        render(
            "report.html.j2",
            {
                **contents(state),
                "curve": curve,
                "start": starting_line(state),
                "advice": advice(state),
                "machines": machine_rows(state),
                "machines_saved": saved_line(state) or taught_line(state),
                "suggestions": " ".join(filter(None, (suggestions_line(state), drafts_line(state)))),
                "machine_balance": balance(state),
                "by_machines": labeled_by_machines(state),
            },
        ),
    )


def _write_curve(folder: Path, state: State) -> str:
    """Write the two pictures and return the svg for the page, whose colours follow the page's.

    The png, which takes matplotlib, is drawn where the one that is there shows another curve.
    """
    from dal_nlp.report import plots as curve

    labels, lines = curve_lines(state.metrics)
    svg = render("curve.svg.j2", curve.layout(labels, lines))
    replace_file(folder / "curve.svg", svg)
    picture, mark = folder / "curve.png", f"curve {hashlib.sha256(svg).hexdigest()}"
    if not picture.is_file() or mark.encode() not in picture.read_bytes():
        replace_file(picture, curve.render(labels, lines, "png", mark=mark))
    return inline(svg, curve.COLOURS)


def write_figure(path: Path, state: State, look: "Look", metric: str | None = None) -> None:
    """Write the learning curve of a run for a paper; the file's ending says of which kind.

    Args:
        path: Of the file: svg, png or pdf.
        state: Of the run.
        look: Its width and font.
        metric: The one that is drawn; that of the report if left out.

    Raises:
        UserError: Another ending, no finished round, or no such metric or font.
    """
    from dal_nlp.report import plots as curve

    if not state.metrics:
        raise UserError("No round is finished, so there is no curve to draw.")
    replace_file(path, curve.render(*curve_lines(state.metrics, metric), curve.kind_of(path), look))


def curve_lines(events: Sequence[MetricsEvent], metric: str | None = None) -> "tuple[list[int], list[MetricCurve]]":
    """Return the numbers of labels of finished rounds, and the lines of one metric, or of those that reports draw."""
    from dal_nlp.report import plots as curve

    names = metric_names(events)
    if metric is not None and metric not in names:
        raise unknown("metric", metric, names)
    added = [name for event in events for name in event.added]
    shown = [metric] if metric else list(dict.fromkeys([*names[:2], *added]))
    return [event.labels for event in events], [
        curve.MetricCurve(
            spoken(name),
            [event.value(name) for event in events],
            [_pair(event.intervals[name]) if name in event.intervals else None for event in events],
        )
        for name in shown
    ]


def _pair(values: Sequence[float]) -> tuple[float, float]:
    low, high = values
    return low, high


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]], quoting: Literal[0, 2]) -> bytes:
    buffer = io.StringIO(newline="")
    header, *rows = inert_rows(header, rows)
    csv.writer(buffer, lineterminator="\n").writerow(header)
    csv.writer(buffer, lineterminator="\n", quoting=quoting).writerows(rows)
    return buffer.getvalue().encode()
