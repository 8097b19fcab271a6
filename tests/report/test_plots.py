"""Where the points, ticks and words of the learning curve stand."""

import math

import pytest

from dal_nlp.report import plots


def test_layout_keeps_every_point_inside_and_ticks_round() -> None:
    lines = [
        plots.MetricCurve("a", [0.5, math.nan, 0.7], [(0.4, 0.6), None, (0.6, 0.8)]),
        plots.MetricCurve("b", [0.1] * 3, [None] * 3),
    ]
    found = plots.layout([10, 20, 40], lines)
    assert [len(line["points"]) for line in found["lines"]] == [2, 3] and "nan" not in str(found)
    for line in found["lines"]:
        for x, y in line["points"]:
            assert found["left"] < x < found["right"] and found["top"] < y < found["bottom"]
    (first, _), (second, _), (third, _) = found["lines"][1]["points"]
    assert (third - second) == pytest.approx(2 * (second - first), abs=0.05)  # 20 to 40 is twice 10 to 20
    assert found["lines"][0]["points"][0][1] > found["lines"][0]["points"][1][1]  # more is higher
    assert [tick["text"] for tick in found["x_ticks"]] == ["10", "15", "20", "25", "30", "35", "40"]
    assert [tick["text"] for tick in found["y_ticks"]] == ["0.2", "0.4", "0.6", "0.8"]


@pytest.mark.parametrize("labels", [[7], [7, 8], [5, 500_000]])
@pytest.mark.parametrize("value", [0.0, 1.0, 0.123, 31.5, math.nan])
def test_layout_of_odd_curves(labels: list[int], value: float) -> None:
    found = plots.layout(labels, [plots.MetricCurve("a", [value] * len(labels), [None] * len(labels))])
    for ticks, ends in (("x_ticks", ("left", "right")), ("y_ticks", ("top", "bottom"))):
        assert 1 <= len(found[ticks]) <= 9
        assert all(found[ends[0]] <= tick["at"] <= found[ends[1]] for tick in found[ticks])
        assert len({tick["text"] for tick in found[ticks]}) == len(found[ticks])
