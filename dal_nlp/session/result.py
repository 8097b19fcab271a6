"""The outcome of a run, for Python."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dal_nlp.core.errors import UserError
from dal_nlp.core.targets import Target
from dal_nlp.core.text import counted
from dal_nlp.ledger.events import MetricsEvent
from dal_nlp.report.summary import cell, metric_names, spoken

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Result:
    """The outcome of a run.

    Attributes:
        folder: The run folder.
        curve: One ``metrics`` event a round: round, labels, values, intervals, seconds.
        labels: Every bought label by id, the audit sample included.
        model_dir: The last model, and a card that says how to load it; None while answers are pending.
        stopped: Why the run ended, or None where answers are pending.
        pending: Ids that still want an answer.
        finished: The numbers of the model in ``model_dir`` where ``finish`` trained it; see the ``finished`` event.
        remarks: What the oracle has to say about answers that are missing or wrong, in sentences.

    Example:
        >>> from pathlib import Path
        >>> from dal_nlp import Result
        >>> waiting = Result(Path("runs/first"), [], {"e1": "positive"}, None, None, pending=["e2"])
        >>> waiting.stopped is None, waiting.pending
        (True, ['e2'])
        >>> waiting
        <Result of runs/first: 1 label; 1 answer missing>
    """

    folder: Path
    curve: list[dict[str, Any]]
    labels: dict[str, Target]
    model_dir: Path | None
    stopped: str | None
    pending: list[str]
    finished: dict[str, Any] | None = None
    remarks: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<Result of {self.folder}: {'; '.join(self._facts())}>"

    def _facts(self) -> list[str]:
        """Return what came out, in words."""
        facts = [counted(len(self.labels), "label")]
        if self.curve:
            last = self.curve[-1]
            name, value = next(iter(last["values"].items()))
            facts = [f"{counted(len(self.curve), 'round')}, {spoken(name)} {value:.3f} at {last['labels']:,} labels"]
        if self.pending:
            facts.append(f"{counted(len(self.pending), 'answer')} missing")
        return [*facts, *([f"stopped: {self.stopped}"] if self.stopped else [])]

    def _repr_html_(self) -> str:
        """Return the table of rounds, for notebooks."""
        from dal_nlp.report.html import as_table

        events = [MetricsEvent.from_json(point) for point in self.curve]
        names = metric_names(events)
        rows = [
            [event.round, event.labels, *(cell(event.value(name)) + _ends(event, name) for name in names)]
            for event in events
        ]
        below = [*self._facts(), f"Report: {self.folder / 'report.html'}", *self.remarks]
        return as_table(["round", "labels", *map(spoken, names)], rows, below)

    def to_pandas(self) -> "pandas.DataFrame":
        """Return one row for each round: labels, every metric with the ends of its interval, and seconds."""
        import pandas

        rows = []
        for event in map(MetricsEvent.from_json, self.curve):
            row: dict[str, Any] = {"round": event.round, "labels": event.labels}
            for name, value in event.values.items():
                row[name] = value
                if name in event.intervals:
                    row[f"{name}_low"], row[f"{name}_high"] = event.intervals[name]
            rows.append({**row, "train_seconds": event.train_seconds, "eval_seconds": event.eval_seconds})
        return pandas.DataFrame(rows)

    def plot(self, metric: str | None = None) -> "Figure":
        """Return the learning curve as a figure of matplotlib, which notebooks show.

        Args:
            metric: The one that is drawn; those of the report if left out.

        Raises:
            UserError: No round is finished, or there is no such metric.
        """
        from dal_nlp.report.files import curve_lines
        from dal_nlp.report.plots import figure_of

        if not self.curve:
            raise UserError("No round is finished, so there is no curve to draw.")
        return figure_of(*curve_lines([MetricsEvent.from_json(point) for point in self.curve], metric))


def _ends(event: MetricsEvent, name: str) -> str:
    """Return the interval of a metric behind a blank, "" where there is none."""
    pair = event.intervals.get(name)
    return f" [{pair[0]:.3f}, {pair[1]:.3f}]" if pair else ""
