"""The learning curve as a picture: the same numbers give the same bytes."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FIRST, SECOND, GRID = "#30363d", "#1f5fae", "#b35414", "#c9ced6"
FURTHER = ("#6f42c1", "#1a7f64")
COLOURS = {"ink": INK, "first": FIRST, "second": SECOND, "grid": GRID}  # by the name of their CSS variable


@dataclass(frozen=True)
class Line:
    """One metric over the rounds: a value for each number of labels, and its interval where there is one."""

    name: str
    values: list[float]
    intervals: list[tuple[float, float] | None]


def render(labels: Sequence[int], lines: Sequence[Line], kind: str) -> bytes:
    """Draw lines over the number of labels; the first comes with the band of its intervals.

    Args:
        labels: (R,) the number of training labels in each round.
        lines: Each with R values.
        kind: "svg" or "png".
    """
    return drawn(lambda: _draw(labels, lines), kind)


def drawn(draw: "Callable[[], Figure]", kind: str) -> bytes:
    """Return a figure as "svg" or "png", whatever the user's own settings of matplotlib are."""
    import matplotlib.style

    buffer = io.BytesIO()
    # A user's own matplotlibrc must not change the report; the salt makes the ids inside an svg repeatable.
    with matplotlib.style.context(["default", {"svg.hashsalt": "dal-nlp", "font.size": 12.5}]):
        figure = draw()
        names = ("Date", "Creator", "Format", "Type") if kind == "svg" else ("Software",)
        figure.savefig(buffer, format=kind, dpi=160, transparent=kind == "svg", metadata=dict.fromkeys(names))
    return buffer.getvalue()


def _draw(labels: Sequence[int], lines: Sequence[Line]) -> "Figure":
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(5.4, 3.7), layout="constrained")
    axes = figure.add_subplot()
    for line, colour, style, marker in zip(
        lines, cycle((FIRST, SECOND, *FURTHER)), cycle(("-", "--", "-.", ":")), cycle("osD^"), strict=False
    ):
        name = plain(line.name)
        axes.plot(labels, line.values, style, marker=marker, markersize=5, linewidth=2, color=colour, label=name)
    _band(axes, labels, lines[0])
    if len(labels) > 1:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True))
    else:
        axes.set_xticks(labels)
    dress(axes)
    # Outside the axes: inside, it hides a part of some curve.
    figure.legend(loc="outside upper left", ncols=3, columnspacing=1.2, frameon=False, labelcolor=INK)
    return figure


def dress(axes: "Axes") -> None:
    """Give axes over numbers of labels their look."""
    axes.set_xlabel("labels", color=INK)
    axes.margins(x=0.03, y=0.08)
    axes.grid(color=GRID, linewidth=0.6, alpha=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, length=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)


def _band(axes: "Axes", labels: Sequence[int], line: Line) -> None:
    """Shade the interval; a single round has no width to shade and gets a bar."""
    known = [(x, *pair) for x, pair in zip(labels, line.intervals, strict=True) if pair]
    if not known:
        return
    x, low, high = zip(*known, strict=True)
    if len(known) == 1:
        axes.vlines(x, low, high, color=FIRST, linewidth=6, alpha=0.3, label="95 % interval")
    else:
        axes.fill_between(x, low, high, color=FIRST, alpha=0.16, linewidth=0, label="95 % interval")


def plain(name: str) -> str:
    """Keep what the font surely has, and no sign that starts a formula."""
    return name.replace("$", "").encode("ascii", "replace").decode()
