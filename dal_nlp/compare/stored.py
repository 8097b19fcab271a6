"""A comparison read back from its tables, for figures and tables of a paper."""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dal_nlp.compare.arm_names import BASELINE
from dal_nlp.core.errors import RunFolderError, UserError, unknown
from dal_nlp.report.summary import spoken

if TYPE_CHECKING:
    from dal_nlp.compare.plots import Picture
    from dal_nlp.report.learning_curves import Curve

#: What the table of a paper shows, by the columns of summary.csv; empty columns are left out.
_COLUMNS = {
    "arm": "strategy",
    "seeds": "seeds",
    "last_labels": "labels",
    "last_score": "score",
    "interval": "95 % interval",
    "area_linear": "area",
    "baseline_last_score": "TF-IDF",
}


def is_comparison(folder: Path) -> bool:
    """Tell whether a folder is that of a comparison."""
    return (folder / "curves.csv").is_file() and not (folder / "ledger.jsonl").is_file()


def read_picture(folder: Path, only: Sequence[str] | None = None) -> "Picture":
    """Return what the picture of a finished comparison shows.

    Args:
        folder: Of the comparison.
        only: The arms that are drawn; None for all.

    Raises:
        UserError: The comparison is of an earlier version, or has no such arm.
    """
    from dal_nlp.compare.plots import Picture

    rows = _rows(folder / "curves.csv")
    by_arm: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        by_arm.setdefault(row["arm"], []).append(row)
    if not rows or "metric" not in rows[0]:
        raise RunFolderError(f"{folder} has no curves with a metric: `dal-nlp compare` with the same words makes them.")
    curves = {name: _curve(points) for name, points in by_arm.items()}
    arms = [(name, curve) for name, curve in curves.items() if not name.startswith(f"{BASELINE} on ")]
    for name in only or ():
        if name not in dict(arms):
            raise unknown("arm", name, dict(arms))
    shares = [row for row in _rows(folder / "comparisons.csv") if row["share"]]
    full = float(shares[0]["score"]) / float(shares[0]["share"]) if shares else None
    return Picture(arms, curves.get(f"{BASELINE} on the labels of random"), full, spoken(rows[0]["metric"]), only)


def read_table(folder: Path, only: Sequence[str] | None = None) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the table of arms, rounded for a paper; arguments as in ``read_picture``."""
    rows = [row for row in _rows(folder / "summary.csv") if only is None or row["arm"] in only]
    cells = [{**row, "interval": _interval(row)} for row in rows]
    kept = [name for name in _COLUMNS if any(row.get(name) for row in cells)]
    return [_COLUMNS[name] for name in kept], [[_rounded(name, row.get(name) or "") for name in kept] for row in cells]


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    parts = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in parts)


def latex(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in LaTeX, of the package booktabs."""
    first, *others = [f"{' & '.join(map(_escaped, row))} \\\\" for row in (header, *rows)]
    columns = "l" + "r" * (len(header) - 1)
    begin, end = f"\\begin{{tabular}}{{{columns}}}", "\\end{tabular}"
    return "\n".join([begin, "\\toprule", first, "\\midrule", *others, "\\bottomrule", end])


#: The forms of a table, by name.
FORMS: Mapping[str, Callable[[Sequence[str], Sequence[Sequence[str]]], str]] = {"markdown": markdown, "latex": latex}


def form_of(name: str) -> Callable[[Sequence[str], Sequence[Sequence[str]]], str]:
    """Return what writes a table, by its name; raises ``UserError``."""
    if name not in FORMS:
        raise unknown("form of a table", name, FORMS)
    return FORMS[name]


def _escaped(text: str) -> str:
    signs = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(signs.get(sign, f"\\{sign}" if sign in "&%$#_{}" else sign) for sign in text)


def _interval(row: Mapping[str, str]) -> str:
    low, high = row.get("last_low"), row.get("last_high")
    return f"[{float(low):.3f}, {float(high):.3f}]" if low and high else ""


def _rounded(name: str, cell: str) -> str:
    if name in ("arm", "interval") or not cell:
        return cell
    return f"{float(cell):.0f}" if name in ("seeds", "last_labels") else f"{float(cell):.3f}"


def _curve(points: Sequence[Mapping[str, str]]) -> "Curve":
    import numpy as np  # which a command that only asks whether a folder is a comparison need not wait for

    from dal_nlp.report.learning_curves import Curve

    scores = np.array([[float(score) for score in point["scores"].split()] for point in points]).T
    return Curve(np.array([float(point["labels"]) for point in points]), scores, tuple(range(len(scores))))


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        raise UserError(f"{path} is not there: `dal-nlp compare` with the same words writes it.") from None
