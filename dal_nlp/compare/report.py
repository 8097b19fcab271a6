"""The report of a comparison: what to use, what it saves, and what speaks for it, on one self-contained page."""

from collections.abc import Sequence
from typing import Any

from dal_nlp.compare import plots as picture
from dal_nlp.compare.arms import Arm, by_words
from dal_nlp.compare.comparison import Comparison
from dal_nlp.compare.machines import by_money
from dal_nlp.compare.results import ArmResult, Milestone
from dal_nlp.compare.savings import Reach
from dal_nlp.compare.tables import write_tables
from dal_nlp.core.files import replace_file
from dal_nlp.core.text import counted, duration, without_folders
from dal_nlp.report.html import inline, render
from dal_nlp.report.learning_curves import Curve, area, mean_interval
from dal_nlp.report.summary import spoken


def write_comparison(of: Comparison) -> None:
    """Write summary.csv, comparisons.csv, curves.csv, curves.svg, curves.png and report.html."""
    write_tables(of)
    curves = [(arm.name, arm.curve) for arm in of.arms if arm.curve is not None]
    alone = [(one.name, 0.0, one.score) for one in of.alone]
    metric = spoken(of.metric)
    pages = {"curves": picture.Picture(curves, of.baseline.get("random"), of.full, metric, alone=alone)}
    moved = [(arm.name, by_words(arm)) for arm in of.arms if arm.curve is not None]
    pages["words"] = picture.Picture(moved, None, of.full, metric, across="words that people read")
    if of.config.price_per_label:
        pages["money"] = _by_money(of, curves)
    drawn = {(name, kind): page.render(kind) for name, page in pages.items() for kind in ("svg", "png")}
    for (name, kind), content in drawn.items():
        replace_file(of.folder / f"{name}.{kind}", content)
    shown = {name: inline(drawn[name, "svg"], picture.COLOURS) for name in pages}
    values = {**contents(of), "curve": shown["curves"], "words": shown["words"], "money": shown.get("money", "")}
    replace_file(of.folder / "report.html", render("comparison.html.j2", values))


def _by_money(of: Comparison, curves: Sequence[tuple[str, Curve]]) -> picture.Picture:
    """Return the picture of the arms over what their labels and their machines cost."""
    price = of.config.price_per_label or 0.0
    moved = [(name, by_money(curve, price, of.machine_money(name))) for name, curve in curves]
    alone = [(one.name, one.each * of.pool, one.score) for one in of.alone]
    return picture.Picture(moved, None, of.full, spoken(of.metric), across="money", alone=alone)


def contents(of: Comparison) -> dict[str, Any]:
    """Return the names that the page's template reads."""
    arms = of.results.arms if of.results else ()
    first, last = of.seeds
    return {
        "name": f"{of.config.task} · {without_folders(of.config.model)} · {counted(last - first + 1, 'seed')}",
        "sentences": of.verdict.sentences if of.verdict else (),
        "enough": of.verdict.enough if of.verdict else False,
        "metric": spoken(of.metric),
        "full": of.full,
        "header": header(of),
        "arms": [_arm(of, arm) for arm in of.arms],
        "classes": _classes(of),
        "savings": [_saving(arm.name, milestone) for arm in arms for milestone in arm.milestones],
        "tests": [_test(arm) for arm in arms],
        "remarks": list(of.remarks),
        "errors": [(arm.name, seed, error) for arm in of.arms for seed, error in sorted(arm.errors.items())],
        "config": of.config,
        "seeds": of.seeds,
        "first_batches": of.first_batches,
        "alternative": _alternative(of),
        "baseline": bool(of.baseline),
        "machines": bool(of.alone),
    }


def header(of: Comparison) -> list[str]:
    """Return the names of the columns of the table of arms."""
    scores = ["strategy", "seeds", "last score [95 %]", "area", *(["TF-IDF, same labels"] if of.baseline else [])]
    times = ["a round", "choosing", "encoding", "loading"]
    priced = of.config.price_per_label is not None
    return [*scores, *times, "characters read", "evenness", *(["price"] if priced else [])]


def _arm(of: Comparison, arm: Arm) -> list[str]:
    """Return the row of an arm: seeds, last score, area, baseline, and what it costs."""
    if arm.curve is None or arm.costs is None:
        return [arm.name, "0", *[""] * (len(header(of)) - 2)]
    mean, ends = mean_interval(arm.curve)
    last = f"{mean[-1]:.3f}" + (f" [{ends[0, -1]:.3f}, {ends[1, -1]:.3f}]" if ends is not None else "")
    height = f"{area(arm.curve).mean():.3f}" if len(arm.curve.labels) > 1 else ""
    words = of.baseline.get(arm.name)
    beside = [] if not of.baseline else [f"{words.mean[-1]:.3f}" if words is not None else ""]
    of_arm = arm.costs
    times = (of_arm.round_seconds, of_arm.choose_seconds, of_arm.encode_seconds, of_arm.load_seconds)
    price = of.price(arm)
    costs = [*map(duration, times), f"{of_arm.characters:,.0f}"]
    even = "" if of_arm.evenness is None else f"{of_arm.evenness:.2f}"
    money = [] if price is None else [f"{price:,.2f}"]
    return [arm.name, str(len(arm.curve.seeds)), last, height, *beside, *costs, even, *money]


def _classes(of: Comparison) -> list[list[str]]:
    """Return header and rows of the share of each class among the labels bought, [] where there are no classes."""
    arms = [arm for arm in of.arms if arm.costs is not None and arm.costs.balance]
    names = sorted({answer for arm in arms if arm.costs for answer in arm.costs.balance})
    if not names:
        return []
    rows = [
        [arm.name, *(f"{100 * arm.costs.balance.get(name, 0):.0f} %" for name in names)] for arm in arms if arm.costs
    ]
    return [["strategy", *names], *rows]


def _saving(name: str, of: Milestone) -> list[str]:
    low, high = of.saving.interval or (None, None)
    interval = "" if low is None and high is None else f"{_percent(low)} to {_percent(high)}"
    value = of.saving.value
    least, most = of.saving.bounds
    if value is not None:
        saved = _percent(value)
    elif least is not None:
        saved = f"at least {_percent(least)}"
    else:
        saved = f"at most {_percent(most)}" if most is not None else "not known"
    return [name, f"{100 * of.share:.0f} % ({of.arm.target:.3f})", _reach(of.arm), _reach(of.random), saved, interval]


def _reach(of: Reach) -> str:
    if of.labels is None:
        return f"not reached by {of.last:g}"
    if of.interval is None:
        return f"{of.labels:.0f}"
    low, high = (f"{end:.0f}" if end is not None else f"> {of.last:g}" for end in of.interval)
    return f"{of.labels:.0f} [{low}, {high}]"


def _test(arm: ArmResult) -> list[str]:
    interval = "" if arm.area.interval is None else f"[{arm.area.interval[0]:+.3f}, {arm.area.interval[1]:+.3f}]"
    ps = [
        f"{arm.area.wilcoxon:.2g}",
        f"{arm.area.holm:.2g}",
        "" if arm.area.holm_t is None else f"{arm.area.holm_t:.2g}",
    ]
    final = [f"{arm.final.difference:+.3f}", f"{arm.final.holm:.2g}"]
    return [arm.name, f"{arm.part[0]:g} to {arm.part[1]:g}", f"{arm.area.difference:+.3f}", interval, *ps, *final]


def _percent(share: float | None) -> str:
    return "?" if share is None else f"{100 * share:.0f} %"


def _alternative(of: Comparison) -> str:
    """Describe the curves in words."""
    parts = [
        f"{arm.name} {arm.curve.mean[0]:.2f} at {arm.curve.labels[0]:g} to {arm.curve.mean[-1]:.2f} at "
        f"{arm.curve.labels[-1]:g} labels"
        for arm in of.arms
        if arm.curve is not None
    ]
    return f"Mean learning curves, {spoken(of.metric)}: {'; '.join(parts)}."
