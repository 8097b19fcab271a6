"""The files of a comparison that other programs open."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from dal_nlp.compare.arm_names import BASELINE
from dal_nlp.compare.comparison import Comparison
from dal_nlp.compare.results import ArmResult
from dal_nlp.core.files import replace_file
from dal_nlp.readers.spreadsheets import inert_rows
from dal_nlp.report.learning_curves import Curve, area, mean_interval


def write_tables(of: Comparison) -> None:
    """Write summary.csv, comparisons.csv and curves.csv into the folder of a comparison; numbers are not rounded."""
    tables = {"summary": _summary(of), "comparisons": _comparisons(of), "curves": _curves(of)}
    for name, (header, rows) in tables.items():
        replace_file(of.folder / f"{name}.csv", _csv(header, rows))


def _summary(of: Comparison) -> tuple[list[str], list[list[Any]]]:
    """Return one row an arm: its curve in numbers, what it costs, and the baseline on its labels.

    ``area_linear`` and ``area_log`` are the normalised areas under the mean curve on the two axes.
    """
    header = ["arm", "seeds", "failed", "first_labels", "last_labels", "last_score", "last_low", "last_high"]
    header += ["area_linear", "area_log"]
    header += ["baseline_last_score", "seconds_per_round", "seconds_choosing", "characters_read", "class_evenness"]
    header += ["seconds_encoding", "seconds_loading", "price"]
    rows = []
    for arm in of.arms:
        if arm.curve is None or arm.costs is None:
            rows.append([arm.name, 0, len(arm.errors)])
            continue
        mean, ends = mean_interval(arm.curve)
        last = ["", ""] if ends is None else ends[:, -1].tolist()
        points = arm.curve.labels[[0, -1]].tolist()
        areas = [_mean(area(arm.curve)), _mean(area(arm.curve, "log"))] if len(arm.curve.labels) > 1 else ["", ""]
        baseline = of.baseline.get(arm.name)
        costs = [arm.costs.round_seconds, arm.costs.choose_seconds, arm.costs.characters, arm.costs.evenness]
        costs += [arm.costs.encode_seconds, arm.costs.load_seconds, of.price(arm)]
        beside = ["" if baseline is None else float(baseline.mean[-1])]
        rows.append(
            [arm.name, len(arm.curve.seeds), len(arm.errors), *points, float(mean[-1]), *last, *areas, *beside, *costs]
        )
    return header, rows


def _comparisons(of: Comparison) -> tuple[list[str], list[list[Any]]]:
    """Return one row for each arm and share of the full score: labels, saving, and the tests against random."""
    header = ["arm", "seeds", "from_labels", "to_labels", "area_difference", "area_low", "area_high"]
    header += ["area_p_wilcoxon", "area_p_wilcoxon_holm", "area_p_t", "area_p_t_holm", "log_area_difference"]
    header += ["final_difference", "final_p_wilcoxon_holm", "share", "score", "labels", "labels_low", "labels_high"]
    header += ["reached_in", "random_labels", "saving", "saving_low", "saving_high"]
    rows: list[list[Any]] = []
    for arm in of.results.arms if of.results else ():
        tests = _tests(arm)
        rows += [[*tests, *_milestone(milestone)] for milestone in arm.milestones] or [tests]
    return header, rows


def _tests(arm: ArmResult) -> list[Any]:
    low, high = arm.area.interval or ("", "")
    ps = [arm.area.wilcoxon, arm.area.holm, arm.area.t, arm.area.holm_t]
    differences = [arm.log_area.difference, arm.final.difference, arm.final.holm]
    return [arm.name, len(arm.seeds), *arm.part, arm.area.difference, low, high, *ps, *differences]


def _milestone(of: Any) -> list[Any]:
    low, high = of.arm.interval or (None, None)
    saved = of.saving.interval or (None, None)
    return [
        *(of.share, of.arm.target, of.arm.labels, low, high, of.arm.share),
        *(of.random.labels, of.saving.value, *saved),
    ]


def _curves(of: Comparison) -> tuple[list[str], list[list[Any]]]:
    """Return one row for each arm and number of labels: the mean score, its 95 % interval, every seed's, the metric."""
    named = [(arm.name, arm.curve) for arm in of.arms if arm.curve is not None]
    named += [(f"{BASELINE} on the labels of {name}", curve) for name, curve in of.baseline.items()]
    rows: list[list[Any]] = []
    for name, curve in named:
        rows += [[*point, of.metric] for point in _points(name, curve)]
    return ["arm", "labels", "mean", "low", "high", "scores", "metric"], rows


def _points(name: str, curve: Curve) -> Iterable[list[Any]]:
    mean, ends = mean_interval(curve)
    for i, labels in enumerate(curve.labels.tolist()):
        low, high = ("", "") if ends is None else ends[:, i].tolist()
        yield [name, labels, float(mean[i]), low, high, " ".join(map(str, curve.scores[:, i].tolist()))]


def _mean(values: Any) -> float:
    return float(np.mean(values))


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Write a table; a short row is filled up, and None is an empty cell."""
    buffer = io.StringIO(newline="")
    filled = ([*row, *[""] * (len(header) - len(row))] for row in rows)
    csv.writer(buffer, lineterminator="\n").writerows(inert_rows(header, filled))
    return buffer.getvalue().encode()
