"""The learning curve as a picture: the same numbers give the same bytes."""

import io
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
_DASHES = ("none", "7 3", "7 3 2 3", "2 3")
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
        options: dict[str, object] = {"svg.fonttype": "none", "pdf.fonttype": 42, "font.size": size}
        options |= {"lines.markersize": 5 * thin, "lines.linewidth": 2 * thin}
        if self.font is not None:
            try:
                findfont(self.font, fallback_to_default=False)
            except ValueError:
                raise UserError(f"matplotlib finds no font {self.font!r}: install it, or leave --font out.") from None
            options["font.family"] = self.font
        return options


@dataclass(frozen=True)
class MetricCurve:
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
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*", text)
    if match is None or match[2] not in units or not 1 <= float(match[1]) * units[match[2]] <= 40:
        raise UserError(f"--width wants 1 to 40 inches, such as 3.3in, 84mm, 8.4cm or 240pt, and got {text!r}.")
    return float(match[1]) * units[match[2]]


def render(
    labels: Sequence[int], lines: Sequence[MetricCurve], kind: str, look: Look | None = None, mark: str | None = None
) -> bytes:
    """Draw lines over the number of labels; the first comes with the band of its intervals.

    Args:
        labels: (R,) the number of training labels in each round.
        lines: Each with R values.
        kind: One of ``KINDS``.
        look: For a paper; that of the report if left out.
        mark: Text to be found in the bytes of a png.
    """
    return drawn(lambda: _draw(labels, lines), kind, look, mark)


def layout(labels: Sequence[int], lines: Sequence[MetricCurve]) -> dict[str, Any]:
    """Return what the template of the report's svg is filled with: places, words and colours of the same picture."""
    wide, high, letters, left, right = 520.0, 356.0, 16.0, 52.0, 508.0
    entries = [*zip((line.name for line in lines), _colours(), cycle(_DASHES), strict=False)]
    legend = _legend([*entries, ("95 % interval", "", "")] if any(lines[0].intervals) else entries, letters, right)
    top: float = legend[-1]["y"] + 20.0
    bottom = high - 3.1 * letters
    ends = [value for pair in lines[0].intervals if pair for value in pair]
    low, high_value = _margins([*ends, *(value for line in lines for value in line.values)], 0.08)
    first, last = _margins(labels, 0.03)

    def across(label: float) -> float:
        return round(left + (right - left) * (label - first) / (last - first), 2)

    def up(value: float) -> float:
        return round(bottom - (bottom - top) * (value - low) / (high_value - low), 2)

    shown = []
    for line, colour, dashes in zip(lines, _colours(), cycle(_DASHES), strict=False):
        points = [(across(x), up(y)) for x, y in zip(labels, line.values, strict=True)]
        there = [point for point in points if math.isfinite(point[1])]
        shown.append({"points": there, "path": _path(points), "colour": colour, "dashes": dashes})
    known = [(across(x), *map(up, pair)) for x, pair in zip(labels, lines[0].intervals, strict=True) if pair]
    if len(known) == 1:  # a single round has no width to shade and gets a bar
        known = [(known[0][0] + side, *known[0][1:]) for side in (-4.0, 4.0)]
    ring = [(x, bottom) for x, bottom, _ in known] + [(x, top) for x, _, top in reversed(known)]
    steps = _ticks(first, last, 8, (1, 2, 5, 10), 1.0) if len(labels) > 1 else list(labels)
    return {
        **{"width": wide, "height": high, "letters": letters, "left": left, "right": right},
        **{"top": top, "bottom": bottom, "lines": shown, "legend": legend, "band": _path(ring) if ring else ""},
        "x_ticks": [{"at": across(value), "text": f"{value:.0f}"} for value in steps],
        "y_ticks": [
            {"at": up(value), "text": f"{value:.6g}"} for value in _ticks(low, high_value, 8, (1, 2, 2.5, 5, 10), 0)
        ],
        **COLOURS,
    }


def _colours() -> Iterator[str]:
    return cycle((FIRST, SECOND, *FURTHER))


def _legend(entries: Sequence[tuple[str, str, str]], letters: float, right: float) -> list[dict[str, Any]]:
    """Return the places of the words above the picture, line under line; how wide letters are is not known exactly."""
    x, y = 8.0, 14.0
    items: list[dict[str, Any]] = []
    for text, colour, dashes in entries:
        wide = 30 + 0.58 * letters * len(text)
        if items and x + wide > right:
            x, y = 8.0, y + 1.4 * letters
        items.append({"x": round(x, 2), "y": round(y, 2), "text": text, "colour": colour, "dashes": dashes})
        x += wide + 16
    return items


def _margins(values: Iterable[float], share: float) -> tuple[float, float]:
    """Return the ends of an axis: those of the values and a share of their span beyond."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    margin = share * (high - low) or 0.05 * abs(high) or 0.05
    return low - margin, high + margin


def _ticks(low: float, high: float, most: int, steps: Sequence[float], least: float) -> list[float]:
    """Return at most ``most`` round numbers from ``low`` to ``high``, a multiple of one of ``steps`` apart."""
    power = math.pow(10.0, math.floor(math.log10((high - low) / most)))
    step: float = next(step * power for step in (*steps, 10 * steps[-1]) if (high - low) / (step * power) <= most)
    step = max(step, least)
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _path(points: Iterable[tuple[float, float]]) -> str:
    """Return a line through points; what is no number leaves a gap."""
    parts, begin = [], "M"
    for x, y in points:
        if math.isfinite(y):
            parts.append(f"{begin}{x:g} {y:g}")
        begin = "L" if math.isfinite(y) else "M"
    return "".join(parts)


def figure_of(labels: Sequence[int], lines: Sequence[MetricCurve]) -> "Figure":
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


def drawn(draw: "Callable[[], Figure]", kind: str, look: Look | None = None, mark: str | None = None) -> bytes:
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
        facts = dict.fromkeys(_NOT_REPEATABLE[kind]) | ({"Description": mark} if mark else {})
        figure.savefig(buffer, format=kind, dpi=160, transparent=kind == "svg", metadata=facts)
    return buffer.getvalue()


def _draw(labels: Sequence[int], lines: Sequence[MetricCurve]) -> "Figure":
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


def _band(axes: "Axes", labels: Sequence[int], line: MetricCurve) -> None:
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
