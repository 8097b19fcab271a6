"""The learning curve as a picture: the same numbers give the same bytes."""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from dal_nlp.core.errors import UserError, unknown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FIRST, SECOND, GRID = "#30363d", "#1f5fae", "#b35414", "#c9ced6"
FURTHER = ("#6f42c1", "#1a7f64")
COLOURS = {"ink": INK, "first": FIRST, "second": SECOND, "grid": GRID}  # by the name of their CSS variable


#: Points of the text of a picture that is ``NATURAL`` inches wide; a narrower one has smaller letters, to a limit.
LETTERS, NATURAL, SMALLEST = 12.5, 5.4, 7.0
_STROKES = {"lines.markersize": 5.0, "lines.linewidth": 2.0}
#: What matplotlib would write into a file that is another one each time.
_NOT_REPEATABLE = {
    "svg": ("Date", "Creator", "Format", "Type"),
    "png": ("Software",),
    "pdf": ("CreationDate", "Creator", "Producer"),
}
#: Kinds of files that a picture can be.
KINDS = ("svg", "png", "pdf")


@dataclass(frozen=True)
class Look:
    """How a picture for a paper looks; its text stays text.

    Attributes:
        width: In inches; None for that of the report.
        font: Its name; None for matplotlib's own.
    """

    width: float | None = None
    font: str | None = None

    def settings(self) -> dict[str, object]:
        """Return matplotlib's settings; raises ``UserError`` for a font that is not there."""
        from matplotlib.font_manager import findfont

        size = LETTERS if self.width is None else max(SMALLEST, LETTERS * min(1.0, self.width / NATURAL))
        thin = size / LETTERS
        found: dict[str, object] = {"svg.fonttype": "none", "pdf.fonttype": 42, "font.size": size}
        found |= {"lines.markersize": 5 * thin, "lines.linewidth": 2 * thin}
        if self.font is not None:
            try:
                findfont(self.font, fallback_to_default=False)
            except ValueError:
                raise UserError(f"matplotlib finds no font {self.font!r}: install it, or leave --font out.") from None
            found["font.family"] = self.font
        return found


@dataclass(frozen=True)
class Line:
    """One metric over the rounds: a value for each number of labels, and its interval where there is one."""

    name: str
    values: list[float]
    intervals: list[tuple[float, float] | None]


def kind_of(path: Path) -> str:
    """Return the kind of picture that a file's ending names; raises ``UserError``."""
    kind = path.suffix.removeprefix(".").lower()
    if kind not in KINDS:
        raise unknown("kind of picture", kind or path.name, KINDS)
    return kind


def inches(text: str) -> float:
    """Return the inches of "3.3in", "84mm", "8.4cm", "240pt" or a plain number; raises ``UserError``."""
    units = {"in": 1.0, "": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4, "pt": 1 / 72.27}
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*", text)
    if found is None or found[2] not in units or not 1 <= float(found[1]) * units[found[2]] <= 40:
        raise UserError(f"--width wants 1 to 40 inches, such as 3.3in, 84mm, 8.4cm or 240pt, and got {text!r}.")
    return float(found[1]) * units[found[2]]


def render(labels: Sequence[int], lines: Sequence[Line], kind: str, look: Look | None = None) -> bytes:
    """Draw lines over the number of labels; the first comes with the band of its intervals.

    Args:
        labels: (R,) the number of training labels in each round.
        lines: Each with R values.
        kind: One of ``KINDS``.
        look: For a paper; that of the report if left out.
    """
    return drawn(lambda: _draw(labels, lines), kind, look)


def figure_of(labels: Sequence[int], lines: Sequence[Line]) -> "Figure":
    """Return the same picture as a figure of matplotlib, to be changed and saved; notebooks show it."""
    import matplotlib.style

    with matplotlib.style.context(["default", {"font.size": LETTERS, **_STROKES}]):
        figure = _draw(labels, lines)

    def as_png() -> bytes:
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110)
        return buffer.getvalue()

    figure._repr_png_ = as_png  # type: ignore[attr-defined]  # matplotlib adds this for figures of pyplot alone
    return figure


def drawn(draw: "Callable[[], Figure]", kind: str, look: Look | None = None) -> bytes:
    """Return a figure as a file of one of ``KINDS``, whatever the user's own settings of matplotlib are."""
    import matplotlib.style

    buffer = io.BytesIO()
    # A user's own matplotlibrc must not change the report; the salt makes the ids inside an svg repeatable.
    settings = {"font.size": LETTERS, **_STROKES} if look is None else look.settings()
    with matplotlib.style.context(["default", {"svg.hashsalt": "dal-nlp", **settings}]):
        figure = draw()
        if look is not None and look.width is not None:
            width, height = figure.get_size_inches()
            figure.set_size_inches(look.width, look.width * height / width)
        names = _NOT_REPEATABLE[kind]
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
        axes.plot(labels, line.values, style, marker=marker, color=colour, label=name)
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
