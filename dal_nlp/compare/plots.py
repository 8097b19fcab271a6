"""The mean learning curves of a comparison as a picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dal_nlp.report.learning_curves import Curve, mean_interval
from dal_nlp.report.plots import INK, Look, drawn, dress, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: By the name of their CSS variable; told apart also by people who see few colours (after Okabe and Ito, 2008).
COLOURS = {
    "ink": INK,
    "arm-0": "#6b7480",
    "arm-1": "#0072b2",
    "arm-2": "#d55e00",
    "arm-3": "#009e73",
    "arm-4": "#cc79a7",
    "arm-5": "#b8860b",
    "arm-6": "#56b4e9",
    "grid": "#c9ced6",
}
_STYLES = ("-", "--", "-.", ":")
_MARKERS = "os^Dvp*"


@dataclass(frozen=True)
class Picture:
    """What the picture of a comparison shows.

    Attributes:
        curves: By name; random first, in grey.
        baseline: TF-IDF on the labels of random, or None.
        full: The score on all labels; None where it is not known.
        metric: What people call it.
        across: What the horizontal axis counts.
        alone: Machines without any label: (name, what they cost, score).
        only: Those of the curves that are drawn, in the colours that they have among all; None for all.
    """

    curves: Sequence[tuple[str, Curve]]
    baseline: Curve | None
    full: float | None
    metric: str
    only: Sequence[str] | None = None
    across: str = "labels"
    alone: Sequence[tuple[str, float, float]] = ()

    def render(self, kind: str, look: Look | None = None) -> bytes:
        """Draw mean curves, each with the band of its 95 % interval, a baseline and the score on all labels.

        Args:
            kind: One of ``plots.KINDS``.
            look: For a paper; that of the report if left out.
        """
        return drawn(lambda: _draw(self), kind, look)


def _span(curves: Sequence[Curve], others: Sequence[float]) -> tuple[float, float]:
    """Return the ends of the axis: those of the mean curves and a fifth more; bands of few seeds may leave it."""
    scores = [float(score) for curve in curves for score in curve.mean] + [*others]
    room = max((max(scores) - min(scores)) / 5, 0.02)
    return min(scores) - room, max(scores) + room


def _beyond(scores: Sequence[float], span: tuple[float, float]) -> str:
    """Return where a line is that no part of the axis shows, "" for one that is seen."""
    if max(scores) < span[0]:
        return f" (below, up to {max(scores):.2f})"
    return f" (above, from {min(scores):.2f} on)" if min(scores) > span[1] else ""


def _draw(of: Picture) -> "Figure":
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7.2, 4.8), layout="constrained")
    axes = figure.add_subplot()
    colours = [colour for name, colour in COLOURS.items() if name.startswith("arm-")]
    shown = {name: i for i, (name, _) in enumerate(of.curves) if of.only is None or name in of.only}
    for name, i in shown.items():
        curve = of.curves[i][1]
        mean, ends = mean_interval(curve)
        colour, style = colours[i % len(colours)], _STYLES[i // len(colours) % len(_STYLES)]
        marker = _MARKERS[i % len(_MARKERS)]
        axes.plot(curve.labels, mean, style, marker=marker, color=colour, label=plain(name))
        if ends is not None:
            axes.fill_between(curve.labels, *ends, color=colour, alpha=0.13, linewidth=0)
    others = [*([] if of.full is None else [of.full]), *(score for _, _, score in of.alone)]
    span = _span([of.curves[i][1] for i in shown.values()], others)
    if of.baseline is not None:
        means = [float(score) for score in of.baseline.mean]
        name = f"TF-IDF, random labels{_beyond(means, span)}"
        axes.plot(of.baseline.labels, means, ":", linewidth=1.6, color=INK, label=name)
    if of.full is not None:
        axes.axhline(of.full, linestyle=(0, (1, 3)), linewidth=1.4, color=INK, label="all labels")
    for index, (name, cost, score) in enumerate(of.alone):
        axes.axhline(score, alpha=0.5, linestyle=_STYLES[index % len(_STYLES)], linewidth=1.0, color=INK)
        axes.plot([cost], [score], "X", color=INK, label=f"{plain(name)}, alone")
    axes.set_ylim(*span)
    axes.set_ylabel(plain(of.metric), color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=9, steps=[1, 2, 5, 10], integer=True))
    dress(axes)
    axes.set_xlabel(plain(of.across), color=INK)
    figure.legend(loc="outside upper left", ncols=3, columnspacing=1.2, frameon=False, labelcolor=INK)
    return figure
